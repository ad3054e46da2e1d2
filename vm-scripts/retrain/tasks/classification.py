"""Classification: one class for the whole picture; macro F1; output ``scores``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..classification import Score, by_class, confusion, score
from ..dataset import Sample
from ..failure import some
from ..inference import ApiClassifier, Classifier, classify_by_model_api
from ..plots.quality import matrix
from ..readers import Mark, Raw
from ..readers.raw import RawImage
from .base import Marked, Measured, Rgb, Shown, Tally, Task, Unfit, Wrong

Chances = NDArray[np.floating]
# A share of right answers that nobody is asked to beat, however uneven the classes are.
HIGHEST_FLOOR = 0.95


class ClassTally:
    """Classes that were named against those that are true."""

    def __init__(self, named: NDArray[np.integer], true: NDArray[np.integer], classes: int) -> None:
        self.named, self.true, self.classes = named, true, classes
        result: Score = score(named, true, classes)
        self.measured = Measured(result.macro_f1, result.per_class, {"accuracy": result.accuracy})

    def resampled(self, weights: NDArray[np.integer]) -> NDArray[np.floating]:
        """Macro F1 when pictures count several times or not at all."""
        values = by_class(self.named, self.true, self.classes, weights)
        known = np.isfinite(values).sum(axis=1)
        total: NDArray[np.floating] = np.nansum(values, axis=1) / np.maximum(known, 1)
        return total


class Classification(Task[Chances]):
    """See the module. An answer: how likely each class is, f64 [classes]."""

    name = "classification"
    number = 1
    mark = Mark.TAG
    only = "tags of whole images"
    more = "tag some images with it"
    primary = "macro_f1"
    metric = "macro F1"

    def names(self, image: RawImage) -> list[str]:
        """Of its tags; the same tag twice is one."""
        return list(dict.fromkeys(image.tags))

    def others(self, raw: Raw) -> dict[str, int]:
        """Boxes."""
        return {"boxes": sum(len(image.boxes) for image in raw.images)}

    def marked(
        self,
        images: Sequence[RawImage],
        sizes: Sequence[tuple[int, int]],
        classes: list[str],
        warn: Callable[[str], None],
    ) -> list[Marked]:
        """Exactly one label in each, of at least two classes."""
        counts = [len(self.names(image)) for image in images]
        none = [image.name for image, count in zip(images, counts, strict=True) if count == 0]
        several = [image.name for image, count in zip(images, counts, strict=True) if count > 1]
        if none or several:
            parts = [f"{len(none)} have none: {some(none)}"] if none else []
            parts += [f"{len(several)} have several: {some(several)}"] if several else []
            raise Unfit(
                f"each of the {len(images)} images needs exactly one tag; {'; '.join(parts)}"
            )
        if len(classes) < 2:
            raise Unfit(f"one class only ({some(classes)}); classification needs at least 2")
        return [([], [classes.index(self.names(image)[0])]) for image in images]

    def load(self, xml: Path, network_size: list[int]) -> Callable[[Rgb], Chances]:
        """Gives the likelihood of each class."""
        return Classifier(xml)

    def load_api(self, xml: Path, classes: list[str]) -> Callable[[Rgb], Chances]:
        """Gives the likelihood of the likeliest class; 0 for the others."""
        return ApiClassifier(xml, classes)

    def sane(self, answer: Chances, classes: int) -> None:
        """Finite numbers that sum up to 1, one per class."""
        if answer.shape != (classes,):
            raise Wrong(f"the exported model gives {answer.size} scores for {classes} classes")
        if not np.isfinite(answer).all():
            raise Wrong("the exported model gives numbers that are not finite")
        if answer.min() < 0 or abs(answer.sum() - 1) > 1e-3:
            raise Wrong("the exported model's scores do not sum up to 1")

    def tally(
        self, answers: Sequence[Chances], samples: Sequence[Sample], classes: int
    ) -> ClassTally:
        """Macro F1 and accuracy."""
        named = np.array([int(answer.argmax()) for answer in answers], int)
        return ClassTally(named, np.array([s.labels[0] for s in samples], int), classes)

    def floor(self, samples: Sequence[Sample], classes: int) -> float:
        """The share of the most frequent class and 2 standard deviations more."""
        counts = np.bincount(np.array([s.labels[0] for s in samples], int), minlength=classes)
        share = counts.max() / max(len(samples), 1)
        spread = (share * (1 - share) / max(len(samples), 1)) ** 0.5
        return min(float(share + 2 * spread), HIGHEST_FLOOR)

    def renamed(self, answer: Chances, places: Sequence[int | None], classes: int) -> Chances:
        """One more place at the end holds the surest class that is no more: an answer that is never
        right, as it would be on a device."""
        moved = np.zeros(classes + 1)
        for place, chance in zip(places, answer, strict=True):
            at = classes if place is None else place
            moved[at] = max(moved[at], float(chance))
        return moved

    def faults(self, answer: Chances, sample: Sample, threshold: float) -> float:
        """How much surer the answer is than the true class; below 1 unless it is wrong."""
        own = float(answer[sample.labels[0]])
        best = int(answer.argmax())
        return 1 + float(answer[best]) - own if best != sample.labels[0] else max(0.0, 1 - own)

    def shown(self, answer: Chances, threshold: float) -> list[Shown]:
        """The one class."""
        best = int(answer.argmax())
        return [Shown(best, float(answer[best]))]

    def drawn(self, sample: Sample) -> list[Shown]:
        """The tag."""
        return [Shown(sample.labels[0])]

    def quality(self, tally: Tally, classes: list[str]) -> Image.Image:
        """The confusion matrix."""
        assert isinstance(tally, ClassTally)
        return matrix(classes, confusion(tally.named, tally.true, len(classes)))

    def sureness(self, answer: Chances) -> float:
        """The best score."""
        return float(answer.max())

    def expected(
        self, answer: Chances, threshold: float, classes: list[str]
    ) -> list[dict[str, Any]]:
        """The one class."""
        best = int(answer.argmax())
        return [{"label": classes[best], "score": round(float(answer[best]), 5)}]

    def agrees(
        self, xml: Path, rgb: Rgb, expected: list[dict[str, Any]], threshold: float,
        classes: list[str],
    ) -> None:  # fmt: skip
        """The same class, to 0.001 of the score."""
        label, value = classify_by_model_api(xml, classes, rgb)
        if label != expected[0]["label"] or abs(value - expected[0]["score"]) > 1e-3:
            raise Wrong("Model API and plain OpenVINO disagree about the exported model")

    def outputs(self, network_size: list[int], classes: list[str]) -> list[dict[str, Any]]:
        """One score per class."""
        return [
            {
                "name": "scores",
                "shape": [1, len(classes)],
                "type": "f32",
                "units": "likelihood of each class in the order of labels.json; they sum up to 1, "
                "the highest is the answer",
            }
        ]
