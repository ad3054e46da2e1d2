"""The end of a detector's graph: boxes, suppression per class, outputs.

Best first, at most 100: ``boxes`` f32 [1, n, 5] (x1, y1, x2, y2 in pixels of the 96 x 96 picture,
score) and ``labels`` i64 [1, n]. Model API scales the boxes to the image.
"""

from __future__ import annotations

import numpy as np
import openvino as ov
from openvino import opset13 as op
from retrain.detection import MAX_FOUND

from .detection import BOX_LIMIT, FIXED_HEAD, IOU_LIMIT, SCORE_FLOOR
from .network import GRID, PATCH, SIZE
from .parts import number, whole

CELLS = GRID * GRID
LAST = np.iinfo(np.int64).max


def _part(values: ov.Node, start: int, stop: int) -> ov.Node:
    return op.slice(values, whole([start]), whole([stop]), whole([1]), whole([2]))


def finish(head: ov.Node, threshold: float) -> tuple[dict[str, ov.Node], dict[str, str]]:
    """Outputs by name, and rt_info, from head values [1, 256, 5 + classes]."""
    y, x = np.divmod(np.arange(CELLS, dtype=np.float32), GRID)
    grid = np.stack([x + 0.5, y + 0.5], axis=1)[None]
    centre = op.multiply(op.add(_part(head, 1, 3), number(grid)), number(float(PATCH)))
    size = op.exp(op.clamp(_part(head, 3, 5), -BOX_LIMIT, BOX_LIMIT))
    half = op.multiply(size, number(PATCH / 2))
    corners = op.concat([op.subtract(centre, half), op.add(centre, half)], axis=2)
    boxes = op.clamp(corners, 0.0, float(SIZE))
    chances = op.softmax(_part(head, FIXED_HEAD, LAST), axis=2)
    scores = op.multiply(op.sigmoid(_part(head, 0, 1)), chances)
    picked = op.non_max_suppression(
        boxes,
        op.transpose(scores, whole([0, 2, 1])),
        whole(MAX_FOUND),
        number(IOU_LIMIT),
        number(SCORE_FLOOR),
        box_encoding="corner",
        sort_result_descending=True,
        output_type="i64",
    )

    def first(output: int) -> ov.Node:
        found = picked.output(output)
        return op.slice(found, whole([0]), whole([MAX_FOUND]), whole([1]), whole([0]))

    chosen = first(0)
    rows = op.gather(op.squeeze(boxes, whole([0])), op.gather(chosen, whole(2), whole(1)), whole(0))
    score = op.gather(first(1), whole([2]), whole(1))
    out_boxes = op.unsqueeze(op.concat([rows, score], axis=1), whole([0]))
    out_labels = op.unsqueeze(op.gather(chosen, whole(1), whole(1)), whole([0]))
    info = {"model_type": "ssd", "confidence_threshold": str(threshold)}
    return {"boxes": out_boxes, "labels": out_labels}, info
