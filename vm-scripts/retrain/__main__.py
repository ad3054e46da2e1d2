"""``python -m retrain <home>``: one attempt of one job, from the zip to the offered model.

However it ends, ``<home>/state/report.json`` says so, except after SIGTERM (the machine may be
about to reboot, and the work goes on after it) and when the machine is being taken away: then only
success counts. Exit codes: 0 offered, 2 bad data, 3 training,
4 export or verification, 5 out of time, 1 anything else, 143 stopped.
"""

from __future__ import annotations

import errno
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from . import job as jobs
from .beat import Beat
from .context import Context
from .control import Control
from .environment import Environment
from .eviction import Eviction
from .failure import OTHER, Failure, Stopped
from .files import dumps, write_bytes, write_json
from .job import Job
from .logs import open_log
from .net import Net, NetFailure
from .report import result, write_report
from .stages.check import check
from .stages.export import export
from .stages.fetch import fetch
from .stages.split import split
from .stages.train import train
from .stages.upload import begun, known_parts, offer, upload
from .stages.verify import verify
from .steps import before_the_stages

STAGES: tuple[tuple[str, Callable[[Context, Job], object]], ...] = (
    ("fetch", fetch),
    ("check", check),
    ("split", split),
    ("train", train),
    ("export", export),
    ("verify", verify),
    ("upload", upload),
)


FULL_BYTES = 64 << 20
"""A disk with less than this free is full: what did not fit was larger, or has been removed."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise Stopped


def _as_failure(error: Exception) -> Failure:
    """Words for what no stage foresaw."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return Failure("the disk of the VM is full")
    if isinstance(error, MemoryError):
        return Failure("the memory of the VM is full")
    if isinstance(error, NetFailure):
        return Failure(str(error))
    return Failure(f"an error nobody foresaw: {type(error).__name__}: {error}")


def _with_the_disk(failure: Failure, home: Path) -> Failure:
    """A full disk breaks many things, in many words; which people could not guess it from."""
    if shutil.disk_usage(home).free >= FULL_BYTES or "disk" in failure.reason:
        return failure
    reason = f"the disk of the VM is full ({failure.reason})"
    return Failure(reason, failure.exit_code, failure.status)


def _send_remains(context: Context, job: Job, stage: str, status: str) -> None:
    """After a failure: result and log to the share, as far as that works."""
    net = Net(tries=3, budget_s=30.0)
    document = result(context, status, stage, known_parts(context, job))
    write_json(context.work / "result.json", document)
    for link, data in (
        ("log_result", dumps(document)),
        ("log_train", context.log_file.read_bytes()),
    ):
        try:
            net.put_file(job.link(link), data)
        except (NetFailure, Failure) as problem:
            context.log.warning("not uploaded: %s", problem)


def run(context: Context, job: Job) -> int:
    """All stages; the report is written whatever happens. Returns the exit code."""
    stages = (("upload", offer),) if begun(context) else STAGES
    stage = stages[0][0]
    context.steps += before_the_stages(context.state)
    context.control.refresh()
    context.beat.start()
    context.eviction.start()
    try:
        for stage, work in stages:
            began = time.monotonic()
            write_bytes(context.state / "stage", stage.encode())
            context.beat.enter(stage)
            made = work(context, job)
            context.results[type(made)] = made
            context.steps.append({"stage": stage, "seconds": round(time.monotonic() - began, 3)})
        reason = "the model was trained, measured and uploaded"
        write_report(context, job, "succeeded", stage, 0, reason)
        return 0
    except Stopped:
        write_bytes(context.state / "reason", f"stopped from outside in stage {stage}".encode())
        return 128 + signal.SIGTERM
    except Exception as error:
        failure = error if isinstance(error, Failure) else _as_failure(error)
        foreseen = failure is error
        failure = _with_the_disk(failure, context.home)
        if not foreseen:
            context.log.error("%s", "".join(traceback.format_exception(error)))
        context.log.error("%s: %s", stage, failure.reason)
        if context.eviction.noticed:
            # Whatever broke, a machine that is going down may have broken it: no failure is told.
            write_bytes(context.state / "reason", f"evicted in stage {stage}".encode())
            return failure.exit_code
        write_report(context, job, failure.status, stage, failure.exit_code, failure.reason)
        _send_remains(context, job, stage, failure.status)
        return failure.exit_code
    finally:
        context.eviction.stop()
        context.beat.stop()


def main(home: Path) -> int:
    """Set up and run the attempt whose folder is ``home``."""
    state = home / "state"
    for folder in (state, home / "work", home / "work" / "out"):
        folder.mkdir(parents=True, exist_ok=True)
    log = open_log(state / "train.log")
    try:
        job = jobs.load(home / "job.json")
        boot = state / "boot_id"
        boot_id = boot.read_text().strip() if boot.exists() else ""
        control = Control(job, log)
        beat = Beat(job, boot_id, log, control)
    except Failure as failure:
        log.error("%s", failure.reason)
        write_bytes(state / "reason", failure.reason.encode())
        return OTHER
    scripts = Path(__file__).resolve().parent.parent
    eviction = Eviction(state, beat, log)
    environment = Environment(home, scripts, job.trainer, log, state / "train.log")
    context = Context(home, scripts, log, Net(), beat, control, eviction, environment.python)
    signal.signal(signal.SIGTERM, _stop)
    environment.start()
    try:
        return run(context, job)
    finally:
        environment.stop()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
