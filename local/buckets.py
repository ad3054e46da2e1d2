"""The token buckets by which Azure Resource Manager throttles one principal in a subscription."""

from __future__ import annotations

import threading
from collections import Counter

KINDS = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}
"""What a method counts as; the others are writes."""
RULES = {"reads": (250, 25.0), "writes": (200, 10.0), "deletes": (200, 10.0)}
"""Size, and tokens that come back in a second."""


class Buckets:
    """Full at first; `refused` counts the calls that found none, `lowest` is what was ever left."""

    def __init__(self) -> None:
        """Start with full buckets."""
        self.refused: Counter[str] = Counter()
        self.used: Counter[str] = Counter()
        self.lowest = {kind: float(size) for kind, (size, _) in RULES.items()}
        self._left = dict(self.lowest)
        self._at: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, method: str, now: float) -> float:
        """Take a token at a time in seconds; 0, or the seconds until there is one."""
        kind = KINDS.get(method, "writes")
        size, rate = RULES[kind]
        with self._lock:
            passed = max(0.0, now - self._at.get(kind, now))
            left = min(float(size), self._left[kind] + passed * rate)
            self._at[kind] = max(now, self._at.get(kind, now))
            if left < 1:
                self._left[kind] = left
                self.refused[kind] += 1
                return (1 - left) / rate
            self._left[kind] = left - 1
            self.used[kind] += 1
            self.lowest[kind] = min(self.lowest[kind], left - 1)
            return 0.0

    def left(self, method: str) -> int:
        """Return how many tokens a method has left."""
        return int(self._left[KINDS.get(method, "writes")])
