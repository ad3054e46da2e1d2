"""What is known about the epochs so far, and the checkpoints that are kept of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from retrain import checkpoints

from ..program import TRAINING, Job, Refused

SCORES: dict[str, dict[str, str]] = {
    "classification": {"macro_f1": "val/f1-score", "accuracy": "val/accuracy"},
    "detection": {"map": "val/map", "map50": "val/map_50"},
    "instance_segmentation": {"map": "val/map", "map50": "val/map_50"},
}
"""Our names of a task's figures, the one that epochs are chosen by first, and getitune's."""


@dataclass
class Progress:
    """``history``: one row per measured epoch: epoch, loss (None before training), the figures."""

    job: Job
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Names of the figures, the first one is what epochs are chosen by."""
        return list(SCORES[self.job.raw["task"]])

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    def best(self) -> dict[str, Any]:
        """The best row, the first of several."""
        return max(self.history, key=self._rank)

    def _rank(self, row: dict[str, Any]) -> tuple[float, ...]:
        return tuple(row[name] for name in self.names)

    def measured(self, epoch: int, loss: float | None, metrics: dict[str, float]) -> bool:
        """Note what getitune measured after an epoch; whether it is the best so far."""
        if loss is not None and not math.isfinite(loss):
            raise Refused(TRAINING, f"the loss is not finite after epoch {epoch}")
        figures = {
            name: max(float(metrics[theirs]), 0.0)  # -1: no picture has what is measured
            for name, theirs in SCORES[self.job.raw["task"]].items()
        }
        before = self.best() if self.history else None
        row = {"epoch": epoch, "loss": loss, **figures}
        self.history.append(row)
        words = "before training" if loss is None else f"loss {loss:.4f}"
        shown = " ".join(f"{name} {value:.4f}" for name, value in figures.items())
        print(f"epoch {epoch}: {words} {shown}", flush=True)
        return before is None or self._rank(row) > self._rank(before)

    def keep(self, last: bytes, best: bytes | None) -> None:
        """Keep the newest row's checkpoint; ``best`` when it is the best so far."""
        row = self.best()
        folder, identity = self.job.out, self.job.identity
        checkpoints.save(folder, identity, last, best, self.epoch, row["epoch"], row[self.names[0]])

    def about(self) -> dict[str, Any]:
        """What is written into checkpoints."""
        raw = self.job.raw
        return {
            "v": 1,
            "task": raw["task"],
            "model": raw["model"],
            "classes": self.job.classes,
            "history": self.history,
        }
