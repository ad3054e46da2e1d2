"""Makes a small annotated data set, zipped as CVAT exports it ("CVAT for images 1.1")."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("ok", "dent")
COLOURS = ((40, 180, 70), (210, 50, 40))
WIDTH, HEIGHT = 160, 120


@dataclass(frozen=True)
class Box:
    """One annotation: class name and corners in pixels."""

    label: str
    corners: tuple[float, float, float, float]


@dataclass(frozen=True)
class Picture:
    """One picture of the set: its name in the zip, its PNG and what is on it."""

    name: str
    png: bytes
    boxes: tuple[Box, ...]


def make_pictures(count: int, seed: int) -> list[Picture]:
    """Return `count` frames with one or two parts each: green squares are ok, red discs dents."""
    random = np.random.default_rng(seed)
    return [_picture(number, random) for number in range(count)]


def make_zip(pictures: list[Picture]) -> bytes:
    """Return the zip that CVAT would export for these pictures."""
    labels = "".join(f"<label><name>{name}</name></label>" for name in CLASSES)
    rows = []
    for number, picture in enumerate(pictures):
        boxes = "".join(_box(box) for box in picture.boxes)
        rows.append(
            f'<image id="{number}" name={quoteattr(picture.name)} width="{WIDTH}" '
            f'height="{HEIGHT}">{boxes}</image>'
        )
    xml = (
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task>'
        f"<labels>{labels}</labels></task></meta>{''.join(rows)}</annotations>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", xml)
        for picture in pictures:
            archive.writestr(f"images/{picture.name}", picture.png)
    return out.getvalue()


def _picture(number: int, random: np.random.Generator) -> Picture:
    ground = random.normal(125, 8, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(ground)
    pen = ImageDraw.Draw(image)
    boxes = []
    for place in range(1 + number % 2):
        kind = (number + place) % len(CLASSES)
        side = int(random.integers(28, 46))
        left = place * WIDTH // 2 + int(random.integers(4, WIDTH // 2 - side - 4))
        top = int(random.integers(4, HEIGHT - side - 4))
        corners = (left, top, left + side, top + side)
        drawn = (left, top, left + side - 1, top + side - 1)
        (pen.rectangle if kind == 0 else pen.ellipse)(drawn, fill=COLOURS[kind])
        boxes.append(Box(CLASSES[kind], tuple(map(float, corners))))
    data = io.BytesIO()
    image.save(data, "PNG")
    return Picture(f"line{number % 3}_frame_{number:05}.png", data.getvalue(), tuple(boxes))


def _box(box: Box) -> str:
    left, top, right, bottom = box.corners
    return (
        f'<box label={quoteattr(box.label)} source="manual" occluded="0" xtl="{left:.2f}" '
        f'ytl="{top:.2f}" xbr="{right:.2f}" ybr="{bottom:.2f}" z_order="0"></box>'
    )
