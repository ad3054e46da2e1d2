"""The published file at work: plain OpenVINO, and Model API as an edge device would use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from .detection import Found


class Detector:
    """A detector's model.xml in plain OpenVINO on the CPU."""

    def __init__(self, xml: Path, network_size: list[int]) -> None:
        self._model = ov.Core().compile_model(xml, "CPU")
        self._size = network_size

    def __call__(self, rgb: NDArray[np.uint8]) -> Found:
        """All detections on u8 [h, w, 3] RGB, boxes in pixels of that picture, best first."""
        answer = self._model(rgb[None])
        boxes = np.array(answer["boxes"][0], float)
        height, width = rgb.shape[:2]
        scale = np.array([width / self._size[1], height / self._size[0]] * 2)
        return Found(boxes[:, :4] * scale, boxes[:, 4], np.array(answer["labels"][0], int))


class Classifier:
    """A classifier's model.xml in plain OpenVINO on the CPU."""

    def __init__(self, xml: Path) -> None:
        self._model = ov.Core().compile_model(xml, "CPU")

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.floating]:
        """How likely each class is, f64 [classes], of u8 [h, w, 3] RGB."""
        return np.array(self._model(rgb[None])["scores"][0], float)


def _by_model_api(xml: Path, labels: list[str], rgb: NDArray[np.uint8]) -> Any:
    from model_api.models import Model

    model = Model.create_model(str(xml), configuration={"labels": labels}, device="CPU")
    return model(rgb)


def detect_by_model_api(
    xml: Path, labels: list[str], rgb: NDArray[np.uint8]
) -> list[tuple[str, float, list[int]]]:
    """(label, score, box) of each detection that Model API reports at the stored threshold."""
    result = _by_model_api(xml, labels, rgb)
    rows = zip(result.label_names, result.scores, result.bboxes, strict=True)
    return [(str(name), float(score), [int(v) for v in box]) for name, score, box in rows]


def classify_by_model_api(
    xml: Path, labels: list[str], rgb: NDArray[np.uint8]
) -> tuple[str, float]:
    """Label and score that Model API reports."""
    best = _by_model_api(xml, labels, rgb).top_labels[0]
    return str(best.name), float(best.confidence)
