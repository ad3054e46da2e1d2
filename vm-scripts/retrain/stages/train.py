"""train: the trainer at work, its checkpoints kept on the share while it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import checkpoints
from ..context import Context
from ..dataset import Dataset, Sample
from ..failure import TIMEOUT, Failure
from ..files import dumps, read_json, sha256_of, write_bytes, write_json
from ..job import Job
from ..net import NetFailure
from ..restore import link_name, restore
from ..steps import FIRST_STEP, to_first_step
from ..trainer import run
from .split import Split

GRACE_S = 120
UPLOAD_EVERY_S = 5.0
HURRY_S = 1.0
INDEX_SIZE = 4096
"""The index on the share is filled up to this size, so that it can be written over in one call."""
GONE = frozenset({404, 416})


@dataclass(frozen=True)
class Trained:
    """What training left. ``metric``: the primary metric of the best epoch on the select images, as
    the trainer measured it; ``history``: one entry per measured epoch (empty when the trainer was
    killed); ``warm``: it was given a former job's checkpoint to begin with."""

    best: bytes
    metric: float
    best_epoch: int
    epochs_done: int
    history: list[dict[str, Any]]
    trainer: dict[str, Any]
    seconds: float
    warm: bool = False


class _Keeper:
    """Watches the trainer's ckpt.json: tells the heartbeat, brings checkpoints to the share. Tells
    the trainer when more time was given."""

    def __init__(
        self, context: Context, job: Job, folder: Path, there: dict[str, Any] | None
    ) -> None:
        self._context, self._job, self._folder = context, job, folder
        self.until_file = folder / "until.json"
        self._until_s = 0.0
        self._tell_until()
        self._there = there
        self._seen = 0
        self._next_upload = 0.0
        self._hurried = False
        self._failing = False

    def watch(self) -> None:
        """Called several times a second while the trainer runs."""
        self._tell()
        self._tell_until()
        hurry = self._context.eviction.noticed
        if time.monotonic() >= self._next_upload or (hurry and not self._hurried):
            self._hurried = hurry
            self.upload()
            self._next_upload = time.monotonic() + (HURRY_S if hurry else UPLOAD_EVERY_S)

    def finish(self) -> None:
        """Once, when the trainer has ended."""
        self._tell()
        self.upload()

    def _tell(self) -> None:
        try:
            changed = (self._folder / checkpoints.INDEX).stat().st_mtime_ns
        except OSError:
            return
        if changed != self._seen:
            self._seen = changed
            index = read_json(self._folder / checkpoints.INDEX)
            self._context.beat.progress(index["epoch"], index["best"]["metric"])

    def _tell_until(self) -> None:
        until = self._context.control.times.train_until_s
        if until != self._until_s:
            write_json(self.until_file, {"train_until_s": until})
            self._until_s = until

    def upload(self) -> None:
        """Bring the newest complete checkpoint to the share; a failure is only logged.

        A cut at any moment leaves the one before: its files and its index are not touched until
        the new files are there.
        """
        snapshot = checkpoints.load(self._folder, self._job.job_id)
        if snapshot is None or (self._there and self._there["epoch"] == snapshot.index["epoch"]):
            return
        writes, index = checkpoints.plan(self._there, snapshot)
        try:
            for name, data in writes:
                self._context.net.put_file(self._job.link(link_name("log", name)), data)
            content = dumps(index).ljust(INDEX_SIZE)
            if self._there is None:
                self._context.net.put_file(self._job.link("log_ckpt"), content)
            else:
                self._context.net.write_file(self._job.link("log_ckpt"), content)
            self._there, self._failing = index, False
        except NetFailure as problem:
            if not self._failing:
                self._context.warn(f"a checkpoint could not be kept on the share: {problem}")
            self._failing = True
            if problem.status in GONE:
                self._there = None


def _parent(context: Context, job: Job, folder: Path) -> str | None:
    """The former job's checkpoint as a file; a missing one is a cold start with a warning."""
    if "parent_checkpoint" not in job.links:
        return None
    path = folder / "parent.pth"
    if not path.exists():
        try:
            data = context.net.read(job.links["parent_checkpoint"])
        except NetFailure as problem:
            raise Failure(
                f"the checkpoint of `{job.continue_from}` could not be read: {problem}"
            ) from None
        if data is None:
            context.warn(f"`{job.continue_from}` has no latest.pth; training from scratch")
            return None
        write_bytes(path, data)
    return str(path)


def rows(samples: list[Sample]) -> list[dict[str, Any]]:
    """Pictures as the trainer reads them."""
    return [
        {"path": str(s.path), "boxes": s.boxes, "labels": s.labels, "polygons": s.polygons}
        for s in samples
    ]


def _images(parts: Split) -> str:
    """Which images train and which choose the epoch, with their annotations, in one word."""
    sides = [
        sorted((s.sha256, s.labels, s.boxes, s.polygons) for s in side)
        for side in (parts.train, parts.select)
    ]
    return sha256_of(dumps(sides))


def train(context: Context, job: Job) -> Trained:
    """Run the trainer until it is done or its time is up; the best epoch's checkpoint."""
    began = time.monotonic()
    folder = context.work / "train"
    folder.mkdir(parents=True, exist_ok=True)
    parts = context.result(Split)
    write_json(folder / "data.json", {"train": rows(parts.train), "val": rows(parts.select)})
    images = _images(parts)
    keeper = _Keeper(context, job, folder, restore(context, job, folder, images))
    request = {
        "v": 1,
        "step": "train",
        "job_id": job.job_id,
        "attempt": job.attempt,
        "task": job.task,
        "model": job.model,
        "input_size": job.input_size,
        "pretrained": job.pretrained,
        "classes": context.result(Dataset).classes,
        "epochs": job.epochs,
        "seed": job.seed,
        "data": str(folder / "data.json"),
        "images": images,
        "init_checkpoint": _parent(context, job, folder),
        "train_until_s": context.control.times.train_until_s,
        "until_file": str(keeper.until_file),
        "out": str(folder),
    }
    (folder / FIRST_STEP).unlink(missing_ok=True)
    answer = run(
        context,
        job.trainer,
        request,
        lambda: context.control.times.train_until_s + GRACE_S,
        keeper.watch,
    )
    keeper.finish()
    context.to_first_step_s = to_first_step(context.state, folder)
    snapshot = checkpoints.load(folder, job.job_id)
    if snapshot is None:
        raise Failure(
            "the training time was over before there was anything to export; "
            "send it with fewer epochs, fewer images or a larger max_hours",
            TIMEOUT,
            "timed_out",
        )
    if answer is None:
        context.warn("the trainer did not stop in time and was killed; its best epoch is exported")
        answer = {"trainer": {"name": job.trainer, "version": None}, "metrics": {"history": []}}
    for text in answer.get("warnings", []):
        context.warn(text)
    index = snapshot.index
    if answer.get("out_of_time"):
        context.warn(
            f"time was up after {index['epoch']} of {job.epochs} epochs; the best is exported"
        )
    return Trained(
        snapshot.best,
        float(index["best"]["metric"]),
        int(index["best"]["epoch"]),
        int(index["epoch"]),
        answer["metrics"]["history"],
        answer["trainer"],
        time.monotonic() - began,
        request["init_checkpoint"] is not None,
    )
