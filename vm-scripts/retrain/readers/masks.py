"""Masks as polygons: what is trained on are outlines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ENLARGED = 2
"""Contours run through the middle of pixels; on an enlarged mask that is nearer to their edges."""


def outline(mask: NDArray[np.uint8]) -> tuple[list[list[float]], bool]:
    """The outer edges of a mask [height, width], flat and in pixels; whether it has holes, which
    are filled."""
    # Only few sets have masks, and the import takes its time.
    import cv2

    large = mask.astype(bool).astype(np.uint8).repeat(ENLARGED, 0).repeat(ENLARGED, 1)
    contours, tree = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = [contour for contour, node in zip(contours, _nodes(tree), strict=True) if node[3] < 0]
    parts = [((contour.reshape(-1, 2) + 0.5) / ENLARGED).ravel().tolist() for contour in outer]
    return [part for part in parts if len(part) >= 6], len(outer) < len(contours)


def _nodes(tree: NDArray[np.int32] | None) -> NDArray[np.int32]:
    return np.zeros((0, 4), np.int32) if tree is None else tree[0]


def from_runs(runs: list[int], width: int, height: int) -> NDArray[np.uint8]:
    """A mask from CVAT's run lengths: row by row, the first run is outside; raises ValueError."""
    if width <= 0 or height <= 0 or min(runs, default=-1) < 0 or sum(runs) != width * height:
        raise ValueError("the runs do not fill the mask")
    values = np.arange(len(runs), dtype=np.int64) % 2
    return np.repeat(values.astype(np.uint8), runs).reshape(height, width)
