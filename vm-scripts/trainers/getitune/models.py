"""Which networks there are: the names that a job may give, and what getitune needs for each.

A name means one of getitune's recipes, or a member of a family that a recipe has another one of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rows:
    """How the rows of layers that know the classes are laid out.

    ``background``: whether it comes ``first`` or ``last`` where a layer has it. ``by_anchor``: all
    classes of the first anchor, then those of the second; else all values of the first class, then
    those of the second.
    """

    background: str = "last"
    by_anchor: bool = False


@dataclass(frozen=True)
class Model:
    """``recipe``: its path below getitune's recipes; ``size``: the height and width its recipe has;
    ``network``, ``member``: the class and the member of its family that the recipe does not have;
    ``step``: of what a size is a multiple; ``sizes_fixed``: it works at its own size alone."""

    task: str
    recipe: str
    size: tuple[int, int]
    network: str | None = None
    member: str | None = None
    step: int = 32
    sizes_fixed: bool = False
    rows: Rows = field(default_factory=Rows)

    def described(self, described: dict[str, Any]) -> dict[str, Any]:
        """A recipe's part ``model`` (class_path and init_args) as it is for this one."""
        own = {} if self.member is None else {"model_name": self.member}
        return {
            "class_path": self.network or described["class_path"],
            "init_args": described["init_args"] | own,
        }


def _classifier(name: str, **more: Any) -> Model:
    recipe = f"classification/multi_class_cls/{name}.yaml"
    return Model("classification", recipe, (224, 224), **more)


def _detector(name: str, size: tuple[int, int], **more: Any) -> Model:
    return Model("detection", f"detection/{name}.yaml", size, **more)


def _segmenter(name: str, size: tuple[int, int], **more: Any) -> Model:
    return Model("instance_segmentation", f"instance_segmentation/{name}.yaml", size, **more)


MODELS: dict[str, Model] = {
    "efficientnet_b0": _classifier("efficientnet_b0"),
    "mobilenet_v3_small": _classifier(
        "mobilenet_v3_large",
        network="trainers.getitune.networks.MobileNetV3",
        member="mobilenetv3_small",
    ),
    "mobilenet_v3_large": _classifier("mobilenet_v3_large"),
    "efficientnet_v2": _classifier("efficientnet_v2"),
    "dino_v2": _classifier("dino_v2", step=14),
    "ssd_mobilenetv2": _detector("ssd_mobilenetv2", (864, 864), rows=Rows(by_anchor=True)),
    "yolox_tiny": _detector("yolox_tiny", (416, 416)),
    "atss_mobilenetv2": _detector("atss_mobilenetv2", (800, 992)),
    "deim_dfine_m": _detector("deim_dfine_m", (640, 640), sizes_fixed=True),
    "maskrcnn_efficientnetb2b": _segmenter("maskrcnn_efficientnetb2b", (1024, 1024)),
    "rtmdet_inst_tiny": _segmenter(
        "rtmdet_inst_tiny", (640, 640), network="trainers.getitune.networks.RTMDetInst"
    ),
    "maskrcnn_r50": _segmenter("maskrcnn_r50", (1024, 1024), rows=Rows(background="first")),
}

TASKS = {
    "classification": "MULTI_CLASS_CLS",
    "detection": "DETECTION",
    "instance_segmentation": "INSTANCE_SEGMENTATION",
}


class Unknown(ValueError):
    """No such network, or not as asked for; the text is for the person who asked."""


def find(task: str, name: str, input_size: int) -> tuple[Model, tuple[int, int]]:
    """The network and the height and width it is to work on (``input_size`` 0: its own)."""
    if task not in TASKS:
        raise Unknown(f"trainer `getitune` does {', '.join(TASKS)}, not `{task}`")
    names = [own for own, model in MODELS.items() if model.task == task]
    if name not in names:
        raise Unknown(f"model `{name}` does not do {task}; these do: {', '.join(names)}")
    model = MODELS[name]
    if input_size in (0, *(model.size if model.size[0] == model.size[1] else ())):
        return model, model.size
    if model.sizes_fixed:
        raise Unknown(f"model `{name}` works at input_size {model.size[0]} only; leave it out")
    if input_size % model.step or not 64 <= input_size <= 2048:
        near = max(64, round(input_size / model.step) * model.step)
        raise Unknown(
            f"input_size {input_size} does not fit model `{name}`: from 64 to 2048 and a multiple "
            f"of {model.step}, for instance {min(near, 2048 // model.step * model.step)}"
        )
    return model, (input_size, input_size)
