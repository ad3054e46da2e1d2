"""How a job ends early, in words and numbers that people and the handler understand."""

from __future__ import annotations

import unicodedata

BAD_DATA = 2
TRAINING = 3
EXPORT = 4
TIMEOUT = 5
OTHER = 1

LONGEST_SHOWN = 260


class Failure(Exception):
    """Ends the job. ``reason``: one sentence for a person; ``status``: failed or timed_out."""

    def __init__(self, reason: str, exit_code: int = OTHER, status: str = "failed") -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code
        self.status = status


class Stopped(BaseException):
    """SIGTERM came: leave at once, and leave no report (the machine may be about to reboot)."""


def bad_zip(zip_name: str, what: str) -> Failure:
    """The failure of a zip whose content cannot be used (text E17)."""
    return Failure(f"E17 zip `{zip_name}`: {what}", BAD_DATA)


def _plain(name: str) -> str:
    """A name from the zip on one line: without control characters, its middle left out when it is
    very long."""
    name = "".join(
        c if unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") else "\ufffd" for c in name
    )
    return name if len(name) <= LONGEST_SHOWN else f"{name[:80]}...{name[-40:]}"


def some(names: list[str], most: int = 3) -> str:
    """The first names of a list, quoted, and how many more there are."""
    shown = ", ".join(f"`{_plain(name)}`" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
