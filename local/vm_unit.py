"""A systemd service as its file describes it."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
from pathlib import Path

STOP_CAP_S = 3.0
"""A unit gets at most this many real seconds to stop, whatever TimeoutStopSec allows."""


class Unit:
    """A systemd service: what its file says, and its main process."""

    def __init__(self, name: str, file: Path) -> None:
        """Read a unit file. Raises configparser.Error when it is none."""
        parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(file.read_text(encoding="utf-8"))
        service = parser["Service"]
        self.name = name
        self.start = service["ExecStart"]
        self.stop_post = service.get("ExecStopPost")
        self.limit_s = _seconds(service.get("RuntimeMaxSec", "infinity"))
        self.stop_s = min(_seconds(service.get("TimeoutStopSec", "90")), STOP_CAP_S)
        self.environment = dict(
            item.partition("=")[::2] for item in shlex.split(service.get("Environment", ""))
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.since = 0.0


def _seconds(text: str) -> float:
    """Return systemd's time span `text` (plain seconds, "5min", "1h 30s", "infinity")."""
    if text.strip() in ("", "infinity"):
        return float("inf")
    units = {"": 1, "s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
    total = 0.0
    for number, unit in re.findall(r"([\d.]+)\s*([a-z]*)", text):
        total += float(number) * units[unit]
    return total
