"""The tiny trainer as a program: ``python -m trainers.tiny <train job>``.

Reads the train job (JSON), does its step (``train`` or ``export``) and writes ``result.json`` into
its ``out`` folder. Exit codes: 0 ok, 2 bad data, 3 training, 4 export, 5 out of time before there
was anything to export. The contract is in ``vm-scripts/README.md``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from retrain import checkpoints
from retrain.files import read_json
from retrain.images import Unreadable
from retrain.steps import mark_first_step

from ..program import Clock, Job, Refused, run
from . import data, learn, network, weights
from .tasks import TASKS, Task

VERSION = "1"


def _task(job: Job) -> Task:
    """What is to be learned."""
    name = job.raw["task"]
    if name not in TASKS:
        raise Refused(2, f"trainer `tiny` does {' and '.join(TASKS)}, not {name}")
    return TASKS[name]


def _start(job: Job) -> tuple[weights.Progress, float]:
    """Where to begin: own checkpoint, a former job's, or fresh; and the learning rate."""
    raw, task, classes, seed = job.raw, _task(job), job.classes, int(job.raw["seed"])
    own = checkpoints.load(job.out, raw["job_id"])
    if own is not None:
        try:
            progress = weights.parse(task, own.last)
            if progress.classes != classes:
                raise weights.Unusable("its classes differ")
            if progress.state.epoch > int(raw["epochs"]):
                raise weights.Unusable("it has more epochs than asked for")
            print(f"continuing after epoch {progress.state.epoch}", flush=True)
            return progress, learn.WARM_RATE if raw["init_checkpoint"] else learn.RATE
        except weights.Unusable as problem:
            job.warnings.append(f"own checkpoint not used: {problem}")
    if raw["init_checkpoint"]:
        try:
            former = Path(raw["init_checkpoint"]).read_bytes()
            params = weights.warm(task, former, classes, seed)
            print("warm start from the former checkpoint", flush=True)
            return weights.Progress(task, learn.State(params), classes), learn.WARM_RATE
        except (weights.Unusable, OSError) as problem:
            job.warn(f"former checkpoint not used, training from scratch: {problem}")
    fresh = learn.State(task.fresh(len(classes), seed))
    return weights.Progress(task, fresh, classes), learn.RATE


def _measure(progress: weights.Progress, shown: list[learn.Picture], loss: float | None) -> bool:
    """Score the state on the validation pictures, add it to the history; True if best so far."""
    task = progress.task
    before = progress.best() if progress.history else None
    measured = task.measure(progress.state.params, shown)
    row = {"epoch": progress.state.epoch, "loss": loss, **measured}
    progress.history.append(row)
    words = "before training" if loss is None else f"loss {loss:.4f}"
    scores = " ".join(f"{name} {row[name]:.4f}" for name in task.SCORES)
    print(f"epoch {row['epoch']}: {words} {scores}", flush=True)
    return before is None or task.rank(row) > task.rank(before)


def _keep(job: Job, progress: weights.Progress, is_best: bool) -> None:
    content = weights.dump(progress)
    best = progress.best()
    checkpoints.save(
        job.out,
        job.identity,
        content,
        content if is_best else None,
        progress.state.epoch,
        best["epoch"],
        best[progress.task.SCORES[0]],
    )


def train(job: Job) -> dict[str, Any]:
    """Step ``train``: epochs until all are done or the time is up; a checkpoint after each."""
    raw = job.raw
    clock = Clock(raw)
    rows = read_json(Path(raw["data"]))
    try:
        shown, learned = data.load(rows["val"]), data.load(rows["train"])
    except Unreadable as problem:
        raise Refused(2, f"a picture cannot be read: {problem}") from None
    if not learned or not shown:
        raise Refused(2, f"{len(learned)} training and {len(shown)} validation images")
    progress, rate = _start(job)
    if progress.state.epoch == 0 and not progress.history and rate == learn.WARM_RATE:
        _keep(job, progress, _measure(progress, shown, None))
    epochs = int(raw["epochs"])
    out_of_time = False
    mark_first_step(job.out)
    while progress.state.epoch < epochs:
        loss = learn.run_epoch(
            progress.task, progress.state, learned, int(raw["seed"]), epochs, rate, clock.in_time
        )
        if loss is None:
            out_of_time = True
            break
        if not np.isfinite(loss):
            raise Refused(3, f"the loss is not finite after epoch {progress.state.epoch}")
        _keep(job, progress, _measure(progress, shown, loss))
    if not progress.history:
        raise Refused(5, "the time was up before the first epoch was finished")
    best = progress.best()
    scores = {name: best[name] for name in progress.task.SCORES}
    return {
        "metrics": scores | {"history": progress.history},
        "epochs_done": progress.history[-1]["epoch"],
        "best_epoch": best["epoch"],
        "out_of_time": out_of_time,
    }


def export(job: Job) -> dict[str, Any]:
    """Step ``export``: the checkpoint as model.xml and model.bin in the self-contained form."""
    from . import export as graph

    try:
        progress = weights.parse(_task(job), Path(job.raw["checkpoint"]).read_bytes())
    except (weights.Unusable, OSError) as problem:
        raise Refused(4, f"the checkpoint cannot be exported: {problem}") from None
    if progress.classes != job.classes:
        raise Refused(4, "the checkpoint has other classes")
    threshold = progress.history[-1]["threshold"]
    graph.write(job.raw["task"], progress.state.params, progress.classes, threshold, job.out)
    return {
        "ir": {
            "xml": "model.xml",
            "bin": "model.bin",
            "input": "image",
            "network_size": [network.SIZE, network.SIZE],
            "threshold": threshold,
            "min_openvino": "2024.6",
        }
    }


def main(path: Path) -> int:
    """Do the train job at ``path``; returns the exit code."""
    return run(path, {"name": "tiny", "version": VERSION}, {"train": train, "export": export})


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
