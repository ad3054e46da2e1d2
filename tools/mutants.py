"""Breaks the product on purpose, one break at a time, and demands that the named test notices.

Usage: mutants.py [NAME...]: only tests/mutants/NAME.patch. A patch begins with two lines,
`Why: <what it breaks>` and `Test: c:<name>`, `Test: e2e:<pytest id>` or `Test: vm:<pytest id>`.
All happens in a copy of the work tree, build/mutants/tree, with its own build and its own dist.
Exit code 1 when a break survives, does not apply or does not build, or when a named test fails
without any break.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATCHES = ROOT / "tests" / "mutants"
TREE = ROOT / "build" / "mutants" / "tree"
BORROWED = (".venv", "node_modules", ".cache")
"""Installed things, which a break does not touch: the copy has links to them."""
LIMIT_S = 300.0
"""A test that takes longer hangs, which counts as noticed."""
CAUGHT, SURVIVED, UNFIT = "caught", "SURVIVED", "UNFIT"


@dataclass(frozen=True)
class Mutant:
    """One break: its patch, what it breaks, and which test must notice."""

    path: Path
    why: str
    kind: str
    test: str

    @property
    def name(self) -> str:
        return self.path.stem


def read(path: Path) -> Mutant:
    """The patch's two lines. Raises ValueError when they are not as they must be."""
    text = path.read_text(encoding="utf-8")
    why = re.search(r"^Why: (.+)$", text, re.MULTILINE)
    test = re.search(r"^Test: (c|e2e|vm):(\S+)$", text, re.MULTILINE)
    if not why or not test:
        raise ValueError(
            f"{path.name}: it must begin with a line `Why: ...` and a line `Test: ...`"
        )
    return Mutant(path, why[1], test[1], test[2])


@dataclass
class Run:
    """What a command came to; `code` is None when it hung and was ended."""

    code: int | None
    output: str


def run(command: Sequence[str], limit_s: float = 900.0) -> Run:
    """Run a command in the copy, in a session of its own, which ends as a whole."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("MAKE")},
        "RETRAIN_DIST": str(TREE / "dist"),
        "GIT_CEILING_DIRECTORIES": str(TREE.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    process = subprocess.Popen(
        command,
        cwd=TREE,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output = process.communicate(timeout=limit_s)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            output = process.communicate(timeout=15)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0]
        return Run(None, output)
    return Run(process.returncode, output)


def must(command: Sequence[str]) -> None:
    done = run(command)
    if done.code != 0:
        raise RuntimeError(f"{' '.join(command)}:\n{done.output[-3000:]}")


def copy_tree() -> None:
    """Bring the copy up to date; what has not changed keeps its time, so that builds are short."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    # No Makefile: through the links, its npm ci and pip would empty what the project itself uses.
    wanted = {name for name in listed.split("\0") if name and (ROOT / name).is_file()} - {
        "Makefile"
    }
    TREE.mkdir(parents=True, exist_ok=True)
    for path in [p for p in TREE.rglob("*") if not p.is_dir() or p.is_symlink()]:
        name = path.relative_to(TREE)
        if name.parts[0] not in ("build", "dist", *BORROWED) and name.as_posix() not in wanted:
            path.unlink()
    for name in wanted:
        source, target = ROOT / name, TREE / name
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    for name in BORROWED:
        if not (TREE / name).is_symlink():
            (TREE / name).symlink_to(ROOT / name)


def build(kind: str, targets: Sequence[str]) -> None:
    """Make what tests of a kind run. Raises RuntimeError when it cannot be made."""
    if kind == "vm":
        return
    must(["cmake", "--build", "--preset", "release", "--target", *targets])
    if kind == "e2e":
        shutil.rmtree(TREE / "dist", ignore_errors=True)
        must(["cmake", "--install", "build/release", "--prefix", "dist"])


def test(kind: str, tests: Sequence[str]) -> Run:
    if kind == "c":
        named = f"^({'|'.join(tests)})$"
        return run(
            ["ctest", "--preset", "release", "--no-tests=error", "--tests-regex", named], LIMIT_S
        )
    command = [str(ROOT / ".venv" / "bin" / "python"), "-m", "pytest", "-x", *tests]
    return run(command, LIMIT_S * len(tests))


def targets_of(mutants: Sequence[Mutant], kind: str) -> list[str]:
    return ["retrain"] if kind == "e2e" else tests_of(mutants, kind)


def tests_of(mutants: Sequence[Mutant], kind: str) -> list[str]:
    return sorted({m.test for m in mutants if m.kind == kind})


def prove(mutants: Sequence[Mutant]) -> bool:
    """Every named test passes as long as nothing is broken."""
    good = True
    # A break may leave a parameter unused: warnings are no errors here.
    must(["cmake", "--preset", "release", "-DCMAKE_C_FLAGS=-w"])
    for kind in ("c", "vm", "e2e"):
        tests = tests_of(mutants, kind)
        if not tests:
            continue
        began = time.monotonic()
        build(kind, targets_of(mutants, kind))
        done = test(kind, tests)
        word = "pass" if done.code == 0 else "FAIL"
        print(f"unbroken: {len(tests)} {kind} tests {word}, {time.monotonic() - began:.0f} s")
        if done.code != 0:
            print(done.output[-3000:])
        good = good and done.code == 0
    return good


def attack(mutant: Mutant) -> tuple[str, str]:
    """Apply, build, test, take back; what came of it, and the words for it."""
    apply = ["git", "apply", "-C1", str(mutant.path)]
    done = run(apply)
    if done.code != 0:
        return UNFIT, f"does not apply: {done.output.strip()}"
    try:
        build(mutant.kind, targets_of([mutant], mutant.kind))
        done = test(mutant.kind, [mutant.test])
    except RuntimeError as error:
        return UNFIT, f"does not build: {error}"
    finally:
        must([*apply, "--reverse"])
    if done.code == 0:
        return SURVIVED, f"{mutant.test} passes: {mutant.why}"
    if done.code is None:
        return CAUGHT, "it hung"
    # A test that failed, not one that could not begin.
    failed = done.code == 8 if mutant.kind == "c" else "\nFAILED " in done.output
    if not failed:
        return UNFIT, f"{mutant.test} could not be run ({done.code}):\n{done.output[-2000:]}"
    return CAUGHT, ""


def main(names: list[str]) -> int:
    known = {path.stem: path for path in sorted(PATCHES.glob("*.patch"))}
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        print(f"no such patch: {' '.join(unknown)}; known: {' '.join(known)}", file=sys.stderr)
        return 2
    mutants = [read(known[name]) for name in names or known]
    copy_tree()
    if not prove(mutants):
        return 1
    count = {CAUGHT: 0, SURVIVED: 0, UNFIT: 0}
    for mutant in mutants:
        began = time.monotonic()
        result, words = attack(mutant)
        count[result] += 1
        took = time.monotonic() - began
        print(f"{result:8} {mutant.name:34} {mutant.kind}:{mutant.test}, {took:.0f} s", flush=True)
        if words:
            print(f"         {words}", flush=True)
    unfit = f", {count[UNFIT]} unfit" if count[UNFIT] else ""
    print(f"{count[CAUGHT]} caught, {count[SURVIVED]} survived{unfit}")
    return 1 if count[SURVIVED] or count[UNFIT] else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (RuntimeError, ValueError) as error:
        sys.exit(str(error))
