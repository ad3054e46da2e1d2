"""mAP against values that pycocotools 2.0.11 gave for the same random scenes."""

from __future__ import annotations

import numpy as np
import pytest
from retrain.detection import Drawn, Found, best_threshold, iou, score, suppress

CLASSES = 3
# seed, mAP .5:.95, mAP50, AP of each class (NaN: no box), as COCOeval reports them.
GOLDEN: list[tuple[int, float, float, list[float]]] = [
    (1, 0.15189259895986, 0.34507561287387, [0.144315798679, 0.159469399241, np.nan]),
    (2, 0.11061730568858, 0.25612317077007, [0.091558963323, 0.128807947144, 0.111485006599]),
    (3, 0.16835779025456, 0.35409072271924, [0.178459681194, 0.158255899315, np.nan]),
    (4, 0.15732131616280, 0.34702246974264, [0.152311802609, 0.159580770198, 0.160071375682]),
]


def scene(seed: int) -> tuple[list[Found], list[Drawn]]:
    """Random annotations and detections near them, with misses, doubles and wrong classes."""
    random = np.random.default_rng(seed)
    found, drawn = [], []
    for _ in range(25):
        count = int(random.integers(0, 6))
        corner, size = random.uniform(0, 200, (count, 2)), random.uniform(10, 80, (count, 2))
        boxes = np.concatenate([corner, corner + size], axis=1)
        labels = random.integers(0, CLASSES - (seed % 2), count)
        drawn.append(Drawn(boxes, labels))
        picks = random.integers(0, max(count, 1), int(random.integers(0, 9)) if count else 0)
        moved = boxes[picks] + random.normal(0, 4, (len(picks), 4))
        noise = random.uniform(0, 200, (int(random.integers(0, 3)), 2))
        moved = np.concatenate([moved, np.concatenate([noise, noise + 30], axis=1)])
        own = np.concatenate([labels[picks], random.integers(0, CLASSES, len(noise))])
        wrong = random.uniform(size=len(own)) < 0.15
        own = np.where(wrong, random.integers(0, CLASSES, len(own)), own)
        found.append(Found(moved, np.round(random.uniform(size=len(own)), 3), own))
    return found, drawn


@pytest.mark.parametrize(("seed", "whole", "half", "classes"), GOLDEN)
def test_equals_pycocotools(seed: int, whole: float, half: float, classes: list[float]) -> None:
    result = score(*scene(seed), CLASSES)
    assert result.map == pytest.approx(whole, abs=1e-9)
    assert result.map50 == pytest.approx(half, abs=1e-9)
    own = [np.nan if value is None else value for value in result.per_class]
    assert own == pytest.approx(classes, abs=1e-9, nan_ok=True)


def test_perfect_and_nothing() -> None:
    _, drawn = scene(1)
    perfect = [Found(d.boxes, np.ones(len(d.labels)), d.labels) for d in drawn]
    assert score(perfect, drawn, CLASSES).map == pytest.approx(1.0)
    nothing = [Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)) for _ in drawn]
    assert score(nothing, drawn, CLASSES).map == 0.0
    empty = [Drawn(np.zeros((0, 4)), np.zeros(0, int)) for _ in drawn]
    assert score(perfect, empty, CLASSES).per_class == [None] * CLASSES


def test_iou_and_suppress() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 20, 30, 30], [5, 5, 5, 9]], float)
    overlap = iou(boxes, boxes)
    assert overlap[0, 1] == pytest.approx(90 / 110)
    assert overlap[0, 2] == 0
    assert overlap[3, 3] == 0
    assert suppress(boxes[:3], np.array([0.5, 0.9, 0.1]), 0.5, 10) == [1, 2]
    assert suppress(boxes[:3], np.array([0.5, 0.9, 0.1]), 0.5, 1) == [1]
    assert suppress(boxes[:0], np.zeros(0), 0.5, 10) == []


def test_threshold_divides_right_from_wrong() -> None:
    drawn = [Drawn(np.array([[0, 0, 10, 10]], float), np.array([0]))] * 5
    right, wrong = [[0, 0, 10, 10]], [[50, 50, 60, 60]]
    found = [
        Found(np.array(right + wrong, float), np.array([0.8, 0.4]), np.array([0, 0])) for _ in drawn
    ]
    assert 0.4 <= best_threshold(found, drawn, 1) < 0.8
    nothing = [Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))] * 5
    assert best_threshold(nothing, drawn, 1) == 0.3
