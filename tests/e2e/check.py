"""`--check` as an operator runs it, and what it printed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from local.cloud import App, LocalCloud


@dataclass
class Checked:
    """What a run printed, line by line, and its exit code."""

    code: int
    lines: list[str]

    def failed(self) -> dict[str, str]:
        """What each FAIL line says, by what it is about."""
        found = [line.removeprefix("FAIL ") for line in self.lines if line.startswith("FAIL ")]
        return dict(line.split(": ", 1) for line in found)

    def good(self) -> dict[str, str]:
        """What each ok line says, by what it is about."""
        found = [line.removeprefix("ok ").lstrip() for line in self.lines if line[:3] == "ok "]
        return dict(line.split(": ", 1) for line in found)


def run_check(
    cloud: LocalCloud, app: App | None = None, settings: Mapping[str, str] | None = None
) -> Checked:
    """Run it in the app root, with an app's settings or others; the lines are recorded too."""
    app = app or cloud.app
    chosen = app.settings() if settings is None else settings
    done = subprocess.run(
        [cloud.dist / "handler", "--library-path", "lib", "lib/retrain", "--check"],
        cwd=cloud.dist,
        env={"PATH": "/usr/bin:/bin", **chosen, **cloud.clock.environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    lines = done.stdout.splitlines()
    for line in lines:
        cloud.recorder.add_line("check", line)
    return Checked(done.returncode, lines)
