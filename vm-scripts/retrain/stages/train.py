"""train: the trainer at work, its checkpoints kept on the share while it runs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import checkpoints
from ..checkpoints import Snapshot
from ..context import Context
from ..dataset import Dataset, Sample
from ..failure import TIMEOUT, Failure
from ..files import read_json, write_bytes, write_json
from ..job import Job
from ..net import NetFailure
from ..trainer import run
from .split import Split

GRACE_S = 120
UPLOAD_EVERY_S = 5.0


@dataclass(frozen=True)
class Trained:
    """What training left. ``metric``: the primary metric of the best epoch on the select images, as
    the trainer measured it; ``history``: one entry per measured epoch (empty when the trainer was
    killed)."""

    best: bytes
    metric: float
    best_epoch: int
    epochs_done: int
    history: list[dict[str, Any]]
    trainer: dict[str, Any]
    seconds: float


class _Keeper:
    """Watches the trainer's ckpt.json: tells the heartbeat, brings checkpoints to the share."""

    def __init__(
        self, context: Context, job: Job, folder: Path, there: dict[str, Any] | None
    ) -> None:
        self._context, self._job, self._folder = context, job, folder
        self._there = there
        self._seen = 0
        self._next_upload = 0.0
        self._failing = False

    def watch(self) -> None:
        """Called several times a second while the trainer runs."""
        self._tell()
        if time.monotonic() >= self._next_upload:
            self.upload()
            self._next_upload = time.monotonic() + UPLOAD_EVERY_S

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

    def upload(self) -> None:
        """Bring the newest complete checkpoint to the share; a failure is only logged."""
        snapshot = checkpoints.load(self._folder, self._job.job_id)
        if snapshot is None or (self._there and self._there["epoch"] == snapshot.index["epoch"]):
            return
        writes, index = checkpoints.plan(self._there, snapshot)
        try:
            for name, data in writes:
                self._context.net.put_file(self._job.link(_link_name(name)), data)
            self._context.net.put_file(
                self._job.link("log_ckpt"), json.dumps(index, ensure_ascii=False).encode()
            )
            self._there, self._failing = index, False
        except NetFailure as problem:
            if not self._failing:
                self._context.warn(f"a checkpoint could not be kept on the share: {problem}")
            self._failing = True


def _link_name(file_name: str) -> str:
    """last.0.pth -> log_last_0"""
    return "log_" + file_name.removesuffix(".pth").replace(".", "_")


def _remote(context: Context, job: Job) -> Snapshot | None:
    """The complete checkpoint of this job on the share (an earlier attempt's), or None."""
    try:
        data = context.net.read(job.link("log_ckpt"))
        index = json.loads(data) if data else None
        if index is None or not checkpoints.matches(index, job.job_id):
            return None
        parts = [
            context.net.read(job.link(_link_name(index[kind]["name"]))) for kind in ("last", "best")
        ]
    except (NetFailure, ValueError) as problem:
        context.warn(f"the checkpoint of the former attempt could not be read: {problem}")
        return None
    snapshot = Snapshot(index, parts[0] or b"", parts[1] or b"")
    return snapshot if checkpoints.complete(snapshot) else None


def _restore(context: Context, job: Job, folder: Path) -> dict[str, Any] | None:
    """Put the newest complete checkpoint into ``folder``; returns the index on the share."""
    remote = _remote(context, job)
    local = checkpoints.load(folder, job.job_id)
    if remote and (local is None or local.index["epoch"] < remote.index["epoch"]):
        write_bytes(folder / remote.index["last"]["name"], remote.last)
        write_bytes(folder / remote.index["best"]["name"], remote.best)
        write_json(folder / checkpoints.INDEX, remote.index)
        context.log.info(
            "train: checkpoint of epoch %d taken from the share", remote.index["epoch"]
        )
    return remote.index if remote else None


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
    return [{"path": str(s.path), "boxes": s.boxes, "labels": s.labels} for s in samples]


def train(context: Context, job: Job) -> Trained:
    """Run the trainer until it is done or its time is up; the best epoch's checkpoint."""
    began = time.monotonic()
    folder = context.work / "train"
    folder.mkdir(parents=True, exist_ok=True)
    parts = context.result(Split)
    write_json(folder / "data.json", {"train": rows(parts.train), "val": rows(parts.select)})
    keeper = _Keeper(context, job, folder, _restore(context, job, folder))
    request = {
        "v": 1,
        "step": "train",
        "job_id": job.job_id,
        "attempt": job.attempt,
        "task": job.task,
        "model": job.model,
        "classes": context.result(Dataset).classes,
        "epochs": job.epochs,
        "seed": job.seed,
        "data": str(folder / "data.json"),
        "init_checkpoint": _parent(context, job, folder),
        "train_until_s": job.times.train_until_s,
        "out": str(folder),
    }
    answer = run(context, job.trainer, request, job.times.train_until_s + GRACE_S, keeper.watch)
    keeper.finish()
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
    )
