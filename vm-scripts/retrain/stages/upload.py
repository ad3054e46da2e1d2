"""upload: logs to the share, the model to its blobs, the manifest last and only once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ..context import Context
from ..dataset import Dataset
from ..failure import Failure
from ..files import dumps, sha256_file, sha256_of, write_json
from ..job import Job
from ..net import NetFailure
from ..report import result
from ..show import FILES as SHOWN
from ..show import folder
from ..tasks import task_of
from .export import Exported
from .fetch import Fetched
from .split import Split
from .train import Trained
from .verify import Verified

# Published files in the order they are written, with link name and media type.
FILES = (
    ("model.bin", "out_model_bin", "application/octet-stream"),
    ("model.xml", "out_model_xml", "application/xml"),
    ("labels.json", "out_labels", "application/json"),
    ("split.json", "out_split", "application/json"),
    ("metrics.json", "out_metrics", "application/json"),
    ("sample.png", "out_sample", "image/png"),
)
# Beside the model of some tasks, where there is a link for it.
BESIDE = {"predict.py": ("out_predict", "text/x-python")}
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Uploaded:
    """``first``: False when a manifest of this attempt was there already."""

    first: bool


def upload(context: Context, job: Job) -> Uploaded:
    """Send everything; the model counts as offered once the manifest is there."""
    began = time.monotonic()
    try:
        _logs(context, job, began)
        for name, link, kind in published(job):
            context.net.put_blob(job.link(link), (context.out / name).read_bytes(), kind)
        write_json(context.out / MANIFEST, manifest(context, job))
    except NetFailure as problem:
        raise _not_uploaded(problem) from None
    return offer(context, job)


def begun(context: Context) -> bool:
    """Whether a boot before has uploaded all files. Made anew they would be other files than those
    the manifest names, which may be there already: only ``offer`` is left to do."""
    return (context.out / MANIFEST).exists()


def offer(context: Context, job: Job) -> Uploaded:
    """The manifest, as it lies on the disk."""
    data = (context.out / MANIFEST).read_bytes()
    try:
        first = context.net.put_blob(job.link("out_manifest"), data, "application/json", once=True)
    except NetFailure as problem:
        raise _not_uploaded(problem) from None
    context.log.info("upload: manifest %s", "written" if first else "was there already")
    return Uploaded(first)


def _not_uploaded(problem: NetFailure) -> Failure:
    return Failure(f"the model could not be uploaded: {problem}")


def published(job: Job) -> list[tuple[str, str, str]]:
    """``FILES`` and what this job's task publishes beside them."""
    more = [(name, *BESIDE[name]) for name in task_of(job).beside]
    return [*FILES, *(row for row in more if row[1] in job.links)]


def known_parts(context: Context, job: Job) -> dict[str, Any]:
    """What the stages so far know, as result.json has it."""
    parts: dict[str, Any] = {}
    results = context.results
    if isinstance(dataset := results.get(Dataset), Dataset):
        parts["classes"] = dataset.classes
        parts["counts"] = {
            "format": dataset.format,
            "images": len(dataset.samples),
            task_of(job).mark.value[1]: dataset.per_class(),
        }
    if isinstance(split := results.get(Split), Split):
        parts["counts"] |= {"images_train": len(split.train), "images_val": len(split.val)}
    if isinstance(trained := results.get(Trained), Trained):
        parts["trainer"] = trained.trainer
        parts["checkpoint"] = {
            "name": "latest.pth",
            "size": len(trained.best),
            "sha256": sha256_of(trained.best),
        }
    if isinstance(verified := results.get(Verified), Verified):
        parts["metrics"] = verified.metrics
        parts["gate"] = verified.gate
        parts["verify_seconds"] = verified.seconds
    return parts


def _logs(context: Context, job: Job, began: float) -> None:
    """Checkpoint, metrics, split, log and result into logs/<job>/."""
    net, out = context.net, context.out
    net.put_file(job.link("log_latest"), context.result(Trained).best)
    net.put_file(job.link("log_metrics"), (out / "metrics.json").read_bytes())
    net.put_file(job.link("log_split"), (out / "split.json").read_bytes())
    for link, name in SHOWN.items():
        path = folder(context) / name
        if link in job.links and path.exists():
            try:
                net.put_file(job.link(link), path.read_bytes())
            except NetFailure as problem:  # a picture is never worth a model
                context.warn(f"{name} could not be uploaded: {problem}")
    step = {"stage": "upload", "seconds": round(time.monotonic() - began, 3)}
    document = result(context, "succeeded", "upload", known_parts(context, job))
    document["steps"] = [*context.steps, step]
    write_json(out / "result.json", document)
    net.put_file(job.link("log_result"), dumps(document))
    net.put_file(job.link("log_train"), context.log_file.read_bytes())


def manifest(context: Context, job: Job) -> dict[str, Any]:
    """manifest.json: what was made, how to use it, how good it is, where it came from."""
    dataset, parts = context.result(Dataset), context.result(Split)
    trained, exported = context.result(Trained), context.result(Exported)
    verified, fetched = context.result(Verified), context.result(Fetched)
    return {
        "v": 1,
        "job_id": job.job_id,
        "attempt": job.attempt,
        "line": job.line,
        "task": job.task,
        "classes": dataset.classes,
        "baseline": job.baseline,
        "files": [
            {
                "name": name,
                "size": (context.out / name).stat().st_size,
                "sha256": sha256_file(context.out / name),
            }
            for name, _, _ in published(job)
        ],
        "io": {
            "input": {
                "name": exported.input_name,
                "shape": [1, -1, -1, 3],
                "type": "u8",
                "layout": "NHWC",
                "color": "RGB",
                "network_size": exported.network_size,
            },
            "outputs": task_of(job).outputs(exported.network_size, dataset.classes),
            "threshold": exported.threshold,
        },
        "min_openvino": exported.min_openvino,
        "metrics": verified.metrics,
        "gate": verified.gate,
        "sample": {"image": "sample.png", "expected": verified.expected},
        "lineage": {
            "zip": job.zip_name,
            "zip_sha256": fetched.sha256,
            "zip_etag": job.zip_etag,
            "parent": job.continue_from,
            "seed": job.seed,
            "epochs_asked": job.epochs,
            "epochs_done": trained.epochs_done,
            "images_train": len(parts.train),
            "images_val": len(parts.val),
            "trainer": trained.trainer,
            "scripts_sha256": job.scripts_sha256,
            "vm_size": job.vm_size,
            "started_s": int(job.times.started_s),
            "finished_s": int(time.time()),
            "train_s": round(trained.seconds, 3),
            "requested_by": job.requested_by,
            "note": job.note,
        },
    }
