"""Networks that getitune has and does not make as asked."""

from __future__ import annotations

from getitune.backend.lightning.models.classification.backbones import MobileNetV3Backbone
from getitune.backend.lightning.models.classification.classifier import ImageClassifier
from getitune.backend.lightning.models.classification.heads import LinearClsHead
from getitune.backend.lightning.models.classification.multiclass_models.mobilenet_v3 import (
    MobileNetV3MulticlassCls,
)
from getitune.backend.lightning.models.classification.necks.gap import GlobalAveragePooling
from torch import nn


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
