"""Annotation formats: one row of ``READERS`` each. A reader knows its format and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import coco, cvat
from .raw import Raw, ReadProblem

__all__ = ["READERS", "Raw", "ReadProblem", "Reader"]


@dataclass(frozen=True)
class Reader:
    """``find``: the annotation members among clean names; ``read``: their content."""

    title: str
    find: Callable[[Mapping[str, Path]], list[str]]
    read: Callable[[Mapping[str, Path], list[str]], Raw]


READERS = (
    Reader("CVAT for images 1.1", cvat.find, cvat.read),
    Reader("COCO 1.0", coco.find, coco.read),
)
