"""The machine in trouble: late, silent, gone, killed; and the handler that must end the job.

The first half plays machines; the second half runs real ones, all side by side in one cloud.
"""

from __future__ import annotations

import json
import signal
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from local.cloud import LocalCloud
from local.vm import VirtualMachine
from tests.e2e.conftest import hasten
from tests.e2e.helpers import (
    accepted,
    arm_calls,
    current,
    deliver,
    group_of,
    machine,
    rest,
    result_text,
    result_told,
    run_until_closed,
    state,
    turn,
    turn_until,
    wait_for,
)
from tests.e2e.quick import QuickVm, beat, put

HALF_AN_HOUR = 1800


def order(cloud: LocalCloud, zip_bytes: bytes, head: str, **more: Any) -> str:
    """Deliver a message for a job of its own, in a line of its own; its job_id."""
    job = f"{head}-{uuid.uuid4().hex[:6]}"
    cloud.app.put_zip(f"{job}.zip", zip_bytes)
    message = {"v": 1, "action": "train", "dataset": f"{job}.zip", "job_id": job, "line": job}
    deliver(cloud.app, json.dumps(message | more))
    return job


def vm_of(cloud: LocalCloud, job: str) -> VirtualMachine:
    """The one machine of a job, as soon as it is there."""

    def mine() -> list[VirtualMachine]:
        return [m for m in cloud.vms.machines if m.spec.tags["job"] == job]

    found = wait_for(mine, what=f"the machine of {job}")
    assert len(found) == 1
    return found[0]


def requested_deletion(cloud: LocalCloud, record: dict[str, Any]) -> float:
    """When the deletion of a job's group was first accepted, on the moved clock."""
    return accepted(arm_calls(cloud, "DELETE", f"/{group_of(record)}\\?"))[0].time


def nothing_came_of(cloud: LocalCloud, job: str) -> None:
    assert current(cloud.app, job) == {}
    assert cloud.app.blobs("model", f"{job}/") == []
    assert cloud.arm.groups() == []
    rest(cloud)


# Played machines.


def test_a_machine_that_never_claims(cloud, zip_bytes):
    cloud.vms.work = lambda vm: None
    job = order(cloud, zip_bytes, "mute")
    ordered_s = state(cloud.app, job)["ordered_s"]
    record = run_until_closed(cloud, job)
    shown = record["state"]
    assert (shown["outcome"], shown["reason"]) == ("failed", "boot")
    assert "did not come up within 15 min, also not at the second try" in result_told(
        cloud.app, job
    )
    assert 0 <= requested_deletion(cloud, record) - (ordered_s + 900) <= 120
    for attempt in (1, 2):
        fence = cloud.app.blob("job-files", f"claim/{job}/{attempt}")
        assert fence == b"handler", "not fenced"
    nothing_came_of(cloud, job)


class Beating(QuickVm):
    """Claims, and beats whenever `beat` is called, for ever at work."""

    def __init__(self) -> None:
        super().__init__(hold=threading.Event())
        self.vm: VirtualMachine | None = None

    def __call__(self, vm: VirtualMachine) -> None:
        self.vm = vm
        super().__call__(vm)

    def beat(self) -> None:
        assert self.vm is not None
        beat(self.vm, self.jobs[-1])


def running(cloud: LocalCloud, zip_bytes: bytes, head: str, **more: Any) -> tuple[str, Beating]:
    """A job whose machine works and beats."""
    work = cloud.vms.work = Beating()
    job = order(cloud, zip_bytes, head, **more)
    turn_until(cloud, lambda: machine(cloud.app, job) == "running", what="running")
    return job, work


def test_c1_07_the_deadline_comes_while_the_machine_is_busy(cloud, zip_bytes):
    job, work = running(cloud, zip_bytes, "busy", max_hours=0.5)
    while state(cloud.app, job)["outcome"] == "none":
        work.beat()
        turn(cloud)
    record = run_until_closed(cloud, job)
    shown = record["state"]
    assert (shown["outcome"], shown["reason"]) == ("timed_out", "deadline")
    assert shown["deadline_s"] - shown["started_s"] == HALF_AN_HOUR
    assert 0 <= requested_deletion(cloud, record) - shown["deadline_s"] <= 120
    assert "has run out of time" in result_told(cloud.app, job)
    assert "has run out of time" in result_text(cloud.app, f"{job}.zip")
    nothing_came_of(cloud, job)


def test_the_model_is_there_when_the_deadline_comes(cloud, zip_bytes):
    """Looked for before an attempt is called late, although nobody rang."""
    cloud.vms.work = QuickVm(report=False, bell=False)
    job = order(cloud, zip_bytes, "close", max_hours=0.5)
    wait_for(lambda: cloud.app.blob("job-files", f"out/{job}/1/manifest.json"), what="the model")
    cloud.clock.advance(HALF_AN_HOUR + 600)
    assert run_until_closed(cloud, job)["state"]["outcome"] == "succeeded"
    assert current(cloud.app, job)["job_id"] == job


@pytest.mark.parametrize("report", [True, False], ids=["report", "no-report"])
def test_the_bell_is_lost_and_the_model_is_published(cloud, zip_bytes, report):
    fault = cloud.faults.add(
        service="queue", method="POST", url="/delete-resources/messages", times=None, status=403
    )
    cloud.vms.work = QuickVm(report=report)
    job = order(cloud, zip_bytes, "bell")
    record = run_until_closed(cloud, job)
    assert fault.hits == 1
    assert record["state"]["reason"] == "published"
    assert current(cloud.app, job)["job_id"] == job


def test_success_without_a_model_is_a_failure(cloud, zip_bytes):
    cloud.vms.work = QuickVm(model=False)
    job = order(cloud, zip_bytes, "empty")
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "no_model")
    assert "left no complete model" in result_told(cloud.app, job)
    nothing_came_of(cloud, job)


def test_a_model_outranks_a_report_of_failure(cloud, zip_bytes):
    """The manifest is the truth: whoever fails after it has still offered it."""

    def fail_now(quick: QuickVm, vm: VirtualMachine) -> None:
        replace(quick, status="failed").send_report(quick.jobs[-1])

    cloud.vms.work = QuickVm(report=False, uploaded=fail_now)
    job = order(cloud, zip_bytes, "truth")
    assert run_until_closed(cloud, job)["state"]["reason"] == "published"


def test_a_machine_that_vanishes(cloud, zip_bytes):
    job, _ = running(cloud, zip_bytes, "gone")
    cloud.arm.evict(group_of(cloud.app.record(job)))
    since = cloud.clock.now()
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "gone")
    assert "no longer there" in result_told(cloud.app, job)
    assert requested_deletion(cloud, record) - since <= 120
    nothing_came_of(cloud, job)


def test_a_group_that_somebody_deletes(cloud, zip_bytes):
    """The README's way to cancel."""
    job, _ = running(cloud, zip_bytes, "hand")
    name = group_of(cloud.app.record(job))
    token = arm_calls(cloud, "GET", f"/{name}")[-1].request_headers
    headers = {k: v for k, v in token if k.lower() in ("authorization", "accept")}
    assert headers
    with cloud.arm._lock:
        cloud.arm._groups.pop(name.lower())
    vm_of(cloud, job).kill()
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "gone")


def test_a_group_that_somebody_deletes_before_its_machine_came_up(cloud, zip_bytes):
    cloud.vms.work = lambda vm: None
    job = order(cloud, zip_bytes, "early")
    turn_until(cloud, lambda: state(cloud.app, job)["create_until_s"] == 0, what="it to be seen")
    with cloud.arm._lock:
        cloud.arm._groups.pop(group_of(cloud.app.record(job)).lower())
    vm_of(cloud, job).kill()
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "gone")
    assert "has failed: Its resource group is no longer there" in result_told(cloud.app, job)


def test_what_went_wrong_with_one_machine_is_not_told_of_the_next(cloud, zip_bytes):
    """The first is evicted; the second claims, and nothing more is heard of it."""

    def claim(vm: VirtualMachine) -> None:
        links = json.loads((vm.home / "job.json").read_bytes())["links"]
        put(links["claim"], vm.spec.vm_id.encode(), {"If-None-Match": "*"})

    job, _ = running(cloud, zip_bytes, "next", spot="prefer")
    cloud.vms.work = claim
    cloud.arm.evict(group_of(cloud.app.record(job)))
    record = run_until_closed(cloud, job)
    shown = record["state"]
    assert (shown["attempt"], shown["outcome"], shown["reason"]) == (2, "failed", "silent")
    told = result_told(cloud.app, job)
    assert "the machine runs but has fallen silent." in told
    assert "no longer there" not in told


def test_c1_09_a_machine_that_switches_itself_off(cloud, zip_bytes):
    job, work = running(cloud, zip_bytes, "off")
    assert work.vm is not None
    work.vm._ask("poweroff")
    wait_for(lambda: work.vm.power() == "stopped", what="the end of its power")
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "gone")
    assert "switched off" in result_told(cloud.app, job)


def test_a_machine_that_is_silent_for_15_minutes(cloud, zip_bytes):
    job, work = running(cloud, zip_bytes, "still")
    for _ in range(3):  # beats in between: not silent, however long it takes
        cloud.clock.advance(840)
        work.beat()
        turn(cloud, seconds=1)
    assert machine(cloud.app, job) == "running"
    turn(cloud, seconds=800)
    assert machine(cloud.app, job) == "running"
    turn_until(cloud, lambda: state(cloud.app, job)["outcome"] != "none", what="an outcome")
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "silent")
    assert "fallen silent" in result_told(cloud.app, job)
    nothing_came_of(cloud, job)


@pytest.mark.parametrize("what", ["status", "report", "manifest", "virtualMachines"])
def test_c1_18_what_cannot_be_seen_is_no_proof_of_silence(cloud, zip_bytes, what):
    """15 minutes without an answer about one of them: nothing may be concluded."""
    job, _ = running(cloud, zip_bytes, "blind")
    fault = cloud.faults.add(
        method="GET", url=f"{job}.*{what}|{what}/{job}", times=None, status=403
    )
    turn(cloud, seconds=1000)
    turn(cloud, seconds=61)
    assert fault.hits > 1
    assert machine(cloud.app, job) == "running"
    cloud.faults.remove(fault)
    record = run_until_closed(cloud, job)
    assert record["state"]["reason"] == "silent"


def test_a_machine_that_boots_after_its_attempt_was_given_up(cloud, zip_bytes):
    """It finds the claim taken by the handler, and powers off without a word. Real boot files."""
    cloud.vms.work = lambda vm: None
    job = order(cloud, zip_bytes, "ghost")
    group = group_of(run_until_closed(cloud, job))
    spec = next(m.spec for m in cloud.vms.machines if m.spec.group == group)
    cloud.vms.work = None
    late = cloud.vms.boot(replace(spec, vm_id=str(uuid.uuid4())))
    try:
        wait_for(lambda: late.power() == "stopped", 10, what="the late machine's power-off")
        log = (late.home / "state" / "train.log").read_text(encoding="utf-8")
        assert "belongs to another machine" in log
        assert not (late.home / "scripts").exists()
    finally:
        late.kill()
    assert cloud.app.blob("job-files", f"claim/{job}/1") == b"handler"
    assert cloud.app.blob("job-files", f"out/{job}/1/report.json") is None
    assert cloud.app.queues.count("delete-resources") == 0


# Real machines, side by side: what they run is replaced by programs that fail in one way each.

EXIT_3 = "import sys\nprint('ValueError: the loss is not a number')\nsys.exit(3)\n"
HANG = "import time\nprint('epoch 1')\ntime.sleep(3600)\n"
TRAINER = "trainers/tiny/__main__.py"
RUNNER = "retrain/__main__.py"


@dataclass
class Doomed:
    """A real machine, the file of its scripts that is replaced, and what must be told."""

    head: str
    file: str
    program: str
    status: str
    words: list[str]
    kill: str = ""
    job: str = ""
    record: dict[str, Any] = field(default_factory=dict)


DOOMED = [
    Doomed("fails", TRAINER, EXIT_3, "failed", ["exit code 3", "the loss is not a number"]),
    Doomed(
        "trainer-killed", TRAINER, HANG, "failed", ["SIGKILL", "exit code 3"], r"trainers\.tiny"
    ),
    Doomed("all-killed", TRAINER, HANG, "failed", ["killed", "stage train", "137"], "-m retrain"),
    Doomed("too-long", TRAINER, HANG, "timed_out", ["has run out of time", "stage train"]),
    Doomed("hangs", RUNNER, HANG, "timed_out", ["has run out of time", "time was up"]),
]


@pytest.fixture(scope="module")
def wreckage(dist, zip_bytes) -> Iterator[LocalCloud]:
    """All of them, lived through to their end."""
    with LocalCloud({"app": {"MAX_JOBS": "9"}}, dist=dist) as cloud:
        hasten(cloud).vms.work = None
        for one in DOOMED:
            one.job = order(cloud, zip_bytes, one.head, max_hours=0.5)
        for one in DOOMED:
            file = vm_of(cloud, one.job).home / "scripts" / one.file
            wait_for(file.exists, what=f"the scripts of {one.head}")
            file.write_text(one.program, encoding="utf-8")
        for one in DOOMED:
            vm = vm_of(cloud, one.job)
            name = "-m retrain" if one.file == RUNNER else r"trainers\.tiny"
            if one.program == HANG:
                wait_for(lambda vm=vm, name=name: vm.processes(name), what=f"{one.head} at work")
            if one.kill:
                assert vm.signal(one.kill, signal.SIGKILL) >= 1
        times = cloud.app.record(DOOMED[3].job)["state"]
        ended(cloud, DOOMED[:3])
        cloud.clock.advance(times["train_until_s"] + 150 - cloud.clock.now())
        ended(cloud, DOOMED[3:4])
        assert state(cloud.app, DOOMED[4].job)["outcome"] == "none"
        cloud.clock.advance(times["hard_stop_s"] + 60 - cloud.clock.now())
        ended(cloud, DOOMED[4:])
        for one in DOOMED:
            one.record = run_until_closed(cloud, one.job)
        yield cloud


def ended(cloud: LocalCloud, group: list[Doomed]) -> None:
    """Wait until their machines have reported and rung, and the handler has heard it."""
    for one in group:
        wait_for(
            lambda one=one: state(cloud.app, one.job)["outcome"] != "none",
            what=f"the outcome of {one.head}",
        )


@pytest.mark.parametrize("one", DOOMED, ids=lambda one: one.head)
def test_c1_08_a_real_machine_that_comes_to_grief(wreckage, one):
    shown = one.record["state"]
    assert (shown["outcome"], shown["reason"]) == (one.status, "report")
    text = result_told(wreckage.app, one.job)
    for word in one.words:
        assert word in text
    assert "nothing was published, and its machine is being deleted" in text
    report = json.loads(wreckage.app.blob("job-files", f"out/{one.job}/1/report.json") or b"{}")
    assert (report["status"], report["attempt"]) == (one.status, 1)
    assert current(wreckage.app, one.job) == {}
    assert wreckage.app.blobs("model", f"{one.job}/") == []
    assert accepted(arm_calls(wreckage, "DELETE", f"/{group_of(one.record)}\\?"))


def test_nothing_is_left_of_the_wreckage(wreckage):
    rest(wreckage)
