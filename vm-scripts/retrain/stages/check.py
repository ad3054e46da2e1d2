"""check: what is in the zip, said in words when it cannot be trained on."""

from __future__ import annotations

import unicodedata
from typing import Any

from ..context import Context
from ..dataset import Dataset, Sample
from ..failure import bad_zip, some
from ..intake import samples_of, take
from ..job import Job
from ..line import labels_of_line
from ..readers import Raw
from ..readers.raw import label_of
from ..tasks import Task, task_of
from .fetch import Fetched

# As the handler reads them in manifest.json.
MOST_CLASSES = 200
LONGEST_NAME = 256
ALL_NAMES = 16384


def check(context: Context, job: Job) -> Dataset:
    """Unpack and read the zip, and the line's validation zip; every fault ends the job (E17)."""
    name, task, fetched = job.zip_name, task_of(job), context.result(Fetched)
    intake = take(fetched.path, context.work / "zip", name, task, context.warn)
    classes = _classes(job, task, intake.raw)
    _check_names(name, classes)
    samples = samples_of(intake, task, classes, context.warn)
    validation = _validation(context, job, task, classes, fetched)
    kept = _without(context, samples, validation)
    where = f"{len(kept)} images"
    if len(kept) < len(samples):
        where = f"the {where} that may train (those in `validation/{job.line}.zip` too only judge)"
    dataset = Dataset(intake.title, classes, kept, validation)
    counts, (_, many) = dataset.per_class(), task.mark.value
    empty = [label for label, count in counts.items() if count == 0]
    if empty:
        words = "class" if len(empty) == 1 else "classes"
        verb = "has" if len(empty) == 1 else "have"
        raise bad_zip(
            name,
            f"{words} {some(empty, 10)} {verb} 0 {many} in {where}; "
            f"{task.more}, or take the class out of the labels and the message",
        )
    _compare_line(context, job, classes)
    context.log.info(
        "check: %s, %d images, %s %s; %d images of the validation zip",
        intake.title,
        len(kept),
        many,
        counts,
        len(validation),
    )
    return dataset


def _check_names(zip_name: str, classes: list[str]) -> None:
    """What could not be published is told before it is trained on."""
    if len(classes) > MOST_CLASSES:
        raise bad_zip(
            zip_name, f"it has {len(classes)} classes, at most {MOST_CLASSES} are allowed"
        )
    bad = [
        name
        for name in classes
        if not 0 < len(name.encode("utf-8", "replace")) <= LONGEST_NAME
        or any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name)
    ]
    if bad:
        raise bad_zip(
            zip_name,
            f"{len(bad)} names of classes are empty, longer than {LONGEST_NAME} bytes or no plain "
            f"text on one line: {some(bad)}; rename them in CVAT and export again",
        )
    if sum(len(name.encode()) for name in classes) > ALL_NAMES:
        raise bad_zip(zip_name, f"the names of its classes are together over {ALL_NAMES} bytes")


def _classes(job: Job, task: Task[Any], raw: Raw) -> list[str]:
    """The job's classes in its order; without any, those of the zip in its order.

    A class that only other tasks' annotations have is not the task's, unless it was asked for.
    """
    asked = None if job.classes is None else [label_of(label) for label in job.classes]
    there = _classes_there(task, raw, asked or [])
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


def _classes_there(task: Task[Any], raw: Raw, asked: list[str]) -> list[str]:
    own = {label for image in raw.images for label in task.names(image)}
    others = {label for image in raw.images for label in image.names()} - own - set(asked)
    there = [label for label in raw.classes if label not in others]
    return there + sorted(own - set(there))


def _compare_line(context: Context, job: Job, classes: list[str]) -> None:
    """Tell where the classes differ from those of the line's current model; whether that may be
    published is decided elsewhere."""
    former = labels_of_line(context, job)
    if former is None:
        return
    new = [label for label in classes if label not in former]
    gone = [label for label in former if label not in classes]
    if new:
        context.warn(f"classes that the current model of `{job.line}` does not know: {some(new)}")
    if gone:
        context.warn(
            f"classes of the current model of `{job.line}` that are not in the zip and that the "
            f"new model will not know: {some(gone)}; annotate them in this zip too to keep them"
        )


def _validation(
    context: Context, job: Job, task: Task[Any], classes: list[str], fetched: Fetched
) -> list[Sample]:
    """Pictures of the line's validation zip, as far as they show classes of this job."""
    if fetched.validation is None:
        return []
    name = f"validation/{job.line}.zip"

    def warn(text: str) -> None:
        context.warn(f"validation zip: {text}")

    intake = take(fetched.validation, context.work / "validation", name, task, warn)
    images = intake.raw.images
    strange = [i for i in images if not set(task.names(i)) <= set(classes)]
    if strange:
        labels = sorted({label for i in strange for label in task.names(i)} - set(classes))
        warn(
            f"{len(strange)} of {len(images)} images show classes that this job does not have "
            f"({some(labels)}) and were left out: {some([i.name for i in strange])}"
        )
        intake.raw.images = [image for image in images if set(task.names(image)) <= set(classes)]
    if not intake.raw.images:
        return []
    return _single(samples_of(intake, task, classes, warn))


def _single(samples: list[Sample]) -> list[Sample]:
    """Each picture once."""
    return list({sample.sha256: sample for sample in reversed(samples)}.values())[::-1]


def _without(context: Context, samples: list[Sample], validation: list[Sample]) -> list[Sample]:
    """The zip's pictures that are not in the validation zip: those judge and never train."""
    judges = {sample.sha256 for sample in validation}
    both = [sample.name for sample in samples if sample.sha256 in judges]
    if both:
        context.warn(
            f"{len(both)} images are also in the validation zip of the line and were not trained "
            f"on: {some(both)}"
        )
    return [sample for sample in samples if sample.sha256 not in judges]
