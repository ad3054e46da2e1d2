"""Starting a trainer: a program ``trainers/<name>`` behind the contract in vm-scripts/README.md."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .context import Context
from .failure import BAD_DATA, EXPORT, TIMEOUT, TRAINING, Failure
from .files import read_json, write_json

POLL_S = 0.2


def run(
    context: Context,
    name: str,
    request: dict[str, Any],
    until: Callable[[], float],
    watch: Callable[[], None] = lambda: None,
) -> dict[str, Any] | None:
    """Run one step of trainer ``name``; its result, or None when it was killed at ``until()``.

    ``request`` is the train job (its ``out`` folder is made here); ``watch`` is called several
    times a second. Raises ``Failure`` when the trainer fails or dies.
    """
    folder = context.scripts / "trainers" / name
    if not re.fullmatch(r"[a-z0-9_]+", name) or not (folder / "__main__.py").exists():
        raise Failure(f"there is no trainer `{name}`")
    out = Path(request["out"])
    out.mkdir(parents=True, exist_ok=True)
    result = out / "result.json"
    result.unlink(missing_ok=True)
    job_file = out / f"{request['step']}.json"
    write_json(job_file, request)
    environment = {
        "TORCH_HOME": str(context.home / "weights"),
        **os.environ,
        "PYTHONPATH": str(context.scripts),
        "PYTHONUNBUFFERED": "1",
    }
    command = [str(context.python()), "-m", f"trainers.{name}", str(job_file)]
    with context.log_file.open("ab") as sink:
        process = subprocess.Popen(
            command,
            cwd=context.work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )
    try:
        while process.poll() is None:
            if time.time() >= until():
                context.log.warning("the trainer ran past its limit and is killed")
                return None
            watch()
            time.sleep(POLL_S)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    return _judge(request["step"], process.returncode, result)


def _judge(step: str, code: int, result: Path) -> dict[str, Any]:
    words = {"train": "the training", "export": "the export"}[step]
    own_code = {"train": TRAINING, "export": EXPORT}[step]
    if code < 0:
        signal_name = signal.Signals(-code).name
        hint = " (was memory short?)" if code == -signal.SIGKILL else ""
        raise Failure(f"{words} was killed by {signal_name}{hint}", own_code)
    try:
        answer = read_json(result)
    except (OSError, ValueError):
        raise Failure(f"{words} ended with exit code {code} and no result", own_code) from None
    if code == 0 and answer.get("status") == "ok":
        return dict(answer)
    reason = answer.get("reason") or f"exit code {code}"
    if code == TIMEOUT:
        raise Failure(f"{words} ran out of time: {reason}", TIMEOUT, "timed_out")
    known = code if code in (BAD_DATA, TRAINING, EXPORT) else own_code
    raise Failure(f"{words} failed: {reason}", known)
