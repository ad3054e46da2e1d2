"""What the stages ask of a task; each task is one module of this package."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..dataset import Sample
from ..detection import Rle
from ..readers import Mark, Raw
from ..readers.raw import RawImage

Answer = TypeVar("Answer")
Rgb = NDArray[np.uint8]
# Boxes, labels and, where the task has them, polygons of one picture, as ``Sample`` has them.
Marked = (
    tuple[list[list[float]], list[int]]
    | tuple[list[list[float]], list[int], list[list[list[float]]]]
)


class Unfit(ValueError):
    """The annotations cannot be trained on; the text is for the person who made them."""


class Wrong(ValueError):
    """The exported model is not what it should be; the text says how."""


@dataclass(frozen=True)
class Measured:
    """How good a model is: the primary metric, the same per class (None: no picture has the
    class), and further figures by name."""

    value: float
    per_class: list[float | None]
    also: dict[str, float]


class Tally(Protocol):
    """Answers against annotations, kept by picture."""

    @property
    def measured(self) -> Measured:
        """How good the answers are."""

    def resampled(self, weights: NDArray[np.integer]) -> NDArray[np.floating]:
        """The primary metric [b] when picture i counts ``weights[b, i]`` times."""


@dataclass(frozen=True)
class Shown:
    """Something to draw on a picture: class (None: one that only the former model knows), how sure
    (None: a person said so), box and mask where there are such."""

    label: int | None
    score: float | None = None
    box: list[float] | None = None
    mask: Rle | None = None


class Task(ABC, Generic[Answer]):
    """One kind of model. ``Answer`` is what it says of one picture.

    ``number``: dl_type in a message; ``mark``: the annotation it learns from; ``only`` and ``more``
    finish the sentences "only ... are trained on" and "class x has 0 ...; ...". ``primary`` is the
    metric's name in manifest.json, ``metric`` the same for people. ``beside``: files of this
    package that are published beside the model.
    """

    name: str
    number: int
    mark: Mark
    only: str
    more: str
    primary: str
    metric: str
    beside: tuple[str, ...] = ()

    @abstractmethod
    def names(self, image: RawImage) -> list[str]:
        """Class names of the annotations of one picture that this task learns from."""

    @abstractmethod
    def others(self, raw: Raw) -> dict[str, int]:
        """Number of annotations that readers keep for other tasks only, by a word for people."""

    @abstractmethod
    def marked(
        self,
        images: Sequence[RawImage],
        sizes: Sequence[tuple[int, int]],
        classes: list[str],
        warn: Callable[[str], None],
    ) -> list[Marked]:
        """Annotations of each picture; raises ``Unfit``."""

    @abstractmethod
    def load(self, xml: Path, network_size: list[int]) -> Callable[[Rgb], Answer]:
        """The exported model in plain OpenVINO, as a function of u8 [h, w, 3] RGB pictures; it
        gives all answers, however unsure."""

    def load_api(self, xml: Path, classes: list[str]) -> Callable[[Rgb], Answer] | None:
        """The same in Model API; None where Model API cannot run this task."""
        return None

    def as_api(self, answer: Answer) -> Answer:
        """What is left of an answer in the form that Model API gives it."""
        return answer

    @abstractmethod
    def sane(self, answer: Answer, classes: int) -> None:
        """Raises ``Wrong`` when an answer is impossible."""

    @abstractmethod
    def tally(self, answers: Sequence[Answer], samples: Sequence[Sample], classes: int) -> Tally:
        """Answers against annotations, picture by picture in the same order."""

    @abstractmethod
    def floor(self, samples: Sequence[Sample], classes: int) -> float:
        """What a first model must be better than."""

    @abstractmethod
    def renamed(self, answer: Answer, places: Sequence[int | None], classes: int) -> Answer:
        """A former model's answer with its class i as ``places[i]`` (None: none of ``classes``)."""

    @abstractmethod
    def faults(self, answer: Answer, sample: Sample, threshold: float) -> float:
        """How wrong an answer is, 0 when it is right."""

    @abstractmethod
    def shown(self, answer: Answer, threshold: float) -> list[Shown]:
        """The answer as it is drawn for people."""

    @abstractmethod
    def drawn(self, sample: Sample) -> list[Shown]:
        """The annotations, to be drawn."""

    @abstractmethod
    def quality(self, tally: Tally, classes: list[str]) -> Image.Image:
        """A picture of where the model is good and where not."""

    @abstractmethod
    def sureness(self, answer: Answer) -> float:
        """How good an example this answer is."""

    @abstractmethod
    def expected(
        self, answer: Answer, threshold: float, classes: list[str]
    ) -> list[dict[str, Any]]:
        """The answer as ``sample.expected`` of the manifest has it."""

    @abstractmethod
    def agrees(
        self, xml: Path, rgb: Rgb, expected: list[dict[str, Any]], threshold: float,
        classes: list[str],
    ) -> None:  # fmt: skip
        """Raises ``Wrong`` when an edge device would not be told what ``expected`` says."""

    @abstractmethod
    def outputs(self, network_size: list[int], classes: list[str]) -> list[dict[str, Any]]:
        """``io.outputs`` of the manifest."""
