"""Boxes and how well they fit: IoU, suppression, COCO-style mAP. numpy only, no files, no state.

A box is x1, y1, x2, y2 in pixels of one image (any scale, as long as both sides share it). What a
model found and what a person drew on one image:

* ``Found``: boxes f64 [n, 4], scores f64 [n], labels i64 [n]
* ``Drawn``: boxes f64 [m, 4], labels i64 [m]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]

IOU_STEPS = np.linspace(0.5, 0.95, 10)
RECALL_STEPS = np.linspace(0.0, 1.0, 101)
MAX_FOUND = 100


@dataclass(frozen=True)
class Found:
    """Detections on one image: boxes [n, 4], scores [n], labels [n]."""

    boxes: Floats
    scores: Floats
    labels: Ints


@dataclass(frozen=True)
class Drawn:
    """Annotations of one image: boxes [m, 4], labels [m]."""

    boxes: Floats
    labels: Ints


@dataclass(frozen=True)
class Score:
    """mAP over IoU .5:.95, mAP at IoU .5, and the former per class (None: the class has no box)."""

    map: float
    map50: float
    per_class: list[float | None]


def iou(left: Floats, right: Floats) -> Floats:
    """Intersection over union of each pair: [n, 4] and [m, 4] give [n, m], 0 for empty boxes."""
    top_left = np.maximum(left[:, None, :2], right[None, :, :2])
    bottom_right = np.minimum(left[:, None, 2:], right[None, :, 2:])
    shared = np.prod(np.clip(bottom_right - top_left, 0, None), axis=2)
    areas_left = np.prod(np.clip(left[:, 2:] - left[:, :2], 0, None), axis=1)
    areas_right = np.prod(np.clip(right[:, 2:] - right[:, :2], 0, None), axis=1)
    union = areas_left[:, None] + areas_right[None, :] - shared
    ratio: Floats = np.divide(shared, union, out=np.zeros_like(union), where=union > 0)
    return ratio


def suppress(boxes: Floats, scores: Floats, iou_limit: float, most: int) -> list[int]:
    """Greedy non-maximum suppression; indices kept, best score first, at most ``most``."""
    order = np.argsort(-scores, kind="stable")
    overlap = iou(boxes[order], boxes[order]) > iou_limit
    alive = np.ones(len(order), bool)
    kept: list[int] = []
    for place, index in enumerate(order):
        if not alive[place]:
            continue
        kept.append(int(index))
        if len(kept) == most:
            break
        alive &= ~overlap[place]
    return kept


def _match(found: Found, drawn: Drawn, label: int) -> tuple[Floats, NDArray[np.bool_], int]:
    """Scores [n], hits [steps, n] and the number of boxes of one class on one image."""
    own = np.flatnonzero(found.labels == label)
    own = own[np.argsort(-found.scores[own], kind="stable")][:MAX_FOUND]
    targets = drawn.boxes[drawn.labels == label]
    hits = np.zeros((len(IOU_STEPS), len(own)), bool)
    if len(own) and len(targets):
        overlap = iou(found.boxes[own], targets)
        for step, limit in enumerate(IOU_STEPS):
            free = np.ones(len(targets), bool)
            for row in range(len(own)):
                candidates = np.where(free, overlap[row], -1.0)
                best = int(len(candidates) - 1 - np.argmax(candidates[::-1]))
                if candidates[best] >= min(limit, 1 - 1e-10):
                    free[best] = False
                    hits[step, row] = True
    return found.scores[own], hits, len(targets)


def _average_precision(hits: NDArray[np.bool_], total: int) -> float:
    """Area under the 101-point interpolated curve of one class at one IoU step."""
    true = np.cumsum(hits)
    recall = true / total
    precision = true / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, RECALL_STEPS, side="left")
    padded = np.append(precision, 0.0)
    return float(padded[np.minimum(places, len(precision))].mean())


def score(found: Sequence[Found], drawn: Sequence[Drawn], classes: int) -> Score:
    """COCO-style mAP of detections against annotations, image by image in the same order.

    At most 100 detections per class and image count; a class without any box is left out of the
    mean. With no box at all the score is 0.
    """
    table: list[list[float] | None] = []
    for label in range(classes):
        parts = [_match(f, d, label) for f, d in zip(found, drawn, strict=True)]
        total = sum(part[2] for part in parts)
        if total == 0:
            table.append(None)
            continue
        scores = np.concatenate([part[0] for part in parts])
        hits = np.concatenate([part[1] for part in parts], axis=1)
        order = np.argsort(-scores, kind="stable")
        table.append([_average_precision(row[order], total) for row in hits])
    known = [row for row in table if row is not None]
    if not known:
        return Score(0.0, 0.0, [None] * classes)
    return Score(
        float(np.mean(known)),
        float(np.mean([row[0] for row in known])),
        [None if row is None else float(np.mean(row)) for row in table],
    )


def best_threshold(found: Sequence[Found], drawn: Sequence[Drawn], classes: int) -> float:
    """The score limit with the highest F1 at IoU .5, kept within 0.05 and 0.9, two decimals."""
    scores: list[Floats] = []
    hits: list[NDArray[np.bool_]] = []
    total = 0
    for f, d in zip(found, drawn, strict=True):
        for label in range(classes):
            some_scores, some_hits, count = _match(f, d, label)
            scores.append(some_scores)
            hits.append(some_hits[0])
            total += count
    flat = np.concatenate(scores) if scores else np.zeros(0)
    if total == 0 or len(flat) == 0:
        return 0.3
    right = np.concatenate(hits)
    best, last, best_f1 = 0.3, 0.3, -1.0
    for limit in np.arange(5, 91) / 100:
        taken = flat > limit
        f1 = 2 * right[taken].sum() / (taken.sum() + total)
        if f1 >= best_f1 + 1e-9:
            best, best_f1, last = float(limit), f1, float(limit)
        elif abs(f1 - best_f1) < 1e-9:
            last = float(limit)
            continue
    return round((best + last) / 2, 2) if best_f1 > 0 else 0.3
