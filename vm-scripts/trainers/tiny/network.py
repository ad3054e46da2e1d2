"""The tiny detector in numpy: a grid of cells over a 96 x 96 picture.

A patch layer (6 x 6 pixels to one cell) makes a 16 x 16 grid; three dilated 3 x 3 layers with a
shortcut let each cell see most of the picture; a last layer gives each cell an objectness, a class
and a box. Everything here is float32 and pure: parameters go in, numbers come out, and
``export.py`` builds the same sums out of OpenVINO operations.

Shapes: pictures [n, 96, 96, 3] RGB 0..255; grid rows [n, 16, 16, channels];
head channels: 0 objectness, 1..4 box (dx, dy, log w, log h in cells), 5.. one logit per class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from retrain.detection import MAX_FOUND, Found, suppress

Array = NDArray[np.float32]
Params = dict[str, Array]

SIZE = 96
PATCH = 6
GRID = SIZE // PATCH
WIDTH = 32
DILATIONS = (1, 2, 4)
BOX_LIMIT = 3.5
IOU_LIMIT = 0.5
SCORE_FLOOR = 0.01
FIXED_HEAD = 5


def fresh(classes: int, seed: int) -> Params:
    """New parameters for ``classes`` classes; the same seed gives the same numbers."""
    random = np.random.default_rng([seed, 7])

    def layer(rows: int, columns: int, gain: float = 2.0) -> Array:
        spread = np.sqrt(gain / rows)
        return np.asarray(random.standard_normal((rows, columns)) * spread, np.float32)

    params: Params = {
        "patch.w": layer(PATCH * PATCH * 3, WIDTH),
        "patch.b": np.zeros(WIDTH, np.float32),
    }
    for number in range(len(DILATIONS)):
        params[f"conv{number}.w"] = layer(9 * WIDTH, WIDTH)
        params[f"conv{number}.b"] = np.zeros(WIDTH, np.float32)
    params["head.w"] = layer(WIDTH, FIXED_HEAD + classes, 0.1)
    params["head.b"] = np.zeros(FIXED_HEAD + classes, np.float32)
    params["head.b"][0] = -3.0
    return params


def _patches(pictures: Array) -> Array:
    count = len(pictures)
    scaled = pictures / np.float32(127.5) - np.float32(1.0)
    cells = scaled.reshape(count, GRID, PATCH, GRID, PATCH, 3).transpose(0, 1, 3, 2, 4, 5)
    return cells.reshape(count, GRID, GRID, PATCH * PATCH * 3)


def _spread(rows: Array, dilation: int) -> Array:
    """The nine neighbours of each cell side by side: [n, 16, 16, 9 * channels]."""
    padded = np.pad(rows, ((0, 0), (dilation, dilation), (dilation, dilation), (0, 0)))
    steps = [(y * dilation, x * dilation) for y in range(3) for x in range(3)]
    return np.concatenate([padded[:, y : y + GRID, x : x + GRID] for y, x in steps], axis=3)


def _gather_back(gradient: Array, dilation: int) -> Array:
    """The reverse of ``_spread`` for gradients."""
    count = len(gradient)
    side = GRID + 2 * dilation
    padded = np.zeros((count, side, side, WIDTH), np.float32)
    for place in range(9):
        y, x = divmod(place, 3)
        part = gradient[..., place * WIDTH : (place + 1) * WIDTH]
        padded[:, y * dilation : y * dilation + GRID, x * dilation : x * dilation + GRID] += part
    return padded[:, dilation : dilation + GRID, dilation : dilation + GRID]


@dataclass
class Trace:
    """What the backward pass needs of a forward pass."""

    patches: Array
    rows: list[Array]
    spreads: list[Array]
    active: list[NDArray[np.bool_]]


def forward(params: Params, pictures: Array) -> tuple[Array, Trace]:
    """Head values [n, 16, 16, 5 + classes] of pictures [n, 96, 96, 3], and the trace."""
    patches = _patches(pictures)
    rows = np.maximum(patches @ params["patch.w"] + params["patch.b"], 0)
    trace = Trace(patches, [rows], [], [])
    for number, dilation in enumerate(DILATIONS):
        spread = _spread(rows, dilation)
        raw = spread @ params[f"conv{number}.w"] + params[f"conv{number}.b"]
        rows = rows + np.maximum(raw, 0)
        trace.spreads.append(spread)
        trace.active.append(raw > 0)
        trace.rows.append(rows)
    return rows @ params["head.w"] + params["head.b"], trace


def backward(params: Params, trace: Trace, gradient: Array) -> Params:
    """Gradients of all parameters from the gradient of the head values."""

    def flat(values: Array) -> Array:
        return values.reshape(-1, values.shape[-1])

    result: Params = {
        "head.w": flat(trace.rows[-1]).T @ flat(gradient),
        "head.b": flat(gradient).sum(0),
    }
    down = gradient @ params["head.w"].T
    for number in reversed(range(len(DILATIONS))):
        inner: Array = np.where(trace.active[number], down, np.float32(0))
        result[f"conv{number}.w"] = flat(trace.spreads[number]).T @ flat(inner)
        result[f"conv{number}.b"] = flat(inner).sum(0)
        down = down + _gather_back(inner @ params[f"conv{number}.w"].T, DILATIONS[number])
    down = down * (trace.rows[0] > 0)
    result["patch.w"] = flat(trace.patches).T @ flat(down)
    result["patch.b"] = flat(down).sum(0)
    return result


def sigmoid(values: Array) -> Array:
    """1 / (1 + exp(-values)), without overflow."""
    return np.asarray(0.5 * (np.tanh(0.5 * values) + 1), np.float32)


def softmax(values: Array) -> Array:
    """Softmax over the last axis."""
    powers = np.exp(values - values.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)


def decode(head: Array) -> tuple[Array, Array]:
    """Boxes [n, 256, 4] (x1, y1, x2, y2 in pixels of the 96 x 96 picture), scores [n, 256, c]."""
    count, classes = len(head), head.shape[-1] - FIXED_HEAD
    cells = head.reshape(count, GRID * GRID, FIXED_HEAD + classes)
    y, x = np.divmod(np.arange(GRID * GRID, dtype=np.float32), GRID)
    centre_x = (x + 0.5 + cells[..., 1]) * PATCH
    centre_y = (y + 0.5 + cells[..., 2]) * PATCH
    half = np.exp(np.clip(cells[..., 3:5], -BOX_LIMIT, BOX_LIMIT)) * (PATCH / 2)
    boxes = np.stack(
        [
            centre_x - half[..., 0],
            centre_y - half[..., 1],
            centre_x + half[..., 0],
            centre_y + half[..., 1],
        ],
        axis=-1,
    )
    boxes = np.clip(boxes, 0, SIZE)
    scores = sigmoid(cells[..., :1]) * softmax(cells[..., FIXED_HEAD:])
    return boxes.astype(np.float32), scores.astype(np.float32)


def detect(params: Params, pictures: Array) -> list[Found]:
    """Detections per picture, boxes in pixels of the 96 x 96 picture, best first, at most 100."""
    results: list[Found] = []
    for start in range(0, len(pictures), 32):
        head, _ = forward(params, pictures[start : start + 32])
        for boxes, scores in zip(*decode(head), strict=True):
            results.append(_select(boxes, scores))
    return results


def _select(boxes: Array, scores: Array) -> Found:
    picked: list[tuple[int, int]] = []
    for label in range(scores.shape[1]):
        above = np.flatnonzero(scores[:, label] > SCORE_FLOOR)
        kept = suppress(boxes[above], scores[above, label], IOU_LIMIT, MAX_FOUND)
        picked += [(int(above[index]), label) for index in kept]
    picked.sort(key=lambda pair: -scores[pair])
    rows = np.array([pair[0] for pair in picked[:MAX_FOUND]], int)
    labels = np.array([pair[1] for pair in picked[:MAX_FOUND]], int)
    return Found(boxes[rows].astype(float), scores[rows, labels].astype(float), labels)
