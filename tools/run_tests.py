"""Runs all test runners one after the other and closes with one count over all of them.

Usage: run_tests.py [NAME...]: only the named ones of c, layers, lint, sanitize, protocol, vm,
local, e2e, dist. Exit code 1 when anything failed or could not run. A skipped test is a failure,
unless it is one of MAY_SKIP.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAKE = ("lint", "sanitize")
PYTEST = ("protocol", "vm", "local", "e2e", "dist")
SHARES = {"vm": 2, "e2e": 2}
MAY_SKIP = {
    # Azure's descriptions may not be copied into the project; cloud-init is not everywhere.
    ("test_openapi", "test_every_call_and_answer_is_as_the_openapi_files_say"),
    ("test_openapi", "test_what_check_asks_is_as_the_openapi_files_say"),
    ("test_openapi", "test_the_check_sees_what_is_wrong"),
    ("test_openapi", "test_every_template_has_only_what_azure_knows"),
    ("test_openapi", "test_every_custom_data_is_good_cloud_config"),
    # A bare Debian can be made and entered by root alone.
    ("test_package", "test_c1_21_it_runs_in_a_bare_debian_as_an_ordinary_user"),
}
"""File and name of the tests that may be skipped; each says why when it is."""
END = 3000
"""Characters of a runner's output that are shown again at the end when it failed."""
LAST_TESTS = ROOT / "build" / "release" / "Testing" / "Temporary" / "LastTest.log"
CTEST = re.compile(r"(\d+) tests? failed out of (\d+)")


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    end: str = ""
    """How the output ended, for the summary of what failed."""

    def add(self, other: Count) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.end += other.end


def words(count: Count) -> str:
    return f"{count.passed} passed, {count.failed} failed, {count.skipped} skipped"


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
    code, output = run(command)
    return Count(passed=1) if code == 0 else Count(failed=1, end=output[-END:])


def ctest() -> Count:
    code, output = run(["ctest", "--preset", "release", "--output-on-failure"])
    found = CTEST.search(output)
    if not found:
        return Count(failed=1, end=output[-END:])
    for line in LAST_TESTS.read_text(encoding="utf-8", errors="replace").splitlines():
        if "schedules, seeds" in line:  # ctest shows it only when it fails
            print(line, flush=True)
    failed, total = int(found[1]), int(found[2])
    return Count(total - failed, max(failed, int(code != 0)), end=output[-END:])


def skip(case: ElementTree.Element, reason: str) -> Count:
    """Print why a test was skipped, and count it."""
    file, name = case.get("classname", "").rpartition(".")[2], case.get("name", "")
    allowed = (file, name) in MAY_SKIP
    print(f"skipped{'' if allowed else ', which is a failure'}: {file}::{name}: {reason}")
    return Count(skipped=1) if allowed else Count(failed=1)


def pytest(name: str) -> Count:
    """Run the tests of one folder: in several shares side by side, where they mostly wait."""
    files = sorted(str(path) for path in (ROOT / "tests" / name).glob("test_*.py"))
    shares = [files[n :: SHARES.get(name, 1)] for n in range(SHARES.get(name, 1))]
    total = Count()
    with ThreadPoolExecutor(len(shares)) as pool:
        for count in pool.map(pytest_share, shares):
            total.add(count)
    return total


def pytest_share(files: list[str]) -> Count:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", *files, f"--junitxml={report}"]
        code, output = run(command)
        if not report.exists():
            return Count(failed=1, end=output[-END:])
        count = Count(end=output[-END:])
        for case in ElementTree.parse(report).iter("testcase"):
            kinds = {child.tag: child for child in case}
            if {"failure", "error"} & set(kinds):
                count.failed += 1
            elif "skipped" in kinds:
                count.add(skip(case, kinds["skipped"].get("message") or "no reason"))
            else:
                count.passed += 1
        count.failed = max(count.failed, int(code != 0))
        return count


def main(names: list[str]) -> int:
    runners = {
        "c": ctest,
        "layers": lambda: simple([sys.executable, "tools/layers.py"]),
        **{
            name: (lambda name=name: simple(["make", "--no-print-directory", name]))
            for name in MAKE
        },
        **{name: (lambda name=name: pytest(name)) for name in PYTEST},
    }
    unknown = [name for name in names if name not in runners]
    if unknown:
        print(f"unknown: {' '.join(unknown)}; known: {' '.join(runners)}", file=sys.stderr)
        return 2
    total = Count()
    failures = {}
    for name in names or runners:
        print(f"== {name}", flush=True)
        began = time.monotonic()
        count = runners[name]()
        total.add(count)
        seconds = time.monotonic() - began
        print(f"== {name}: {words(count)}, {seconds:.0f} s\n")
        if count.failed:
            failures[name] = count
    for name, count in failures.items():
        print(f"== {name} failed ({words(count)}); its output ended so:\n{count.end}")
    print(words(total))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
