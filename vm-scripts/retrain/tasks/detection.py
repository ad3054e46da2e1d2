"""Detection: objects and their upright boxes; mAP; outputs ``boxes`` and ``labels``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset import Sample
from ..detection import Drawn, Found
from ..inference import ApiDetector, Detector, detect_by_model_api
from ..readers import Mark, Raw
from ..readers.raw import RawImage
from .base import Marked, Rgb, Wrong
from .objects import Objects


class Detection(Objects):
    """See the module."""

    name = "detection"
    number = 2
    mark = Mark.BOX
    only = "upright boxes"
    more = "draw some"
    primary = "map"
    metric = "mAP"

    def names(self, image: RawImage) -> list[str]:
        """Of its boxes."""
        return [label for label, *_ in image.boxes]

    def others(self, raw: Raw) -> dict[str, int]:
        """Tags."""
        return {"tags of whole images": sum(len(image.tags) for image in raw.images)}

    def marked(
        self,
        images: Sequence[RawImage],
        sizes: Sequence[tuple[int, int]],
        classes: list[str],
        warn: Callable[[str], None],
    ) -> list[Marked]:
        """Boxes clipped to their picture; any number in each, none too."""
        index = {label: place for place, label in enumerate(classes)}
        clipped = dropped = 0
        marked: list[Marked] = []
        for image, size in zip(images, sizes, strict=True):
            boxes, labels = [], []
            for label, *corners in image.boxes:
                inside = clip(corners, size)
                if inside is None:
                    dropped += 1
                    continue
                clipped += inside != corners
                boxes.append(inside)
                labels.append(index[label])
            marked.append((boxes, labels))
        if clipped:
            warn(f"{clipped} boxes reached outside their image and were cut at its edge")
        if dropped:
            warn(f"{dropped} boxes were narrower than 1 pixel inside their image and were left out")
        return marked

    def load(self, xml: Path, network_size: list[int]) -> Callable[[Rgb], Found]:
        """Gives boxes in pixels of the picture."""
        return Detector(xml, network_size)

    def load_api(self, xml: Path, classes: list[str]) -> Callable[[Rgb], Found]:
        """Gives boxes in whole pixels."""
        return ApiDetector(xml, classes)

    def as_api(self, answer: Found) -> Found:
        """Corners at whole pixels; without what is at most a pixel in area."""
        boxes = np.round(answer.boxes)
        large = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) > 1
        return Found(boxes[large], answer.scores[large], answer.labels[large])

    def truth(self, sample: Sample) -> Drawn:
        """Its boxes."""
        return Drawn(np.array(sample.boxes, float).reshape(-1, 4), np.array(sample.labels, int))

    def expected(self, answer: Found, threshold: float, classes: list[str]) -> list[dict[str, Any]]:
        """Detections above the threshold, best first."""
        return [
            {
                "label": classes[int(label)],
                "score": round(float(value), 5),
                "box": [round(float(v), 3) for v in box],
            }
            for box, value, label in zip(answer.boxes, answer.scores, answer.labels, strict=True)
            if value > threshold
        ]

    def agrees(
        self, xml: Path, rgb: Rgb, expected: list[dict[str, Any]], threshold: float,
        classes: list[str],
    ) -> None:  # fmt: skip
        """The same objects, to the pixel and 0.001 of the score.

        Left out on both sides: what is within 0.001 of the threshold or at most a pixel in area,
        where rounding decides.
        """
        near = threshold + 1e-3
        api = [row for row in detect_by_model_api(xml, classes, rgb) if row[1] > near]
        own = [row for row in expected if row["score"] > near and _area(row["box"]) > 1]
        for row in own:
            same = [
                True
                for label, value, box in api
                if label == row["label"]
                and abs(value - row["score"]) <= 1e-3
                and max(abs(a - b) for a, b in zip(box, row["box"], strict=True)) <= 1
            ]
            if not same:
                raise Wrong("Model API and plain OpenVINO disagree about the exported model")
        if len(own) != len(api):
            raise Wrong("Model API finds another number of objects than plain OpenVINO")

    def outputs(self, network_size: list[int], classes: list[str]) -> list[dict[str, Any]]:
        """Boxes and labels, as many as there are objects."""
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
        ]


def clip(corners: list[float], size: tuple[int, int]) -> list[float] | None:
    """The box within the picture, None when less than 1 px of it is left either way."""
    x1, y1, x2, y2 = corners
    inside = [
        min(max(x1, 0.0), size[0]),
        min(max(y1, 0.0), size[1]),
        min(max(x2, 0.0), size[0]),
        min(max(y2, 0.0), size[1]),
    ]
    wide = inside[2] - inside[0] >= 1 and inside[3] - inside[1] >= 1
    return [float(value) for value in inside] if wide else None


def _area(box: list[float]) -> float:
    return (round(box[2]) - round(box[0])) * (round(box[3]) - round(box[1]))
