"""The compiled step in every order of a small world (tests/model), by the model checker spin.

Two handlers meet in every order from a job's first minutes on, and again from a machine at work on;
one handler alone goes through more minutes and more faults.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from local.paths import ROOT

MODEL = ROOT / "tests" / "model"
HANDLER = ROOT / "handler"
BUILD = ROOT / "build" / "spin"
MEMORY_MB = 2000
SEARCHES = {
    "two from the start": {"CHAOS": 3, "FAULTS": 0, "MISHAPS": 1, "SECONDS": 1},
    "two at the end": {"CHAOS": 3, "FAULTS": 1, "MISHAPS": 1, "SECONDS": 1, "WORKING": 1},
    "two at the end, all is kept": {
        "CHAOS": 2,
        "FAULTS": 1,
        "SECONDS": 1,
        "WORKING": 1,
        "KEEPS": 1,
    },
    "one for longer": {"CHAOS": 5, "FAULTS": 2, "MISHAPS": 1, "SECONDS": 0},
}
"""Minutes, faults, lost machines and drives of the second handler; see the model and the mind."""


def must(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}"[-4000:])
    return done.stdout


def build(folder: Path, defines: dict[str, int]) -> None:
    """Let spin write a checker, and compile it together with the step."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(MODEL, folder)
    must(
        ["spin", *[f"-D{name}={value}" for name, value in defines.items()], "-a", "job.pml"], folder
    )
    steps = [str(path) for path in sorted((HANDLER / "job").glob("step*.c"))]
    keeps = f"-DKEEPS={defines.get('KEEPS', 0)}"
    options = ["-O2", "-w", "-DSAFETY", keeps, "-DHC4", f"-DMEMLIM={MEMORY_MB}", "-DVECTORSZ=4096"]
    must(
        ["gcc", *options, f"-I{HANDLER}", "-o", "pan", "pan.c", *steps, f"{HANDLER}/job/place.c"],
        folder,
    )


def search(folder: Path) -> int:
    """The number of states, all of them good. Shows the way to the first that is not."""
    said = must(["./pan", "-m100000", "-n", "-w26"], folder)
    errors = re.search(r"errors: (\d+)", said)
    states = re.search(r"([\d.e+]+) states, stored", said)
    if errors and int(errors[1]) > 0:
        trail = subprocess.run(["./pan", "-r", "-n"], cwd=folder, capture_output=True, text=True)
        print(trail.stdout[-12000:])
        raise AssertionError(said[:500])
    if not errors or not states or "not completed" in said or "max search depth" in said:
        raise AssertionError(f"the search did not end:\n{said}")
    return int(float(states[1]))


def run(seed: int | None) -> str:
    """Make all searches; nothing in them is random."""
    del seed
    found = []
    for name, defines in SEARCHES.items():
        folder = BUILD / name.replace(" ", "-")
        build(folder, defines)
        found.append(f"{name}: {search(folder):,} states")
        print(found[-1], flush=True)
    return "; ".join(found) + "; errors: 0"
