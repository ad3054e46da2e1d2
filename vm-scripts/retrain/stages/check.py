"""check: what is in the zip, said in words when it cannot be trained on."""

from __future__ import annotations

import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from ..context import Context
from ..failure import bad_zip, some
from ..files import sha256_file
from ..images import SUFFIXES, Unreadable, open_rgb
from ..job import Job
from ..readers import READERS, Raw, Reader, ReadProblem
from ..readers.raw import RawImage, composed
from ..unzip import unpack
from .fetch import Fetched


@dataclass(frozen=True)
class Sample:
    """One picture: name as annotated, its file, sha256 of the file, (width, height), boxes.

    ``boxes`` are x1, y1, x2, y2 in pixels within the picture; ``labels`` index ``Dataset.classes``.
    """

    name: str
    path: Path
    sha256: str
    size: tuple[int, int]
    boxes: list[list[float]]
    labels: list[int]


@dataclass(frozen=True)
class Dataset:
    """All annotated pictures, in the export's order; classes in the job's order."""

    format: str
    classes: list[str]
    samples: list[Sample]

    def boxes_per_class(self) -> dict[str, int]:
        """Number of boxes of each class."""
        labels = [label for sample in self.samples for label in sample.labels]
        return {name: labels.count(index) for index, name in enumerate(self.classes)}


_OTHER_FORMATS = (
    ("Pascal VOC", "Annotations/"),
    ("YOLO", "data.yaml"),
    ("YOLO", "obj.data"),
    ("Datumaro", "annotations/default.json"),
    ("COCO keypoints", "annotations/person_keypoints_"),
)


def check(context: Context, job: Job) -> Dataset:
    """Unpack and read the zip; every fault ends the job with an E17 text."""
    name = job.zip_name
    folder = context.work / "zip"
    shutil.rmtree(folder, ignore_errors=True)
    files = unpack(context.result(Fetched).path, folder, name)
    if not any(PurePosixPath(n).suffix.lower() in SUFFIXES for n in files):
        raise bad_zip(name, "0 images in it; export again with 'Save images' switched on")
    reader, members = _reader(name, files)
    try:
        raw = reader.read(files, members)
    except ReadProblem as problem:
        raise bad_zip(name, str(problem)) from None
    _check_pictures(context, name, files, raw)
    classes = _classes(job, raw)
    dataset = Dataset(reader.title, classes, _samples(context, name, files, raw, classes))
    counts = dataset.boxes_per_class()
    if not any(counts.values()):
        raise bad_zip(name, f"no annotations: {len(dataset.samples)} images and not one box")
    empty = [label for label, count in counts.items() if count == 0]
    if empty:
        words = "class" if len(empty) == 1 else "classes"
        verb = "has" if len(empty) == 1 else "have"
        raise bad_zip(
            name,
            f"{words} {some(empty, 10)} {verb} 0 boxes in {len(dataset.samples)} images; "
            "draw some, or take the class out of the labels and the message",
        )
    context.log.info("check: %s, %d images, boxes %s", reader.title, len(dataset.samples), counts)
    return dataset


def _reader(zip_name: str, files: dict[str, Path]) -> tuple[Reader, list[str]]:
    found = [(reader, reader.find(files)) for reader in READERS]
    found = [(reader, members) for reader, members in found if members]
    if len(found) > 1:
        titles = " and ".join(reader.title for reader, _ in found)
        raise bad_zip(zip_name, f"it holds annotations twice: {titles}; leave one")
    if found:
        return found[0]
    other = next((t for t, sign in _OTHER_FORMATS if any(n.startswith(sign) for n in files)), None)
    seen = f" (it looks like {other})" if other else ""
    wanted = " or ".join(f"'{reader.title}'" for reader in READERS)
    raise bad_zip(
        zip_name,
        f"no annotations: neither annotations.xml nor a COCO json in it{seen}; export as {wanted}",
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
    for what, count in sorted(raw.losses.items()):
        context.warn(f"{count} {what} were left out: only upright boxes are trained on")
    for note in raw.notes:
        context.warn(note)


def _classes(job: Job, raw: Raw) -> list[str]:
    """The job's classes in its order; without any, those of the zip in its order."""
    used = {label for image in raw.images for label, *_ in image.boxes}
    there = raw.classes + sorted(used - set(raw.classes))
    if job.classes is None:
        return there
    asked = [composed(label) for label in job.classes]
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
    context: Context, zip_name: str, files: dict[str, Path], raw: Raw, classes: list[str]
) -> list[Sample]:
    """Pictures opened and measured, boxes clipped to them."""

    def look(image: RawImage) -> tuple[tuple[int, int] | None, str]:
        path = files[image.member or ""]
        try:
            picture: Image.Image = open_rgb(path)
        except Unreadable:
            return None, ""
        return picture.size, sha256_file(path)

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
    index = {label: place for place, label in enumerate(classes)}
    clipped = dropped = 0
    samples = []
    for image, (size, sha256) in zip(raw.images, seen, strict=True):
        assert size is not None, "broken images were refused above"
        boxes, labels = [], []
        for label, *corners in image.boxes:
            inside = _clip(corners, size)
            if inside is None:
                dropped += 1
                continue
            clipped += inside != corners
            boxes.append(inside)
            labels.append(index[label])
        path = files[image.member or ""]
        samples.append(Sample(image.name, path, sha256, size, boxes, labels))
    if clipped:
        context.warn(f"{clipped} boxes reached outside their image and were cut at its edge")
    if dropped:
        context.warn(
            f"{dropped} boxes were narrower than 1 pixel inside their image and were left out"
        )
    return samples


def _clip(corners: list[float], size: tuple[int, int]) -> list[float] | None:
    """The box within the picture, None when less than 1 px of it is left either way."""
    x1, y1, x2, y2 = corners
    inside = [
        min(max(x1, 0.0), size[0]),
        min(max(y1, 0.0), size[1]),
        min(max(x2, 0.0), size[0]),
        min(max(y2, 0.0), size[1]),
    ]
    wide = inside[2] - inside[0] >= 1 and inside[3] - inside[1] >= 1
    return [float(value) for value in inside] if wide else None
