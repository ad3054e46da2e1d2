"""Our callback in getitune's training: after each epoch it notes the figures and keeps a
checkpoint, and it ends the training when the time is up."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from retrain.steps import mark_first_step

from ..program import Clock
from .progress import Progress

ABOUT = "retrain"
FOR_OTHERS = ("state_dict", "hyper_parameters", "getitune_version", "epoch", ABOUT)
"""What of a checkpoint a later job and the export need; the rest is for going on."""


class OutOfTime(Exception):
    """The time was up in the middle of an epoch."""


class Quiet(RichProgressBar):
    """In the place of the progress bar that getitune adds when there is none: nothing moves in a
    log."""

    def __init__(self) -> None:
        super().__init__()
        self.disable()


class Keeper(Callback):
    """Made by getitune, as the recipe says, and then given its work by ``bind``."""

    def __init__(self) -> None:
        self._progress: Progress
        self._clock: Clock
        self._losses: list[float] = []
        self._before: dict[str, float] | None = None

    def bind(self, progress: Progress, clock: Clock) -> None:
        """What it works on."""
        self._progress, self._clock = progress, clock

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Every checkpoint says what it is of."""
        checkpoint[ABOUT] = self._progress.about()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The validation before the first step tells how good a former job's weights are."""
        if trainer.sanity_checking:
            self._before = _figures(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Those weights may stay the best."""
        if self._before is not None:
            self._keep(trainer, self._progress.measured(0, None, self._before))
            self._before = None
        mark_first_step(self._progress.job.out)

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """Nothing is begun when the time is up."""
        if not self._clock.in_time():
            raise OutOfTime

    def on_validation_batch_start(self, trainer: Trainer, *_: Any) -> None:
        """The same while measuring."""
        if not self._clock.in_time():
            raise OutOfTime

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Note the loss."""
        self._losses.append(float(outputs["loss"]))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """An epoch is done and measured."""
        loss = sum(self._losses) / max(len(self._losses), 1)
        self._losses.clear()
        epoch = trainer.current_epoch + 1
        self._keep(trainer, self._progress.measured(epoch, loss, _figures(trainer)))

    def _keep(self, trainer: Trainer, is_best: bool) -> None:
        path = self._progress.job.out / "whole.ckpt"
        trainer.save_checkpoint(path)
        self._progress.keep(path.read_bytes(), _for_others(path) if is_best else None)
        path.unlink()


def _figures(trainer: Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def _for_others(path: Path) -> bytes:
    whole = torch.load(path, map_location="cpu", weights_only=False)  # written a moment ago
    stream = io.BytesIO()
    torch.save({name: whole[name] for name in FOR_OTHERS if name in whole}, stream)
    return stream.getvalue()
