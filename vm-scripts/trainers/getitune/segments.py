"""Masks of instance segmentation in one form: small ones, each laid over its box."""

from __future__ import annotations

from collections.abc import Callable

import openvino as ov
from openvino import opset13 as op

from .graph import whole

SIDE = 56
"""Height and width of a mask that is cut out of one of the whole picture."""


def crops(
    masks: ov.Node, chosen: Callable[[ov.Node], ov.Node], corners: ov.Node, size: tuple[int, int]
) -> ov.Node:
    """f32 [n, side, side], likelihoods. ``masks``: [.., rows, side, side] of the boxes, or of the
    whole picture; ``chosen`` picks rows of them; ``corners`` [n, 4] in pixels of the network."""
    shape = masks.get_partial_shape()
    height, width = shape[-2], shape[-1]
    sides = op.slice(op.shape_of(masks), whole([-2]), whole([2**31]), whole([1]))
    flat = op.reshape(masks, op.concat([whole([-1]), sides], 0), False)
    rows = op.convert(chosen(flat), "f32")
    if height.is_static and width.is_static and height.get_length() < size[0] // 2:
        return rows
    planes = op.unsqueeze(rows, whole([1]))
    count = op.gather(op.shape_of(planes), whole(0), whole(0))
    own = op.range(whole(0), count, whole(1), output_type="i64")
    # In OpenVINO on the CPU it is "half_pixel_for_nn" that takes pixels by their middles.
    mode = "half_pixel_for_nn"
    made = op.roi_align(planes, corners, own, SIDE, SIDE, 2, 1.0, "avg", aligned_mode=mode)
    return op.squeeze(made, whole([1]))
