"""The tiny network in numpy, the same for every task: a grid of cells over a 96 x 96 picture.

A patch layer (6 x 6 pixels to one cell) makes a 16 x 16 grid; three dilated 3 x 3 layers with a
shortcut let each cell see most of the picture; a last layer, the head, gives each cell some values.
What they mean is the task's (``detection.py``, ``classification.py``): first those that belong to
no class, then one per class. Everything here is float32 and pure: parameters go in, numbers come
out, and ``export.py`` builds the same sums out of OpenVINO operations.

Shapes: pictures [n, 96, 96, 3] RGB 0..255; grid rows [n, 16, 16, channels].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Params = dict[str, Array]

SIZE = 96
PATCH = 6
GRID = SIZE // PATCH
WIDTH = 32
DILATIONS = (1, 2, 4)


def fresh(values: int, seed: int) -> Params:
    """New parameters for a head of ``values`` per cell; the same seed gives the same numbers."""
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
    params["head.w"] = layer(WIDTH, values, 0.1)
    params["head.b"] = np.zeros(values, np.float32)
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
    """Head values [n, 16, 16, values] of pictures [n, 96, 96, 3], and the trace."""
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
