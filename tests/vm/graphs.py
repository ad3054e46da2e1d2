"""Models that say the same of every picture: small OpenVINO graphs in the published form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as op


def _write(folder: Path, outputs: dict[str, np.ndarray[Any, Any]], info: dict[str, object]) -> None:
    image = op.parameter(ov.PartialShape([1, -1, -1, 3]), ov.Type.u8, name="image")
    image.output(0).tensor.set_names({"image"})
    ov.layout_helpers.set_layout(image.output(0), ov.Layout("NHWC"))
    results = []
    for name, value in outputs.items():
        node = op.constant(value)
        node.output(0).tensor.set_names({name})
        results.append(op.result(node, name=name + "/sink"))
    model = ov.Model(results, [image], "fixed")
    for key, value in info.items():
        model.set_rt_info(str(value), ["model_info", key])
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)


def instances(
    folder: Path,
    size: tuple[int, int],
    boxes: Sequence[Sequence[float]],
    labels: Sequence[int],
    masks: np.ndarray[Any, Any],
    threshold: float = 0.5,
) -> None:
    """``boxes``: x1, y1, x2, y2, score in pixels of ``size`` (width, height); masks [n, h, w]."""
    outputs = {
        "boxes": np.array(boxes, np.float32).reshape(1, -1, 5),
        "labels": np.array(labels, np.int64).reshape(1, -1),
        "masks": np.asarray(masks, np.float32)[None],
    }
    info = {"orig_width": size[0], "orig_height": size[1], "confidence_threshold": threshold}
    _write(folder, outputs, {"model_type": "MaskRCNN", "embedded_processing": "YES", **info})
