"""Runs the drills one after the other and closes with what each came to.

Usage: python -m tests.drill [NAME...] [--seed N]. Exit code 1 when one failed. A seed makes the
drills that have a random part repeat one: the schedule of sim, the tenth of kill.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from pathlib import Path

PARTS = ("kill", "sim", "burst", "spin", "slow")
"""In this order; one that is not in the tree is not listed."""
WHOLE_S = 900.0
"""All of them take less."""


def known() -> list[str]:
    here = Path(__file__).parent
    return [name for name in PARTS if (here / f"{name}.py").exists()]


def one(name: str, seed: int | None) -> bool:
    """Run a part, and say what it came to."""
    print(f"== {name}", flush=True)
    began = time.monotonic()
    try:
        text = importlib.import_module(f"tests.drill.{name}").run(seed)
    except Exception:
        traceback.print_exc()
        print(f"== {name}: FAILED, {time.monotonic() - began:.0f} s\n", flush=True)
        return False
    print(f"== {name}: {text}, {time.monotonic() - began:.0f} s\n", flush=True)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drill")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {' '.join(known())}")
    parser.add_argument("--seed", type=int)
    wanted = parser.parse_args()
    unknown = [name for name in wanted.names if name not in known()]
    if unknown:
        print(f"unknown: {' '.join(unknown)}; known: {' '.join(known())}", file=sys.stderr)
        return 2
    began = time.monotonic()
    names = [name for name in known() if not wanted.names or name in wanted.names]
    failed = [name for name in names if not one(name, wanted.seed)]
    took = time.monotonic() - began
    slow = took > WHOLE_S
    print(f"{len(names) - len(failed)} of {len(names)} drills passed, {took:.0f} s", end="")
    print(f": too long, {WHOLE_S:.0f} s are allowed" if slow else "")
    return 1 if failed or slow else 0


if __name__ == "__main__":
    sys.exit(main())
