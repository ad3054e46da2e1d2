"""How the tiny detector learns: targets, loss, gradients, Adam, one epoch. Pure but for the clock.

An epoch shows each picture ``VIEWS`` times, each time mirrored or shifted at random. All
randomness of an epoch comes from (seed, epoch) alone, so that a run continued at an epoch makes
the same numbers as one that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from . import network
from .network import FIXED_HEAD, GRID, PATCH, SIZE, Array, Params

VIEWS = 3
BATCH = 8
RATE = 6e-3
WARM_RATE = 3e-3
DECAY = (0.9, 0.99)
MAX_SHIFT = 8


@dataclass
class Picture:
    """One training picture: pixels [96, 96, 3] 0..255, boxes [n, 4] in its pixels, labels [n]."""

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


def varied(picture: Picture, random: np.random.Generator) -> Picture:
    """The picture mirrored and shifted at random; boxes follow, those shifted out are dropped."""
    pixels, boxes = picture.pixels, picture.boxes.copy()
    if random.random() < 0.5:
        pixels = pixels[:, ::-1]
        boxes[:, [0, 2]] = SIZE - boxes[:, [2, 0]]
    if random.random() < 0.5:
        pixels = pixels[::-1]
        boxes[:, [1, 3]] = SIZE - boxes[:, [3, 1]]
    dy, dx = (int(v) for v in random.integers(-MAX_SHIFT, MAX_SHIFT + 1, 2))
    rows = np.clip(np.arange(SIZE) - dy, 0, SIZE - 1)
    columns = np.clip(np.arange(SIZE) - dx, 0, SIZE - 1)
    pixels = pixels[rows][:, columns]
    boxes = np.clip(boxes + np.array([dx, dy, dx, dy], np.float32), 0, SIZE)
    keep = (boxes[:, 2] - boxes[:, 0] > 1) & (boxes[:, 3] - boxes[:, 1] > 1)
    return Picture(pixels, boxes[keep], picture.labels[keep])


def targets(pictures: list[Picture], classes: int) -> tuple[Array, Array, Array, Array]:
    """What each cell should say.

    Returns objectness [n, 16, 16] (1 in the middle of a box, falling to its edge), weights of box
    and class [n, 16, 16], boxes [n, 16, 16, 4] and one-hot classes [n, 16, 16, classes].
    """
    count = len(pictures)
    objects = np.zeros((count, GRID, GRID), np.float32)
    weights = np.zeros((count, GRID, GRID), np.float32)
    boxes = np.zeros((count, GRID, GRID, 4), np.float32)
    labels = np.zeros((count, GRID, GRID, classes), np.float32)
    middles = (np.arange(GRID, dtype=np.float32) + 0.5) * PATCH
    for row, picture in enumerate(pictures):
        sizes = np.prod(picture.boxes[:, 2:] - picture.boxes[:, :2], axis=1)
        for index in np.argsort(-sizes, kind="stable"):
            x1, y1, x2, y2 = picture.boxes[index]
            cx, cy, w, h = (x1 + x2) / 2, (y1 + y2) / 2, max(x2 - x1, 1.0), max(y2 - y1, 1.0)
            far = ((middles - cx)[None, :] / max(w, PATCH)) ** 2
            far = far + ((middles - cy)[:, None] / max(h, PATCH)) ** 2
            near = np.exp(-far * 8.0).astype(np.float32)
            inside = near > 0.3
            column = min(int(cx / PATCH), GRID - 1)
            line = min(int(cy / PATCH), GRID - 1)
            inside[line, column] = True
            near[line, column] = 1.0
            objects[row] = np.where(inside, near, objects[row])
            weights[row] = np.where(inside, near, weights[row])
            ys, xs = np.nonzero(inside)
            boxes[row, ys, xs, 0] = cx / PATCH - (xs + 0.5)
            boxes[row, ys, xs, 1] = cy / PATCH - (ys + 0.5)
            boxes[row, ys, xs, 2] = np.log(w / PATCH)
            boxes[row, ys, xs, 3] = np.log(h / PATCH)
            labels[row, ys, xs] = 0
            labels[row, ys, xs, picture.labels[index]] = 1
    return objects, weights, boxes, labels


def loss(head: Array, wanted: tuple[Array, Array, Array, Array]) -> tuple[float, Array]:
    """The loss of head values [n, 16, 16, 5 + c] and its gradient."""
    objects, weights, boxes, labels = wanted
    gradient = np.zeros_like(head)
    total = max(float(weights.sum()), 1.0)
    chance = network.sigmoid(head[..., 0])
    clipped = np.clip(chance, 1e-6, 1 - 1e-6)
    entropy = -(objects * np.log(clipped) + (1 - objects) * np.log(1 - clipped))
    value = float(entropy.sum()) / total
    gradient[..., 0] = (chance - objects) / total
    width = np.exp(boxes[..., 2:4])
    scale = np.concatenate([2.0 / np.sqrt(width), 2.0 * np.ones_like(width)], axis=-1)
    difference = (head[..., 1:FIXED_HEAD] - boxes) * scale
    size = np.abs(difference)
    smooth = np.where(size < 0.2, size * size * 2.5, size - 0.1)
    value += float((smooth.sum(-1) * weights).sum()) / total
    slope = np.clip(difference * 5.0, -1, 1) * scale
    gradient[..., 1:FIXED_HEAD] = slope * weights[..., None] / total
    shares = network.softmax(head[..., FIXED_HEAD:])
    cross = -(labels * np.log(np.clip(shares, 1e-6, None))).sum(-1)
    value += float((cross * weights).sum()) / total
    gradient[..., FIXED_HEAD:] = (shares - labels) * weights[..., None] / total
    return value, gradient


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
    state: State,
    pictures: list[Picture],
    classes: int,
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
        batch = [varied(pictures[index], random) for index in order[start : start + BATCH]]
        head, trace = network.forward(state.params, np.stack([p.pixels for p in batch]))
        value, gradient = loss(head, targets(batch, classes))
        done = (state.epoch + number / len(starts)) / max(epochs, 1)
        now = rate * min(1.0, (state.step + 1) / 20) * (0.02 + 0.49 * (1 + np.cos(np.pi * done)))
        _adam(state, network.backward(state.params, trace, gradient), now)
        values.append(value)
    state.epoch += 1
    return float(np.mean(values))
