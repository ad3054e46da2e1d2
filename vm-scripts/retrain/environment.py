"""The trainer's own Python environment, made while the data is fetched, checked and split.

Made by ``environment`` beside this package from ``locks/<trainer>.txt``; an image that has one from
the same list saves the time. A trainer without a list of its own runs in the runner's.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from .failure import Failure

LIMIT_S = 1800


class Environment:
    """``start`` returns at once, ``python`` waits. ``output``: where the packager's words go."""

    def __init__(
        self, home: Path, scripts: Path, trainer: str, log: logging.Logger, output: Path
    ) -> None:
        self._home, self._scripts, self._trainer = home, scripts, trainer
        self._log, self._output = log, output
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0

    def start(self) -> None:
        """Begin to make it; does nothing for a trainer without a list."""
        named = re.fullmatch(r"[a-z0-9_]+", self._trainer)
        if not named or not (self._scripts / "locks" / f"{self._trainer}.txt").exists():
            return
        self._began = time.monotonic()
        with self._output.open("ab") as sink:
            self._process = subprocess.Popen(
                [self._scripts / "environment", self._home, self._trainer],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )

    def python(self) -> Path:
        """The interpreter, once it is there; raises ``Failure``."""
        if self._process is None:
            return Path(sys.executable)
        asked = time.monotonic()
        running = self._process.poll() is None
        try:
            code = self._process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.stop()
            code = -1
        if code != 0:
            raise Failure(
                f"the Python environment of trainer `{self._trainer}` could not be made; train.log "
                "says why (PyPI out of reach, or the disk full?)"
            )
        if running:
            now = time.monotonic()
            self._log.info(
                "environment: %s took %.1f s, %.1f s of them the training had to wait",
                self._trainer,
                now - self._began,
                now - asked,
            )
        return self._home / f"venv-{self._trainer}" / "bin" / "python"

    def stop(self) -> None:
        """When the job ends before; what is half made is made anew at the next start."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
