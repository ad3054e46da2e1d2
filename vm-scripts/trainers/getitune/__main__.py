"""The trainer getitune as a program: ``python -m trainers.getitune <train job>``.

The contract is in ``vm-scripts/README.md``, what is particular here in the modules: ``models``
(names), ``recipe`` (what is asked of getitune), ``data``, ``keeper`` (checkpoints, time), ``warm``
(former jobs), ``weights`` (public weights), ``export`` (the published form).
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

from ..program import BAD_DATA, Job, Refused, run
from . import VERSION, models


def _chosen(job: Job) -> tuple[models.Model, tuple[int, int]]:
    raw = job.raw
    try:
        return models.find(raw["task"], raw["model"], int(raw.get("input_size") or 0))
    except models.Unknown as problem:
        raise Refused(BAD_DATA, str(problem)) from None


def train(job: Job) -> dict[str, Any]:
    """Step ``train``."""
    model, size = _chosen(job)
    from . import training

    return training.train(job, model, size)


def export(job: Job) -> dict[str, Any]:
    """Step ``export``."""
    model, _ = _chosen(job)
    from . import exporting

    return exporting.export(job, model)


def main(path: Path) -> int:
    """Do the train job at ``path``; returns the exit code."""
    os.environ.setdefault("NO_COLOR", "1")
    os.environ.setdefault("MPLBACKEND", "agg")
    warnings.simplefilter("ignore")
    return run(path, {"name": "getitune", "version": VERSION}, {"train": train, "export": export})


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
