"""A sheet of the images that the new model gets most wrong, with what people and both models say.

Each row: as annotated, the new model, the current model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as rle

from ..images import open_rgb
from ..tasks.base import Shown
from .canvas import INK, Font, colour, font, paper, words

CELL = 360
LINE = 24
GAP = 10
MOST = 6


@dataclass(frozen=True)
class Row:
    """One image: its name and file, and for each column what is to be drawn (None: no such
    model)."""

    name: str
    path: Path
    columns: tuple[list[Shown] | None, ...]


def sheet(classes: Sequence[str], rows: Sequence[Row], titles: Sequence[str]) -> Image.Image:
    """The rows one below the other, at most ``MOST``."""
    made = []
    for row in rows[:MOST]:
        picture = open_rgb(row.path)
        cells = [None if shown is None else _cell(picture, shown, classes) for shown in row.columns]
        made.append((row.name, cells, max(cell.height for cell in cells if cell)))
    wide, high = CELL + GAP, 2 * LINE + sum(height + LINE + GAP for _, _, height in made)
    image, pen = paper(wide * len(titles) + GAP, high)
    for column, title in enumerate(titles):
        pen.text((GAP + wide * column, 10), title, INK, font(16))
    upper = 2 * LINE
    for name, cells, height in made:
        pen.text((GAP, upper - 16), _short(name), INK, font(13))
        for column, cell in enumerate(cells):
            if cell:
                image.paste(cell, (GAP + wide * column, upper))
        upper += height + LINE + GAP
    return image


def _short(name: str) -> str:
    return name if len(name) <= 60 else "…" + name[-59:]


def _cell(picture: Image.Image, shown: Sequence[Shown], classes: Sequence[str]) -> Image.Image:
    scale = CELL / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    small = picture.resize(size, Image.Resampling.BILINEAR)
    for one in shown:
        if one.mask is not None:
            _tint(small, one)
    pen = ImageDraw.Draw(small)
    letters: Font = font(13)
    line = 2
    for one in shown:
        ink = colour(len(classes) if one.label is None else one.label)
        text = words(classes, one.label) + ("" if one.score is None else f" {one.score:.2f}")
        at = (3.0, float(line))
        if one.box is None:
            line += 18
        else:
            box = [value * scale for value in one.box]
            box = [
                min(box[0], box[2]),
                min(box[1], box[3]),
                max(box[0], box[2]),
                max(box[1], box[3]),
            ]
            pen.rectangle(box, outline=ink, width=2)
            at = (max(box[0], 0.0), max(box[1] - 16, 0.0))
        pen.rectangle(pen.textbbox(at, text, letters), fill=ink)
        pen.text(at, text, (255, 255, 255), letters)
    return small


def _tint(small: Image.Image, one: Shown) -> None:
    whole = Image.fromarray(rle.decode(one.mask) * np.uint8(110))
    ink = colour(0 if one.label is None else one.label)
    small.paste(ink, (0, 0), whole.resize(small.size, Image.Resampling.BILINEAR))
