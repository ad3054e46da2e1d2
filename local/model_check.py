"""Judges a published model as an edge device would meet it: downloaded, loaded, asked.

Model API and OpenVINO are imported where they are used, in a process of their own: their native
parts do not get along with Ctrl-C in a program that goes on afterwards.
"""

from __future__ import annotations

import io
import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from local.dataset import Box, Picture

NEAR = 0.5
"""Boxes that overlap by this much (intersection over union) are the same box."""


@dataclass
class Score:
    """How often a model was right: of the boxes that are there, and of those it named."""

    there: int = 0
    found: int = 0
    named: int = 0

    @property
    def recall(self) -> float:
        """The share of the true boxes that were found with the right class."""
        return self.found / max(1, self.there)

    @property
    def precision(self) -> float:
        """The share of the named boxes that are true."""
        return self.found / max(1, self.named)


def apart(judge: Callable[..., Score], *arguments: Any) -> Score:
    """Return what one of the judges below says, asked in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(judge, *arguments).result()


def with_model_api(folder: Path, pictures: list[Picture]) -> Score:
    """Ask the model in `folder` through Model API's three lines, with the names as typed."""
    from model_api.models import Model

    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    model = Model.create_model(str(folder / "model.xml"), configuration={"labels": labels})
    score = Score()
    for picture in pictures:
        result = model(_pixels(picture))
        names = [labels[int(index)] for index in result.labels]
        _count(score, picture, list(zip(names, result.bboxes.tolist(), strict=True)))
    return score


def with_openvino(folder: Path, pictures: list[Picture], manifest: dict[str, Any]) -> Score:
    """Ask the same model through OpenVINO alone, by the manifest's io block."""
    import openvino

    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    compiled = openvino.Core().compile_model(folder / "model.xml", "CPU")
    names = [output["name"] for output in manifest["io"]["outputs"]]
    threshold = float(manifest["io"]["threshold"])
    high, wide = manifest["io"]["input"]["network_size"]
    score = Score()
    for picture in pictures:
        pixels = _pixels(picture)
        scale = np.array([pixels.shape[1] / wide, pixels.shape[0] / high] * 2)
        answer = compiled(pixels[None])
        boxes, classes = (answer[name][0] for name in names)
        kept = [
            (labels[int(index)], (box[:4] * scale).tolist())
            for box, index in zip(boxes, classes, strict=True)
            if box[4] >= threshold
        ]
        _count(score, picture, kept)
    return score


def sample_picture(folder: Path, manifest: dict[str, Any]) -> Picture:
    """Return the published sample with its expected answer as the truth."""
    sample = manifest["sample"]
    expected = tuple(Box(entry["label"], tuple(entry["box"])) for entry in sample["expected"])
    return Picture(sample["image"], (folder / sample["image"]).read_bytes(), expected)


def _pixels(picture: Picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB"))


def _count(score: Score, picture: Picture, named: list[tuple[str, list[float]]]) -> None:
    left = list(picture.boxes)
    score.there += len(left)
    score.named += len(named)
    for name, corners in named:
        hit = next((b for b in left if b.label == name and _overlap(b, corners) >= NEAR), None)
        if hit is not None:
            left.remove(hit)
            score.found += 1


def _overlap(box: Box, corners: list[float]) -> float:
    a, b = box.corners, corners
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return common / (areas - common)
