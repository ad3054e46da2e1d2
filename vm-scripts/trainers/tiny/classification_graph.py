"""The end of a classifier's graph: pooling, and ``scores`` f32 [1, classes], which sum up to 1."""

from __future__ import annotations

import openvino as ov
from openvino import opset13 as op

from .parts import whole


def finish(head: ov.Node, _threshold: float) -> tuple[dict[str, ov.Node], dict[str, str]]:
    """Outputs by name, and rt_info, from head values [1, 256, classes]."""
    most = op.reduce_max(head, whole([1]), keep_dims=True)
    mean = op.reduce_mean(op.exp(op.subtract(head, most)), whole([1]), keep_dims=True)
    logits = op.squeeze(op.add(most, op.log(mean)), whole([1]))
    info = {
        "model_type": "Classification",
        "multilabel": "False",
        "hierarchical": "False",
        "output_raw_scores": "True",
        "topk": "1",
    }
    return {"scores": op.softmax(logits, axis=1)}, info
