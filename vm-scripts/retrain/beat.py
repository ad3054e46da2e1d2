"""The heartbeat: status.json every 60 seconds and at each change of stage, from its own thread.

With each beat it reads what the handler has to say (control.py).

It never stops the job: what goes wrong with it is logged once and tried again at the next beat.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from .control import Control
from .files import dumps
from .job import Job
from .net import Net, NetFailure

PERIOD_S = 60.0
EVICTED = "evicted"


class Beat:
    """Tells where the job is. ``enter`` and ``progress`` may be called from any thread."""

    def __init__(
        self,
        job: Job,
        boot_id: str,
        log: logging.Logger,
        control: Control,
        net: Net | None = None,
    ) -> None:
        self._control = control
        self._link = job.link("status")
        self._net = net or Net(tries=2, budget_s=30.0)
        self._log = log
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ended = False
        self._failing = False
        self._state: dict[str, Any] = {
            "v": 1,
            "job_id": job.job_id,
            "attempt": job.attempt,
            "boot_id": boot_id,
            "beat_s": 0,
            "stage": "fetch",
            "since_s": int(time.time()),
            "epoch": None,
            "epochs": job.epochs,
            "metric": None,
        }
        self._thread = threading.Thread(target=self._run, name="beat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def enter(self, stage: str) -> None:
        """A stage begins; beats at once. A machine that is being taken away says only that."""
        with self._lock:
            if self._state["stage"] != EVICTED:
                self._state |= {"stage": stage, "since_s": int(time.time())}
        self._wake.set()

    def evicted(self) -> None:
        """The machine is being taken away."""
        self.enter(EVICTED)

    def progress(self, epoch: int, metric: float) -> None:
        """An epoch was finished; told with the next beat."""
        with self._lock:
            self._state |= {"epoch": epoch, "metric": metric}

    def stop(self) -> None:
        """One last beat, then none; waits for it a few seconds at most."""
        self._ended = True
        self._wake.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        while True:
            self._wake.wait(PERIOD_S)
            self._wake.clear()
            ended = self._ended
            self._send()
            if ended:
                return
            self._control.refresh()

    def _send(self) -> None:
        with self._lock:
            self._state["beat_s"] = int(time.time())
            body = dumps(self._state)
        try:
            self._net.put_blob(self._link, body, "application/json")
            self._failing = False
        except NetFailure as problem:
            if not self._failing:
                self._log.warning("heartbeat: %s", problem)
            self._failing = True
