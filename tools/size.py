"""How large the product is and how much it asks, beside what tests/golden/size.json keeps.

Prints every figure, and the kept one where it differs; UPDATE_GOLDEN=1 keeps the new ones. Exit
code 1 when a bound is passed: a C file of more than 400 lines, a C function of more than 60, more
requests on the happy path than were kept, or more round trips in sequence than may be.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from local.cloud import LocalCloud  # noqa: E402
from local.host import Options  # noqa: E402
from local.recorder import Exchange, rounds  # noqa: E402
from tests.bench.bench import memory_mb  # noqa: E402
from tests.e2e.conftest import hasten  # noqa: E402
from tests.e2e.test_requests import ROUND_TRIPS, happy_path, until_ordered  # noqa: E402

GOLDEN = ROOT / "tests" / "golden" / "size.json"
FILE_MAX, FUNCTION_MAX = 400, 60
INVOCATIONS = 1000
MEMORY_STEP_MB = 0.5
"""Memory differs a little from run to run: less than this is no difference."""
EMPTY_ZIP = b"PK\x05\x06" + bytes(18)
UNKNOWN = '{"v":1,"job_id":"nobody","attempt":1}'


@dataclass(frozen=True)
class Piece:
    """A file or a function of the handler, and its lines."""

    lines: int
    name: str


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def rooms() -> dict[str, int]:
    """Lines of source by room; what a tool wrote (locks) and what people read do not count."""
    count: Counter[str] = Counter()
    for top in ("handler", "vm-scripts", "local"):
        for path in (ROOT / top).rglob("*"):
            parts = path.relative_to(ROOT).parts
            other = path.suffix in (".pyc", ".md") or "locks" in parts or "__pycache__" in parts
            if path.is_file() and not other:
                count["/".join(parts[:2]) if len(parts) > 2 else top] += len(lines_of(path))
    return dict(sorted(count.items()))


def c_files() -> list[Piece]:
    files = [p for p in (ROOT / "handler").rglob("*") if p.suffix in (".c", ".h")]
    return sorted(
        (Piece(len(lines_of(p)), p.relative_to(ROOT).as_posix()) for p in files),
        key=lambda piece: -piece.lines,
    )


def functions() -> list[Piece]:
    """Functions, signature included: in this style each begins with a lone { at the margin."""
    found = []
    for path in (ROOT / "handler").rglob("*.c"):
        lines, begin = lines_of(path), 0
        for number, line in enumerate(lines):
            if line == "{":
                begin = number
                while begin and lines[begin - 1] and not lines[begin - 1].startswith(("/", " *")):
                    begin -= 1
            elif line == "}" and begin:
                name = lines[begin].partition("(")[0].split()[-1].lstrip("*")
                found.append(
                    Piece(number - begin + 1, f"{path.relative_to(ROOT).as_posix()}: {name}")
                )
                begin = 0
    return sorted(found, key=lambda piece: -piece.lines)


def measured(dist: Path) -> tuple[dict[str, float], dict[str, int], list[Exchange]]:
    """Memory after INVOCATIONS; requests of a later job by service; those until it is ordered."""
    with LocalCloud(dist=dist, options=Options(queues=False)) as cloud:
        host = hasten(cloud).app.host
        happy_path(cloud, EMPTY_ZIP, "size-1")
        parts = happy_path(cloud, EMPTY_ZIP, "size-2")
        for _ in range(INVOCATIONS):
            host.invoke("delete-resources", UNKNOWN)
        resident, anonymous = memory_mb(host.pid)
    services = Counter(e.service for part in parts for e in part.requests)
    memory = {"resident": round(resident, 1), "anonymous": round(anonymous, 1)}
    return memory, dict(sorted(services.items())), until_ordered(parts[0].requests)


def show(name: str, now: Any, kept: Any, same: bool | None = None) -> None:
    same = now == kept if same is None else same
    print(f"{name:38}{now:>12}{'' if same else f'   kept: {kept}'}")


def compare(title: str, now: dict[str, int], kept: dict[str, int]) -> None:
    print(title)
    for name in [*now, *(name for name in kept if name not in now)]:
        show(f"  {name}", now.get(name, 0), kept.get(name, 0))
    show("  together", sum(now.values()), sum(kept.values()))


def main() -> int:
    dist = Path(os.environ.get("RETRAIN_DIST", ROOT / "dist")).resolve()
    files, bodies = c_files(), functions()
    memory, requests, ordered = measured(dist)
    trips = len(rounds(ordered))
    now: dict[str, Any] = {
        "lines": rooms(),
        "longest file": [files[0].lines, files[0].name],
        "longest function": [bodies[0].lines, bodies[0].name],
        "binary bytes": (dist / "lib" / "retrain").stat().st_size,
        "memory MB": memory,
        "requests": requests,
        "requests until ordered": len(ordered),
        "round trips until ordered": trips,
    }
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    kept = json.loads(GOLDEN.read_text(encoding="utf-8"))

    compare("Lines", now["lines"], kept["lines"])
    for what in ("longest file", "longest function"):
        lines, name = now[what]
        show(f"{what}: {name}", lines, kept[what][0])
    show("Binary, bytes", now["binary bytes"], kept["binary bytes"])
    print(f"Memory after {INVOCATIONS} invocations, MB")
    for name, value in memory.items():
        before = kept["memory MB"][name]
        show(f"  {name}", value, before, abs(value - before) < MEMORY_STEP_MB)
    compare("Requests of the happy path", requests, kept["requests"])
    show("Requests until a machine is ordered", len(ordered), kept["requests until ordered"])
    show("Round trips until it is ordered", trips, kept["round trips until ordered"])

    passed = [f"{p.name} has {p.lines} lines" for p in files if p.lines > FILE_MAX]
    passed += [f"{p.name} has {p.lines} lines" for p in bodies if p.lines > FUNCTION_MAX]
    before = sum(kept["requests"].values())
    if sum(requests.values()) > before or len(ordered) > kept["requests until ordered"]:
        passed.append("more requests than were kept (tests/golden/requests.txt shows which)")
    if trips > ROUND_TRIPS:
        passed.append(f"{trips} round trips until a machine is ordered")
    for words in passed:
        print(f"TOO MUCH: {words}")
    return 1 if passed else 0


if __name__ == "__main__":
    sys.exit(main())
