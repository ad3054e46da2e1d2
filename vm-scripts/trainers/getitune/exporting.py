"""Step ``export``: the checkpoint's network as OpenVINO, then the published form around it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from ..program import EXPORT, Job, Refused
from . import published, warm
from .models import Model

MIN_OPENVINO = "2024.6"


def bare(model: Model, checkpoint: dict[str, Any]) -> Any:
    """Getitune's network for the checkpoint's classes and size, with fresh weights."""
    import getitune
    import yaml
    from getitune.backend.lightning.models.base import DataInputParams

    recipe = Path(getitune.__file__).parent / "recipe" / model.recipe
    about = model.described(yaml.safe_load(recipe.read_text())["model"])
    module, name = about["class_path"].rsplit(".", 1)
    kind = getattr(importlib.import_module(module), name)
    # "" stands for nothing in a recipe, as getitune's own parser of recipes has it.
    settings = {k: None if v == "" else v for k, v in about["init_args"].items()}
    former = checkpoint["hyper_parameters"]
    params = {k: v for k, v in former["data_input_params"].items() if k != "intensity_config"}
    return kind(
        **{k: v for k, v in settings.items() if k not in ("optimizer", "scheduler", "label_info")},
        label_info=former["label_info"],
        data_input_params=DataInputParams(**params),
        pretrained=False,
    )


def _converted(network: Any, folder: Path) -> Path:
    """Getitune's own export, with non-maximum suppression where the network needs one."""
    from getitune.types.export import ExportFormat
    from getitune.types.precision import Precision

    if hasattr(network, "export_nms"):
        network.export_nms = not hasattr(network.model, "decoder")
    return Path(network.export(folder, "getitune", ExportFormat.OPENVINO, Precision.FP32))


def export(job: Job, model: Model) -> dict[str, Any]:
    """``model.xml`` and ``model.bin`` of the checkpoint."""
    try:
        checkpoint = warm.load(Path(job.raw["checkpoint"]))
    except warm.Unusable as problem:
        raise Refused(EXPORT, f"the checkpoint cannot be exported: {problem}") from None
    if warm.classes_of(checkpoint) != job.classes:
        raise Refused(EXPORT, "the checkpoint has other classes")
    network = bare(model, checkpoint)
    network.load_state_dict(checkpoint)
    network.eval()
    params, exporter = network.data_input_params, network._exporter
    form = published.Form(
        task=model.task,
        size=(int(params.input_size[0]), int(params.input_size[1])),
        mean=tuple(float(v) for v in params.mean or (0, 0, 0)),
        scale=tuple(float(v) for v in params.std or (1, 1, 1)),
        pad=exporter.pad_value if exporter.resize_mode.startswith("fit_to_window") else None,
        reverse=bool(exporter.swap_rgb),
        labels=job.classes,
        threshold=_threshold(checkpoint),
    )
    published.write(_converted(network, job.out), form, job.out)
    return {
        "ir": {
            "xml": "model.xml",
            "bin": "model.bin",
            "input": "image",
            "network_size": list(form.size),
            "threshold": form.threshold,
            "min_openvino": MIN_OPENVINO,
        }
    }


def _threshold(checkpoint: dict[str, Any]) -> float:
    """The score with the best F1 on the validation pictures, as getitune found it."""
    found = checkpoint["hyper_parameters"].get("best_confidence_threshold")
    return round(min(max(float(found if found else 0.3), 0.05), 0.9), 3)
