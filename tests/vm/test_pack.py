"""The archive of scripts: same files, same bytes; and what is (not) in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.vm.conftest import SCRIPTS


def test_reproducible(tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_bytes(b"\x7fELF")
    copy = tmp_path / "elsewhere"
    shutil.copytree(SCRIPTS, copy)
    for number, path in enumerate(sorted(copy.rglob("*.py"))):
        os.utime(path, (number, number))
        path.chmod(0o600)
    archives = []
    for tree in (SCRIPTS, copy):
        target = tmp_path / f"{tree.name}.tar.gz"
        subprocess.run([sys.executable, tree / "pack", uv, target], check=True)
        archives.append(target)
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with tarfile.open(archives[0]) as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names)
    for name in (
        "environment",
        "run",
        "uv",
        "locks/runner.txt",
        "retrain/__main__.py",
        "trainers/tiny/__main__.py",
    ):
        assert name in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("boot")]
    assert all((m.mtime, m.uid, m.gid) == (0, 0, 0) for m in members)
    assert {m.name for m in members if m.mode & 0o100} == {"environment", "run", "uv"}


def test_lock_pins_by_hash_and_names_no_place() -> None:
    text = (SCRIPTS / "locks/runner.txt").read_text()
    wanted = [
        line
        for line in (SCRIPTS / "locks/runner.in").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert "http" not in text
    assert "index" not in text
    entries = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert all("==" in line and line.endswith("\\") for line in entries)
    assert {w.split("==")[0] for w in wanted} <= {line.split("==")[0] for line in entries}


def test_boot_scripts_have_no_path_of_their_own() -> None:
    for name in ("start", "claim", "fetch", "report"):
        text = (SCRIPTS / "boot" / name).read_text()
        assert "/opt/" not in text
        assert "set -euo pipefail" in text
    unit = (SCRIPTS / "boot/retrain.service").read_text()
    assert unit.count("@RUN_MAX_S@") == 1


def test_only_one_module_opens_sockets() -> None:
    openers = ("import socket", "http.client", "urllib.request", "import ssl", "requests")
    found = {
        path.relative_to(SCRIPTS).as_posix()
        for path in SCRIPTS.rglob("*.py")
        if any(word in path.read_text() for word in openers)
    }
    assert found == {"retrain/net.py"}
