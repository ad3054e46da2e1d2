"""Generated sets that a network without public weights can learn: pictures of 1280 x 960."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image, ImageDraw

from tests.vm import fixtures
from tests.vm.fixtures import Picture, Shape

SIZE = (1280, 960)


def _shapes(count: int, classes: Sequence[str], seed: int, pattern: str) -> list[Picture]:
    """Shapes on a ground, each class with its colour and form; as JPEG, as cameras have them."""
    made = []
    for item in fixtures.pictures(count, classes, seed, SIZE, pattern):
        data = io.BytesIO()
        Image.open(io.BytesIO(item.png)).save(data, "JPEG", quality=92)
        made.append(Picture(item.name, data.getvalue(), item.size, item.shapes))
    return made


def boxes(path: Path, count: int, classes: Sequence[str], seed: int) -> None:
    """Shapes with their boxes."""
    items = _shapes(count, classes, seed, "box {:04d}.jpg")
    fixtures.cvat_zip(path, classes=classes, items=items)


def grounds(path: Path, count: int, classes: Sequence[str], seed: int) -> None:
    """A tag each; the class is in the colour and the stripes of the whole picture."""
    items = [
        _ground(f"ground_{i:04d}.png", classes, i % len(classes), seed * 1009 + i)
        for i in range(count)
    ]
    fixtures.tag_zip(path, classes=classes, items=items)


def _ground(name: str, classes: Sequence[str], index: int, seed: int) -> Picture:
    random = np.random.default_rng(seed)
    colour = np.array(fixtures.COLOURS[index % 5], float) + random.normal(0, 12, 3)
    image = Image.new("RGB", SIZE, tuple(int(v) for v in np.clip(colour, 0, 255)))
    pen = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, length = (int(random.integers(0, n)) for n in (*SIZE, 300))
        shade = tuple(int(v) for v in np.clip(colour + random.normal(0, 40, 3), 0, 255))
        end = (x + length, y) if index % 2 == 0 else (x, y + length)
        pen.line([(x, y), end], fill=shade, width=int(random.integers(4, 24)))
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    return Picture(name, data.getvalue(), SIZE, tags=[classes[index]])


def outlines(path: Path, count: int, classes: Sequence[str], seed: int) -> None:
    """Shapes with polygons around them."""
    items = _shapes(count, classes, seed, "outline_{:04d}.jpg")
    extra = {
        item.name: "".join(_polygon_xml(shape, classes) for shape in item.shapes) for item in items
    }
    bare = [Picture(item.name, item.png, item.size) for item in items]
    fixtures.cvat_zip(path, classes=classes, items=bare, extra=extra)


def _polygon_xml(shape: Shape, classes: Sequence[str]) -> str:
    """As ``fixtures.draw`` drew it: rectangles and ellipses by turns."""
    x1, y1, x2, y2 = shape.box
    points = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
    if list(classes).index(shape.label) % 2:
        middle, half = ((x1 + x2) / 2, (y1 + y2) / 2), ((x2 - x1) / 2, (y2 - y1) / 2)
        turns = [2 * math.pi * i / 32 for i in range(32)]
        points = [
            (middle[0] + half[0] * math.cos(t), middle[1] + half[1] * math.sin(t)) for t in turns
        ]
    text = ";".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return (
        f'<polygon label={quoteattr(shape.label)} source="manual" occluded="0" '
        f'points="{text}" z_order="0"></polygon>'
    )
