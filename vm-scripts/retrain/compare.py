"""The new model beside the current one: figures for the gate, which the handler decides by.

Pure: answers and annotations in, the manifest's block ``gate`` out. Both models are measured with
the same code on the same images, those that neither was trained on, and over the same classes: the
new model's. A class that the current model does not know scores 0 for it, as on a device; its row
has no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .dataset import Sample
from .tasks.base import Tally, Task

BOOTSTRAPS = 500
LEAST_IMAGES = 10


@dataclass(frozen=True)
class Side:
    """A model's answers to the judged images, its file, and how long one answer takes."""

    answers: Sequence[Any]
    size_bytes: int
    latency_ms: float | None


@dataclass(frozen=True)
class Former:
    """What is known of the current model. ``side`` is None when it could not be asked, ``why``
    says why then."""

    version: int
    side: Side | None
    known: Sequence[bool] = ()
    why: str | None = None


def unseen(samples: Sequence[Sample], learned: frozenset[str]) -> list[Sample]:
    """Those that no model was trained on, as far as ``learned`` (sha256) tells."""
    return [sample for sample in samples if sample.sha256 not in learned]


def spread(images: int, seed: int) -> np.ndarray:
    """How often each image counts in each of 500 bootstraps: [500, images]."""
    shares = [1 / images] * images
    return np.random.default_rng(seed).multinomial(images, shares, BOOTSTRAPS)


def gate(
    task: Task[Any],
    samples: Sequence[Sample],
    classes: list[str],
    new: Side,
    former: Former | None,
    seed: int,
) -> dict[str, Any]:
    """The block ``gate``; ``samples`` are the judged images, answers are in their order."""
    tally = task.tally(new.answers, samples, len(classes))
    block: dict[str, Any] = {
        "images": len(samples),
        "new": round(tally.measured.value, 6),
        "current": None,
        "current_version": former.version if former else None,
        "difference_sd": None,
        "floor": round(task.floor(samples, len(classes)), 6),
        "latency_ms": {"new": new.latency_ms, "current": None},
        "size_bytes": {"new": new.size_bytes, "current": None},
    }
    why = former.why if former else None
    if former and not why and len(samples) < LEAST_IMAGES:
        why = (
            f"{len(samples)} validation images that neither model was trained on, "
            f"{LEAST_IMAGES} are needed"
        )
    other: Tally | None = None
    if former and former.side and not why:
        other = task.tally(former.side.answers, samples, len(classes))
        weights = spread(len(samples), seed)
        differences = tally.resampled(weights) - other.resampled(weights)
        block["current"] = round(other.measured.value, 6)
        block["difference_sd"] = round(float(differences.std(ddof=1)), 6)
    if former and former.side:
        block["latency_ms"]["current"] = former.side.latency_ms
        block["size_bytes"]["current"] = former.side.size_bytes
    block["per_class"] = _per_class(samples, classes, tally, other, former)
    if why:
        block["not_comparable"] = why
    return block


def _per_class(
    samples: Sequence[Sample],
    classes: list[str],
    tally: Tally,
    other: Tally | None,
    former: Former | None,
) -> list[dict[str, Any]]:
    """A row for each class that the images show."""
    rows = []
    for index, name in enumerate(classes):
        images = sum(index in sample.labels for sample in samples)
        value = tally.measured.per_class[index]
        if not images or value is None:
            continue
        before = other.measured.per_class[index] if other and former else None
        if former is None or not former.known or not former.known[index]:
            before = None
        rows.append(
            {
                "class": name,
                "images": images,
                "new": round(value, 6),
                "current": None if before is None else round(before, 6),
            }
        )
    return rows
