"""Whole jobs with the trainer getitune, and the table that is printed at the end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.vm import stub
from tests.vm.conftest import ROOT, SCRIPTS
from tests.vm.stub import Cloud

VENV = Path(os.environ.get("GETITUNE_VENV", ROOT / ".cache" / "train" / "venv-getitune"))
ROWS: list[list[str]] = []
"""Of the table: one job each."""


@dataclass
class Run:
    """A finished job: its folder, and what it said and published."""

    home: Path
    cloud: Cloud
    job_id: str
    attempt: int
    code: int
    seconds: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)

    def published(self, name: str) -> bytes:
        """A file that was offered."""
        return self.cloud.blobs[f"/blob/job-files/out/{self.job_id}/{self.attempt}/{name}"]

    def document(self, name: str) -> dict[str, Any]:
        """A JSON file that was offered."""
        return dict(json.loads(self.published(name)))

    @property
    def log(self) -> str:
        """train.log."""
        return (self.home / "state/train.log").read_text(encoding="utf-8", errors="replace")


class Site:
    """The stub and the folders of jobs on it."""

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        self.folder, self.cloud = folder, cloud

    def home(self, job_id: str, zip_path: Path, attempt: int = 1, **changes: Any) -> Path:
        """The folder of an attempt; the environment is there, as an image has it."""
        document = stub.job_document(
            self.cloud,
            zip_path,
            job_id=job_id,
            attempt=attempt,
            trainer="getitune",
            pretrained=False,
            **changes,
        )
        home = stub.write_home(self.folder / f"{job_id}-{attempt}", document)
        (home / "venv-getitune").symlink_to(VENV)
        return home

    def parent(self, run: Run) -> dict[str, str]:
        """The link to a former job's checkpoint."""
        path = f"/file/logs/{run.job_id}/latest.pth"
        return {"parent_checkpoint": self.cloud.link(path, "r")}

    def current(self, run: Run) -> dict[str, str]:
        """Links to a former job's model, as if it were the line's current one."""
        return stub.current_links(self.cloud, f"/blob/job-files/out/{run.job_id}/{run.attempt}/")

    def run(self, home: Path, until: Callable[[Path], bool] | None = None) -> Run:
        """Work on it to its end; or until ``until`` says that its machine is taken away."""
        document = json.loads((home / "job.json").read_text())
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "retrain", str(home)],
            env=self._environment(),
            start_new_session=True,
        )
        try:
            while process.poll() is None and not (until and until(home)):
                time.sleep(0.2)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        run = Run(home, self.cloud, document["job_id"], document["attempt"], code)
        run.seconds = time.monotonic() - began
        if code == 0:
            result = json.loads(bytes(self.cloud.files[f"/file/logs/{run.job_id}/result.json"]))
            run.steps = {step["stage"]: step["seconds"] for step in result["steps"]}
        return run

    def _environment(self) -> dict[str, str]:
        """Nothing but the stub can be reached: nothing is downloaded."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(SCRIPTS),
            "RETRAIN_IMDS": self.cloud.url,
            "http_proxy": "http://127.0.0.1:9",
            "https_proxy": "http://127.0.0.1:9",
            "no_proxy": "127.0.0.1",
            **{k: v for k, v in os.environ.items() if k.startswith("OMP_")},
        }

    def note(self, name: str, run: Run) -> None:
        """A row of the table."""
        metrics = run.document("metrics.json")
        gate = metrics["gate"]
        stages = " ".join(f"{name} {value:.0f}" for name, value in run.steps.items() if value >= 1)
        ROWS.append(
            [
                name,
                metrics["primary"],
                _figure(metrics["trainer_value"]),
                _figure(metrics["select_value"]),
                _figure(metrics.get("model_api_value")),
                str(metrics["select_images"]),
                f"{_figure(gate['new'])} / {_figure(gate['current'])}",
                f"{gate['latency_ms']['new']:.1f} ms",
                f"{gate['size_bytes']['new'] / 1e6:.1f} MB",
                f"{run.seconds:.0f} s: {stages}",
            ]
        )


HEAD = (
    "job", "metric", "trainer", "OpenVINO", "Model API", "images", "new / current", "latency",
    "files", "time",
)  # fmt: skip


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One stub for all, whose share has what former jobs left."""
    with stub.Server() as cloud:
        yield Site(tmp_path_factory.mktemp("jobs"), cloud)
        assert cloud.faults == []


def in_venv(code: str, *arguments: str) -> str:
    """What a piece of Python prints in the trainer's environment."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "vm-scripts")}
    done = subprocess.run(
        [VENV / "bin/python", "-W", "ignore", "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table."""
    if not ROWS:
        return
    widths = [max(len(row[i]) for row in [HEAD, *ROWS]) for i in range(len(HEAD))]
    for row in [HEAD, *ROWS]:
        terminalreporter.write_line("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)))
