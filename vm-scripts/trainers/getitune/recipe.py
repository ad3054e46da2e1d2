"""A copy of one of getitune's recipes, changed to what a job asks for.

The recipe's own callbacks stay; ours are added to them by class path.
"""

from __future__ import annotations

import copy
from typing import Any

from .machine import Loads
from .models import Model

SUBSETS = ("train_subset", "val_subset", "test_subset")
SCHEDULING = (
    "getitune.backend.lightning.callbacks.adaptive_train_scheduling.AdaptiveTrainScheduling"
)
OWN = ("trainers.getitune.keeper.Keeper", "trainers.getitune.keeper.Quiet")
SAMPLERS = {
    "getitune.data.samplers.balanced_sampler.BalancedSampler": "Balanced",
    "torch.utils.data.RandomSampler": "Shuffled",
}
"""Those of the recipes, and ours that stand in for them."""


def batch_of(recipe: dict[str, Any], base: dict[str, Any]) -> int:
    """The training batch as the recipe has it; ``base``: the data part that it refers to."""
    return int(_of_training(recipe, base, "batch_size"))


def _of_training(recipe: dict[str, Any], base: dict[str, Any], key: str) -> Any:
    own = recipe.get("overrides", {}).get("data", {}).get("train_subset", {})
    return own.get(key, base["train_subset"].get(key))


def adapted(
    recipe: dict[str, Any],
    base: dict[str, Any],
    base_path: str,
    model: Model,
    size: tuple[int, int],
    loads: Loads,
    pretrained: bool,
) -> dict[str, Any]:
    """The recipe of a job. ``base_path``: where the data part lies, absolute."""
    made = copy.deepcopy(recipe)
    made["data"] = base_path
    made["model"] = model.described(made["model"])
    made["model"]["init_args"]["pretrained"] = pretrained
    made["callbacks"] = [
        *_every_epoch(made["callbacks"]),
        *({"class_path": path} for path in OWN),
    ]
    overrides = made.setdefault("overrides", {})
    if "callbacks" in overrides:
        overrides["callbacks"] = _every_epoch(overrides["callbacks"])
    data = overrides.setdefault("data", {})
    data["input_size"] = list(size)
    for subset in SUBSETS:
        own = data.setdefault(subset, {})
        own["batch_size"], own["num_workers"] = loads.batch, loads.workers
    sampler = _of_training(recipe, base, "sampler")
    own = SAMPLERS[sampler["class_path"]]
    data["train_subset"]["sampler"] = {"class_path": f"trainers.getitune.sampling.{own}"}
    return made


def _every_epoch(callbacks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, with a validation after each epoch, which getitune leaves out on small sets."""
    kept = [entry for entry in callbacks if entry["class_path"] != SCHEDULING]
    own = [entry for entry in callbacks if entry["class_path"] == SCHEDULING]
    settings = {**(own[0].get("init_args", {}) if own else {}), "max_interval": 1}
    return [{"class_path": SCHEDULING, "init_args": settings}, *kept]
