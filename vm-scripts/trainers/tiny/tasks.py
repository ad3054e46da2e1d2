"""What the tiny trainer can learn: one module and one row of ``TASKS`` each."""

from __future__ import annotations

from typing import Any, Protocol

from . import classification, detection
from .learn import Goal, Picture
from .network import Params


class Task(Goal, Protocol):
    """A module of a task.

    ``FIXED_HEAD``: how many head values belong to no class; ``SCORES``: names of what ``measure``
    says for people, the one that epochs are chosen by first.
    """

    ARCHITECTURE: str
    FIXED_HEAD: int
    SCORES: tuple[str, ...]

    def fresh(self, classes: int, seed: int) -> Params:
        """New parameters; the same seed gives the same numbers."""

    def measure(self, params: Params, pictures: list[Picture]) -> dict[str, Any]:
        """``SCORES`` and ``threshold`` on pictures."""

    def rank(self, row: dict[str, Any]) -> tuple[float, ...]:
        """The higher, the better is an epoch that ``measure`` said this of."""


TASKS: dict[str, Task] = {"classification": classification, "detection": detection}
