"""What every reader returns: boxes and tags as people made them, nothing checked yet."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path


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

    def names(self) -> list[str]:
        """Class names of all its annotations."""
        outlined = [label for label, _ in self.polygons]
        return [label for label, *_ in self.boxes] + self.tags + outlined


@dataclass
class Raw:
    """Classes in the export's order, pictures in the export's order, what could not be kept.

    ``losses`` counts shapes by a word for people; ``notes`` are further remarks.
    """

    classes: list[str]
    images: list[RawImage]
    losses: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def composed(name: str) -> str:
    """Unicode NFC, ``/`` between folders."""
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def locate(files: Mapping[str, Path], name: str, subset: str | None) -> str | None:
    """The member that holds picture ``name``: below images/<subset>/, images/ or at the root."""
    clean = composed(name).lstrip("/")
    places = [f"images/{clean}", clean]
    if subset:
        places = [f"images/{subset}/{clean}", f"{subset}/{clean}", *places]
    return next((place for place in places if place in files), None)
