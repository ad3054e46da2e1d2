"""Annotations read by the library Datumaro, which is given numbers instead of names.

Datumaro tells pictures apart by their names without folder or suffix, looks for them in its own
ways, and passes over what it does not expect. A reader therefore lays a small copy of the
annotations out on a ``Desk``, in which picture number n is called n and what the library does
wrong is put right or counted before; ``Desk.clear`` then insists that every number came back.
"""

from __future__ import annotations

import errno
import os
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..failure import some
from ..images import measure
from .masks import outline
from .raw import Raw, RawImage, ReadProblem, label_of, turned

LOST = {
    "caption": "captions",
    "cuboid_2d": "cuboids",
    "cuboid_3d": "cuboids",
    "ellipse": "ellipses",
    "points": "point sets",
    "polyline": "polylines",
    "rotated_bbox": "rotated boxes",
    "skeleton": "skeletons",
}
"""Kinds of Datumaro's annotations that nothing is trained on."""


@dataclass
class Desk:
    """``root``: an empty folder; ``images``: the pictures by their numbers."""

    root: Path
    images: list[RawImage] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def number(self, image: RawImage) -> int:
        """The next number, for this picture."""
        self.images.append(image)
        return len(self.images) - 1

    def write(self, name: str, text: str) -> None:
        """A file of the layout; its name is the reader's own, never the zip's."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def link(self, name: str, file: Path) -> None:
        """A file of the zip under a name of the layout."""
        path = self.root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(file, path)
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR):
                raise ReadProblem(f"`{name}` is no possible name ({error.strerror})") from None
            raise

    def read(self, kind: str, name: str, raw: Raw, grouped: bool = False, **options: Any) -> None:
        """Let the library read the file or folder ``name`` of the layout as format ``kind``; what
        it finds goes to the pictures and to ``raw``.

        ``grouped``: polygons of one group are parts of one object, a box among them is around it.
        """
        labels, items = _import(kind, self.root / name, options)
        raw.declare(labels)
        for number, marks in items:
            self.seen.add(number)
            _keep(self.images[number], marks, labels, raw, grouped)

    def clear(self, raw: Raw) -> Raw:
        """``raw`` with all pictures, every one of which the library has read."""
        lost = [image.name for number, image in enumerate(self.images) if number not in self.seen]
        if lost:
            raise ReadProblem(f"{len(lost)} images cannot be read from it: {some(lost)}")
        raw.images = self.images
        return raw


@contextmanager
def desk(files: Mapping[str, Path]) -> Iterator[Desk]:
    """An empty desk beside the unpacked files."""
    beside = next(iter(files.values())).parent
    with tempfile.TemporaryDirectory(dir=beside) as folder:
        yield Desk(Path(folder))


def text_of(files: Mapping[str, Path], member: str) -> str:
    """A member that is text, composed."""
    try:
        return unicodedata.normalize("NFC", files[member].read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ReadProblem(f"`{member}` is not text in UTF-8") from None


def size_of(files: Mapping[str, Path], member: str | None) -> tuple[int, int]:
    """Width and height as people see the picture, for formats that do not say them; 1 x 1 when it
    is missing or unreadable, which is told later."""
    return (measure(files[member]) if member else None) or (1, 1)


def _import(
    kind: str, path: Path, options: dict[str, Any]
) -> tuple[list[str], Iterator[tuple[int, list[Any]]]]:
    # The import takes more than a second.
    import datumaro

    try:
        extractor = datumaro.Environment().make_extractor(kind, str(path), **options)
        labels = extractor.categories().get(datumaro.AnnotationType.label, [])
        names = [label_of(label.name) for label in labels]
    except Exception as error:
        raise _problem(error) from None

    def items() -> Iterator[tuple[int, list[Any]]]:
        try:
            for item in extractor:
                yield int(str(item.id).rpartition(":")[2]), list(item.annotations)
        except ReadProblem:
            raise
        except Exception as error:
            raise _problem(error) from None

    return names, items()


def _problem(error: BaseException) -> ReadProblem:
    """The first cause, in the library's words."""
    while error.__cause__ is not None:
        error = error.__cause__
    said = " ".join(str(error).split()) or "no reason given"
    return ReadProblem(f"its annotations cannot be read: {type(error).__name__}, {said}")


def _keep(image: RawImage, marks: list[Any], labels: list[str], raw: Raw, grouped: bool) -> None:
    objects: dict[object, list[Any]] = {}
    for place, mark in enumerate(sorted(marks, key=lambda mark: mark.id)):
        objects.setdefault(mark.group if grouped else place, []).append(mark)
    for parts in objects.values():
        index = parts[0].label
        label = labels[index] if index is not None and 0 <= index < len(labels) else None
        if label is None:
            raw.lose("annotations without a class", image.name, None)
        elif any(turned(part.attributes.get("rotation")) for part in parts):
            raw.lose("rotated boxes", image.name, label)
        else:
            _keep_object(image, label, parts, raw)


def _keep_object(image: RawImage, label: str, parts: list[Any], raw: Raw) -> None:
    box: tuple[float, float, float, float] | None = None
    polygons: list[list[float]] = []
    for part in parts:
        kind = part.type.name
        if kind == "label":
            image.tags.append(label)
        elif kind == "bbox":
            x, y, width, height = part.get_bbox()
            box = (x, y, x + width, y + height)
        elif kind == "polygon":
            polygons.append([float(value) for value in part.points])
        elif kind == "mask":
            outer, holes = outline(part.image)
            raw.holes += holes
            polygons += outer
            if not outer:
                raw.lose("empty masks", image.name, label)
        else:
            raw.lose(LOST.get(kind, f"`{kind}` annotations"), image.name, label)
    if polygons:
        image.outline(label, polygons)
        if box:
            image.boxes[-1] = (label, *box)
    elif box:
        image.boxes.append((label, *box))
