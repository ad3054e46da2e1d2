"""Whether Azure is about to take this machine away (Spot): its scheduled events, asked for often.

There are 30 seconds at least between the notice and the end. What is kept by then is what the next
attempt goes on from, so a notice hurries the checkpoint and silences the report of a failure: the
attempt did not fail, its machine was lost.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path

from .beat import Beat
from .files import write_bytes
from .link import Link
from .net import Net, NetFailure

PERIOD_S = 2.0
IMDS = "http://169.254.169.254"
EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"


def announced(data: bytes) -> bool:
    """Whether a list of scheduled events has one that takes the machine away; raises ValueError."""
    try:
        return any(event["EventType"] == "Preempt" for event in json.loads(data)["Events"])
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


class Eviction:
    """Asks from a thread of its own. ``noticed`` stays true; ``state/evicted`` says it to bash."""

    def __init__(
        self, state: Path, beat: Beat, log: logging.Logger, net: Net | None = None
    ) -> None:
        self._flag = state / "evicted"
        self._beat = beat
        self._log = log
        self._net = net or Net(tries=1, budget_s=10.0)
        self._link = Link(os.environ.get("RETRAIN_IMDS", IMDS) + EVENTS)
        self._ended = threading.Event()
        self._noticed = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="eviction", daemon=True)

    @property
    def noticed(self) -> bool:
        """Whether the machine is being taken away."""
        return self._noticed.is_set()

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; does not wait for a question that is under way."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            if self._ask():
                self._say()
                self._noticed.set()
                self._beat.evicted()
                self._log.warning("this machine is being taken away; the checkpoint is kept now")
                return
            self._ended.wait(PERIOD_S)

    def _say(self) -> None:
        try:
            write_bytes(self._flag, b"")
        except OSError as problem:
            self._log.error("state/evicted cannot be written: %s", problem)

    def _ask(self) -> bool:
        """A failure is told once: a machine that is no VM of Azure has nobody to ask."""
        try:
            found = announced(self._net.call("GET", self._link, {"Metadata": "true"}).body)
            self._failing = False
            return found
        except (NetFailure, ValueError) as problem:
            if not self._failing:
                self._log.info("scheduled events cannot be read: %s", problem)
            self._failing = True
            return False
