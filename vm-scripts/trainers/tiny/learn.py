"""How the tiny network learns: views of a picture, Adam, one epoch. Pure but for the clock.

An epoch shows each picture ``VIEWS`` times, each time shifted at random, mirrored and tinted where
that is good for the task. All randomness of an epoch comes from (seed, epoch) alone, so that a run
continued at an epoch makes the same numbers as one that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from . import network
from .network import SIZE, Array, Params

VIEWS = 3
BATCH = 8
RATE = 6e-3
WARM_RATE = 3e-3
DECAY = (0.9, 0.99)
MAX_SHIFT = 8


@dataclass
class Picture:
    """One training picture: pixels [96, 96, 3] 0..255, boxes [n, 4] in its pixels, labels [m].

    Detection has a label for each box; classification has one label and no box.
    """

    pixels: Array
    boxes: Array
    labels: np.ndarray


@dataclass
class State:
    """All that a further epoch depends on."""

    params: Params
    first: Params = field(default_factory=dict)
    second: Params = field(default_factory=dict)
    step: int = 0
    epoch: int = 0

    def __post_init__(self) -> None:
        for name, value in self.params.items():
            self.first.setdefault(name, np.zeros_like(value))
            self.second.setdefault(name, np.zeros_like(value))


class Goal(Protocol):
    """What ``run_epoch`` asks of a task.

    ``MIRRORED``: views may be mirrored; ``TINT``: how far a view's colours may be off (0..255).
    """

    MIRRORED: bool
    TINT: float

    def loss(self, head: Array, pictures: list[Picture]) -> tuple[float, Array]:
        """The loss of head values [n, 16, 16, values] and its gradient."""


def varied(picture: Picture, goal: Goal, random: np.random.Generator) -> Picture:
    """A view of the picture, changed at random as ``goal`` allows; boxes follow, those shifted out
    are dropped."""
    pixels, boxes, labels = picture.pixels, picture.boxes.copy(), picture.labels
    if goal.MIRRORED and random.random() < 0.5:
        pixels = pixels[:, ::-1]
        boxes[:, [0, 2]] = SIZE - boxes[:, [2, 0]]
    if goal.MIRRORED and random.random() < 0.5:
        pixels = pixels[::-1]
        boxes[:, [1, 3]] = SIZE - boxes[:, [3, 1]]
    dy, dx = (int(v) for v in random.integers(-MAX_SHIFT, MAX_SHIFT + 1, 2))
    rows = np.clip(np.arange(SIZE) - dy, 0, SIZE - 1)
    columns = np.clip(np.arange(SIZE) - dx, 0, SIZE - 1)
    pixels = pixels[rows][:, columns]
    if len(boxes):
        boxes = np.clip(boxes + np.array([dx, dy, dx, dy], np.float32), 0, SIZE)
        keep = (boxes[:, 2] - boxes[:, 0] > 1) & (boxes[:, 3] - boxes[:, 1] > 1)
        boxes, labels = boxes[keep], labels[keep]
    if goal.TINT:
        shift = random.uniform(-goal.TINT, goal.TINT, 3).astype(np.float32)
        contrast = np.float32(1 + random.uniform(-goal.TINT, goal.TINT) / 200)
        pixels = np.clip(pixels * contrast + shift, 0, 255)
    return Picture(pixels, boxes, labels)


def _adam(state: State, gradients: Params, rate: float) -> None:
    state.step += 1
    one, two = DECAY
    norm = float(np.sqrt(sum(float((g * g).sum()) for g in gradients.values())))
    shrink = np.float32(min(1.0, 10.0 / max(norm, 1e-9)))
    for name, raw in gradients.items():
        g = raw * shrink
        state.first[name] = (one * state.first[name] + (1 - one) * g).astype(np.float32)
        state.second[name] = (two * state.second[name] + (1 - two) * g * g).astype(np.float32)
        mean = state.first[name] / (1 - one**state.step)
        spread = np.sqrt(state.second[name] / (1 - two**state.step)) + 1e-8
        state.params[name] = (state.params[name] - rate * mean / spread).astype(np.float32)


def run_epoch(
    goal: Goal,
    state: State,
    pictures: list[Picture],
    seed: int,
    epochs: int,
    rate: float,
    in_time: Callable[[], bool],
) -> float | None:
    """One epoch in place; its mean loss, or None when time ran out within it.

    ``epochs`` is the planned total (the rate falls as a cosine over it), ``rate`` the highest step.
    """
    random = np.random.default_rng([seed, 11, state.epoch])
    order = np.concatenate([random.permutation(len(pictures)) for _ in range(VIEWS)])
    starts = range(0, len(order), BATCH)
    values: list[float] = []
    for number, start in enumerate(starts):
        if not in_time():
            return None
        chosen = [pictures[index] for index in order[start : start + BATCH]]
        batch = [varied(picture, goal, random) for picture in chosen]
        head, trace = network.forward(state.params, np.stack([p.pixels for p in batch]))
        value, gradient = goal.loss(head, batch)
        done = (state.epoch + number / len(starts)) / max(epochs, 1)
        now = rate * min(1.0, (state.step + 1) / 20) * (0.02 + 0.49 * (1 + np.cos(np.pi * done)))
        _adam(state, network.backward(state.params, trace, gradient), now)
        values.append(value)
    state.epoch += 1
    return float(np.mean(values))
