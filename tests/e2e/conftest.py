"""Clouds for end-to-end tests: the handler that ships, real Azurite, official SDKs.

RETRAIN_DIST names another function app root than the project's dist/.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from local.arm import Timing
from local.cloud import LocalCloud
from local.paths import DIST, ROOT
from tests.e2e.helpers import explain, is_closed, run_until_closed, settle, wait_for
from tests.e2e.quick import QuickVm
from tests.vm import fixtures

__all__ = ["explain", "is_closed", "run_until_closed", "wait_for"]

Apps = Mapping[str, Mapping[str, str]]


@pytest.fixture(scope="session")
def dist() -> Path:
    """The function app root; the project's own is made when it is missing."""
    named = os.environ.get("RETRAIN_DIST")
    if named:
        return Path(named).resolve()
    if not (DIST / "host.json").exists():
        subprocess.run(["make", "dist"], cwd=ROOT, check=True)
    return DIST


@pytest.fixture(scope="session")
def zip_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A whole small CVAT zip: 8 pictures, classes ok and dent."""
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    fixtures.cvat_zip(path, 8)
    return path.read_bytes()


def hasten(cloud: LocalCloud) -> LocalCloud:
    """Let ARM need next to no time, and VMs too."""
    cloud.arm.timing = Timing(accepted=0.02, running=0.05, delete=0.1)
    cloud.vms.work = QuickVm()
    return cloud


class Shared:
    """A cloud that tests take turns in; one that a test leaves in disorder is replaced."""

    def __init__(self, dist: Path) -> None:
        self._dist = dist
        self._stack = ExitStack()
        self._cloud: LocalCloud | None = None

    def get(self) -> LocalCloud:
        """The cloud, started when there is none."""
        if self._cloud is None:
            self._cloud = self._stack.enter_context(LocalCloud(dist=self._dist))
        return hasten(self._cloud)

    def drop(self) -> None:
        """Stop it; also checks that the handler kept the host's rules."""
        self._cloud = None
        self._stack.close()


@pytest.fixture(scope="session")
def shared_clouds(dist: Path) -> Iterator[Shared]:
    shared = Shared(dist)
    yield shared
    shared.drop()


@pytest.fixture
def cloud(shared_clouds: Shared, request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    """A cloud with one app, a running host and quick VMs, at rest before and after each test.

    Tests use job ids of their own: records stay. `cloud.vms.work = None` makes VMs real.
    """
    cloud = shared_clouds.get()
    yield cloud
    cloud.faults.clear()
    if getattr(request.node, "failed", False):
        shared_clouds.drop()
        return
    try:
        settle(cloud)
    except AssertionError:
        shared_clouds.drop()
        raise


@pytest.fixture
def make_cloud(dist: Path) -> Iterator[Callable[..., LocalCloud]]:
    """Start a cloud of one's own: make_cloud(apps={...}, hosts=..., options=...)."""
    with ExitStack() as stack:

        def make(apps: Apps | None = None, **more: Any) -> LocalCloud:
            return hasten(stack.enter_context(LocalCloud(apps, dist=dist, **more)))

        yield make


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note on the test whether its body failed, for the fixtures that clean up after it."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        item.failed = True  # type: ignore[attr-defined]
        own = getattr(item, "funcargs", {}).get("cloud")
        if own is not None:
            report.sections.append(("what is live", explain(own.app)))
            broken = [text for source, text in own.recorder.lines if source.endswith(" stand-in")]
            report.sections.append(("stand-ins that broke", "\n".join(broken[-3:])))
