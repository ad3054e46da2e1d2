"""What can be trained: one module and one row of ``TASKS`` each."""

from __future__ import annotations

from typing import Any

from ..failure import Failure
from ..job import Job
from .base import Measured, Task, Unfit, Wrong
from .classification import Classification
from .detection import Detection
from .instance_segmentation import InstanceSegmentation

__all__ = ["TASKS", "Measured", "Task", "Unfit", "Wrong", "task_of"]

TASKS: dict[str, Task[Any]] = {
    task.name: task for task in (Classification(), Detection(), InstanceSegmentation())
}


def task_of(job: Job) -> Task[Any]:
    """The task of a job."""
    if job.task not in TASKS:
        raise Failure(f"`{job.task}` is not trained here; {' and '.join(TASKS)} are")
    return TASKS[job.task]
