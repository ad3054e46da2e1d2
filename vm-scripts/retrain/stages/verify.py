"""verify: the file that will be published, loaded again and measured; nothing else is believed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..context import Context
from ..dataset import Dataset
from ..failure import EXPORT, Failure
from ..files import write_json
from ..images import open_rgb, read_rgb
from ..job import Job
from ..tasks import Measured, Task, Wrong, task_of
from .export import Exported
from .split import Split
from .train import Trained

TOLERANCE = 0.02
SAMPLE_SIDE = 640


@dataclass(frozen=True)
class Verified:
    """``metrics`` and ``expected`` as the manifest has them."""

    metrics: dict[str, Any]
    expected: list[dict[str, Any]]


def verify(context: Context, job: Job) -> Verified:
    """Measure out/model.xml on the validation pictures; write metrics.json and sample.png."""
    try:
        return _verify(context, job, task_of(job))
    except Wrong as problem:
        raise Failure(str(problem), EXPORT) from None


def _verify(context: Context, job: Job, task: Task[Any]) -> Verified:
    exported, classes = context.result(Exported), context.result(Dataset).classes
    parts, trained = context.result(Split), context.result(Trained)
    xml = context.out / "model.xml"
    try:
        model = task.load(xml, exported.network_size)
        found = {sample.path: model(read_rgb(sample.path)) for sample in parts.val}
    except RuntimeError as error:
        text = str(error).strip().splitlines()[-1][:200] if str(error).strip() else ""
        raise Wrong(f"the exported model cannot be used: {text}") from None
    for answer in found.values():
        task.sane(answer, len(classes))
    select = task.score([found[s.path] for s in parts.select], parts.select, len(classes))
    _same_as_trained(task, select, trained.metric, len(parts.select))
    gate = task.score([found[s.path] for s in parts.gate], parts.gate, len(classes))
    chosen = max(parts.gate, key=lambda s: (task.sureness(found[s.path]), s.sha256))
    rgb = _sample(context, chosen.path)
    expected = task.expected(model(rgb), exported.threshold, classes)
    task.agrees(xml, rgb, expected, exported.threshold, classes)
    metrics = {
        "primary": task.primary,
        "value": round(gate.value, 6),
        "images": len(parts.gate),
        "select_images": len(parts.select),
        "gate_images": len(parts.gate),
        "per_class": {
            name: None if value is None else round(value, 6)
            for name, value in zip(classes, gate.per_class, strict=True)
        },
        "small_set": parts.small_set,
    }
    document = {
        "v": 1,
        "job_id": job.job_id,
        **metrics,
        **{name: round(value, 6) for name, value in gate.also.items()},
        "select_value": round(select.value, 6),
        "trainer_value": round(trained.metric, 6),
        "best_epoch": trained.best_epoch,
        "epochs": trained.history,
    }
    write_json(context.out / "metrics.json", document)
    also = "".join(f", {name} {value:.4f}" for name, value in gate.also.items())
    context.log.info(
        "verify: %s %.4f%s on %d images", task.metric, gate.value, also, len(parts.gate)
    )
    return Verified(metrics, expected)


def _same_as_trained(task: Task[Any], measured: Measured, trained: float, images: int) -> None:
    allowed = max(TOLERANCE, 1 / max(images, 1))
    if abs(measured.value - trained) > allowed:
        raise Wrong(
            f"the exported model scores {task.metric} {measured.value:.3f} where the trainer "
            f"measured {trained:.3f} on the same {images} images (allowed difference {allowed:.3f})"
        )


def _sample(context: Context, path: Path) -> np.ndarray:
    """Write sample.png (at most 640 px a side); its pixels."""
    picture = open_rgb(path)
    picture.thumbnail((SAMPLE_SIDE, SAMPLE_SIDE), Image.Resampling.BILINEAR)
    picture.info.clear()
    picture.save(context.out / "sample.png", "PNG")
    return read_rgb(context.out / "sample.png")
