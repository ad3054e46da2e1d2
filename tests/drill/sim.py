"""Seeded random schedules over the product's own drive and step (tests/sim)."""

from __future__ import annotations

import secrets
import subprocess

from local.paths import ROOT

PROGRAM = ROOT / "build" / "release" / "tests" / "sim" / "sim"
COUNT = 100_000


def run(seed: int | None) -> str:
    """Run them all with fresh seeds, or replay one; the program's own last line."""
    if seed is None:
        first = secrets.randbelow(1 << 40)
        command = [str(PROGRAM), "--count", str(COUNT), "--first-seed", str(first)]
    else:
        command = [str(PROGRAM), "--seed", str(seed), "--verbose"]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        raise AssertionError(f"a schedule broke a promise: {done.stdout.splitlines()[-2:]}")
    return done.stdout.splitlines()[-1]
