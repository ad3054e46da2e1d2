"""Detections against annotations by pycocotools: mAP of boxes or of masks, and what it would be on
resampled images. No files, no state.

pycocotools decides which detection meets which annotation, image by image, and what the mAP is.
``Matches`` keeps the former by image, so that 500 resamplings cost no more matching.
"""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle
from pycocotools.cocoeval import COCOeval

from .detection import MAX_FOUND, Drawn, Floats, Found

IOU_STEPS = np.linspace(0.5, 0.95, 10)
RECALL_STEPS = np.linspace(0.0, 1.0, 101)
WHOLE = [0.0, 1e10]
CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Score:
    """mAP over IoU .5:.95, mAP at IoU .5, and the former per class (None: the class has no
    annotation)."""

    map: float
    map50: float
    per_class: list[float | None]


class _Evaluation(COCOeval):  # type: ignore[misc]
    """COCOeval on what is in memory, without its JSON files and its prints."""

    def __init__(self, found: Sequence[Found], drawn: Sequence[Drawn], classes: int) -> None:
        with_masks = any(d.masks is not None for d in drawn)
        super().__init__(iouType="segm" if with_masks else "bbox")
        self.params.imgIds = list(range(len(found)))
        self.params.catIds = list(range(classes))
        self.params.iouThrs, self.params.recThrs = IOU_STEPS, RECALL_STEPS
        self.params.areaRng, self.params.areaRngLbl = [WHOLE], ["all"]
        self.params.maxDets = [MAX_FOUND]
        self._both = (found, drawn)
        with contextlib.redirect_stdout(io.StringIO()):
            self.evaluate()
            self.accumulate()

    def _prepare(self) -> None:
        self._dts, self._gts = (_rows(side) for side in self._both)


def _rows(side: Sequence[Found] | Sequence[Drawn]) -> defaultdict[tuple[int, int], list[Any]]:
    """Annotations or detections as COCOeval has them, by image and class; ids begin at 1."""
    table: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
    number = 0
    for image, one in enumerate(side):
        for place, label in enumerate(one.labels):
            number += 1
            x1, y1, x2, y2 = (float(v) for v in one.boxes[place])
            row = {"id": number, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0, "ignore": 0}
            row["area"] = max(x2 - x1, 0.0) * max(y2 - y1, 0.0)
            if one.masks is not None:
                row["segmentation"] = one.masks[place]
                row["area"] = float(rle.area(one.masks[place]))
            if isinstance(one, Found):
                row["score"] = float(one.scores[place])
            table[image, int(label)].append(row)
    return table


@dataclass(frozen=True)
class _OfClass:
    """Detections of one class, best first: score, hit at each IoU step, image; and the number of
    annotations in each image."""

    scores: Floats
    hits: NDArray[np.bool_]
    images: NDArray[np.integer]
    totals: Floats


class Matches:
    """Found against drawn, image by image in the same order. At most 100 detections per class and
    image count; a class without annotation is left out of the mean; with none at all it is 0."""

    def __init__(self, found: Sequence[Found], drawn: Sequence[Drawn], classes: int) -> None:
        self.images = len(found)
        evaluation = _Evaluation(found, drawn, classes) if found else None
        self._classes = [self._of(evaluation, label) for label in range(classes)]
        self.score = self._score(evaluation)

    def _of(self, evaluation: _Evaluation | None, label: int) -> _OfClass:
        first = label * self.images
        rows = evaluation.evalImgs[first : first + self.images] if evaluation else []
        scores, hits, images, totals = [np.zeros(0)], [], [np.zeros(0, int)], np.zeros(self.images)
        hits.append(np.zeros((len(IOU_STEPS), 0), bool))
        for image, row in enumerate(rows):
            if row is not None:
                scores.append(np.array(row["dtScores"], float))
                hits.append(row["dtMatches"] > 0)
                images.append(np.full(len(row["dtScores"]), image))
                totals[image] = len(row["gtIds"])
        flat = np.concatenate(scores)
        order = np.argsort(-flat, kind="stable")
        return _OfClass(
            flat[order],
            np.concatenate(hits, axis=1)[:, order],
            np.concatenate(images)[order],
            totals,
        )

    def _score(self, evaluation: _Evaluation | None) -> Score:
        classes = len(self._classes)
        if evaluation is None or not any(own.totals.sum() for own in self._classes):
            return Score(0.0, 0.0, [None] * classes)
        table = evaluation.eval["precision"][:, :, :, 0, 0].mean(axis=1)
        there = [bool(own.totals.sum()) for own in self._classes]
        return Score(
            float(table[:, there].mean()),
            float(table[0, there].mean()),
            [float(table[:, c].mean()) if there[c] else None for c in range(classes)],
        )

    def resampled(self, weights: NDArray[np.integer]) -> Floats:
        """mAP [b] when image i counts ``weights[b, i]`` times."""
        parts = [self._precision(own, weights) for own in self._classes]
        if not parts:
            return np.zeros(len(weights))
        values = np.stack(parts)
        known = np.isfinite(values).sum(axis=0)
        total: Floats = np.nansum(values, axis=0) / np.maximum(known, 1)
        return total

    def _precision(self, own: _OfClass, weights: NDArray[np.integer]) -> Floats:
        """AP [b] of one class over all IoU steps, NaN where no annotation is left."""
        totals = weights @ own.totals
        answer = np.full(len(weights), np.nan)
        answer[totals > 0] = 0.0
        at_once = max(1, CELLS_AT_ONCE // max(len(own.scores), 1))
        for start in range(0, len(weights) if len(own.scores) else 0, at_once):
            part = slice(start, start + at_once)
            counts = weights[part][:, own.images].astype(float)
            seen = np.cumsum(counts, axis=1)
            for hits in own.hits:
                at = np.flatnonzero(hits)
                answer[part] += _curve(counts[:, at], seen[:, at], totals[part]) / len(IOU_STEPS)
        return answer

    def pairs(self, step: int = 0) -> tuple[Floats, NDArray[np.bool_], int]:
        """Scores, hits at an IoU step and the number of annotations, of all classes together."""
        return (
            np.concatenate([np.zeros(0), *(own.scores for own in self._classes)]),
            np.concatenate([np.zeros(0, bool), *(own.hits[step] for own in self._classes)]),
            int(sum(own.totals.sum() for own in self._classes)),
        )

    def curve(self, label: int, step: int = 0) -> tuple[Floats, Floats]:
        """Recall and precision of a class at an IoU step, from the surest detection on."""
        own = self._classes[label]
        true = np.cumsum(own.hits[step])
        total = max(float(own.totals.sum()), 1.0)
        return true / total, true / np.arange(1, len(true) + 1)


def _curve(counts: Floats, seen: Floats, totals: Floats) -> Floats:
    """Mean precision [b] at the 101 recall steps, from the hits alone: how often each counts and
    how many detections there are up to it. Between hits precision only falls."""
    if counts.shape[1] == 0:
        return np.zeros(len(counts))
    true = np.cumsum(counts, axis=1)
    precision = np.divide(true, seen, out=np.zeros_like(true), where=seen > 0)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    answer = np.zeros(len(counts))
    for row, total in enumerate(totals):
        if total > 0:
            places = np.searchsorted(true[row] / total, RECALL_STEPS, side="left")
            reached = places[places < true.shape[1]]
            answer[row] = precision[row, reached].sum() / len(RECALL_STEPS)
    return answer


def score(found: Sequence[Found], drawn: Sequence[Drawn], classes: int) -> Score:
    """mAP, see ``Matches``."""
    return Matches(found, drawn, classes).score
