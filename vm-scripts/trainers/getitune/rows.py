"""Which row of a layer that knows the classes belongs to which class, before and now."""

from __future__ import annotations

from .models import Rows


def pairs(
    layout: Rows, shapes: tuple[int, int], now: list[str], before: list[str]
) -> list[tuple[int, int]]:
    """(row now, row before) of all rows that are kept: those of classes with the same name, and the
    background's. ``shapes``: number of rows with 3 and with 4 classes."""
    each = shapes[1] - shapes[0]
    extra = shapes[0] - 3 * each
    kept = [(here, before.index(name)) for here, name in enumerate(now) if name in before]
    if layout.by_anchor:
        behind = extra // each
        return [
            (anchor * (len(now) + behind) + here, anchor * (len(before) + behind) + there)
            for anchor in range(each)
            for here, there in [*kept, *((len(now) + i, len(before) + i) for i in range(behind))]
        ]
    ahead = extra if layout.background == "first" else 0
    rows = [(row, row) for row in range(ahead)]
    rows += [
        (ahead + here * each + value, ahead + there * each + value)
        for here, there in kept
        for value in range(each)
    ]
    behind = extra - ahead
    return rows + [(len(now) * each + i, len(before) * each + i) for i in range(behind)]
