"""Classification: one class for the whole picture; macro F1; output ``scores``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..classification import score
from ..dataset import Sample
from ..failure import some
from ..inference import Classifier, classify_by_model_api
from ..readers import Mark, Raw
from ..readers.raw import RawImage
from .base import Marked, Measured, Rgb, Task, Unfit, Wrong

Chances = NDArray[np.floating]


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

    def sane(self, answer: Chances, classes: int) -> None:
        """Finite numbers that sum up to 1, one per class."""
        if answer.shape != (classes,):
            raise Wrong(f"the exported model gives {answer.size} scores for {classes} classes")
        if not np.isfinite(answer).all():
            raise Wrong("the exported model gives numbers that are not finite")
        if answer.min() < 0 or abs(answer.sum() - 1) > 1e-3:
            raise Wrong("the exported model's scores do not sum up to 1")

    def score(
        self, answers: Sequence[Chances], samples: Sequence[Sample], classes: int
    ) -> Measured:
        """Macro F1 and accuracy."""
        named = np.array([int(answer.argmax()) for answer in answers], int)
        result = score(named, np.array([s.labels[0] for s in samples], int), classes)
        return Measured(result.macro_f1, result.per_class, {"accuracy": result.accuracy})

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
