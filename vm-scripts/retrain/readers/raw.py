"""What every reader returns: boxes and tags as people made them, nothing checked yet."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ..failure import some
from ..images import LARGEST


class ReadProblem(ValueError):
    """The annotations cannot be used; the text is for the person who made the export."""


class Mark(Enum):
    """Kinds of annotations that are trained on: one and several of them, for people."""

    BOX = ("box", "boxes")
    TAG = ("tag", "tags")
    POLYGON = ("polygon", "polygons")


@dataclass
class RawImage:
    """One annotated picture: name as annotated, its member (None: not in the zip), annotations.

    A box is (class name, x1, y1, x2, y2) in pixels of the picture; a tag is a class name; a polygon
    is (class name, parts of one object, each flat [x1, y1, x2, y2, ...]). What has a polygon has
    the box around it in ``boxes`` too, so that ``len(boxes) - len(polygons)`` are boxes alone.
    """

    name: str
    member: str | None
    width: int
    height: int
    boxes: list[tuple[str, float, float, float, float]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    polygons: list[tuple[str, list[list[float]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Masks are laid out in this size, before the picture itself is looked at.
        if self.width * self.height > LARGEST:
            raise ReadProblem(
                f"{some([self.name])} is said to have more than {LARGEST} pixels, which "
                "nothing here can read"
            )

    def names(self) -> list[str]:
        """Class names of all its annotations."""
        outlined = [label for label, _ in self.polygons]
        return [label for label, *_ in self.boxes] + self.tags + outlined

    def outline(self, label: str, parts: list[list[float]]) -> None:
        """Add one object by its polygons, and the box around them."""
        xs = [x for part in parts for x in part[0::2]]
        ys = [y for part in parts for y in part[1::2]]
        self.boxes.append((label, min(xs), min(ys), max(xs), max(ys)))
        self.polygons.append((label, parts))


@dataclass
class Loss:
    """Annotations of one kind that could not be kept: how many, on which pictures, of which
    classes (as sets in order)."""

    count: int = 0
    images: dict[str, None] = field(default_factory=dict)
    classes: dict[str, None] = field(default_factory=dict)


@dataclass
class Raw:
    """Classes in the export's order, pictures in the export's order, what could not be kept.

    ``losses``: by a word for people; ``notes`` are further remarks; ``holes``: masks whose holes
    were filled.
    """

    classes: list[str] = field(default_factory=list)
    images: list[RawImage] = field(default_factory=list)
    losses: dict[str, Loss] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    holes: int = 0

    def lose(self, what: str, image: str, label: str | None) -> None:
        """Count an annotation that is left out."""
        loss = self.losses.setdefault(what, Loss())
        loss.count += 1
        loss.images[image] = None
        if label:
            loss.classes[label] = None

    def declare(self, names: list[str]) -> None:
        """Add classes that are not there yet."""
        self.classes += [name for name in dict.fromkeys(names) if name not in self.classes]


def composed(name: str) -> str:
    """Unicode NFC, ``/`` between folders, none in front."""
    return unicodedata.normalize("NFC", name.replace("\\", "/")).lstrip("/")


def label_of(name: object) -> str:
    """A class name as it is compared: composed, no blanks around it."""
    return unicodedata.normalize("NFC", "" if name is None else str(name).strip())


def turned(rotation: object) -> bool:
    """Whether a box with this attribute stands askew. An attribute of the same name that holds no
    number is somebody's own."""
    try:
        return float(str(rotation or 0)) % 360 != 0
    except ValueError:
        return False


def locate(files: Mapping[str, Path], name: str, subset: str | None) -> str | None:
    """The member that holds picture ``name``: below images/<subset>/, images/ or at the root."""
    clean = composed(name)
    places = [f"images/{clean}", clean]
    if subset:
        places = [f"images/{subset}/{clean}", f"{subset}/{clean}", *places]
    return next((place for place in places if place in files), None)
