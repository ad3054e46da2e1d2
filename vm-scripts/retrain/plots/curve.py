"""How training went: loss and metric, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from .canvas import Axes, colour, paper


def training(
    history: Sequence[dict[str, Any]], metric: str, label: str, best: int
) -> Image.Image | None:
    """``history``: a row with ``epoch``, ``loss`` and ``metric`` each; None when there is none."""
    scores = _points(history, metric)
    losses = _points(history, "loss")
    if not scores and not losses:
        return None
    image, pen = paper(900, 760)
    epochs = [point[0] for point in scores + losses]
    x_range = (min(epochs), max(max(epochs), min(epochs) + 1))
    upper = Axes(
        pen, (70, 50, 860, 350), x_range,
        f"{label} on the validation images (best: epoch {best})", "epoch",
    )  # fmt: skip
    upper.line(scores, colour(0), dots=len(scores) < 40)
    for point in scores:
        if point[0] == best:
            x, y = upper.at(point)
            pen.ellipse((x - 7, y - 7, x + 7, y + 7), outline=colour(3), width=3)
    top = max([value for _, value in losses], default=1.0) or 1.0
    lower = Axes(pen, (70, 430, 860, 700), x_range, "loss", "epoch", top)
    lower.line(losses, colour(1), dots=len(losses) < 40)
    return image


def _points(history: Sequence[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    rows = [(row.get("epoch"), row.get(name)) for row in history]
    return [
        (float(x), float(y))
        for x, y in rows
        if isinstance(x, int | float) and isinstance(y, int | float)
    ]
