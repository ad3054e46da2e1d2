"""Checkpoints that survive a kill at any moment: last and best, each alternating two names.

``ckpt.json`` is written after the files it names and is complete when the size and sha256 of both
agree. Files written before ``ckpt.json`` was renewed never overwrite those it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import read_json, sha256_of, write_bytes, write_json

INDEX = "ckpt.json"


@dataclass(frozen=True)
class Snapshot:
    """A complete checkpoint: the index as parsed, and the bytes of both files."""

    index: dict[str, Any]
    last: bytes
    best: bytes


def entry(name: str, data: bytes) -> dict[str, Any]:
    """What the index says of one file."""
    return {"name": name, "size": len(data), "sha256": sha256_of(data)}


def other_name(kind: str, current: str | None) -> str:
    """The name (``last.0.pth``, ``last.1.pth``, ...) that ``current`` does not use."""
    return f"{kind}.1.pth" if current == f"{kind}.0.pth" else f"{kind}.0.pth"


def plan(
    index: dict[str, Any] | None, snapshot: Snapshot
) -> tuple[list[tuple[str, bytes]], dict[str, Any]]:
    """How to bring ``snapshot`` to a place whose index is ``index`` (None: nothing there yet).

    Returns the files to write, in order, and the index to write after them. A best file that is
    there already is not written again.
    """
    old = index or {}
    last_name = other_name("last", old.get("last", {}).get("name"))
    writes = [(last_name, snapshot.last)]
    best = dict(snapshot.index["best"])
    if old and old["best"]["sha256"] == best["sha256"]:
        best["name"] = old["best"]["name"]
    else:
        best["name"] = other_name("best", old.get("best", {}).get("name"))
        writes.append((best["name"], snapshot.best))
    return writes, {**snapshot.index, "last": entry(last_name, snapshot.last), "best": best}


def save(folder: Path, identity: dict[str, Any], last: bytes, best: bytes | None, epoch: int,
         best_epoch: int, best_metric: float) -> None:  # fmt: skip
    """Write one epoch's checkpoint below ``folder``; ``best`` None keeps the best that is there.

    ``identity`` holds ``job_id``, ``attempt`` and ``images``, all from the train job.
    """
    path = folder / INDEX
    old = read_json(path) if path.exists() else None
    last_name = other_name("last", old["last"]["name"] if old else None)
    write_bytes(folder / last_name, last)
    if best is None:
        assert old is not None, "the first checkpoint is always the best so far"
        best_entry = old["best"]
    else:
        best_name = other_name("best", old["best"]["name"] if old else None)
        write_bytes(folder / best_name, best)
        best_entry = {**entry(best_name, best), "epoch": best_epoch, "metric": best_metric}
    index = {"v": 1, **identity, "epoch": epoch, "last": entry(last_name, last), "best": best_entry}
    write_json(path, index)


def matches(index: Any, job_id: str) -> bool:
    """Whether a parsed index has the right form and belongs to this job."""
    try:
        names = (index["last"]["name"], index["best"]["name"])
        known = {f"{kind}.{n}.pth" for kind in ("last", "best") for n in (0, 1)}
        return (
            index["v"] == 1
            and index["job_id"] == job_id
            and isinstance(index["epoch"], int)
            and isinstance(index["best"]["metric"], int | float)
            and isinstance(index["best"]["epoch"], int)
            and known.issuperset(names)
            and all({"size", "sha256"} <= index[kind].keys() for kind in ("last", "best"))
        )
    except (KeyError, TypeError, AttributeError):
        return False


def load(folder: Path, job_id: str) -> Snapshot | None:
    """The complete checkpoint of this job below ``folder``, or None."""
    try:
        index = read_json(folder / INDEX)
        if not matches(index, job_id):
            return None
        last = (folder / index["last"]["name"]).read_bytes()
        best = (folder / index["best"]["name"]).read_bytes()
    except (OSError, ValueError):
        return None
    snapshot = Snapshot(index, last, best)
    return snapshot if complete(snapshot) else None


def complete(snapshot: Snapshot) -> bool:
    """Whether the bytes are the ones the index names."""
    pairs = ((snapshot.index["last"], snapshot.last), (snapshot.index["best"], snapshot.best))
    return all(e["size"] == len(d) and e["sha256"] == sha256_of(d) for e, d in pairs)
