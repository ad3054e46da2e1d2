"""export: the best checkpoint as model.xml and model.bin, with the names of its labels."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass

from ..context import Context
from ..dataset import Dataset
from ..failure import EXPORT, Failure
from ..files import write_bytes, write_json
from ..job import Job
from ..trainer import run
from .train import Trained

LIMIT_S = 900


@dataclass(frozen=True)
class Exported:
    """The model in ``context.out``: input name, [height, width] that it works on."""

    input_name: str
    network_size: list[int]
    threshold: float
    min_openvino: str


def export(context: Context, job: Job) -> Exported:
    """Have the trainer write the model and put it into the folder of what is published."""
    folder = context.work / "export"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    checkpoint = context.work / "best.pth"
    write_bytes(checkpoint, context.result(Trained).best)
    classes = context.result(Dataset).classes
    request = {
        "v": 1,
        "step": "export",
        "job_id": job.job_id,
        "attempt": job.attempt,
        "task": job.task,
        "model": job.model,
        "input_size": job.input_size,
        "classes": classes,
        "checkpoint": str(checkpoint),
        "out": str(folder),
    }
    limit = time.time() + LIMIT_S
    answer = run(context, job.trainer, request, lambda: limit)
    if answer is None:
        raise Failure(f"the export took longer than {LIMIT_S} seconds", EXPORT)
    model = answer["ir"]
    context.out.mkdir(parents=True, exist_ok=True)
    for key, name in (("xml", "model.xml"), ("bin", "model.bin")):
        source = folder / model[key]
        if not source.is_file():
            raise Failure(f"the export left no {name}", EXPORT)
        shutil.copyfile(source, context.out / name)
    write_json(context.out / "labels.json", classes)
    return Exported(
        model["input"],
        list(model["network_size"]),
        float(model["threshold"]),
        model["min_openvino"],
    )
