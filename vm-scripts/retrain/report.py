"""state/report.json (how the attempt ended, sent by boot/report) and result.json (for people)."""

from __future__ import annotations

import time
from typing import Any

from .context import Context
from .files import write_json
from .job import Job
from .link import redact
from .logs import tail

REASON_LENGTH = 2000
"""A report that is too large is not read at all."""


def write_report(
    context: Context, job: Job, status: str, stage: str, exit_code: int, reason: str
) -> None:
    """Write the finished report; from here on a reboot does not start the work again."""
    report = {
        "v": 1,
        "job_id": job.job_id,
        "attempt": job.attempt,
        "status": status,
        "stage": stage,
        "exit_code": exit_code,
        "reason": " ".join(redact(reason).split())[:REASON_LENGTH],
        "log": tail(context.log_file),
        "finished_s": int(time.time()),
    }
    write_json(context.state / "report.json", report)


def result(context: Context, status: str, stage: str, parts: dict[str, Any]) -> dict[str, Any]:
    """result.json: ``parts`` has what the stages so far know."""
    empty: dict[str, Any] = {
        "metrics": {},
        "checkpoint": None,
        "classes": [],
        "trainer": None,
        "counts": {},
    }
    return {
        "v": 1,
        "status": status,
        "stage": stage,
        **empty,
        **parts,
        "warnings": [redact(text) for text in context.warnings],
        "steps": context.steps,
        "to_first_step_s": context.to_first_step_s,
    }
