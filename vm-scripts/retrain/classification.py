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


def by_class(
    named: Ints, true: Ints, classes: int, weights: NDArray[np.integer]
) -> NDArray[np.floating]:
    """F1 [b, classes] when picture i counts ``weights[b, i]`` times; NaN: no picture is of it."""
    labels = np.arange(classes)
    is_named, is_true = (row[:, None] == labels for row in (named, true))
    hits, said, there = (
        weights @ part.astype(float) for part in (is_named & is_true, is_named, is_true)
    )
    total: NDArray[np.floating] = np.divide(
        2 * hits, said + there, out=np.full(hits.shape, np.nan), where=there > 0
    )
    return total


def confusion(named: Ints, true: Ints, classes: int) -> Ints:
    """Pictures by true class (rows) and named class (columns)."""
    table = np.zeros((classes, classes), int)
    np.add.at(table, (true, named), 1)
    return table


def score(named: Ints, true: Ints, classes: int) -> Score:
    """What was named against what is true, picture by picture in the same order.

    A class that no picture is of is left out of the mean. Without a picture the score is 0.
    """
    values = by_class(named, true, classes, np.ones((1, len(true)), int))[0]
    table = [None if np.isnan(value) else float(value) for value in values]
    known = [value for value in table if value is not None]
    if not known:
        return Score(0.0, 0.0, table)
    return Score(float(np.mean(known)), float((named == true).mean()), table)
