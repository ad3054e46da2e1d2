"""How long the steps before the stages took, and when training began, on the machine's own clock.

The boot scripts and the trainer are other programs: they leave the machine's uptime in files.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

FIRST_STEP = "first_step"


def uptime() -> float:
    """The clock of all marks: it never jumps, and is the same for all programs of a boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _marks(state: Path) -> list[tuple[str, float]]:
    """(step, when it began), as boot/start left them; [] when it did not start this program."""
    try:
        lines = (state / "steps").read_text(encoding="ascii").splitlines()
        return [(name, float(when)) for when, name in (line.split() for line in lines)]
    except (OSError, ValueError):
        return []


def before_the_stages(state: Path) -> list[dict[str, Any]]:
    """claim, fetch of the scripts and environment, in the form of result.json's ``steps``."""
    marks = _marks(state)
    ends = [when for _, when in marks[1:]] + [uptime()]
    return [
        {"stage": "scripts" if name == "fetch" else name, "seconds": round(end - began, 3)}
        for (name, began), end in zip(marks, ends, strict=False)
    ]


def mark_first_step(out: Path) -> None:
    """For trainers, once: the first training step begins. ``out``: the train job's."""
    (out / FIRST_STEP).write_text(f"{uptime():.3f}", encoding="ascii")


def to_first_step(state: Path, out: Path) -> float | None:
    """Seconds from the boot script's begin to the first training step, None when not known."""
    marks = _marks(state)
    try:
        when = float((out / FIRST_STEP).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return round(when - marks[0][1], 3) if marks else None
