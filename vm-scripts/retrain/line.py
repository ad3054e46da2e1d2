"""What the line's current model has to say: its classes."""

from __future__ import annotations

import json

from .context import Context
from .job import Job
from .net import NetFailure
from .readers.raw import label_of


def labels_of_line(context: Context, job: Job) -> list[str] | None:
    """Class names of the current model in its order; None without one, or when they cannot be
    read, which is told: a comparison is no reason to fail."""
    if "current_labels" not in job.links:
        return None
    try:
        data = context.net.read(job.links["current_labels"])
        labels = None if data is None else json.loads(data)
        if isinstance(labels, list) and all(isinstance(label, str) for label in labels):
            return [label_of(label) for label in labels]
        why = "it is not there" if data is None else "it is damaged"
    except NetFailure as problem:
        why = str(problem)
    except ValueError:
        why = "it is damaged"
    context.warn(f"classes were not compared with the current model's: labels.json, {why}")
    return None
