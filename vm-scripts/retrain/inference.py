"""The published file at work: plain OpenVINO, and Model API as an edge device would use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from pycocotools import mask as rle

from . import predict
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


class Segmenter:
    """An instance segmentation model's model.xml in plain OpenVINO on the CPU, by the program that
    is published beside it."""

    def __init__(self, xml: Path) -> None:
        self._model = predict.load(xml)

    def __call__(self, rgb: NDArray[np.uint8]) -> Found:
        """All objects on u8 [h, w, 3] RGB, boxes and masks in pixels of that picture."""
        rows = list(predict.objects(self._model, rgb, -1.0))
        return Found(
            np.array([row.box for row in rows], float).reshape(-1, 4),
            np.array([row.score for row in rows], float),
            np.array([row.label for row in rows], int),
            [rle.encode(np.asfortranarray(row.mask.astype(np.uint8))) for row in rows],
        )


def _model_api(xml: Path, labels: list[str], **more: Any) -> Any:
    from model_api.models import Model

    # A copy: Model API may add to it.
    configuration = {"labels": list(labels), **more}
    return Model.create_model(str(xml), configuration=configuration, device="CPU")


class ApiDetector:
    """A detector in Model API, with all that it finds."""

    def __init__(self, xml: Path, classes: list[str]) -> None:
        self._model = _model_api(xml, classes, confidence_threshold=0.0)
        self._places = {name: place for place, name in enumerate(classes)}

    def __call__(self, rgb: NDArray[np.uint8]) -> Found:
        """All detections on u8 [h, w, 3] RGB; classes by their name."""
        result = self._model(rgb)
        return Found(
            np.array(result.bboxes, float).reshape(-1, 4),
            np.array(result.scores, float),
            np.array([self._places[str(name)] for name in result.label_names or []], int),
        )


class ApiClassifier:
    """A classifier in Model API."""

    def __init__(self, xml: Path, classes: list[str]) -> None:
        self._model = _model_api(xml, classes)
        self._places = {name: place for place, name in enumerate(classes)}

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.floating]:
        """The likelihood of the likeliest class, by its name; 0 for the others."""
        best = self._model(rgb).top_labels[0]
        chances = np.zeros(len(self._places))
        chances[self._places[str(best.name)]] = float(best.confidence)
        return chances


def detect_by_model_api(
    xml: Path, labels: list[str], rgb: NDArray[np.uint8]
) -> list[tuple[str, float, list[int]]]:
    """(label, score, box) of each detection that Model API reports at the stored threshold."""
    result = _model_api(xml, labels)(rgb)
    rows = zip(result.label_names, result.scores, result.bboxes, strict=True)
    return [(str(name), float(score), [int(v) for v in box]) for name, score, box in rows]


def classify_by_model_api(
    xml: Path, labels: list[str], rgb: NDArray[np.uint8]
) -> tuple[str, float]:
    """Label and score that Model API reports."""
    best = _model_api(xml, labels)(rgb).top_labels[0]
    return str(best.name), float(best.confidence)
