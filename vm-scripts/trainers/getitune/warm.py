"""Starting from a former job's checkpoint: its weights, with the rows of classes by their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from getitune.utils.safe_globals import CHECKPOINT_SAFE_GLOBALS

from .keeper import ABOUT
from .models import Model
from .rows import pairs


class Unusable(ValueError):
    """Nothing to start from; the text says why."""


def load(path: Path) -> dict[str, Any]:
    """A checkpoint of this trainer; plain data only, never code. Raises ``Unusable``."""
    try:
        with torch.serialization.safe_globals(CHECKPOINT_SAFE_GLOBALS):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise Unusable(f"it cannot be read ({type(error).__name__})") from None
    if not isinstance(loaded, dict) or not loaded.get("state_dict"):
        raise Unusable("it holds no weights")
    if "label_info" not in (loaded.get("hyper_parameters") or {}):
        raise Unusable("it does not say which classes it knows (`label_info`)")
    return loaded


def classes_of(checkpoint: dict[str, Any]) -> list[str]:
    """The classes it knows, in the order of its rows."""
    return list(checkpoint["hyper_parameters"]["label_info"]["label_names"])


def start(network: Any, model: Model, name: str, path: Path, classes: list[str]) -> None:
    """Give ``network`` (getitune's) the weights of the checkpoint; raises ``Unusable``."""
    former = load(path)
    other = former.get(ABOUT, {}).get("model", name)
    if other != name:
        raise Unusable(f"it is of model `{other}`, not `{name}`")
    state = dict(former["state_dict"])
    before = classes_of(former)
    if before != classes:
        _match_rows(network, model, state, classes, before)
    wanted = {key: value.shape for key, value in network.state_dict().items()}
    found = {key: value.shape for key, value in state.items()}
    if wanted != found:
        raise Unusable("its layers have other names or sizes")
    if any(value.is_floating_point() and not value.isfinite().all() for value in state.values()):
        raise Unusable("it holds numbers that are not finite")
    network.load_state_dict(state)
    _keep_anchors(network, former["hyper_parameters"])


def _match_rows(
    network: Any, model: Model, state: dict[str, Any], classes: list[str], before: list[str]
) -> None:
    fresh = network.state_dict()
    three, four = (network._create_model(num_classes=n).state_dict() for n in (3, 4))
    for key, value in three.items():
        if value.shape == four[key].shape:
            continue
        own = f"model.{key}"
        if own not in state:
            raise Unusable("its layers have other names")
        made = fresh[own].clone()
        for here, there in pairs(model.rows, (value.shape[0], four[key].shape[0]), classes, before):
            made[here] = state[own][there]
        state[own] = made


def _keep_anchors(network: Any, former: dict[str, Any]) -> None:
    """SSD fits its anchors to the data when training begins; weights mean something only with the
    anchors that they were learned with."""
    anchors = former.get("ssd_anchors")
    size = list(former.get("data_input_params", {}).get("input_size", []))
    if not anchors or size != list(network.data_input_params.input_size):
        return
    generator = network.model.bbox_head.anchor_generator
    generator.widths, generator.heights = anchors["widths"], anchors["heights"]
    generator.gen_base_anchors()
    network.hparams["ssd_anchors"] = dict(anchors)
    network._get_new_anchors = lambda *_: None
