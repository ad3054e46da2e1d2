"""split: which pictures train, which choose the epoch, which judge; split.json.

The pictures of the line's validation zip only ever judge; they are not counted in the asked share.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..context import Context
from ..dataset import Dataset, Sample
from ..failure import Failure, bad_zip, some
from ..files import write_json
from ..job import Job
from ..net import NetFailure
from ..splitting import CannotSplit, Item, divide, merged
from ..tasks import task_of

SMALL_SET = 60


@dataclass(frozen=True)
class Split:
    """Pictures of each side. ``select`` chooses the epoch and the threshold, ``gate`` only judges;
    both are all of ``val`` when there are fewer than 60 (``small_set``). ``learned``: sha256 of the
    pictures that the former run, the current model or one of their ancestors trained on;
    ``current_told``, ``parent_told``: whether the current model's, the former run's are known."""

    train: list[Sample]
    val: list[Sample]
    select: list[Sample]
    gate: list[Sample]
    small_set: bool
    learned: frozenset[str] = frozenset()
    current_told: bool = False
    parent_told: bool = True


def split(context: Context, job: Job) -> Split:
    """Divide the pictures and write out/split.json."""
    dataset = context.result(Dataset)
    current = _former(context, job, "current_split")
    parent = _former(context, job, "parent_split")
    known = merged(parent, current)
    judges = _judges(context, dataset.validation, known)
    items = [Item(s.sha256, s.name, tuple(s.labels)) for s in dataset.samples]
    try:
        sides = divide(items, known, job.train_share, job.seed, job.group)
    except CannotSplit as problem:
        raise bad_zip(job.zip_name, str(problem)) from None
    document = {
        "v": 1,
        "job_id": job.job_id,
        "seed": job.seed,
        "train": job.train_share,
        "group": job.group,
        "images": {**known, **sides, **_entries(judges)},
    }
    context.out.mkdir(parents=True, exist_ok=True)
    write_json(context.out / "split.json", document)
    train = [s for s in dataset.samples if sides[s.sha256]["side"] == "train"]
    val = [s for s in dataset.samples if sides[s.sha256]["side"] == "val"] + judges
    for side, samples in (("training", train), ("validation", val)):
        if not any(sample.labels for sample in samples):
            mark = task_of(job).mark.value[0]
            raise bad_zip(job.zip_name, f"no {side} image has a {mark}; annotate at least 2 images")
    _tell_gaps(context, dataset, train, val)
    context.log.info("split: %d train, %d validation images", len(train), len(val))
    learned = frozenset(sha256 for sha256, entry in known.items() if entry["side"] == "train")
    parent_told = parent is not None or "parent_split" not in job.links
    return Split(train, val, *halves(val), learned, current is not None, parent_told)


def _judges(context: Context, validation: list[Sample], known: dict[str, Any]) -> list[Sample]:
    """The validation zip's pictures that no ancestor has trained on: a model is not to be judged
    on what it was shown, be it the new one or the one that it is compared with."""
    taught = [s.name for s in validation if known.get(s.sha256, {}).get("side") == "train"]
    if taught:
        context.warn(
            f"{len(taught)} of {len(validation)} images of the validation zip were trained on by "
            f"former runs and judge nothing: {some(taught)}"
        )
    return [s for s in validation if known.get(s.sha256, {}).get("side") != "train"]


def _entries(judges: list[Sample]) -> dict[str, dict[str, str]]:
    return {s.sha256: {"side": "val", "run": "validation zip", "name": s.name} for s in judges}


def halves(val: list[Sample]) -> tuple[list[Sample], list[Sample], bool]:
    """``select`` and ``gate`` by the picture's hash, and whether the set is too small for that."""
    select = [s for s in val if int(s.sha256[:8], 16) % 2 == 0]
    gate = [s for s in val if int(s.sha256[:8], 16) % 2 == 1]
    if len(val) < SMALL_SET or not select or not gate:
        return val, val, True
    return select, gate, False


def _tell_gaps(context: Context, dataset: Dataset, train: list[Sample], val: list[Sample]) -> None:
    for side, samples in (("training", train), ("validation", val)):
        there = {label for sample in samples for label in sample.labels}
        gone = [name for index, name in enumerate(dataset.classes) if index not in there]
        if gone:
            context.warn(f"no {side} image shows {', '.join(f'`{name}`' for name in gone)}")


def _former(context: Context, job: Job, name: str) -> dict[str, Any] | None:
    """An ancestor's split.json; None without such an ancestor."""
    if name not in job.links:
        return None
    try:
        data = context.net.read(job.links[name])
    except NetFailure as problem:
        raise Failure(f"the split of the former run could not be read: {problem}") from None
    if data is None:
        context.warn(f"{name.replace('_', ' ')}: no split.json there; its images count as unseen")
        return None
    try:
        document = json.loads(data)
        sides = {entry["side"] for entry in document["images"].values()}
        if not sides <= {"train", "val"} or any(
            "run" not in e for e in document["images"].values()
        ):
            raise ValueError("unknown side")
        return dict(document)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Failure(
            f"{name.replace('_', ' ')}: split.json of the former run is damaged"
        ) from None
