"""What the stages ask of a task; each task is one module of this package."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..dataset import Sample
from ..readers import Mark, Raw
from ..readers.raw import RawImage

Answer = TypeVar("Answer")
Rgb = NDArray[np.uint8]
# Boxes and labels of one picture, as ``Sample`` has them.
Marked = tuple[list[list[float]], list[int]]


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


class Task(ABC, Generic[Answer]):
    """One kind of model. ``Answer`` is what it says of one picture.

    ``number``: dl_type in a message; ``mark``: the annotation it learns from; ``only`` and ``more``
    finish the sentences "only ... are trained on" and "class x has 0 ...; ...". ``primary`` is the
    metric's name in manifest.json, ``metric`` the same for people.
    """

    name: str
    number: int
    mark: Mark
    only: str
    more: str
    primary: str
    metric: str

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
        """Boxes and labels of each picture; raises ``Unfit``."""

    @abstractmethod
    def load(self, xml: Path, network_size: list[int]) -> Callable[[Rgb], Answer]:
        """The exported model in plain OpenVINO, as a function of u8 [h, w, 3] RGB pictures."""

    @abstractmethod
    def sane(self, answer: Answer, classes: int) -> None:
        """Raises ``Wrong`` when an answer is impossible."""

    @abstractmethod
    def score(self, answers: Sequence[Answer], samples: Sequence[Sample], classes: int) -> Measured:
        """Answers against annotations, picture by picture in the same order."""

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
        """Raises ``Wrong`` when Model API does not report what ``expected`` says."""

    @abstractmethod
    def outputs(self, network_size: list[int], classes: list[str]) -> list[dict[str, Any]]:
        """``io.outputs`` of the manifest."""
