"""Small parts of an OpenVINO graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import openvino as ov
from openvino import opset13 as op


def number(value: float | Sequence[float] | np.ndarray) -> ov.Node:
    """f32 constant."""
    return op.constant(np.asarray(value, np.float32))


def whole(values: int | Sequence[int]) -> ov.Node:
    """i64 constant."""
    return op.constant(np.asarray(values, np.int64))


def cut(values: ov.Node, start: int, stop: int, axis: int) -> ov.Node:
    """A slice along one axis."""
    return op.slice(values, whole([start]), whole([stop]), whole([1]), whole([axis]))
