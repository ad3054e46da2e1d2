"""Where a model is good and where not: the confusion matrix, precision against recall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .canvas import INK, PALE, Axes, colour, font, paper, words

MOST_CLASSES = 30
Curve = tuple[NDArray[np.floating], NDArray[np.floating]]


def matrix(classes: Sequence[str], table: NDArray[np.integer]) -> Image.Image:
    """Pictures by true class (rows) and named class (columns); a darker cell: more of its row."""
    shown = min(len(classes), MOST_CLASSES)
    names = [words(classes, index) for index in range(shown)]
    side = max(28, min(90, 900 // shown))
    margin = 30 + int(max(font(14).getlength(name) for name in names))
    image, pen = paper(margin + side * shown + 40, margin + side * shown + 70)
    rest = f" (the first {shown} of {len(classes)} classes)" if shown < len(classes) else ""
    pen.text((16, 12), f"rows: true class, columns: the model's answer{rest}", INK, font(15))
    upper = margin + 36
    for row in range(shown):
        y = upper + side * row
        pen.text((margin - 8, y + side / 2), names[row], INK, font(14), anchor="rm")
        upright = Image.new("L", (margin - 20, 20))
        _letters(upright, names[row])
        turned = upright.rotate(90, expand=True)
        image.paste(INK, (margin + side * row + side // 2 - 10, 46), turned)
        for column in range(shown):
            share = table[row, column] / max(int(table[row].sum()), 1)
            strong = colour(2 if row == column else 3)
            fill = tuple(int(255 - (255 - c) * share) for c in strong)
            x = margin + side * column
            pen.rectangle((x, y, x + side, y + side), fill=fill, outline=PALE)
            if table[row, column]:
                ink = (255, 255, 255) if share > 0.6 else INK
                middle = (x + side / 2, y + side / 2)
                pen.text(middle, str(int(table[row, column])), ink, font(14), anchor="mm")
    return image


def _letters(strip: Image.Image, name: str) -> None:
    from PIL import ImageDraw

    ImageDraw.Draw(strip).text((0, 10), name, 255, font(14), anchor="lm")


def curves(classes: Sequence[str], lines: Sequence[Curve]) -> Image.Image:
    """Recall and precision of each class at IoU .5."""
    shown = min(len(classes), MOST_CLASSES)
    image, pen = paper(1000, max(560, 90 + 22 * shown))
    title = "precision against recall at IoU .5"
    if shown < len(classes):
        title += f" (the first {shown} of {len(classes)} classes)"
    axes = Axes(pen, (70, 50, 700, 500), (0.0, 1.0), title, "recall")
    for index, (recall, precision) in enumerate(lines[:shown]):
        points = list(zip(map(float, recall), map(float, precision), strict=True))
        if points:
            axes.line(points, colour(index))
    axes.legend([(words(classes, index), colour(index)) for index in range(shown)])
    return image
