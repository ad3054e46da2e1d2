"""verify: the file that will be published, loaded again and measured; nothing else is believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..context import Context
from ..detection import Drawn, Found, Score, score
from ..failure import EXPORT, Failure
from ..files import write_json
from ..images import open_rgb, read_rgb
from ..inference import Detector, by_model_api
from ..job import Job
from .check import Dataset, Sample
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
    exported, classes = context.result(Exported), context.result(Dataset).classes
    parts, trained = context.result(Split), context.result(Trained)
    xml = context.out / "model.xml"
    try:
        detector = Detector(xml, exported.network_size)
        found = {sample.path: detector(read_rgb(sample.path)) for sample in parts.val}
    except RuntimeError as error:
        text = str(error).strip().splitlines()[-1][:200] if str(error).strip() else ""
        raise Failure(f"the exported model cannot be used: {text}", EXPORT) from None
    for answer in found.values():
        _sane(answer, len(classes))
    select = _score(parts.select, found, classes)
    _same_as_trained(select, trained.metric, len(parts.select))
    gate = _score(parts.gate, found, classes)
    sample, expected = _sample(context, parts.gate, found, detector, exported.threshold, classes)
    _model_api_agrees(context, sample, expected, exported.threshold, classes)
    metrics = {
        "primary": "map",
        "value": round(gate.map, 6),
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
        "map50": round(gate.map50, 6),
        "select_value": round(select.map, 6),
        "trainer_value": round(trained.metric, 6),
        "best_epoch": trained.best_epoch,
        "epochs": trained.history,
    }
    write_json(context.out / "metrics.json", document)
    context.log.info(
        "verify: mAP %.4f, mAP50 %.4f on %d images", gate.map, gate.map50, len(parts.gate)
    )
    return Verified(metrics, expected)


def _score(samples: list[Sample], found: dict[Any, Found], classes: list[str]) -> Score:
    drawn = [
        Drawn(np.array(s.boxes, float).reshape(-1, 4), np.array(s.labels, int)) for s in samples
    ]
    return score([found[s.path] for s in samples], drawn, len(classes))


def _sane(found: Found, classes: int) -> None:
    if not (np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()):
        raise Failure("the exported model gives numbers that are not finite", EXPORT)
    if len(found.labels) and not (found.labels.min() >= 0 and found.labels.max() < classes):
        raise Failure("the exported model gives a class that does not exist", EXPORT)


def _same_as_trained(measured: Score, trained: float, images: int) -> None:
    allowed = max(TOLERANCE, 1 / max(images, 1))
    if abs(measured.map - trained) > allowed:
        raise Failure(
            f"the exported model scores mAP {measured.map:.3f} where the trainer measured "
            f"{trained:.3f} on the same {images} images (allowed difference {allowed:.3f})",
            EXPORT,
        )


def _sample(
    context: Context,
    samples: list[Sample],
    found: dict[Any, Found],
    detector: Detector,
    threshold: float,
    classes: list[str],
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Write sample.png (at most 640 px a side), the picture with the surest detection."""

    def surest(sample: Sample) -> float:
        scores = found[sample.path].scores
        return float(scores.max()) if len(scores) else 0.0

    chosen = max(samples, key=lambda s: (surest(s), s.sha256))
    picture = open_rgb(chosen.path)
    picture.thumbnail((SAMPLE_SIDE, SAMPLE_SIDE), Image.Resampling.BILINEAR)
    picture.info.clear()
    picture.save(context.out / "sample.png", "PNG")
    rgb = read_rgb(context.out / "sample.png")
    answer = detector(rgb)
    expected = [
        {
            "label": classes[int(label)],
            "score": round(float(value), 5),
            "box": [round(float(v), 3) for v in box],
        }
        for box, value, label in zip(answer.boxes, answer.scores, answer.labels, strict=True)
        if value > threshold
    ]
    return rgb, expected


def _model_api_agrees(
    context: Context,
    rgb: np.ndarray,
    expected: list[dict[str, Any]],
    threshold: float,
    classes: list[str],
) -> None:
    """Model API must report what plain OpenVINO found, to the pixel and 0.001 of the score.

    Left out on both sides: what is within 0.001 of the threshold or at most a pixel in area, where
    rounding decides.
    """
    seen = by_model_api(context.out / "model.xml", classes, rgb)
    near = threshold + 1e-3
    api = [row for row in seen if row[1] > near]
    own = [row for row in expected if row["score"] > near and _area(row["box"]) > 1]
    for row in own:
        same = [
            True
            for label, value, box in api
            if label == row["label"]
            and abs(value - row["score"]) <= 1e-3
            and max(abs(a - b) for a, b in zip(box, row["box"], strict=True)) <= 1
        ]
        if not same:
            raise Failure("Model API and plain OpenVINO disagree about the exported model", EXPORT)
    if len(own) != len(api):
        raise Failure("Model API finds another number of objects than plain OpenVINO", EXPORT)


def _area(box: list[float]) -> float:
    return (round(box[2]) - round(box[0])) * (round(box[3]) - round(box[1]))
