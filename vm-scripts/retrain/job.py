"""job.json, typed: the only thing the VM is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .failure import Failure
from .files import read_json
from .link import Link


@dataclass(frozen=True)
class Times:
    """Absolute times in seconds since 1970."""

    accepted_s: float
    started_s: float
    train_until_s: float
    deadline_s: float
    hard_stop_s: float


@dataclass(frozen=True)
class Job:
    """One attempt of one job. ``classes`` None: take those of the zip. ``model`` is the trainer's
    word; ``input_size`` 0: its own."""

    job_id: str
    job_name: str
    attempt: int
    trainer: str
    zip_name: str
    zip_size: int
    zip_etag: str
    dataset_sha256: str | None
    classes: list[str] | None
    epochs: int
    task: str
    model: str
    input_size: int
    pretrained: bool
    continue_from: str | None
    line: str
    train_share: float
    seed: int
    group: str
    requested_by: str | None
    note: str | None
    vm_size: str
    baseline: int | None
    scripts_sha256: str
    times: Times
    links: dict[str, Link]

    def link(self, name: str) -> Link:
        """The link called ``name``; a missing one is a fault of the handler and fails the job."""
        if name not in self.links:
            raise Failure(f"job.json has no link `{name}`")
        return self.links[name]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def parse(value: Any) -> Job:
    """The typed form of a parsed job.json; raises ``Failure`` naming what is missing."""
    try:
        request, split, times = value["request"], value["request"]["split"], value["times"]
        return Job(
            job_id=value["job_id"],
            job_name=value["job_name"],
            attempt=int(value["attempt"]),
            trainer=value["trainer"],
            zip_name=request["zip"],
            zip_size=int(value["zip"]["size"]),
            zip_etag=value["zip"]["etag"],
            dataset_sha256=request["dataset_sha256"],
            classes=request["classes"],
            epochs=int(request["epochs"]),
            task=request["task"],
            model=_text(request["model"]),
            input_size=int(request["input_size"]),
            pretrained=bool(request["pretrained"]),
            continue_from=request["continue_from"],
            line=request["line"],
            train_share=float(split["train"]),
            seed=int(split["seed"]),
            group=split["group"],
            requested_by=request["requested_by"],
            note=request["note"],
            vm_size=value["vm_size"],
            baseline=value["baseline"],
            scripts_sha256=value["scripts_sha256"],
            times=Times(**{name: float(times[name]) for name in Times.__annotations__}),
            links={name: Link(url) for name, url in value["links"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Failure(f"job.json is not as agreed ({type(error).__name__}: {error})") from None


def load(path: Path) -> Job:
    """``parse`` of a file."""
    try:
        return parse(read_json(path))
    except (OSError, ValueError) as error:
        raise Failure(f"job.json cannot be read ({type(error).__name__})") from None
