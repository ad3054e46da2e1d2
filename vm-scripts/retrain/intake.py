"""One zip taken in: unpacked, read, and looked at picture by picture.

Whatever would go wrong in silence ends with a sentence that names pictures, classes and numbers: a
``Failure`` (text E17) when the zip cannot be trained on, else a warning.
"""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .dataset import Sample
from .failure import bad_zip, some
from .files import sha256_file
from .images import SUFFIXES, Unreadable, open_rgb
from .readers import READERS, Mark, Raw, Reader, ReadProblem
from .readers.raw import RawImage
from .tasks import TASKS, Task, Unfit
from .unzip import unpack

Warn = Callable[[str], None]

_OTHER_FORMATS = (
    ("COCO keypoints", "annotations/person_keypoints_"),
    ("Segmentation mask", "SegmentationClass/"),
)


@dataclass(frozen=True)
class Intake:
    """A zip as it was read: its format's title, its content, its files by their clean names."""

    zip_name: str
    title: str
    raw: Raw
    files: dict[str, Path]


def take(path: Path, folder: Path, zip_name: str, task: Task[Any], warn: Warn) -> Intake:
    """Unpack ``path`` into the fresh ``folder`` and read its annotations."""
    shutil.rmtree(folder, ignore_errors=True)
    files = unpack(path, folder, zip_name)
    if not any(_is_picture(name) for name in files):
        raise bad_zip(zip_name, "0 images in it; export again with 'Save images' switched on")
    reader, members = _reader(zip_name, task, files)
    try:
        raw = reader.read(files, members)
    except ReadProblem as problem:
        raise bad_zip(zip_name, str(problem)) from None
    _check_pictures(zip_name, files, raw, warn)
    _check_marks(zip_name, task, raw, warn)
    return Intake(zip_name, reader.title, raw, files)


def samples_of(intake: Intake, task: Task[Any], classes: list[str], warn: Warn) -> list[Sample]:
    """Pictures opened and measured, with what the task learns from."""
    try:
        samples = _samples(intake, task, classes, warn)
    except Unfit as problem:
        raise bad_zip(intake.zip_name, str(problem)) from None
    _check_twins(intake.zip_name, task.mark, samples, warn)
    return samples


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _reader(zip_name: str, task: Task[Any], files: dict[str, Path]) -> tuple[Reader, list[str]]:
    found = [(reader, reader.find(files)) for reader in READERS]
    found = [(reader, members) for reader, members in found if members]
    fit = " or ".join(f"'{reader.title}'" for reader in READERS if task.mark in reader.marks)
    if len(found) > 1:
        titles = " and ".join(reader.title for reader, _ in found)
        raise bad_zip(zip_name, f"it holds annotations twice: {titles}; leave one")
    if found:
        title, marks = found[0][0].title, found[0][0].marks
        if task.mark not in marks:
            raise bad_zip(
                zip_name, f"{title} has no {task.mark.value[1]}; send {fit} for {task.name}"
            )
        return found[0]
    other = next((t for t, sign in _OTHER_FORMATS if any(n.startswith(sign) for n in files)), None)
    seen = f" (it looks like {other})" if other else ""
    raise bad_zip(zip_name, f"no annotations: none that are known here{seen}; export as {fit}")


def _check_pictures(zip_name: str, files: dict[str, Path], raw: Raw, warn: Warn) -> None:
    if not raw.images:
        raise bad_zip(zip_name, "0 images are annotated in it")
    missing = [image.name for image in raw.images if image.member is None]
    if missing:
        raise bad_zip(
            zip_name,
            f"{len(missing)} of {len(raw.images)} annotated images are not in it: {some(missing)}",
        )
    members = [image.member for image in raw.images if image.member]
    twice = sorted(member for member, count in Counter(members).items() if count > 1)
    if twice:
        raise bad_zip(zip_name, f"two annotated images share one file: {some(twice)}")
    spare = sorted({name for name in files if _is_picture(name)} - set(members))
    if spare:
        warn(f"{len(spare)} images in the zip are not annotated and were not used: {some(spare)}")
    astray = [image.name for image in raw.images if not all(map(math.isfinite, _corners(image)))]
    if astray:
        raise bad_zip(zip_name, f"{len(astray)} images have corners without end: {some(astray)}")
    for note in raw.notes:
        warn(note)


def _corners(image: RawImage) -> Iterator[float]:
    for _, *box in image.boxes:
        yield from box
    for _, parts in image.polygons:
        for part in parts:
            yield from part


def _check_marks(zip_name: str, task: Task[Any], raw: Raw, warn: Warn) -> None:
    """There is something that the task learns from; what it does not learn from is told."""
    one = task.mark.value[0]
    others = {what: count for what, count in task.others(raw).items() if count}
    if not any(task.names(image) for image in raw.images):
        lost = {what: loss.count for what, loss in raw.losses.items()}
        there = ", ".join(f"{count} {what}" for what, count in {**others, **lost}.items())
        fits = [t for t in TASKS.values() if any(t.names(image) for image in raw.images)]
        send = " or ".join(f"{t.number} ({t.name})" for t in fits)
        hint = f"; there are {there}" if there else ""
        if fits:
            hint = f"; for the {there} in it send dl_type {send}"
        raise bad_zip(zip_name, f"no annotations: {len(raw.images)} images and not one {one}{hint}")
    why = f"only {task.only} are trained on"
    for what, count in sorted(others.items()):
        warn(f"{count} {what} were left out: {why}")
    for what, loss in sorted(raw.losses.items()):
        classes = f"of class {some(list(loss.classes))} " if loss.classes else ""
        warn(f"{loss.count} {what} were left out ({classes}on {some(list(loss.images))}): {why}")
    if raw.holes and task.mark is Mark.POLYGON:
        warn(f"{raw.holes} masks have holes; these count as part of the object")


def _samples(intake: Intake, task: Task[Any], classes: list[str], warn: Warn) -> list[Sample]:
    raw, files, zip_name = intake.raw, intake.files, intake.zip_name

    def look(image: RawImage) -> tuple[tuple[int, int] | None, str]:
        path = files[image.member or ""]
        try:
            size = open_rgb(path).size
        except Unreadable:
            return None, ""
        return size, sha256_file(path)

    with ThreadPoolExecutor() as pool:
        seen = list(pool.map(look, raw.images))
    broken = [image.name for image, (size, _) in zip(raw.images, seen, strict=True) if size is None]
    if broken:
        raise bad_zip(zip_name, f"{len(broken)} images cannot be read: {some(broken)}")
    other_size = [
        image.name
        for image, (size, _) in zip(raw.images, seen, strict=True)
        if size != (image.width, image.height)
    ]
    if other_size:
        raise bad_zip(
            zip_name,
            f"{len(other_size)} images have another size than when they were annotated: "
            f"{some(other_size)}",
        )
    sizes = [(image.width, image.height) for image in raw.images]
    marked = task.marked(raw.images, sizes, classes, warn)
    if task.mark is not Mark.TAG:
        _tell_edges(raw, warn)
    empty = [i.name for i, parts in zip(raw.images, marked, strict=True) if not parts[1]]
    if empty:
        warn(
            f"{len(empty)} of {len(marked)} images have no {task.mark.value[1]} and teach what is "
            f"no object: {some(empty)}"
        )
    return [
        Sample(image.name, files[image.member or ""], sha256, size, *parts)
        for image, size, (_, sha256), parts in zip(raw.images, sizes, seen, marked, strict=True)
    ]


def _tell_edges(raw: Raw, warn: Warn) -> None:
    """Where annotations reach out of their picture, which the task has cut or left out."""
    places: dict[str, None] = {}
    classes: dict[str, None] = {}
    for image in raw.images:
        for label, x1, y1, x2, y2 in image.boxes:
            if x1 < 0 or y1 < 0 or x2 > image.width or y2 > image.height:
                places[image.name] = None
                classes[label] = None
    if places:
        warn(
            f"{len(places)} images have annotations that reach outside them "
            f"(of class {some(list(classes))}): {some(list(places))}"
        )


def _check_twins(zip_name: str, mark: Mark, samples: list[Sample], warn: Warn) -> None:
    """The same picture twice, which is how a picture with two tags comes out of ImageNet."""
    first: dict[str, Sample] = {}
    same: list[str] = []
    apart: list[str] = []
    for sample in samples:
        former = first.setdefault(sample.sha256, sample)
        if former is not sample:
            alike = (former.labels, former.boxes) == (sample.labels, sample.boxes)
            (same if alike else apart).append(f"{former.name} = {sample.name}")
    if apart and mark is Mark.TAG:
        raise bad_zip(
            zip_name, f"{len(apart)} images are in it twice with different tags: {some(apart)}"
        )
    for pairs, how in ((same, ""), (apart, ", annotated differently")):
        if pairs:
            warn(f"{len(pairs)} images are in the zip twice under two names{how}: {some(pairs)}")
