"""The tiny detector as an OpenVINO model that needs nothing around it.

Input ``image``: u8 [1, h, w, 3] RGB of any size. In the graph: resize to 96 x 96 as PIL's bilinear
filter does it, scaling, the network, boxes, suppression per class. Outputs, best first, at most
100: ``boxes`` f32 [1, n, 5] (x1, y1, x2, y2 in pixels of the 96 x 96 picture, score) and ``labels``
i64 [1, n]. ``rt_info`` makes Model API read it and scale the boxes to the image.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as op
from retrain.detection import MAX_FOUND

from . import network
from .network import BOX_LIMIT, DILATIONS, FIXED_HEAD, GRID, PATCH, SIZE, WIDTH, Params

CELLS = GRID * GRID


def _number(value: float | Sequence[float] | np.ndarray) -> ov.Node:
    return op.constant(np.asarray(value, np.float32))


def _whole(values: int | Sequence[int]) -> ov.Node:
    return op.constant(np.asarray(values, np.int64))


def _picture(image: ov.Node) -> ov.Node:
    """u8 [1, h, w, 3] to f32 [1, 3, 96, 96] in -1..1."""
    planes = op.transpose(op.convert(image, "f32"), _whole([0, 3, 1, 2]))
    small = op.interpolate(
        planes,
        _whole([SIZE, SIZE]),
        mode="bilinear_pillow",
        shape_calculation_mode="sizes",
        cube_coeff=-0.5,
        pads_begin=[0, 0, 0, 0],
        pads_end=[0, 0, 0, 0],
        axes=_whole([2, 3]),
    )
    return op.subtract(op.divide(small, _number(127.5)), _number(1.0))


def _conv(rows: ov.Node, weight: np.ndarray, bias: np.ndarray, step: int, dilation: int) -> ov.Node:
    """One layer; ``weight`` is [out, in, side, side]. Kept at its size unless ``step`` > 1."""
    pad = dilation if weight.shape[2] == 3 else 0
    made = op.convolution(
        rows, _number(weight), [step, step], [pad, pad], [pad, pad], [dilation, dilation]
    )
    return op.add(made, _number(bias.reshape(1, -1, 1, 1)))


def _head(picture: ov.Node, params: Params) -> ov.Node:
    """f32 [1, 3, 96, 96] to head values [1, 256, 5 + classes]."""
    patch = params["patch.w"].reshape(PATCH, PATCH, 3, WIDTH).transpose(3, 2, 0, 1)
    rows = op.relu(_conv(picture, patch, params["patch.b"], PATCH, 1))
    for number, dilation in enumerate(DILATIONS):
        weight = params[f"conv{number}.w"].reshape(3, 3, WIDTH, WIDTH).transpose(3, 2, 0, 1)
        rows = op.add(rows, op.relu(_conv(rows, weight, params[f"conv{number}.b"], 1, dilation)))
    weight = params["head.w"].T[:, :, None, None]
    head = _conv(rows, weight, params["head.b"], 1, 1)
    channels = len(params["head.b"])
    flat = op.reshape(head, _whole([1, channels, CELLS]), special_zero=False)
    return op.transpose(flat, _whole([0, 2, 1]))


def _part(values: ov.Node, start: int, stop: int) -> ov.Node:
    return op.slice(values, _whole([start]), _whole([stop]), _whole([1]), _whole([2]))


def build(params: Params, labels: Sequence[str], threshold: float) -> ov.Model:
    """The whole graph of parameters for ``labels``; ``threshold`` is only noted in rt_info."""
    image = op.parameter(ov.PartialShape([1, -1, -1, 3]), ov.Type.u8, name="image")
    image.output(0).tensor.set_names({"image"})
    ov.layout_helpers.set_layout(image.output(0), ov.Layout("NHWC"))
    head = _head(_picture(image), params)
    y, x = np.divmod(np.arange(CELLS, dtype=np.float32), GRID)
    grid = np.stack([x + 0.5, y + 0.5], axis=1)[None]
    centre = op.multiply(op.add(_part(head, 1, 3), _number(grid)), _number(float(PATCH)))
    size = op.exp(op.clamp(_part(head, 3, 5), -BOX_LIMIT, BOX_LIMIT))
    half = op.multiply(size, _number(PATCH / 2))
    corners = op.concat([op.subtract(centre, half), op.add(centre, half)], axis=2)
    boxes = op.clamp(corners, 0.0, float(SIZE))
    chances = op.softmax(_part(head, FIXED_HEAD, FIXED_HEAD + len(labels)), axis=2)
    scores = op.multiply(op.sigmoid(_part(head, 0, 1)), chances)
    picked = op.non_max_suppression(
        boxes,
        op.transpose(scores, _whole([0, 2, 1])),
        _whole(MAX_FOUND),
        _number(network.IOU_LIMIT),
        _number(network.SCORE_FLOOR),
        box_encoding="corner",
        sort_result_descending=True,
        output_type="i64",
    )

    def first(output: int) -> ov.Node:
        found = picked.output(output)
        return op.slice(found, _whole([0]), _whole([MAX_FOUND]), _whole([1]), _whole([0]))

    chosen = first(0)
    rows = op.gather(
        op.squeeze(boxes, _whole([0])), op.gather(chosen, _whole(2), _whole(1)), _whole(0)
    )
    score = op.gather(first(1), _whole([2]), _whole(1))
    out_boxes = op.unsqueeze(op.concat([rows, score], axis=1), _whole([0]))
    out_labels = op.unsqueeze(op.gather(chosen, _whole(1), _whole(1)), _whole([0]))
    results = []
    for node, name in ((out_boxes, "boxes"), (out_labels, "labels")):
        node.output(0).tensor.set_names({name})
        results.append(op.result(node, name=name + "/sink"))
    model = ov.Model(results, [image], "tiny")
    info = {
        "model_type": "ssd",
        "task_type": "detection",
        "labels": " ".join(re.sub(r"\s", "_", label) for label in labels),
        "embedded_processing": "YES",
        "resize_type": "standard",
        "orig_height": str(SIZE),
        "orig_width": str(SIZE),
        "confidence_threshold": str(threshold),
    }
    for key, value in info.items():
        model.set_rt_info(value, ["model_info", key])
    return model


def write(params: Params, labels: Sequence[str], threshold: float, folder: Path) -> None:
    """Write ``model.xml`` and ``model.bin`` (float32) into ``folder``."""
    ov.save_model(build(params, labels, threshold), folder / "model.xml", compress_to_fp16=False)
