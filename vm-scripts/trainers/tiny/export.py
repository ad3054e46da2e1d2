"""The tiny network as an OpenVINO model that needs nothing around it.

Input ``image``: u8 [1, h, w, 3] RGB of any size. In the graph: resize to 96 x 96 as PIL's bilinear
filter does it, scaling, the network, and what the task makes of it (``detection_graph.py``,
``classification_graph.py``: outputs and ``rt_info`` for Model API).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as op

from . import classification_graph, detection_graph
from .network import DILATIONS, GRID, PATCH, SIZE, WIDTH, Params
from .parts import number, whole

GRAPHS = {
    "classification": classification_graph.finish,
    "detection": detection_graph.finish,
}


def _picture(image: ov.Node) -> ov.Node:
    """u8 [1, h, w, 3] to f32 [1, 3, 96, 96] in -1..1."""
    planes = op.transpose(op.convert(image, "f32"), whole([0, 3, 1, 2]))
    small = op.interpolate(
        planes,
        whole([SIZE, SIZE]),
        mode="bilinear_pillow",
        shape_calculation_mode="sizes",
        cube_coeff=-0.5,
        pads_begin=[0, 0, 0, 0],
        pads_end=[0, 0, 0, 0],
        axes=whole([2, 3]),
    )
    return op.subtract(op.divide(small, number(127.5)), number(1.0))


def _conv(rows: ov.Node, weight: np.ndarray, bias: np.ndarray, step: int, dilation: int) -> ov.Node:
    """One layer; ``weight`` is [out, in, side, side]. Kept at its size unless ``step`` > 1."""
    pad = dilation if weight.shape[2] == 3 else 0
    made = op.convolution(
        rows, number(weight), [step, step], [pad, pad], [pad, pad], [dilation, dilation]
    )
    return op.add(made, number(bias.reshape(1, -1, 1, 1)))


def _head(picture: ov.Node, params: Params) -> ov.Node:
    """f32 [1, 3, 96, 96] to head values [1, 256, values]."""
    patch = params["patch.w"].reshape(PATCH, PATCH, 3, WIDTH).transpose(3, 2, 0, 1)
    rows = op.relu(_conv(picture, patch, params["patch.b"], PATCH, 1))
    for layer, dilation in enumerate(DILATIONS):
        weight = params[f"conv{layer}.w"].reshape(3, 3, WIDTH, WIDTH).transpose(3, 2, 0, 1)
        rows = op.add(rows, op.relu(_conv(rows, weight, params[f"conv{layer}.b"], 1, dilation)))
    weight = params["head.w"].T[:, :, None, None]
    head = _conv(rows, weight, params["head.b"], 1, 1)
    channels = len(params["head.b"])
    flat = op.reshape(head, whole([1, channels, GRID * GRID]), special_zero=False)
    return op.transpose(flat, whole([0, 2, 1]))


def build(task: str, params: Params, labels: Sequence[str], threshold: float) -> ov.Model:
    """The whole graph of parameters for ``labels``; ``threshold`` is only noted in rt_info."""
    image = op.parameter(ov.PartialShape([1, -1, -1, 3]), ov.Type.u8, name="image")
    image.output(0).tensor.set_names({"image"})
    ov.layout_helpers.set_layout(image.output(0), ov.Layout("NHWC"))
    outputs, own_info = GRAPHS[task](_head(_picture(image), params), threshold)
    results = []
    for name, node in outputs.items():
        node.output(0).tensor.set_names({name})
        results.append(op.result(node, name=name + "/sink"))
    model = ov.Model(results, [image], "tiny")
    info = {
        "task_type": task,
        "labels": " ".join(re.sub(r"\s", "_", label) for label in labels),
        "embedded_processing": "YES",
        "resize_type": "standard",
        "orig_height": str(SIZE),
        "orig_width": str(SIZE),
        **own_info,
    }
    for key, value in info.items():
        model.set_rt_info(value, ["model_info", key])
    return model


def write(task: str, params: Params, labels: Sequence[str], threshold: float, folder: Path) -> None:
    """Write ``model.xml`` and ``model.bin`` (float32) into ``folder``."""
    model = build(task, params, labels, threshold)
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
