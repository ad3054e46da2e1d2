"""What detection and instance segmentation share: objects with a class and a place each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..dataset import Sample
from ..detection import Drawn, Found
from ..matching import Matches
from ..plots.quality import curves
from .base import Measured, Shown, Tally, Task, Wrong

FLOOR = 0.05


class ObjectTally:
    """Objects that were found against those that are there."""

    def __init__(self, matches: Matches, prefix: str) -> None:
        self.matches = matches
        result = matches.score
        self.measured = Measured(result.map, result.per_class, {f"{prefix}50": result.map50})

    def resampled(self, weights: NDArray[np.integer]) -> NDArray[np.floating]:
        """mAP when pictures count several times or not at all."""
        return self.matches.resampled(weights)


class Objects(Task[Found]):
    """See the module."""

    @abstractmethod
    def truth(self, sample: Sample) -> Drawn:
        """The annotations of one picture."""

    def sane(self, answer: Found, classes: int) -> None:
        """Finite numbers, classes that exist."""
        if not (np.isfinite(answer.boxes).all() and np.isfinite(answer.scores).all()):
            raise Wrong("the exported model gives numbers that are not finite")
        if len(answer.labels) and not (answer.labels.min() >= 0 and answer.labels.max() < classes):
            raise Wrong("the exported model gives a class that does not exist")

    def tally(
        self, answers: Sequence[Found], samples: Sequence[Sample], classes: int
    ) -> ObjectTally:
        """COCO-style mAP, of boxes or of masks."""
        drawn = [self.truth(sample) for sample in samples]
        return ObjectTally(Matches(answers, drawn, classes), self.primary)

    def floor(self, samples: Sequence[Sample], classes: int) -> float:
        """Chance finds next to nothing."""
        return FLOOR

    def renamed(self, answer: Found, places: Sequence[int | None], classes: int) -> Found:
        """Objects of a class that is no more are left out: nobody has drawn them."""
        labels = [places[int(label)] for label in answer.labels]
        kept = [place for place, label in enumerate(labels) if label is not None]
        return replace(_some(answer, kept), labels=np.array([labels[place] for place in kept], int))

    def faults(self, answer: Found, sample: Sample, threshold: float) -> float:
        """Objects that were missed or are not there, at IoU .5; among equals, the surer errors."""
        sure = _above(answer, threshold)
        drawn = self.truth(sample)
        most = max([0, *(int(v) for v in sure.labels), *(int(v) for v in drawn.labels)]) + 1
        scores, hits, total = Matches([sure], [drawn], most).pairs()
        wrong = float(scores[~hits].sum())
        return float((~hits).sum() + total - hits.sum()) + wrong / 1000

    def shown(self, answer: Found, threshold: float) -> list[Shown]:
        """Objects above the threshold."""
        sure = _above(answer, threshold)
        masks = sure.masks or [None] * len(sure.labels)
        return [
            Shown(int(label), float(score), [float(v) for v in box], mask)
            for label, score, box, mask in zip(
                sure.labels, sure.scores, sure.boxes, masks, strict=True
            )
        ]

    def drawn(self, sample: Sample) -> list[Shown]:
        """All annotations."""
        truth = self.truth(sample)
        masks = truth.masks or [None] * len(truth.labels)
        return [
            Shown(int(label), None, [float(v) for v in box], mask)
            for label, box, mask in zip(truth.labels, truth.boxes, masks, strict=True)
        ]

    def quality(self, tally: Tally, classes: list[str]) -> Image.Image:
        """Precision against recall at IoU .5."""
        assert isinstance(tally, ObjectTally)
        return curves(classes, [tally.matches.curve(label) for label in range(len(classes))])

    def sureness(self, answer: Found) -> float:
        """The best score, 0 without a detection."""
        return float(answer.scores.max()) if len(answer.scores) else 0.0


def _some(answer: Found, kept: Sequence[int]) -> Found:
    rows = np.array(kept, int)
    masks = None if answer.masks is None else [answer.masks[place] for place in kept]
    return Found(answer.boxes[rows], answer.scores[rows], answer.labels[rows], masks)


def _above(answer: Found, threshold: float) -> Found:
    return _some(answer, [int(place) for place in np.flatnonzero(answer.scores > threshold)])
