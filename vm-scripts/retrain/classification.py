"""Classes and how often they are right: macro F1 and accuracy. numpy only, no files, no state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Score:
    """Mean F1 of the classes, share of right answers, F1 per class (None: nothing is of it)."""

    macro_f1: float
    accuracy: float
    per_class: list[float | None]


def score(named: Ints, true: Ints, classes: int) -> Score:
    """What was named against what is true, picture by picture in the same order.

    A class that no picture is of is left out of the mean. Without a picture the score is 0.
    """
    table: list[float | None] = []
    for label in range(classes):
        total = int((true == label).sum())
        hits = int(((named == label) & (true == label)).sum())
        table.append(2 * hits / (int((named == label).sum()) + total) if total else None)
    known = [value for value in table if value is not None]
    if not known:
        return Score(0.0, 0.0, table)
    return Score(float(np.mean(known)), float((named == true).mean()), table)
