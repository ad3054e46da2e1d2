"""What a model found and what a person drew on one image, and the agreed limit of findings.

A box is x1, y1, x2, y2 in pixels of one image (any scale, as long as both sides share it). A mask
is run-length coded as pycocotools has it, ``{"size": [height, width], "counts": bytes}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Rle = Mapping[str, Any]

MAX_FOUND = 100


@dataclass(frozen=True)
class Found:
    """Detections on one image: boxes [n, 4], scores [n], labels [n], and a mask each or None."""

    boxes: Floats
    scores: Floats
    labels: Ints
    masks: list[Rle] | None = None


@dataclass(frozen=True)
class Drawn:
    """Annotations of one image: boxes [m, 4], labels [m], and a mask each or None."""

    boxes: Floats
    labels: Ints
    masks: list[Rle] | None = None
