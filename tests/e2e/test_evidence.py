"""What tells why an attempt failed is kept before its machine is deleted, and never holds it up."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import pytest

from local.arm import Timing
from local.cloud import App, LocalCloud
from local.vm import VirtualMachine
from tests.e2e.helpers import (
    accepted,
    arm_calls,
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
from tests.e2e.quick import QuickVm, beat, log_file

SIGNATURE = "sig=" + "A1b2C3d4E5%2F" * 4
BOOT = ["[    0.000000] Linux version 6.8.0", "\x1b[0;32m  OK  \x1b[0m] Reached target", "login:"]
LINK_CALL = "/virtualMachines/train-vm/retrieveBootDiagnosticsData"


class Doomed(QuickVm):
    """Prints on its console, writes train.log, and does what the test says."""

    def __init__(self, lines: list[str], log: str = "", **more: Any) -> None:
        super().__init__(**more)
        self.printed = lines
        self.log = log
        self.vm: VirtualMachine | None = None

    def __call__(self, vm: VirtualMachine) -> None:
        self.vm = vm
        vm.lines += self.printed
        if self.log:
            job = json.loads((vm.home / "job.json").read_bytes())
            log_file(job, "log_train", self.log.encode())
        super().__call__(vm)


def order(cloud: LocalCloud, zip_bytes: bytes, head: str, **more: Any) -> str:
    job = f"{head}-{uuid.uuid4().hex[:6]}"
    cloud.app.put_zip(f"{job}.zip", zip_bytes)
    message = {"v": 1, "action": "train", "dataset": f"{job}.zip", "job_id": job, "line": job}
    deliver(cloud.app, json.dumps(message | more))
    return job


def kept(app: App, job: str, name: str) -> str:
    """A file in the job's folder of share logs; "" when there is none."""
    return (app.file("logs", f"{job}/{name}") or b"").decode("utf-8")


def deletion(cloud: LocalCloud, record: dict[str, Any], attempt: int = 1) -> float:
    """When the deletion of an attempt's group was first accepted, on the moved clock."""
    group = group_of(record, attempt)
    return accepted(arm_calls(cloud, "DELETE", f"/{group}\\?"))[0].time


def test_c1_16_a_failed_job_leaves_its_last_lines(cloud, zip_bytes):
    """Machine and group are gone; console, reason and last lines are in share logs."""
    leaks = cloud.recorder.leaks()
    cloud.vms.work = Doomed([*BOOT, "out of memory", SIGNATURE], status="failed", reason="it fell")
    job = order(cloud, zip_bytes, "failed")
    record = run_until_closed(cloud, job)
    assert cloud.arm.groups() == []
    console = kept(cloud.app, job, "serial-1.log")
    assert "Linux version 6.8.0\n" in console
    assert "  OK  ] Reached target\n" in console, "escape sequences are for terminals"
    assert "out of memory\n" in console
    assert SIGNATURE not in console
    assert "sig=***" in console
    text = kept(cloud.app, job, "attempt-1.txt")
    for word in (
        f"job `{job}`, attempt 1",
        "Reason: it fell (stage train, exit code 1)",
        "Standard_D8s_v4 in japaneast",
        f"resource group {group_of(record)}, id {record['vm_id']}",
        "Exit code: 1 (stage train)",
        "Last status: stage train, epoch 1 of 20, 20",
        "Last log lines:\nfirst line\nlast line\n",
        "out of memory\n",
        f"(all of it: {job}/serial-1.log)",
    ):
        assert word in text
    assert SIGNATURE not in text
    assert f"share logs, {job}/attempt-1.txt" in result_told(cloud.app, job)
    assert f"share logs, {job}/attempt-1.txt" in result_text(cloud.app, f"{job}.zip")
    group = group_of(record)
    link = arm_calls(cloud, "POST", group + ".*" + LINK_CALL)[0]  # bell and job-watch may both look
    first_deletion = arm_calls(cloud, "DELETE", rf"/{group}\?")[0]
    order_of = cloud.recorder.exchanges.index
    assert order_of(link) < order_of(first_deletion), "asked too late"
    assert cloud.recorder.leaks() == leaks
    rest(cloud)


def test_c1_15_a_machine_that_never_comes_up(cloud, zip_bytes):
    """No claim, so nothing but its console tells why: it is kept, and five lines are told."""
    cloud.vms.work = lambda vm: vm.lines.extend([*BOOT, *"1234567", "cloud-init: FAILED"])
    job = order(cloud, zip_bytes, "boot")
    turn_until(cloud, lambda: state(cloud.app, job)["outcome"] != "none", what="an outcome")
    record = run_until_closed(cloud, job)
    assert record["state"]["reason"] == "boot"
    assert record["state"]["attempt"] == 2
    for attempt in (1, 2):
        assert "cloud-init: FAILED" in kept(cloud.app, job, f"serial-{attempt}.log")
        text = kept(cloud.app, job, f"attempt-{attempt}.txt")
        assert "did not come up" in text
        assert "Exit code: none, it reported nothing" in text
        assert "Last status: it never wrote one" in text
    text = result_told(cloud.app, job)
    assert "Last log lines:\n```\n4\n5\n6\n7\ncloud-init: FAILED\n```\n" in text
    assert f"share logs, {job}/attempt-2.txt" in text
    rest(cloud)


def test_c1_16_a_machine_that_reports_nothing(cloud, zip_bytes):
    """Silent: the last five lines of its train.log are told."""
    log = "".join(f"epoch {n}\n" for n in range(1, 40)) + f"GET https://x/y?{SIGNATURE}\n"
    cloud.vms.work = work = Doomed(BOOT, log, hold=threading.Event())
    job = order(cloud, zip_bytes, "silent")
    turn_until(cloud, lambda: machine(cloud.app, job) == "running", what="running")
    cloud.clock.advance(840)
    assert work.vm is not None
    beat(work.vm, work.jobs[0])
    record = run_until_closed(cloud, job)
    assert record["state"]["reason"] == "silent"
    text = result_told(cloud.app, job)
    assert "```\nepoch 36\nepoch 37\nepoch 38\nepoch 39\nGET https://x/y?sig=***\n```\n" in text
    assert "epoch 20\n" not in kept(cloud.app, job, "attempt-1.txt"), "twenty lines are enough"
    assert "epoch 21\n" in kept(cloud.app, job, "attempt-1.txt")


def test_a_machine_that_is_gone(cloud, zip_bytes):
    """Nothing can be read of it: said in words, and the job ends all the same."""
    cloud.vms.work = Doomed(BOOT, "last words\n", hold=threading.Event())
    job = order(cloud, zip_bytes, "gone")
    turn_until(cloud, lambda: machine(cloud.app, job) == "running", what="running")
    cloud.arm.evict(group_of(cloud.app.record(job)))
    run_until_closed(cloud, job)
    assert kept(cloud.app, job, "serial-1.log") == ""
    text = kept(cloud.app, job, "attempt-1.txt")
    assert "Last lines of its console:\nnone: " in text
    assert "was not found" in text
    assert "last words" in text
    assert "last words" in result_told(cloud.app, job)


def test_a_huge_console_is_kept_from_its_end(cloud, zip_bytes):
    lines = [f"line {number} {'x' * 90}" for number in range(30_000)]
    cloud.vms.work = Doomed([*lines, "y" * 5000, "the end"], status="failed")
    job = order(cloud, zip_bytes, "huge")
    run_until_closed(cloud, job)
    console = kept(cloud.app, job, "serial-1.log")
    assert 900_000 < len(console) <= 1 << 20
    assert console.startswith("line "), "it begins with a whole line"
    assert console.endswith("...\nthe end\n")
    assert max(map(len, console.splitlines())) <= 1000
    sizes = [len(e.response_body) for e in cloud.recorder.select("console", "GET")]
    assert sizes[-1] <= 1 << 20


def test_a_success_and_a_cancelled_job_leave_no_evidence(cloud, zip_bytes):
    cloud.vms.work = QuickVm()
    before = len(arm_calls(cloud, "POST", LINK_CALL))
    job = order(cloud, zip_bytes, "fine")
    run_until_closed(cloud, job)
    assert not [n for n in cloud.app.files("logs", job) if n.startswith(("serial", "attempt"))]
    assert len(arm_calls(cloud, "POST", LINK_CALL)) == before


# Trouble on the way: the deletion is requested within two minutes all the same.

SILENT_S = 22.0
"""Longer than the handler waits for the link or for the console: 18 s."""
TROUBLE = {
    "arm-silent": {"service": "arm", "url": LINK_CALL, "delay": SILENT_S},
    "arm-403": {"service": "arm", "url": LINK_CALL, "status": 403},
    "arm-empty": {"service": "arm", "url": LINK_CALL, "status": 200, "body": b"{}"},
    "console-silent": {"service": "console", "delay": SILENT_S},
    "console-404": {"service": "console", "status": 404},
    "console-500": {"service": "console", "status": 500, "headers": {"Retry-After": "0"}},
    "console-half": {"service": "console", "method": "GET", "reset": "half"},
    "console-late": {"service": "console", "delay": 3.0},
    "share-403": {"service": "files", "url": "/logs/.*(serial|attempt)-1", "status": 403},
    "status-403": {"service": "blob", "url": "/job-files/status/", "method": "GET", "status": 403},
}


@pytest.mark.parametrize("name", TROUBLE)
def test_c1_16_trouble_with_evidence_never_holds_up_the_deletion(cloud, zip_bytes, name):
    app, leaks = cloud.app, cloud.recorder.leaks()
    cloud.vms.work = Doomed([*BOOT, "panic"], status="failed", hold=threading.Event(), bell=False)
    job = order(cloud, zip_bytes, name)
    turn_until(cloud, lambda: machine(app, job) == "running", what="running")
    cloud.vms.work.hold.set()
    wait_for(lambda: app.blob("job-files", f"out/{job}/1/report.json"), what="the report")
    fault = cloud.faults.add(times=None, **TROUBLE[name])
    turn(cloud)
    record = app.record(job)
    assert record["state"]["outcome"] == "failed"
    assert deletion(cloud, record) - record["state"]["outcome_s"] <= 120
    assert fault.hits >= 1
    cloud.faults.remove(fault)
    text = kept(app, job, "attempt-1.txt")
    assert ("panic" in text) == (name in ("console-late", "status-403"))
    assert (text == "") == (name == "share-403")
    assert ("attempt-1.txt" in result_told(app, job)) == (name != "share-403")
    run_until_closed(cloud, job)
    assert cloud.recorder.leaks() == leaks


def test_what_another_look_read_of_the_console_stays(cloud, zip_bytes):
    """Bell and job-watch look at once; the slower one finds the machine being deleted."""
    app = cloud.app
    cloud.vms.work = Doomed(BOOT, status="failed", hold=threading.Event(), bell=False)
    job = order(cloud, zip_bytes, "both")
    turn_until(cloud, lambda: machine(app, job) == "running", what="running")
    logs = app.shares_client.get_share_client("logs")
    logs.get_file_client(f"{job}/attempt-1.txt").upload_file(b"with its console")
    fault = cloud.faults.add(service="arm", url=LINK_CALL, times=None, status=403)
    cloud.vms.work.hold.set()
    run_until_closed(cloud, job)
    assert fault.hits >= 1
    cloud.faults.remove(fault)
    assert kept(app, job, "attempt-1.txt") == "with its console"
    assert f"share logs, {job}/attempt-1.txt" in result_told(app, job)


def test_the_machine_whose_deployment_is_cancelled(cloud, zip_bytes):
    """It failed before ARM was done with it: evidence first, then cancellation and deletion."""
    cloud.arm.timing = Timing(accepted=0.02, running=60.0, delete=0.1)
    cloud.vms.work = Doomed([*BOOT, "oops"], status="failed")
    job = order(cloud, zip_bytes, "early")
    run_until_closed(cloud, job)
    assert "oops" in kept(cloud.app, job, "serial-1.log")
