"""Instance segmentation: objects and their outlines; mask mAP; outputs ``boxes``, ``labels``,
``masks``. Model API 0.4.7 cannot run such a model in its self-contained form: ``predict.py`` is
published beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from ..dataset import Sample
from ..detection import Drawn, Found
from ..inference import Segmenter
from ..readers import Mark, Raw
from ..readers.raw import RawImage
from .base import Marked, Rgb, Wrong
from .detection import clip
from .objects import Objects

PROGRAM = "predict.py"
LIMIT_S = 180
CORNERS_LEAST = 3


class InstanceSegmentation(Objects):
    """See the module."""

    name = "instance_segmentation"
    number = 3
    mark = Mark.POLYGON
    only = "outlines of objects"
    more = "outline some"
    primary = "map"
    metric = "mask mAP"
    beside = (PROGRAM,)

    def names(self, image: RawImage) -> list[str]:
        """Of its polygons."""
        return [label for label, _ in image.polygons]

    def others(self, raw: Raw) -> dict[str, int]:
        """Tags, and boxes that are not around a polygon."""
        return {
            "tags of whole images": sum(len(image.tags) for image in raw.images),
            "boxes": sum(len(image.boxes) - len(image.polygons) for image in raw.images),
        }

    def marked(
        self,
        images: Sequence[RawImage],
        sizes: Sequence[tuple[int, int]],
        classes: list[str],
        warn: Callable[[str], None],
    ) -> list[Marked]:
        """Outlines cut at the edge of their picture, and the box around each."""
        index = {label: place for place, label in enumerate(classes)}
        cut = dropped = 0
        marked: list[Marked] = []
        for image, size in zip(images, sizes, strict=True):
            boxes: list[list[float]] = []
            labels: list[int] = []
            polygons: list[list[list[float]]] = []
            for label, parts in image.polygons:
                inside = [_within(part, size) for part in parts if len(part) >= 2 * CORNERS_LEAST]
                box = clip(_around(inside), size) if inside else None
                if box is None:
                    dropped += 1
                    continue
                cut += inside != parts
                boxes.append(box)
                labels.append(index[label])
                polygons.append(inside)
            marked.append((boxes, labels, polygons))
        if cut:
            warn(f"{cut} outlines reached outside their image and were cut at its edge")
        if dropped:
            warn(
                f"{dropped} outlines were narrower than 1 pixel inside their image and were "
                "left out"
            )
        return marked

    def load(self, xml: Path, network_size: list[int]) -> Callable[[Rgb], Found]:
        """Gives boxes and masks in pixels of the picture."""
        return Segmenter(xml)

    def truth(self, sample: Sample) -> Drawn:
        """Its outlines, filled."""
        width, height = sample.size
        masks = [rle.merge(rle.frPyObjects(parts, height, width)) for parts in sample.polygons]
        boxes = np.array(sample.boxes, float).reshape(-1, 4)
        return Drawn(boxes, np.array(sample.labels, int), masks)

    def expected(self, answer: Found, threshold: float, classes: list[str]) -> list[dict[str, Any]]:
        """Objects above the threshold, best first; of the mask only its area."""
        return [
            {
                "label": classes[int(answer.labels[place])],
                "score": round(float(answer.scores[place]), 5),
                "box": [round(float(v), 3) for v in answer.boxes[place]],
                "area": int(rle.area((answer.masks or [])[place])),
            }
            for place in np.flatnonzero(answer.scores > threshold)
        ]

    def agrees(
        self, xml: Path, rgb: Rgb, expected: list[dict[str, Any]], threshold: float,
        classes: list[str],
    ) -> None:  # fmt: skip
        """``predict.py``, started as a person would, prints just that for the sample image."""
        command = [sys.executable, PROGRAM, xml.name, "labels.json", "sample.png", str(threshold)]
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        try:
            ran = subprocess.run(
                command, cwd=xml.parent, env=environment, capture_output=True, timeout=LIMIT_S
            )
            rows = json.loads(ran.stdout)
        except (subprocess.TimeoutExpired, ValueError):
            raise Wrong(f"{PROGRAM} gives no answer for the sample image") from None
        if len(rows) != len(expected) or not all(map(_same, rows, expected)):
            raise Wrong(f"{PROGRAM} finds something else on the sample image than was measured")

    def outputs(self, network_size: list[int], classes: list[str]) -> list[dict[str, Any]]:
        """Boxes, labels and masks, as many as there are objects."""
        height, width = network_size
        return [
            {
                "name": "boxes",
                "shape": [1, -1, 5],
                "type": "f32",
                "units": "x1,y1,x2,y2,score; pixels of network_size, best first: "
                f"multiply x by image width / {width} and y by image height / {height}",
            },
            {"name": "labels", "shape": [1, -1], "type": "i64"},
            {
                "name": "masks",
                "shape": [1, -1, -1, -1],
                "type": "f32",
                "units": "likelihood that a place of the box belongs to the object; stretch each "
                "to its box, 0.5 and above is the object (predict.py does it)",
            },
        ]


def _within(part: list[float], size: tuple[int, int]) -> list[float]:
    """A polygon with its corners moved into the picture."""
    return [float(min(max(value, 0.0), size[place % 2])) for place, value in enumerate(part)]


def _around(parts: list[list[float]]) -> list[float]:
    xs = [x for part in parts for x in part[0::2]]
    ys = [y for part in parts for y in part[1::2]]
    return [min(xs), min(ys), max(xs), max(ys)]


def _same(row: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return (
        row["label"] == wanted["label"]
        and abs(row["score"] - wanted["score"]) <= 1e-3
        and max(abs(a - b) for a, b in zip(row["box"], wanted["box"], strict=True)) <= 1
        and abs(row["area"] - wanted["area"]) <= max(2.0, 0.01 * wanted["area"])
    )
