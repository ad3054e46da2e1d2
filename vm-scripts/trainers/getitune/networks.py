"""Networks of getitune that are not made or not measured as they are published."""

from __future__ import annotations

from typing import Any

import torch
from getitune.backend.lightning.models.classification.backbones import MobileNetV3Backbone
from getitune.backend.lightning.models.classification.classifier import ImageClassifier
from getitune.backend.lightning.models.classification.heads import LinearClsHead
from getitune.backend.lightning.models.classification.multiclass_models.mobilenet_v3 import (
    MobileNetV3MulticlassCls,
)
from getitune.backend.lightning.models.classification.necks.gap import GlobalAveragePooling
from getitune.backend.lightning.models.instance_segmentation.rtmdet_inst import (
    RTMDetInst as OwnRTMDetInst,
)
from torch import Tensor, nn


class MobileNetV3(MobileNetV3MulticlassCls):
    """The member of the family that is asked for; getitune 0.4.0 always makes the large one."""

    def _create_model(self, num_classes: int | None = None) -> nn.Module:
        member = self.model_name
        size = self.data_input_params.input_size
        return ImageClassifier(
            backbone=MobileNetV3Backbone(model_name=member, input_size=size),
            neck=GlobalAveragePooling(dim=2),
            head=LinearClsHead(
                num_classes=num_classes if num_classes is not None else self.num_classes,
                in_channels=MobileNetV3Backbone.MV3_CFG[member]["out_channels"],
            ),
            loss=nn.CrossEntropyLoss(),
        )


class RTMDetInst(OwnRTMDetInst):
    """Its masks are of the whole picture; those that are published end at their boxes, and so do
    those that are measured."""

    def _convert_pred_entity_to_compute_metric(self, preds: Any, inputs: Any) -> Any:
        preds.masks = [
            _within(masks, boxes) for masks, boxes in zip(preds.masks, preds.bboxes, strict=True)
        ]
        return super()._convert_pred_entity_to_compute_metric(preds, inputs)


def _within(masks: Tensor, boxes: Tensor) -> Tensor:
    """[n, h, w], false outside of [n, 4]."""
    height, width = masks.shape[-2:]
    rows = torch.arange(height, device=masks.device)[None] + 0.5
    columns = torch.arange(width, device=masks.device)[None] + 0.5
    x1, y1, x2, y2 = (boxes[:, i, None] for i in range(4))
    inside = ((rows >= y1) & (rows <= y2))[:, :, None] & ((columns >= x1) & (columns <= x2))[
        :, None
    ]
    return masks * inside
