"""Runs all test runners one after the other and closes with one count over all of them.

Usage: run_tests.py [NAME...]: only the named ones of c, layers, lint, protocol, vm, local, e2e.
Exit code 1 when anything failed, was skipped or could not run.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST = ("protocol", "vm", "local", "e2e")
CTEST = re.compile(r"(\d+) tests? failed out of (\d+)")


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Count) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def run(command: list[str]) -> tuple[int, str]:
    """Run a command, show its output as it comes, and return its exit code and output."""
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    return process.wait(), "".join(lines)


def simple(command: list[str]) -> Count:
    code, _ = run(command)
    return Count(passed=1) if code == 0 else Count(failed=1)


def ctest() -> Count:
    code, output = run(["ctest", "--preset", "release", "--output-on-failure"])
    found = CTEST.search(output)
    if not found:
        return Count(failed=1)
    failed, total = int(found[1]), int(found[2])
    return Count(total - failed, max(failed, int(code != 0)))


def pytest(name: str) -> Count:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", f"tests/{name}", f"--junitxml={report}"]
        code, _ = run(command)
        if not report.exists():
            return Count(failed=1)
        count = Count()
        for case in ElementTree.parse(report).iter("testcase"):
            kinds = {child.tag for child in case}
            if kinds & {"failure", "error"}:
                count.failed += 1
            elif "skipped" in kinds:
                count.skipped += 1
            else:
                count.passed += 1
        count.failed = max(count.failed, int(code != 0))
        return count


def main(names: list[str]) -> int:
    runners = {
        "c": ctest,
        "layers": lambda: simple([sys.executable, "tools/layers.py"]),
        "lint": lambda: simple(["make", "--no-print-directory", "lint"]),
        **{name: (lambda name=name: pytest(name)) for name in PYTEST},
    }
    unknown = [name for name in names if name not in runners]
    if unknown:
        print(f"unknown: {' '.join(unknown)}; known: {' '.join(runners)}", file=sys.stderr)
        return 2
    total = Count()
    for name in names or runners:
        print(f"== {name}", flush=True)
        began = time.monotonic()
        count = runners[name]()
        total.add(count)
        seconds = time.monotonic() - began
        print(f"== {name}: {count.passed} passed, {count.failed} failed, {seconds:.0f} s\n")
    skipped = f" ({total.skipped} skipped, which counts as a failure)" if total.skipped else ""
    print(f"{total.passed} passed, {total.failed + total.skipped} failed{skipped}")
    return 1 if total.failed or total.skipped else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
