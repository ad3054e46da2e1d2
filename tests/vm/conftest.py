"""Paths, and one whole run that many tests look at."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "vm-scripts"
for _folder in (str(ROOT), str(SCRIPTS)):
    if _folder not in sys.path:
        sys.path.insert(0, _folder)

from tests.vm import fixtures, stub  # noqa: E402

SPARE_GIB = "0"
"""This machine's disk is not the VM's."""


def start_python(home: Path, scripts: Path = SCRIPTS) -> subprocess.Popen[bytes]:
    """``python -m retrain`` on an attempt's folder, in a process group of its own."""
    stub_url = re.search(
        r"http://127\.0\.0\.1:\d+", (home / "job.json").read_text(encoding="utf-8")
    )
    imds = stub_url[0] if stub_url else "http://127.0.0.1:9"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(scripts),
        "RETRAIN_IMDS": imds,
        "RETRAIN_SPARE_GIB": SPARE_GIB,
    }
    command = [sys.executable, "-m", "retrain", str(home)]
    return subprocess.Popen(command, env=environment, start_new_session=True)


def run_python(home: Path, scripts: Path = SCRIPTS) -> int:
    """``start_python`` to its end; the exit code."""
    process = start_python(home, scripts)
    try:
        return process.wait(300)
    finally:
        process.kill()


def report_of(home: Path) -> dict[str, Any]:
    """state/report.json."""
    return dict(json.loads((home / "state/report.json").read_text(encoding="utf-8")))


@dataclass
class CleanRun:
    """A finished run: its folder, the cloud it used, its job and its data."""

    home: Path
    cloud: stub.Cloud
    document: dict[str, Any]
    pictures: list[fixtures.Picture]
    code: int

    @property
    def out(self) -> Path:
        """What was published."""
        return self.home / "work/out"

    def published(self, name: str) -> bytes:
        """A file below out/ as the cloud has it."""
        return self.cloud.blobs[f"/blob/job-files/out/job-a/1/{name}"]


@pytest.fixture(scope="session")
def clean_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CleanRun]:
    """40 pictures, 20 epochs, a class with a blank in its name."""
    folder = tmp_path_factory.mktemp("clean")
    made = fixtures.cvat_zip(folder / "a.zip", 40, ("点字 ブロック", "dent"))
    with stub.Server() as cloud:
        document = stub.job_document(cloud, folder / "a.zip", links=stub.shown_links(cloud))
        home = stub.write_home(folder / "home", document)
        code = run_python(home)
        yield CleanRun(home, cloud, document, made, code)
