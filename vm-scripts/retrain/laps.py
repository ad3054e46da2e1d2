"""How long the parts of a stage took."""

from __future__ import annotations

import time


class Laps:
    """``seconds`` by part, in the order in which they were first told."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def add(self, name: str, seconds: float) -> None:
        """A part that was timed elsewhere."""
        self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 3)

    def end(self, name: str) -> None:
        """A part ends now; it began where the one before ended."""
        now = time.monotonic()
        self.add(name, now - self._since)
        self._since = now

    def skip(self) -> None:
        """The next part begins now."""
        self._since = time.monotonic()
