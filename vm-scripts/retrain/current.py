"""The line's current model, fetched to be measured beside the new one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .context import Context
from .files import sha256_of
from .job import Job
from .net import NetFailure
from .tasks.base import Rgb, Task

FILES = {"model.xml": "current_xml", "model.bin": "current_bin", "labels.json": "current_labels"}
MOST_WORDS = 160


class NotComparable(Exception):
    """The current model cannot be measured beside the new one; the text says why."""


@dataclass(frozen=True)
class Current:
    """``ask``: its answers, classes as the new model numbers them; ``known``: whether it knows each
    of the new model's classes."""

    version: int
    xml: Path
    size_bytes: int
    threshold: float
    known: list[bool]
    ask: Callable[[Rgb], Any]


def fetch(context: Context, job: Job, task: Task[Any], classes: list[str]) -> Current | None:
    """The current model, ready to be asked; None when the line has none. Raises
    ``NotComparable``."""
    if not job.baseline:
        return None
    try:
        manifest = json.loads(_read(context, job, "current_manifest"))
        if manifest["task"] != task.name:
            raise NotComparable(f"the current model does {manifest['task']}, the new {task.name}")
        folder = _files(context, job, manifest)
        labels = json.loads((folder / "labels.json").read_bytes())
        places = [classes.index(name) if name in classes else None for name in labels]
        if not any(place is not None for place in places):
            raise NotComparable("the current model knows none of the new model's classes")
        io = manifest["io"]
        ask = task.load(folder / "model.xml", list(io["input"]["network_size"]))
        size = sum((folder / name).stat().st_size for name in ("model.xml", "model.bin"))
        return Current(
            job.baseline,
            folder / "model.xml",
            size,
            float(io["threshold"]),
            [name in labels for name in classes],
            lambda rgb: _answer(task, ask(rgb), places, len(classes)),
        )
    except NetFailure as problem:
        raise NotComparable(f"the current model could not be fetched: {problem}") from None
    except NotComparable:
        raise
    except Exception as error:  # it was made by any version of these scripts
        raise NotComparable(f"the current model cannot be loaded: {why(error)}") from None


def _answer(task: Task[Any], answer: Any, places: list[int | None], classes: int) -> Any:
    task.sane(answer, len(places))
    return task.renamed(answer, places, classes)


def _read(context: Context, job: Job, link: str) -> bytes:
    if link not in job.links:
        raise NotComparable("this job was not given the current model")
    data = context.net.read(job.links[link])
    if data is None:
        raise NotComparable(f"the current model is not there any more ({link})")
    return data


def _files(context: Context, job: Job, manifest: dict[str, Any]) -> Path:
    folder = context.work / "current"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {entry["name"]: entry["sha256"] for entry in manifest["files"]}
    for name, link in FILES.items():
        data = _read(context, job, link)
        if sha256_of(data) != wanted[name]:
            raise NotComparable(f"the current model's {name} is not what its manifest says")
        (folder / name).write_bytes(data)
    return folder


def why(error: Exception) -> str:
    """The last line of an error, short."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1][:MOST_WORDS] if lines else ''}".rstrip(": ")
