"""More time, from the message to where the machine reads it."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Iterator

import pytest
from retrain.control import Control
from retrain.job import Job, parse

from local.cloud import LocalCloud
from tests.e2e.helpers import deliver, rest, run_until_closed, state, turn, turn_until
from tests.e2e.quick import QuickVm


class Work(QuickVm):
    """At work until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        super().__init__(hold=self.go)


@pytest.fixture
def running(cloud: LocalCloud, zip_bytes: bytes) -> Iterator[tuple[str, Job]]:
    """A job of half an hour whose machine works: its job_id, and what the machine knows."""
    job = f"extend-{uuid.uuid4().hex[:6]}"
    work = cloud.vms.work = Work()
    cloud.app.put_zip(f"{job}.zip", zip_bytes)
    message = {"v": 1, "action": "train", "dataset": f"{job}.zip", "job_id": job, "line": job}
    deliver(cloud.app, json.dumps(message | {"max_hours": 0.5}))
    turn_until(cloud, lambda: state(cloud.app, job).get("machine") == "running", what="running")
    yield job, parse(work.jobs[0])
    work.go.set()
    assert run_until_closed(cloud, job)["state"]["outcome"] == "succeeded"
    rest(cloud)


def extend(cloud: LocalCloud, job: str, hours: float) -> None:
    deliver(cloud.app, json.dumps({"v": 1, "action": "extend", "job_id": job, "max_hours": hours}))


def test_c1_17_more_time_reaches_the_machine(cloud, running):
    job, known = running
    control = Control(known, logging.getLogger("test"))
    control.refresh()
    assert control.times == known.times, "nobody has said anything yet"
    extend(cloud, job, 2)
    control.refresh()
    record = state(cloud.app, job)
    assert control.times.deadline_s == record["deadline_s"] == known.times.started_s + 7200
    assert control.times.train_until_s == record["train_until_s"] > known.times.train_until_s
    assert control.times.hard_stop_s == known.times.hard_stop_s
    # Never beyond the hard stop, whatever is asked for; and less than there is takes nothing back.
    extend(cloud, job, 24)
    extend(cloud, job, 3)
    turn(cloud)
    control.refresh()
    assert control.times.deadline_s == known.times.hard_stop_s


def test_c1_17_a_word_that_was_lost_is_said_again(cloud, running):
    job, known = running
    fault = cloud.faults.add(
        service="blob", method="PUT", url=f"/control/{job}", times=None, status=403
    )
    extend(cloud, job, 2)
    assert fault.hits >= 1
    assert cloud.app.blob("job-files", f"control/{job}.json") is None
    cloud.faults.clear()
    turn_until(cloud, lambda: cloud.app.blob("job-files", f"control/{job}.json"), what="the word")
    control = Control(known, logging.getLogger("test"))
    control.refresh()
    assert control.times.deadline_s == known.times.started_s + 7200
