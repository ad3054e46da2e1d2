"""One cloud without hosts for all tests of the stand-ins, and a toy app for the host."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.cloud import LocalCloud
from local.host import FunctionsHost, Options

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def shared_cloud() -> Iterator[LocalCloud]:
    with LocalCloud({"one": {}, "two": {}}, hosts=False) as started:
        yield started


@pytest.fixture
def cloud(shared_cloud: LocalCloud) -> Iterator[LocalCloud]:
    yield shared_cloud
    shared_cloud.faults.clear()
    shared_cloud.vms.work = None
    shared_cloud.arm.comes_back = False


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """An app root whose handler does what a message says."""
    root = tmp_path / "toy"
    for name, trigger in (
        ("work", {"type": "queueTrigger", "queueName": "work", "dataType": "binary"}),
        ("plain", {"type": "queueTrigger", "queueName": "plain"}),
        ("job-watch", {"type": "timerTrigger", "schedule": "0 * * * * *"}),
    ):
        (root / name).mkdir(parents=True)
        out = {"type": "queue", "direction": "out", "name": "out", "queueName": "toy-out"}
        bindings = {"bindings": [{"name": "item", "direction": "in", **trigger}, out]}
        (root / name / "function.json").write_text(json.dumps(bindings))
    shutil.copy(HERE / "toy_handler.py", root / "handler")
    (root / "handler").chmod(0o755)
    config = {
        "version": "2.0",
        "customHandler": {"description": {"defaultExecutablePath": "handler"}},
        "extensionBundle": {"id": "x", "version": "[4.*, 5.0.0)"},
        "extensions": {"queues": {"messageEncoding": "none", "visibilityTimeout": "00:00:30"}},
        "functionTimeout": "00:05:00",
    }
    (root / "host.json").write_text(json.dumps(config))
    return root


class Hosts:
    """Starts hosts for the toy app and stops them at the end of a test."""

    def __init__(self, cloud: LocalCloud, root: Path) -> None:
        self.cloud = cloud
        self.root = root
        self.started: list[FunctionsHost] = []

    def start(self, **options: object) -> FunctionsHost:
        app, cloud = self.cloud.app, self.cloud
        host = FunctionsHost(
            self.root,
            app.settings(),
            cloud.clock,
            cloud.recorder,
            app.queues,
            "toy",
            Options(**options),  # type: ignore[arg-type]
        )
        self.started.append(host)
        return host.start()


@pytest.fixture
def hosts(cloud: LocalCloud, toy: Path) -> Iterator[Hosts]:
    starter = Hosts(cloud, toy)
    yield starter
    for host in starter.started:
        host.stop()
