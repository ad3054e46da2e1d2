"""Checks the includes between the rooms of the handler, and that each header compiles alone.

Exit status 0 when all holds; each violation is one line.
"""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HANDLER = Path(__file__).resolve().parent.parent / "handler"
#: room -> rooms it may include, besides itself
ALLOWED = {
    "functions": {"controller", "job", "azure", "http", "base"},
    "controller": {"job", "azure", "http", "base"},
    "azure": {"http", "base"},
    "http": {"base"},
    "job": {"base"},
    "server": {"base"},
    "base": set(),
    "main": {"functions", "controller", "server", "job", "azure", "http", "base"},
}
#: single headers that a room may include beyond its rooms
EXTRA = {("functions", "server/invocation.h")}
#: third-party headers and the one file that may include each
OWNERS = {
    "openssl/": "base/crypto.c",
    "curl/": "http/curl.c",
    "microhttpd.h": "server/server.c",
    "cJSON": "base/json.c",
    "cjson/": "base/json.c",
    "expat.h": "base/xml.c",
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def room_of(path: Path) -> str:
    """Name of the room that a source lies in; files at the top are the wiring."""
    parts = path.relative_to(HANDLER).parts
    return parts[0] if len(parts) > 1 else "main"


def violations(path: Path) -> list[str]:
    """Every include of one file that its room does not allow."""
    name = path.relative_to(HANDLER).as_posix()
    room = room_of(path)
    found = []
    for kind, target in INCLUDE.findall(path.read_text(encoding="utf-8")):
        for header, owner in OWNERS.items():
            if target.startswith(header) and name != owner:
                found.append(f"{name}: only {owner} may include <{target}>")
        if kind == "<":
            continue
        target_room = target.split("/")[0] if "/" in target else "main"
        known = target_room == room or target_room in ALLOWED[room] or (room, target) in EXTRA
        if not known:
            found.append(f'{name}: room {room} may not include "{target}"')
    return found


def compiles_alone(header: Path) -> str | None:
    """The compiler's first complaint about a header on its own, or None."""
    run = subprocess.run(
        [
            "gcc",
            "-std=gnu17",
            "-D_GNU_SOURCE",
            "-Wall",
            "-Werror",
            "-I",
            str(HANDLER),
            "-fsyntax-only",
            "-x",
            "c",
            str(header),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode == 0:
        return None
    reason = run.stderr.splitlines()[0] if run.stderr else "does not compile alone"
    return f"{header.relative_to(HANDLER)}: {reason}"


def main() -> int:
    """Prints every violation and a closing line."""
    sources = sorted(p for p in HANDLER.rglob("*") if p.suffix in {".c", ".h"})
    headers = [p for p in sources if p.suffix == ".h"]
    found = [v for p in sources for v in violations(p)]
    with ThreadPoolExecutor() as pool:
        found += [v for v in pool.map(compiles_alone, headers) if v]
    for violation in found:
        print(violation)
    print(
        f"layers: {len(sources)} files, {len(headers)} headers compiled alone, "
        f"{len(found)} violations"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
