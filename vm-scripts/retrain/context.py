"""What a stage is given besides the job: places, log, network, the results of stages before, and
what changes while it runs: the times, and whether the machine is being taken away."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from .beat import Beat
from .control import Control
from .eviction import Eviction
from .net import Net

T = TypeVar("T")


@dataclass
class Context:
    """``home``: the attempt's folder; ``scripts``: the folder that holds this package; ``python``:
    gives the interpreter that the trainer runs in, once it is there."""

    home: Path
    scripts: Path
    log: logging.Logger
    net: Net
    beat: Beat
    control: Control
    eviction: Eviction
    python: Callable[[], Path] = lambda: Path(sys.executable)
    warnings: list[str] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    to_first_step_s: float | None = None
    results: dict[type, object] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """Small files that bash and the next boot read."""
        return self.home / "state"

    @property
    def log_file(self) -> Path:
        """train.log: everything said by the scripts, this package and the trainer."""
        return self.state / "train.log"

    @property
    def work(self) -> Path:
        """Big files: the zip, pictures, checkpoints, the model."""
        return self.home / "work"

    @property
    def out(self) -> Path:
        """What will be published."""
        return self.work / "out"

    def result(self, kind: type[T]) -> T:
        """The result of the stage that returns ``kind``; it has run before."""
        return cast(T, self.results[kind])

    def warn(self, text: str) -> None:
        """Note something people should know; it goes to the log and to result.json, once."""
        if text not in self.warnings:
            self.warnings.append(text)
            self.log.warning("%s", text)
