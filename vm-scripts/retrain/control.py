"""What reaches a running VM: control/<job>.json, which moves the times of the job later.

Only later and never beyond the hard stop: what says anything else is ignored, with a warning.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace

from .job import Job, Times
from .link import Link
from .net import Net, NetFailure


def parse(data: bytes, times: Times) -> Times:
    """``times`` as ``data`` moves them; raises ValueError for what no handler writes."""
    try:
        value = json.loads(data)
        deadline, until = value["deadline_s"], value["train_until_s"]
        if value["v"] != 1 or type(deadline) is not int or type(until) is not int:
            raise ValueError("not the form that was agreed")
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None
    if not 0 < until <= deadline <= times.hard_stop_s:
        raise ValueError(f"train_until_s {until}, deadline_s {deadline}: beyond the hard stop")
    return replace(
        times,
        deadline_s=max(times.deadline_s, float(deadline)),
        train_until_s=max(times.train_until_s, float(until)),
    )


class Control:
    """The times as they are now. ``refresh`` is called by one thread at a time, ``times`` read by
    any."""

    def __init__(self, job: Job, log: logging.Logger, net: Net | None = None) -> None:
        self.times = job.times
        self._link: Link = job.link("control")
        self._log = log
        self._net = net or Net(tries=2, budget_s=30.0)
        self._seen: bytes | None = None
        self._failing = False

    def refresh(self) -> None:
        """Read what is there now; a failure is told once and keeps the times."""
        try:
            data = self._net.read(self._link)
            self._failing = False
        except NetFailure as problem:
            if not self._failing:
                self._log.warning("control: %s", problem)
            self._failing = True
            return
        if data is None or data == self._seen:
            return
        self._seen = data
        try:
            moved = parse(data, self.times)
        except ValueError as problem:
            self._log.warning("control: %s is ignored: %s", self._link, problem)
            return
        if moved != self.times:
            self.times = moved
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moved.train_until_s))
            self._log.info("control: more time was given; training may go on until %s", until)
