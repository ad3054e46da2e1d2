"""Detection: each cell says how likely it is an object, of which class, and where its box is.

Head values: 0 objectness, 1..4 box (dx, dy, log w, log h in cells), 5.. one logit per class.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from retrain.detection import MAX_FOUND, Drawn, Found
from retrain.matching import Matches

from . import network
from .boxes import best_threshold, suppress
from .learn import Picture
from .network import GRID, PATCH, SIZE, Array, Params, forward, sigmoid, softmax

ARCHITECTURE = "tiny-1"
MIRRORED = True
TINT = 0.0
FIXED_HEAD = 5
SCORES = ("map", "map50")
BOX_LIMIT = 3.5
IOU_LIMIT = 0.5
SCORE_FLOOR = 0.01


def fresh(classes: int, seed: int) -> Params:
    """New parameters for ``classes`` classes; at first no cell believes in an object."""
    params = network.fresh(FIXED_HEAD + classes, seed)
    params["head.b"][0] = -3.0
    return params


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


def loss(head: Array, pictures: list[Picture]) -> tuple[float, Array]:
    """The loss of head values [n, 16, 16, 5 + c] and its gradient."""
    objects, weights, boxes, labels = targets(pictures, head.shape[-1] - FIXED_HEAD)
    gradient = np.zeros_like(head)
    total = max(float(weights.sum()), 1.0)
    chance = sigmoid(head[..., 0])
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
    shares = softmax(head[..., FIXED_HEAD:])
    cross = -(labels * np.log(np.clip(shares, 1e-6, None))).sum(-1)
    value += float((cross * weights).sum()) / total
    gradient[..., FIXED_HEAD:] = (shares - labels) * weights[..., None] / total
    return value, gradient


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


def measure(params: Params, pictures: list[Picture]) -> dict[str, Any]:
    """mAP on pictures, and the score limit that fits them best."""
    found = detect(params, np.stack([p.pixels for p in pictures]))
    drawn = [Drawn(p.boxes, p.labels) for p in pictures]
    classes = len(params["head.b"]) - FIXED_HEAD
    matches = Matches(found, drawn, classes)
    result = matches.score
    return {"map": result.map, "map50": result.map50, "threshold": best_threshold(matches)}


def rank(row: dict[str, Any]) -> tuple[float, ...]:
    """What makes one epoch better than another."""
    return (row["map"],)
