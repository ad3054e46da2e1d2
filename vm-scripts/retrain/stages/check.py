"""check: what is in the zip, said in words when it cannot be trained on."""

from __future__ import annotations

import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from ..context import Context
from ..dataset import Dataset, Sample
from ..failure import bad_zip, some
from ..files import sha256_file
from ..images import SUFFIXES, Unreadable, open_rgb
from ..job import Job
from ..readers import READERS, Raw, Reader, ReadProblem
from ..readers.raw import RawImage, composed
from ..tasks import TASKS, Task, Unfit, task_of
from ..unzip import unpack
from .fetch import Fetched

_OTHER_FORMATS = (
    ("Pascal VOC", "Annotations/"),
    ("YOLO", "data.yaml"),
    ("YOLO", "obj.data"),
    ("Datumaro", "annotations/default.json"),
    ("COCO keypoints", "annotations/person_keypoints_"),
)


def check(context: Context, job: Job) -> Dataset:
    """Unpack and read the zip; every fault ends the job with an E17 text."""
    name, task = job.zip_name, task_of(job)
    folder = context.work / "zip"
    shutil.rmtree(folder, ignore_errors=True)
    files = unpack(context.result(Fetched).path, folder, name)
    if not any(PurePosixPath(n).suffix.lower() in SUFFIXES for n in files):
        raise bad_zip(name, "0 images in it; export again with 'Save images' switched on")
    reader, members = _reader(name, task, files)
    try:
        raw = reader.read(files, members)
    except ReadProblem as problem:
        raise bad_zip(name, str(problem)) from None
    _check_pictures(context, name, files, raw)
    _check_marks(context, name, task, raw)
    classes = _classes(job, task, raw)
    try:
        samples = _samples(context, name, task, files, raw, classes)
    except Unfit as problem:
        raise bad_zip(name, str(problem)) from None
    dataset = Dataset(reader.title, classes, samples)
    counts, (_, many) = dataset.per_class(), task.mark.value
    empty = [label for label, count in counts.items() if count == 0]
    if empty:
        words = "class" if len(empty) == 1 else "classes"
        verb = "has" if len(empty) == 1 else "have"
        raise bad_zip(
            name,
            f"{words} {some(empty, 10)} {verb} 0 {many} in {len(dataset.samples)} images; "
            f"{task.more}, or take the class out of the labels and the message",
        )
    context.log.info(
        "check: %s, %d images, %s %s", reader.title, len(dataset.samples), many, counts
    )
    return dataset


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
    raise bad_zip(
        zip_name,
        f"no annotations: neither annotations.xml nor a COCO json in it{seen}; export as {fit}",
    )


def _check_pictures(context: Context, zip_name: str, files: dict[str, Path], raw: Raw) -> None:
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
    pictures = {n for n in files if PurePosixPath(n).suffix.lower() in SUFFIXES}
    spare = len(pictures - set(members))
    if spare:
        context.warn(f"{spare} images in the zip are not annotated and were not used")
    for note in raw.notes:
        context.warn(note)


def _check_marks(context: Context, zip_name: str, task: Task[Any], raw: Raw) -> None:
    """There is something that the task learns from; what it does not learn from is told."""
    one = task.mark.value[0]
    others = {what: count for what, count in task.others(raw).items() if count}
    if not any(task.names(image) for image in raw.images):
        there = ", ".join(f"{count} {what}" for what, count in others.items())
        fits = [t for t in TASKS.values() if any(t.names(image) for image in raw.images)]
        send = " or ".join(f"{t.number} ({t.name})" for t in fits)
        hint = f"; for the {there} in it send dl_type {send}" if fits else ""
        raise bad_zip(zip_name, f"no annotations: {len(raw.images)} images and not one {one}{hint}")
    for what, count in sorted({**raw.losses, **others}.items()):
        context.warn(f"{count} {what} were left out: only {task.only} are trained on")


def _classes(job: Job, task: Task[Any], raw: Raw) -> list[str]:
    """The job's classes in its order; without any, those of the zip in its order.

    A class that only other tasks' annotations have is not the task's, unless it was asked for.
    """
    asked = None if job.classes is None else [composed(label) for label in job.classes]
    own = {label for image in raw.images for label in task.names(image)}
    others = {label for image in raw.images for label in image.names()} - own - set(asked or [])
    there = [label for label in raw.classes if label not in others]
    there += sorted(own - set(there))
    if asked is None:
        return there
    only_asked = [label for label in asked if label not in there]
    only_there = [label for label in there if label not in asked]
    if only_asked or only_there:
        parts = []
        if only_asked:
            parts.append(f"only in the message: {some(only_asked, 10)}")
        if only_there:
            parts.append(f"only in the zip: {some(only_there, 10)}")
        raise bad_zip(
            job.zip_name,
            "the classes of the message differ from those of the zip: " + "; ".join(parts),
        )
    return asked


def _samples(
    context: Context,
    zip_name: str,
    task: Task[Any],
    files: dict[str, Path],
    raw: Raw,
    classes: list[str],
) -> list[Sample]:
    """Pictures opened and measured, with what the task learns from; raises ``Unfit``."""

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
    marked = task.marked(raw.images, sizes, classes, context.warn)
    return [
        Sample(image.name, files[image.member or ""], sha256, size, boxes, labels)
        for image, size, (_, sha256), (boxes, labels) in zip(
            raw.images, sizes, seen, marked, strict=True
        )
    ]
