"""The published form of a network: one file that needs nothing around it.

Input ``image``: u8 [1, h, w, 3] RGB of any size. In the graph: resizing as the trainer does it
(bilinear with antialiasing; a network that keeps the aspect has its picture at the top left, the
rest padded), scaling, the network with its suppression, and outputs in one form for all networks:

* classification: ``scores`` [1, classes], which sum up to 1
* detection: ``boxes`` [1, n, 5] (x1, y1, x2, y2, score), ``labels`` [1, n], best first; the boxes
  are in pixels of the network's size as if the picture had been stretched to it, padded or not
* instance segmentation: the same and ``masks`` [1, n, side, side]: what of a box is the object

Only OpenVINO is needed here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as op

from . import segments
from .graph import cut, number, whole

SCORE_FLOOR = 1e-3
"""Networks fill up their output with answers of score 0."""


@dataclass(frozen=True)
class Form:
    """``pad``: the value beside a picture whose aspect is kept (0 to 255), None: it is stretched;
    ``reverse``: the network wants BGR; ``mean`` and ``scale``: of pixels from 0 to 1."""

    task: str
    size: tuple[int, int]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    pad: float | None
    reverse: bool
    labels: list[str]
    threshold: float


def _sides(planes: ov.Node) -> ov.Node:
    """Height and width, f32 [2]."""
    return op.convert(op.slice(op.shape_of(planes), whole([2]), whole([4]), whole([1])), "f32")


def _fitting(planes: ov.Node, form: Form) -> ov.Node:
    """Height and width, i64 [2], of the picture within the network's size, its aspect kept."""
    sides = _sides(planes)
    scale = op.reduce_min(op.divide(number(form.size), sides), whole([0]), keep_dims=True)
    return op.convert(op.round(op.multiply(sides, scale), "half_to_even"), "i64")


def _resized(planes: ov.Node, sizes: ov.Node) -> ov.Node:
    return op.interpolate(
        planes,
        sizes,
        mode="bilinear_pillow",
        shape_calculation_mode="sizes",
        cube_coeff=-0.5,
        pads_begin=[0, 0, 0, 0],
        pads_end=[0, 0, 0, 0],
        axes=whole([2, 3]),
    )


def _picture(image: ov.Node, form: Form) -> tuple[ov.Node, ov.Node]:
    """What the network is given, and (width, height) of the picture within it, f32 [2]."""
    pixels = op.divide(op.convert(image, "f32"), number(255.0))
    planes = op.transpose(pixels, whole([0, 3, 1, 2]))
    sizes = whole(form.size) if form.pad is None else _fitting(planes, form)
    made = op.clamp(_resized(planes, sizes), 0.0, 1.0)
    if form.pad is not None:
        room = op.concat([whole([0, 0]), op.subtract(whole(form.size), sizes)], axis=0)
        made = op.pad(made, whole([0, 0, 0, 0]), room, "constant", number(form.pad / 255))
        made = op.reshape(made, whole([1, 3, *form.size]), special_zero=False)
    if form.reverse:
        made = op.gather(made, whole([2, 1, 0]), whole(1))

    def channels(values: tuple[float, ...]) -> ov.Node:
        return number(np.reshape(values, (1, 3, 1, 1)))

    scaled = op.divide(op.subtract(made, channels(form.mean)), channels(form.scale))
    return scaled, op.gather(op.convert(sizes, "f32"), whole([1, 0]), whole(0))


def _classes(outputs: dict[str, ov.Node], form: Form, _used: ov.Node) -> dict[str, ov.Node]:
    (logits,) = outputs.values()
    count = len(form.labels)
    return {"scores": op.softmax(op.reshape(logits, whole([1, count]), special_zero=False), axis=1)}


def _rows(outputs: dict[str, ov.Node], form: Form, used: ov.Node) -> dict[str, ov.Node]:
    """Boxes with scores and their labels, and what belongs to each of them."""
    boxes = next(node for name, node in outputs.items() if "box" in name)
    flat = op.reshape(boxes, whole([-1, boxes.get_partial_shape()[-1].get_length()]), False)
    corners = cut(flat, 0, 4, axis=1)
    if "scores" in outputs:  # a transformer's: corners from 0 to 1
        scores = op.reshape(outputs["scores"], whole([-1]), False)
        height, width = form.size
        corners = op.multiply(corners, number([width, height, width, height]))
    else:
        scores = op.reshape(cut(flat, 4, 5, axis=1), whole([-1]), False)
    labels = op.convert(op.reshape(outputs["labels"], whole([-1]), False), "i64")
    order = _kept(scores, corners)

    def chosen(values: ov.Node) -> ov.Node:
        return op.gather(values, order, whole(0))

    stretched = op.multiply(
        chosen(corners), op.tile(op.divide(number(form.size[::-1]), used), whole([2]))
    )
    height, width = form.size
    inside = op.minimum(
        op.maximum(stretched, number(0.0)), number([[width, height, width, height]])
    )
    column = op.unsqueeze(chosen(scores), whole([1]))
    made = {
        "boxes": op.unsqueeze(op.concat([inside, column], axis=1), whole([0])),
        "labels": op.unsqueeze(chosen(labels), whole([0])),
    }
    if form.task == "instance_segmentation":
        masks = segments.crops(outputs["masks"], chosen, chosen(corners), form.size)
        made["masks"] = op.unsqueeze(masks, whole([0]))
    return made


def _kept(scores: ov.Node, corners: ov.Node) -> ov.Node:
    """Indices of rows with a score and an area, best first."""
    sides = op.subtract(cut(corners, 2, 4, axis=1), cut(corners, 0, 2, axis=1))
    area = op.greater(op.reduce_min(sides, whole([1])), number(0.0))
    good = op.logical_and(op.greater(scores, number(SCORE_FLOOR)), area)
    ranked = op.topk(
        op.select(good, scores, number(-1.0)),
        op.gather(op.shape_of(scores), whole(0), whole(0)),
        axis=0,
        mode="max",
        sort="value",
        stable=True,
        index_element_type="i64",
    )
    count = op.reduce_sum(op.convert(good, "i64"), whole([0]), keep_dims=True)
    return op.slice(ranked.output(1), whole([0]), count, whole([1]), whole([0]))


FINISH = {
    "classification": _classes,
    "detection": _rows,
    "instance_segmentation": _rows,
}
INFO: dict[str, dict[str, str]] = {
    "classification": {
        "model_type": "Classification",
        "multilabel": "False",
        "hierarchical": "False",
        "output_raw_scores": "True",
        "topk": "1",
    },
    "detection": {"model_type": "ssd"},
    "instance_segmentation": {"model_type": "MaskRCNN", "postprocess_semantic_masks": "True"},
}


def _without_batch(inner: ov.Model, size: tuple[int, int]) -> dict[str, ov.Node]:
    """The network for one picture; its outputs by name."""
    inner.reshape([1, 3, *size])
    made = {}
    for place, result in enumerate(inner.outputs):
        names = sorted(result.get_names()) or [f"output{place}"]
        made[names[0]] = result.get_node().input_value(0)
    return made


def build(inner: ov.Model, form: Form) -> ov.Model:
    """The published form around getitune's network."""
    image = op.parameter(ov.PartialShape([1, -1, -1, 3]), ov.Type.u8, name="image")
    image.output(0).tensor.set_names({"image"})
    ov.layout_helpers.set_layout(image.output(0), ov.Layout("NHWC"))
    given, used = _picture(image, form)
    outputs = _without_batch(inner, form.size)
    (entry,) = inner.get_parameters()
    for target in entry.output(0).get_target_inputs():
        target.replace_source_output(given.output(0))
    results = []
    for name, node in FINISH[form.task](outputs, form, used).items():
        node.output(0).tensor.set_names({name})
        results.append(op.result(node, name=name + "/sink"))
    model = ov.Model(results, [image], "getitune")
    info = {
        "task_type": form.task,
        "labels": " ".join(re.sub(r"\s", "_", label) for label in form.labels),
        "embedded_processing": "YES",
        "resize_type": "standard",
        "orig_height": str(form.size[0]),
        "orig_width": str(form.size[1]),
        "confidence_threshold": str(form.threshold),
        **INFO[form.task],
    }
    if form.task == "instance_segmentation":  # Model API counts the classes from 1
        info["labels"] = "background " + info["labels"]
    for key, value in info.items():
        model.set_rt_info(value, ["model_info", key])
    return model


def write(source: Path, form: Form, folder: Path) -> None:
    """``model.xml`` and ``model.bin`` (float32) from getitune's own export."""
    model = build(ov.Core().read_model(source), form)
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
