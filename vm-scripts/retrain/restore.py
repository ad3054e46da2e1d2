"""Which checkpoint an attempt goes on from: the newest that is whole, wherever it was kept.

On this disk (after a reboot), on the share under this run's names, or on the share under those of
former runs, whose machines were taken away.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import checkpoints
from .checkpoints import Snapshot
from .context import Context
from .files import write_bytes, write_json
from .job import Job
from .net import NetFailure

FORMER_MAX = 9


@dataclass(frozen=True)
class Place:
    """``words`` for people; ``read``: the bytes of a file by its name, None when it is not there
    (raises NetFailure)."""

    words: str
    read: Callable[[str], bytes | None]


def link_name(prefix: str, file_name: str) -> str:
    """("log", "last.0.pth") -> log_last_0; ("former_1", "ckpt.json") -> former_1_ckpt"""
    stem = file_name.removesuffix(".pth").removesuffix(".json")
    return f"{prefix}_{stem.replace('.', '_')}"


def _disk(folder: Path) -> Place:
    def read(name: str) -> bytes | None:
        try:
            return (folder / name).read_bytes()
        except OSError:
            return None

    return Place("the disk", read)


def _share(context: Context, job: Job, prefix: str, words: str) -> Place:
    return Place(words, lambda name: context.net.read(job.link(link_name(prefix, name))))


def _formers(context: Context, job: Job) -> list[Place]:
    """The places of former runs that may be read, the last run first."""
    return [
        _share(context, job, f"former_{ago}", "the machine before" + (f" ({ago} ago)" * (ago > 1)))
        for ago in range(1, FORMER_MAX + 1)
        if link_name(f"former_{ago}", checkpoints.INDEX) in job.links
    ]


def _index(context: Context, job: Job, place: Place, images: str | None) -> dict[str, Any] | None:
    """The index of a place; None when there is none, with a warning when it cannot be used."""
    try:
        data = place.read(checkpoints.INDEX)
        if data is None:
            return None
        index = json.loads(data)
    except (NetFailure, ValueError, RecursionError) as problem:
        context.warn(f"the checkpoint of {place.words} could not be read: {problem}")
        return None
    if not checkpoints.matches(index, job.job_id):
        context.warn(f"the checkpoint of {place.words} is not one of this job and is skipped")
        return None
    if index.get("images") != images:
        context.warn(
            f"the checkpoint of {place.words} is of other images and is skipped: the line's "
            "current model or validation zip has changed since, and it may know what judges it"
        )
        return None
    return dict(index)


def _snapshot(context: Context, place: Place, index: dict[str, Any]) -> Snapshot | None:
    """The checkpoint that ``index`` names; None, with a warning, when it is not whole."""
    try:
        last, best = (place.read(index[kind]["name"]) or b"" for kind in ("last", "best"))
    except NetFailure as problem:
        context.warn(f"the checkpoint of {place.words} could not be read: {problem}")
        return None
    snapshot = Snapshot(index, last, best)
    if checkpoints.complete(snapshot):
        return snapshot
    context.warn(
        f"the checkpoint of {place.words} (epoch {index['epoch']}) is not whole and is skipped"
    )
    return None


def restore(
    context: Context, job: Job, folder: Path, images: str | None = None
) -> dict[str, Any] | None:
    """Put the newest whole checkpoint into ``folder``, last and best; none of other ``images``.

    Returns the index that this run has on the share, None when nothing whole is there.
    """
    disk, own = _disk(folder), _share(context, job, "log", "the share")
    found = [
        (place, index)
        for place in (disk, own, *_formers(context, job))
        if (index := _index(context, job, place, images)) is not None
    ]
    there: dict[str, Any] | None = None
    done = False
    for place, index in sorted(found, key=lambda pair: -pair[1]["epoch"]):
        if done and place is not own:
            continue
        snapshot = _snapshot(context, place, index)
        if snapshot is None:
            continue
        if place is own:
            there = index
        if not done and place is not disk:
            _put(folder, snapshot)
            context.log.info(
                "train: checkpoint of epoch %d taken from %s", index["epoch"], place.words
            )
        done = True
    if not done:  # the trainer goes on from what it finds
        (folder / checkpoints.INDEX).unlink(missing_ok=True)
    return there


def _put(folder: Path, snapshot: Snapshot) -> None:
    """The index last: a cut before leaves none, or one that does not verify."""
    write_bytes(folder / snapshot.index["last"]["name"], snapshot.last)
    write_bytes(folder / snapshot.index["best"]["name"], snapshot.best)
    write_json(folder / checkpoints.INDEX, snapshot.index)
