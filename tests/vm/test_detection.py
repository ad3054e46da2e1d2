"""mAP: a case by hand, kept values, and what resampling would make of it."""

from __future__ import annotations

import numpy as np
import pytest
from retrain.detection import Drawn, Found
from retrain.matching import Matches, score
from trainers.tiny.boxes import best_threshold, iou, suppress

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


def test_map_by_hand() -> None:
    """Two boxes of one class; found: one exactly, then nothing there, then the other at IoU 0.6.

    At IoU .5, .55, .6: precision 1 up to recall .5 (51 of 101 steps), then 2/3 (50 steps).
    Above: precision 1 up to recall .5, then nothing.
    """
    drawn = [
        Drawn(np.array([[0, 0, 10, 10]], float), np.array([0])),
        Drawn(np.array([[0, 0, 10, 10]], float), np.array([0])),
    ]
    found = [
        Found(
            np.array([[0, 0, 10, 10], [50, 50, 60, 60]], float),
            np.array([0.9, 0.8]),
            np.array([0, 0]),
        ),
        Found(np.array([[0, 0, 10, 6.1]], float), np.array([0.7]), np.array([0])),
    ]
    low, high = (51 + 50 * 2 / 3) / 101, 51 / 101
    result = score(found, drawn, 2)
    assert result.map50 == pytest.approx(low)
    assert result.map == pytest.approx((3 * low + 7 * high) / 10)
    assert result.per_class == [pytest.approx(result.map), None]


def test_resampling_is_scoring_the_images_again() -> None:
    found, drawn = scene(2)
    random = np.random.default_rng(5)
    # No two scores alike: what counts first among equals is nobody's promise.
    found = [
        Found(f.boxes, f.scores + random.uniform(0, 1e-6, len(f.scores)), f.labels) for f in found
    ]
    weights = random.multinomial(len(found), [1 / len(found)] * len(found), 6)
    weights[0] = 1
    matches = Matches(found, drawn, CLASSES)
    values = matches.resampled(weights)
    assert values[0] == pytest.approx(matches.score.map, abs=1e-12)
    for row, value in zip(weights, values, strict=True):
        places = np.repeat(np.arange(len(found)), row)
        again = score([found[i] for i in places], [drawn[i] for i in places], CLASSES)
        assert value == pytest.approx(again.map, abs=1e-9)


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
    assert 0.4 <= best_threshold(Matches(found, drawn, 1)) < 0.8
    nothing = [Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))] * 5
    assert best_threshold(Matches(nothing, drawn, 1)) == 0.3
