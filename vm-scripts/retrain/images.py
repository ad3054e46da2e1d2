"""Pictures as everybody here sees them: RGB, turned as EXIF says (as CVAT shows them)."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

# Pixels of a picture that Pillow still opens.
LARGEST = 2 * (Image.MAX_IMAGE_PIXELS or 0)
_TURN = Image.Transpose
_TURNS = {
    2: _TURN.FLIP_LEFT_RIGHT,
    3: _TURN.ROTATE_180,
    4: _TURN.FLIP_TOP_BOTTOM,
    5: _TURN.TRANSPOSE,
    6: _TURN.ROTATE_270,
    7: _TURN.TRANSVERSE,
    8: _TURN.ROTATE_90,
}
_ON_ITS_SIDE = frozenset({5, 6, 7, 8})
# What Pillow raises for files that are damaged in one way or another.
BROKEN = (
    *(OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError),
    *(struct.error, TypeError, LookupError, ArithmeticError),
)


class Unreadable(ValueError):
    """The file is no picture that can be read."""


def open_rgb(path: Path) -> Image.Image:
    """The picture as an RGB image, its EXIF turn applied; raises ``Unreadable``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                # Not by Pillow's exif_transpose: it writes the EXIF data anew, and fails where
                # these are odd though the picture is whole.
                turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
                turned = image if turn is None else image.transpose(turn)
                return _eight_bits(turned).convert("RGB")
    except BROKEN as error:
        raise Unreadable(f"{type(error).__name__}") from None


def measure(path: Path) -> tuple[int, int] | None:
    """Width and height as ``open_rgb`` would give them, from the file's head; None: no picture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                width, height = image.size
                turned = image.getexif().get(ExifTags.Base.Orientation, 1) in _ON_ITS_SIDE
                return (height, width) if turned else (width, height)
    except BROKEN:
        return None


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits (a plain conversion would clip it to white)."""
    if image.mode.startswith("I;16") or image.mode == "I":
        return Image.fromarray((np.asarray(image).astype(np.float64) / 257).astype(np.uint8))
    return image


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """The picture as u8 [height, width, 3]; raises ``Unreadable``."""
    return np.asarray(open_rgb(path), np.uint8)
