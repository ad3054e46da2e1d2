"""What `check` found in the zip: pictures with their annotations, and the classes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One picture: name as annotated, its file, sha256 of the file, (width, height), annotations.

    ``labels`` index ``Dataset.classes``. Detection: one for each of ``boxes`` (x1, y1, x2, y2 in
    pixels within the picture). Classification: exactly one, and no box. Instance segmentation: one
    for each of ``polygons``, the parts of an object, each flat [x1, y1, x2, y2, ...] in pixels, and
    for each of ``boxes``, which are around them; no polygons otherwise.
    """

    name: str
    path: Path
    sha256: str
    size: tuple[int, int]
    boxes: list[list[float]]
    labels: list[int]
    polygons: list[list[list[float]]] = field(default_factory=list)


@dataclass(frozen=True)
class Dataset:
    """All annotated pictures, in the export's order; classes in the job's order.

    ``validation``: those of the line's validation zip, none of which is among ``samples``.
    """

    format: str
    classes: list[str]
    samples: list[Sample]
    validation: list[Sample] = field(default_factory=list)

    def per_class(self) -> dict[str, int]:
        """Number of annotations of each class in the job's own zip."""
        counts = Counter(label for sample in self.samples for label in sample.labels)
        return {name: counts[index] for index, name in enumerate(self.classes)}
