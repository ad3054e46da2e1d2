"""What people look at, in ``work/shown``: pictures and the benchmark. Each is made only where there
is a link to bring it to, and none of it can fail a job."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from .benchmark import NoBenchmark, benchmark
from .context import Context
from .dataset import Sample
from .files import write_json
from .job import Job
from .measure import Asked
from .plots import curve, worst
from .stages.train import Trained
from .tasks.base import Shown, Tally, Task

# Files below logs/<job>/ by their link.
FILES = {
    "log_curve": "training_curve.png",
    "log_quality": "quality.png",
    "log_worst": "worst_images.png",
    "log_benchmark": "benchmark.json",
}
LEAST_S = 10.0


def folder(context: Context) -> Path:
    """Where the files are made."""
    place = context.work / "shown"
    place.mkdir(parents=True, exist_ok=True)
    return place


def latencies(
    context: Context,
    job: Job,
    new: Path,
    current: Path | None,
    size: tuple[int, int],
    about_ms: float,
    until: float,
) -> dict[str, float]:
    """Median milliseconds of each model by benchmark_app; empty when it was not run. ``about_ms``:
    what an answer of the new one takes, more or less."""
    if "log_benchmark" not in job.links:
        return {}
    models = {"new": new, **({"current": current} if current else {})}
    try:
        left = max(until - time.monotonic(), LEAST_S) * 2
        figures = benchmark(models, size, about_ms, context.work / "benchmark", left)
    except NoBenchmark as problem:
        context.warn(f"speed was measured without {problem}")
        return {}
    write_json(folder(context) / FILES["log_benchmark"], figures)
    return {name: figures[name]["p50_ms"] for name in models}


def pictures(
    context: Context,
    job: Job,
    task: Task[Any],
    tally: Tally,
    classes: list[str],
    samples: Sequence[Sample],
    new: Asked[Any],
    current: Asked[Any] | None,
    threshold: float,
    current_threshold: float,
) -> None:
    """The training curve, where the model is good, and its worst answers."""
    trained = context.result(Trained)

    def training() -> Image.Image | None:
        return curve.training(trained.history, task.primary, task.metric, trained.best_epoch)

    def sheet() -> Image.Image | None:
        rows = _worst(task, samples, new, current, threshold, current_threshold)
        titles = ["as annotated", "new model", *(["current model"] if current else [])]
        return worst.sheet(classes, rows, titles)

    _draw(context, job, "log_curve", training)
    _draw(context, job, "log_quality", lambda: task.quality(tally, classes))
    _draw(context, job, "log_worst", sheet)


def _draw(context: Context, job: Job, link: str, make: Callable[[], Image.Image | None]) -> None:
    if link not in job.links:
        return
    try:
        image = make()
        if image is not None:
            image.save(folder(context) / FILES[link], "PNG")
    except Exception as error:  # a picture is never worth a model
        context.warn(f"{FILES[link]} could not be drawn: {type(error).__name__}: {error}")


def _worst(
    task: Task[Any],
    samples: Sequence[Sample],
    new: Asked[Any],
    current: Asked[Any] | None,
    threshold: float,
    current_threshold: float,
) -> list[worst.Row]:
    faults = {s.path: task.faults(new.answers[s.path], s, threshold) for s in samples}
    order = sorted(samples, key=lambda s: (-faults[s.path], s.name))
    rows = []
    for sample in order[: worst.MOST]:
        columns: list[list[Shown] | None] = [
            task.drawn(sample),
            task.shown(new.answers[sample.path], threshold),
        ]
        if current:
            there = current.answers.get(sample.path)
            columns.append(None if there is None else task.shown(there, current_threshold))
        rows.append(worst.Row(sample.name, sample.path, tuple(columns)))
    return rows
