"""Pictures for the tiny network: read, resized exactly as the exported graph does it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from retrain.images import read_rgb

from .learn import Picture
from .network import SIZE, Array


def shrink(rgb: np.ndarray) -> Array:
    """u8 [h, w, 3] to f32 [96, 96, 3] in 0..255: PIL's bilinear filter, not rounded."""
    planes = [
        np.asarray(Image.fromarray(plane).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        for plane in rgb.astype(np.float32).transpose(2, 0, 1)
    ]
    return np.stack(planes, axis=-1)


def load(rows: Sequence[dict[str, Any]]) -> list[Picture]:
    """Pictures of rows {"path", "boxes" in pixels of the image, "labels"}; raises OSError."""
    pictures = []
    for row in rows:
        rgb = read_rgb(Path(row["path"]))
        scale = np.array([SIZE / rgb.shape[1], SIZE / rgb.shape[0]] * 2, np.float32)
        boxes = np.array(row["boxes"], np.float32).reshape(-1, 4) * scale
        pictures.append(Picture(shrink(rgb), boxes, np.array(row["labels"], int)))
    return pictures
