"""Checkpoints of the tiny trainer as bytes: a numpy ``.npz`` archive, whatever the file is called.

The storage names end in ``.pth`` for every trainer; here the content is an npz archive of plain
arrays plus one JSON text (array ``meta``), and it is loaded with ``allow_pickle=False``: a
checkpoint is data, never code.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .learn import State
from .network import Params
from .tasks import Task


class Unusable(ValueError):
    """The bytes are no checkpoint of this trainer; the text says why."""


@dataclass
class Progress:
    """Training state with what is known about the epochs so far.

    ``history``: one entry per measured epoch, {"epoch", "loss"} and what the task measures.
    """

    task: Task
    state: State
    classes: list[str]
    history: list[dict[str, Any]] = field(default_factory=list)

    def best(self) -> dict[str, Any]:
        """The best entry of the history, the first of several."""
        return max(self.history, key=self.task.rank)


def dump(progress: Progress) -> bytes:
    """All of ``progress`` as bytes; equal progress gives equal bytes."""
    state = progress.state
    meta = {
        "v": 1,
        "architecture": progress.task.ARCHITECTURE,
        "classes": progress.classes,
        "step": state.step,
        "epoch": state.epoch,
        "history": progress.history,
    }
    arrays: dict[str, np.ndarray] = {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)}
    parts = (("p", state.params), ("m", state.first), ("v", state.second))
    for prefix, values in parts:
        arrays |= {f"{prefix}.{name}": value for name, value in sorted(values.items())}
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def parse(task: Task, data: bytes) -> Progress:
    """The reverse of ``dump``; raises ``Unusable``."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        meta = json.loads(arrays.pop("meta").tobytes())
        if meta.get("architecture") != task.ARCHITECTURE:
            raise Unusable(f"it was made by another trainer ({meta.get('architecture')!r})")
        classes = [str(name) for name in meta["classes"]]
        groups: dict[str, Params] = {"p": {}, "m": {}, "v": {}}
        for name, value in arrays.items():
            prefix, rest = name.split(".", 1)
            groups[prefix][rest] = value
        wanted = {name: value.shape for name, value in task.fresh(len(classes), 0).items()}
        for values in groups.values():
            found = {name: value.shape for name, value in values.items()}
            if found != wanted or any(v.dtype != np.float32 for v in values.values()):
                raise Unusable("its layers have other names or sizes")
            if not all(np.isfinite(v).all() for v in values.values()):
                raise Unusable("it holds numbers that are not finite")
        state = State(groups["p"], groups["m"], groups["v"], int(meta["step"]), int(meta["epoch"]))
        return Progress(task, state, classes, list(meta["history"]))
    except Unusable:
        raise
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise Unusable(f"it cannot be read ({type(error).__name__})") from None


def warm(task: Task, data: bytes, classes: list[str], seed: int) -> Params:
    """Parameters for ``classes`` that start from a former checkpoint; raises ``Unusable``.

    Rows of the head are matched by class name; a new class gets fresh ones, a class that is gone
    is left out.
    """
    former = parse(task, data)
    fixed = task.FIXED_HEAD
    params = task.fresh(len(classes), seed)
    for name, value in former.state.params.items():
        if not name.startswith("head."):
            params[name] = value
    for kind in ("head.w", "head.b"):
        old = former.state.params[kind]
        params[kind][..., :fixed] = old[..., :fixed]
        for place, label in enumerate(classes):
            if label in former.classes:
                source = fixed + former.classes.index(label)
                params[kind][..., fixed + place] = old[..., source]
    return params
