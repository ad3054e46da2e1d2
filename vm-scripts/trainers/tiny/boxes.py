"""Boxes of the tiny detector: IoU, suppression, and the score limit that fits best."""

from __future__ import annotations

import numpy as np
from retrain.detection import Floats
from retrain.matching import Matches


def iou(left: Floats, right: Floats) -> Floats:
    """Intersection over union of each pair: [n, 4] and [m, 4] give [n, m], 0 for empty boxes."""
    top_left = np.maximum(left[:, None, :2], right[None, :, :2])
    bottom_right = np.minimum(left[:, None, 2:], right[None, :, 2:])
    shared = np.prod(np.clip(bottom_right - top_left, 0, None), axis=2)
    areas_left = np.prod(np.clip(left[:, 2:] - left[:, :2], 0, None), axis=1)
    areas_right = np.prod(np.clip(right[:, 2:] - right[:, :2], 0, None), axis=1)
    union = areas_left[:, None] + areas_right[None, :] - shared
    ratio: Floats = np.divide(shared, union, out=np.zeros_like(union), where=union > 0)
    return ratio


def suppress(boxes: Floats, scores: Floats, iou_limit: float, most: int) -> list[int]:
    """Greedy non-maximum suppression; indices kept, best score first, at most ``most``."""
    order = np.argsort(-scores, kind="stable")
    overlap = iou(boxes[order], boxes[order]) > iou_limit
    alive = np.ones(len(order), bool)
    kept: list[int] = []
    for place, index in enumerate(order):
        if not alive[place]:
            continue
        kept.append(int(index))
        if len(kept) == most:
            break
        alive &= ~overlap[place]
    return kept


def best_threshold(matches: Matches) -> float:
    """The score limit with the highest F1 at IoU .5, kept within 0.05 and 0.9, two decimals."""
    flat, right, total = matches.pairs()
    if total == 0 or len(flat) == 0:
        return 0.3
    best, last, best_f1 = 0.3, 0.3, -1.0
    for limit in np.arange(5, 91) / 100:
        taken = flat > limit
        f1 = 2 * right[taken].sum() / (taken.sum() + total)
        if f1 >= best_f1 + 1e-9:
            best, best_f1, last = float(limit), f1, float(limit)
        elif abs(f1 - best_f1) < 1e-9:
            last = float(limit)
            continue
    return round((best + last) / 2, 2) if best_f1 > 0 else 0.3
