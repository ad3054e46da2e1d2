"""verify: the file that will be published, loaded again and measured, and the line's current model
beside it; nothing else is believed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .. import current as former
from ..compare import Former, Side, gate, spread, unseen
from ..context import Context
from ..dataset import Dataset, Sample
from ..failure import EXPORT, Failure
from ..files import write_json
from ..images import open_rgb, read_rgb
from ..job import Job
from ..laps import Laps
from ..measure import REST, Asked, ask, limit_s
from ..show import latencies, pictures
from ..tasks import Measured, Task, Wrong, task_of
from ..tasks.base import Tally
from .export import Exported
from .split import Split
from .train import Trained

TOLERANCE = 0.02
SAMPLE_SIDE = 640
PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Verified:
    """``metrics``, ``expected`` and ``gate`` as the manifest has them; ``seconds``: how long each
    part took."""

    metrics: dict[str, Any]
    expected: list[dict[str, Any]]
    gate: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def verify(context: Context, job: Job) -> Verified:
    """Measure out/model.xml on the validation pictures; write metrics.json and sample.png."""
    try:
        return _verify(context, job, task_of(job))
    except Wrong as problem:
        raise Failure(str(problem), EXPORT) from None


@dataclass
class _Models:
    """The new model in plain OpenVINO and in Model API, and the current one."""

    new: Asked[Any]
    api: Asked[Any] | None
    current: Asked[Any] | None
    former: former.Current | None
    why: str | None

    def all(self) -> list[Asked[Any]]:
        """Those that are there."""
        return [model for model in (self.new, self.api, self.current) if model]


def _verify(context: Context, job: Job, task: Task[Any]) -> Verified:
    laps = Laps()
    exported, classes = context.result(Exported), context.result(Dataset).classes
    parts, trained = context.result(Split), context.result(Trained)
    until = time.monotonic() + limit_s(context.control.times, time.time()) * (1 - REST)
    models = _load(context, job, task, exported, classes)
    laps.end("load")
    try:
        asked = ask(models.all(), [parts.select, parts.gate], job.seed, until)
    except Wrong:
        raise
    except Exception as error:
        raise Wrong(f"the exported model cannot be used: {former.why(error)}") from None
    laps.add("openvino", models.new.total_s())
    laps.add("model_api", models.api.total_s() if models.api else 0.0)
    laps.add("current", models.current.total_s() if models.current else 0.0)
    laps.skip()
    for answer in models.new.answers.values():
        task.sane(answer, len(classes))
    if len(asked) < len(parts.val):
        context.warn(
            f"time allowed for {len(asked)} of {len(parts.val)} validation images: a sample, "
            "drawn by the job's seed, was measured"
        )
    select = [s for s in parts.select if s.path in asked]
    judged = [s for s in parts.gate if s.path in asked]
    measured = _measured(task, models, select, classes, trained.metric, len(parts.select), job.seed)
    tally = task.tally(models.new.of(judged), judged, len(classes))
    laps.end("score")
    sample, expected = _sample(context, task, models, judged, exported, classes)
    laps.end("sample")
    xml = context.out / "model.xml"
    former_xml = models.former.xml if models.current and models.former else None
    speeds = latencies(
        context, job, xml, former_xml, _size(parts.val), models.new.median_ms(), until
    )
    laps.end("benchmark")
    block = _gate(context, job, task, models, judged, parts, classes, speeds)
    laps.end("compare")
    pictures(
        context, job, task, tally, classes, judged, models.new, models.current,
        exported.threshold, models.former.threshold if models.former else 0.0,
    )  # fmt: skip
    laps.end("draw")
    metrics = _metrics(task, tally.measured, classes, judged, select, len(asked), parts)
    document = {
        "v": 1,
        "job_id": job.job_id,
        **metrics,
        **{name: round(value, 6) for name, value in tally.measured.also.items()},
        **measured,
        "trainer_value": round(trained.metric, 6),
        "best_epoch": trained.best_epoch,
        "gate": block,
        "seconds": laps.seconds,
        "epochs": trained.history,
    }
    write_json(context.out / "metrics.json", document)
    _tell(context, task, tally.measured, block, len(judged))
    return Verified(metrics, expected, block, laps.seconds)


def _load(
    context: Context, job: Job, task: Task[Any], exported: Exported, classes: list[str]
) -> _Models:
    xml = context.out / "model.xml"
    for name in task.beside:
        shutil.copyfile(PACKAGE / name, context.out / name)
    try:
        new = Asked[Any](task.load(xml, exported.network_size))
        by_api = task.load_api(xml, classes)
    except Exception as error:
        raise Wrong(f"the exported model cannot be used: {former.why(error)}") from None
    api = Asked[Any](_in_words(by_api)) if by_api else None
    try:
        current = former.fetch(context, job, task, classes)
        parts = context.result(Split)
        if current and not parts.current_told:
            raise former.NotComparable("which images the current model was trained on is not known")
        if current and context.result(Trained).warm and not parts.parent_told:
            raise former.NotComparable(
                f"which images `{job.continue_from}`, from which the new model goes on, was "
                "trained on is not known"
            )
    except former.NotComparable as problem:
        context.warn(f"{problem}; the new model is measured alone")
        return _Models(new, api, None, None, str(problem))
    beside = Asked[Any](current.ask, optional=True) if current else None
    return _Models(new, api, beside, current, None)


def _in_words(ask_api: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    def asked(rgb: np.ndarray) -> Any:
        try:
            return ask_api(rgb)
        except Exception as error:
            raise Wrong(f"Model API cannot use the exported model: {former.why(error)}") from None

    return asked


def _measured(
    task: Task[Any],
    models: _Models,
    select: Sequence[Sample],
    classes: list[str],
    trained: float,
    whole: int,
    seed: int,
) -> dict[str, float]:
    """Both ways of using the file on the select images, which the trainer measured too; raises
    ``Wrong`` when they differ."""
    own = models.new.of(select)
    tally = task.tally(own, select, len(classes))
    value = tally.measured.value
    allowed = max(TOLERANCE, 1 / max(len(select), 1))
    if len(select) < whole:
        allowed += 3 * _noise(tally, len(select), seed)
    if not abs(value - trained) <= allowed:
        raise Wrong(
            f"the exported model scores {task.metric} {value:.3f} where the trainer measured "
            f"{trained:.3f} on the same {whole} images (allowed difference {allowed:.3f})"
        )
    answer = {"select_value": round(value, 6)}
    if models.api:
        rounded = [task.as_api(answer) for answer in own]
        near = task.tally(rounded, select, len(classes)).measured.value
        by_api = task.tally(models.api.of(select), select, len(classes)).measured.value
        if not abs(by_api - near) <= max(TOLERANCE, 1 / max(len(select), 1)):
            raise Wrong(
                f"the exported model scores {task.metric} {by_api:.3f} in Model API where plain "
                f"OpenVINO gives {near:.3f} on the same {len(select)} images"
            )
        answer["model_api_value"] = round(by_api, 6)
    return answer


def _noise(tally: Tally, images: int, seed: int) -> float:
    return float(tally.resampled(spread(images, seed)).std(ddof=1)) if images else 1.0


def _gate(
    context: Context,
    job: Job,
    task: Task[Any],
    models: _Models,
    judged: Sequence[Sample],
    parts: Split,
    classes: list[str],
    speeds: dict[str, float],
) -> dict[str, Any]:
    """The manifest's block ``gate``."""
    why = models.why
    if models.current and models.current.failed:
        why = f"the current model cannot be used: {former.why(models.current.failed)}"
        context.warn(f"{why}; the new model is measured alone")
    samples = unseen(judged, parts.learned)
    asked, current = models.new, models.current
    # Both by the benchmark or both by the answers, whose pictures had to be moved in too.
    fair = {"new", *(["current"] if current else [])} <= set(speeds)
    size = sum((context.out / name).stat().st_size for name in ("model.xml", "model.bin"))
    milliseconds = speeds["new"] if fair else asked.median_ms()
    new = Side(asked.of(samples), size, round(milliseconds, 3))
    if not job.baseline:
        return gate(task, samples, classes, new, None, job.seed)
    side, known = None, [False] * len(classes)
    if current and models.former and not current.failed:
        milliseconds = speeds["current"] if fair else current.median_ms()
        side = Side(current.of(samples), models.former.size_bytes, round(milliseconds, 3))
        known = models.former.known
    return gate(task, samples, classes, new, Former(job.baseline, side, known, why), job.seed)


def _sample(
    context: Context,
    task: Task[Any],
    models: _Models,
    judged: Sequence[Sample],
    exported: Exported,
    classes: list[str],
) -> tuple[Sample, list[dict[str, Any]]]:
    """Write sample.png, the surest image (at most 640 px a side), and ask an edge device's program
    about it; its expected answer."""
    answers = models.new.answers
    chosen = max(judged, key=lambda s: (task.sureness(answers[s.path]), s.sha256))
    picture = open_rgb(chosen.path)
    picture.thumbnail((SAMPLE_SIDE, SAMPLE_SIDE), Image.Resampling.BILINEAR)
    picture.info.clear()
    picture.save(context.out / "sample.png", "PNG")
    rgb = read_rgb(context.out / "sample.png")
    expected = task.expected(models.new.ask(rgb), exported.threshold, classes)
    task.agrees(context.out / "model.xml", rgb, expected, exported.threshold, classes)
    return chosen, expected


def _size(samples: Sequence[Sample]) -> tuple[int, int]:
    """The most frequent size of a picture."""
    sizes = [sample.size for sample in samples]
    return max(sorted(set(sizes)), key=sizes.count)


def _metrics(
    task: Task[Any],
    measured: Measured,
    classes: list[str],
    judged: Sequence[Sample],
    select: Sequence[Sample],
    asked: int,
    parts: Split,
) -> dict[str, Any]:
    return {
        "primary": task.primary,
        "value": round(measured.value, 6),
        "images": len(judged),
        "select_images": len(select),
        "gate_images": len(judged),
        "measured_images": asked,
        "validation_images": len(parts.val),
        "per_class": {
            name: None if value is None else round(value, 6)
            for name, value in zip(classes, measured.per_class, strict=True)
        },
        "small_set": parts.small_set,
    }


def _tell(
    context: Context, task: Task[Any], measured: Measured, block: dict[str, Any], images: int
) -> None:
    also = "".join(f", {name} {value:.4f}" for name, value in measured.also.items())
    context.log.info("verify: %s %.4f%s on %d images", task.metric, measured.value, also, images)
    if block["current"] is not None:
        context.log.info(
            "verify: new %.4f, current (version %s) %.4f, sd of the difference %.4f, on %d images",
            block["new"], block["current_version"], block["current"], block["difference_sd"],
            block["images"],
        )  # fmt: skip
