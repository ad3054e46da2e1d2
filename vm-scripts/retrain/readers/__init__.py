"""Annotation formats: one row of ``READERS`` each. A reader knows its format and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import coco, cvat, datumaro_json, imagenet, voc, yolo
from .raw import Mark, Raw, ReadProblem

__all__ = ["READERS", "Mark", "Raw", "ReadProblem", "Reader"]


@dataclass(frozen=True)
class Reader:
    """``find``: the annotation members among clean names; ``read``: their content.

    ``marks``: the kinds of annotations that the format can hold.
    """

    title: str
    marks: frozenset[Mark]
    find: Callable[[Mapping[str, Path]], list[str]]
    read: Callable[[Mapping[str, Path], list[str]], Raw]


READERS = (
    Reader("CVAT for images 1.1", frozenset(Mark), cvat.find, cvat.read),
    Reader("COCO 1.0", frozenset({Mark.BOX, Mark.POLYGON}), coco.find, coco.read),
    Reader("Datumaro 1.0", frozenset(Mark), datumaro_json.find, datumaro_json.read),
    Reader("Pascal VOC 1.1", frozenset({Mark.BOX, Mark.TAG}), voc.find, voc.read),
    Reader("YOLO", frozenset({Mark.BOX}), yolo.find, yolo.read),
    Reader("ImageNet 1.0", frozenset({Mark.TAG}), imagenet.find, imagenet.read),
)
