"""Attempts that Azure refuses, that do not come up, or that it takes back; and orders to a job."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from local.arm import nested_failure
from local.cloud import App, LocalCloud
from local.judge import InvocationFailed
from tests.e2e.helpers import (
    arm_calls,
    corrected_line,
    deliver,
    group_of,
    machine,
    result_text,
    run_until_closed,
    slots,
    state,
    texts_about,
    told_by_kind,
    turn,
    turn_until,
)
from tests.e2e.quick import QuickVm

MakeCloud = Callable[..., LocalCloud]
NO_ROOM = nested_failure("AllocationFailed", "We do not have sufficient capacity.")


def order(cloud: LocalCloud, zip_bytes: bytes, job: str, **fields: Any) -> None:
    """Put a zip of its own name and send a train message in JSON."""
    cloud.app.put_zip(f"{job}.zip", zip_bytes)
    message = {"v": 1, "action": "train", "dataset": f"{job}.zip", "job_id": job, **fields}
    deliver(cloud.app, json.dumps(message))


def ask(app: App, action: str, job: str, **fields: Any) -> None:
    """Send another action about a job."""
    deliver(app, json.dumps({"v": 1, "action": action, "job_id": job, **fields}))


def tried(cloud: LocalCloud, job: str) -> list[tuple[str, str, str]]:
    """Size, region and priority of each machine that was ordered for a job, in order."""
    slug = (cloud.app.record(job) or {})["slug"]
    found = []
    for put in arm_calls(cloud, "PUT", f"(?i)/resourcegroups/[^/]*{slug}-.*/deployments/"):
        values = json.loads(put.request_body)["properties"]["parameters"]
        found.append(tuple(values[n]["value"] for n in ("vmSize", "location", "priority")))
    return found


def test_c1_13_no_capacity_for_a_size_tries_the_next_one(
    make_cloud: MakeCloud, zip_bytes: bytes
) -> None:
    cloud = make_cloud({"app": {"VM_SIZES": "Standard_D8s_v4,Standard_D8s_v5"}})
    app = cloud.app
    cloud.arm.capacity = lambda size, region, priority: (
        None if (size, region) == ("Standard_D8s_v5", "japanwest") else NO_ROOM
    )
    cloud.vms.work = vm = QuickVm(hold=threading.Event())
    order(cloud, zip_bytes, "room", regions=["japaneast", "japanwest"])
    turn_until(cloud, lambda: machine(app, "room") == "running", deadline_s=120, what="it runs")
    vm.hold.set()
    record = run_until_closed(cloud, "room", deadline_s=120)
    assert record["state"]["outcome"] == "succeeded"
    assert record["state"]["attempt"] == 4
    assert [place[:2] for place in tried(cloud, "room")] == [
        ("Standard_D8s_v4", "japaneast"),
        ("Standard_D8s_v5", "japaneast"),
        ("Standard_D8s_v4", "japanwest"),
        ("Standard_D8s_v5", "japanwest"),
    ]
    told = told_by_kind(app, "room")
    assert len(told) == 3, told  # accepted, started, result: other sizes are no news
    assert "Standard_D8s_v5" in told[1]
    assert slots(app)["holders"] == []


def test_c1_19_waiting_for_capacity_is_no_death_and_lets_others_pass(
    make_cloud: MakeCloud, zip_bytes: bytes
) -> None:
    cloud = make_cloud({"app": {"MAX_JOBS": "1", "VM_SIZES": "Standard_D8s_v4,Standard_D4s_v4"}})
    app = cloud.app
    cloud.arm.capacity = lambda size, region, priority: (
        NO_ROOM if size == "Standard_D8s_v4" else None
    )
    order(cloud, zip_bytes, "big", vm_size="Standard_D8s_v4")
    turn_until(cloud, lambda: state(app, "big")["rounds"] >= 2, what="waits for capacity")
    told = [text for text in texts_about(app, "big") if "waits for a machine" in text]
    assert len(told) == 1  # the first round only
    assert "AllocationFailed" in told[0]
    assert '"action":"cancel"' in told[0]
    order(cloud, zip_bytes, "small", vm_size="Standard_D4s_v4")
    assert run_until_closed(cloud, "small")["state"]["outcome"] == "succeeded"
    assert machine(app, "big") != "closed"
    cloud.arm.capacity = None
    record = run_until_closed(cloud, "big")
    assert record["state"]["outcome"] == "succeeded"
    assert record["state"]["started_s"] >= record["state"]["refused_s"]


def test_capacity_that_never_comes_fails_with_words(
    make_cloud: MakeCloud, zip_bytes: bytes
) -> None:
    cloud = make_cloud()
    app = cloud.app
    cloud.arm.capacity = lambda size, region, priority: NO_ROOM
    order(cloud, zip_bytes, "never")
    turn_until(cloud, lambda: state(app, "never")["rounds"] >= 1)
    cloud.clock.advance(24 * 3600)
    record = run_until_closed(cloud, "never")
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "capacity")
    for text in (texts_about(app, "never")[-1], result_text(app, "never.zip")):
        assert "Azure had no machine for it within 24 hours" in text
    cloud.arm.capacity = None
    deliver(app, corrected_line(result_text(app, "never.zip")))
    assert run_until_closed(cloud, "never-2")["state"]["outcome"] == "succeeded"


def test_spot_is_ordered_and_left_when_there_is_none(cloud: LocalCloud, zip_bytes: bytes) -> None:
    quota = nested_failure("OperationNotAllowed", "exceeding approved LowPriorityCores quota")
    cloud.arm.capacity = lambda size, region, priority: quota if priority == "Spot" else None
    try:
        order(cloud, zip_bytes, "thrifty", spot="prefer")
        record = run_until_closed(cloud, "thrifty")
    finally:
        cloud.arm.capacity = None
    assert record["state"]["outcome"] == "succeeded"
    assert [place[2] for place in tried(cloud, "thrifty")] == ["Spot", "Regular"]


def test_c1_17_an_evicted_spot_machine_is_followed_by_another(
    make_cloud: MakeCloud, zip_bytes: bytes
) -> None:
    cloud = make_cloud()
    app = cloud.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    order(cloud, zip_bytes, "evicted", spot="prefer")
    for attempt in (1, 2, 3, 4):
        turn_until(
            cloud,
            lambda attempt=attempt: (
                (state(app, "evicted")["machine"], state(app, "evicted")["attempt"])
                == ("running", attempt)
            ),
            what=f"attempt {attempt} runs",
        )
        if attempt == 1:
            deadline_s = state(app, "evicted")["deadline_s"]
        cloud.arm.evict(group_of(app.record("evicted") or {}, attempt))
    turn_until(cloud, lambda: state(app, "evicted")["attempt"] == 5)
    assert vm.hold is not None
    vm.hold.set()
    record = run_until_closed(cloud, "evicted")
    assert record["state"]["outcome"] == "succeeded"
    assert record["state"]["deadline_s"] == deadline_s  # one budget over all attempts
    assert [place[2] for place in tried(cloud, "evicted")] == ["Spot"] * 4 + ["Regular"]
    told = [text for text in app.slack() if "took its Spot machine back" in text]
    assert len(told) == 4
    assert "without Spot" in told[-1]


def test_c1_15_a_machine_that_never_claims_is_tried_once_more(
    make_cloud: MakeCloud, zip_bytes: bytes
) -> None:
    cloud = make_cloud()
    app = cloud.app
    cloud.vms.work = lambda vm: None
    order(cloud, zip_bytes, "dead")
    started = cloud.clock.now()
    record = run_until_closed(cloud, "dead")
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "boot")
    assert record["state"]["attempt"] == 2
    assert cloud.clock.now() - started < 2 * 3600
    assert any(
        "did not come up within 15 min. It is deleted" in t for t in texts_about(app, "dead")
    )
    assert "did not come up" in texts_about(app, "dead")[-1]


def test_c1_24_a_machine_that_does_not_come_up_does_not_keep_the_slot(
    make_cloud: MakeCloud, zip_bytes: bytes
) -> None:
    cloud = make_cloud({"app": {"MAX_JOBS": "1"}})
    cloud.vms.work = lambda vm: None
    order(cloud, zip_bytes, "dead")
    order(cloud, zip_bytes, "next")
    run_until_closed(cloud, "dead")
    cloud.vms.work = QuickVm()
    assert run_until_closed(cloud, "next")["state"]["outcome"] == "succeeded"


def test_cancel_ends_a_running_job_and_its_machine(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    cloud.vms.work = QuickVm(hold=threading.Event())
    order(cloud, zip_bytes, "Unwanted")
    turn_until(cloud, lambda: machine(app, "unwanted") == "running")
    ask(app, "cancel", "Unwanted")
    assert state(app, "unwanted")["outcome"] == "cancelled"
    assert [e.status for e in arm_calls(cloud, "DELETE", group_of(app.record("unwanted") or {}))]
    record = run_until_closed(cloud, "unwanted")
    assert "is cancelled" in texts_about(app, "Unwanted")[-1]
    assert cloud.arm.groups() == []
    ask(app, "cancel", "Unwanted")
    assert "is over (cancelled); nothing was cancelled" in app.slack()[-1]
    assert app.record("unwanted") == record
    ask(app, "cancel", "nobody")
    assert "There is no job `nobody`; nothing was cancelled." in app.slack()[-1]


def test_cancel_of_a_job_that_waits(make_cloud: MakeCloud, zip_bytes: bytes) -> None:
    cloud = make_cloud({"app": {"MAX_JOBS": "1"}})
    app = cloud.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    order(cloud, zip_bytes, "first")
    order(cloud, zip_bytes, "second")
    ask(app, "cancel", "second")
    run_until_closed(cloud, "second")
    assert slots(app) == {"v": 1, "holders": ["first"], "waiting": []}
    assert vm.hold is not None
    vm.hold.set()
    run_until_closed(cloud, "first")


def test_a_cancel_that_cannot_be_saved_comes_again(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    cloud.vms.work = QuickVm(hold=threading.Event())
    order(cloud, zip_bytes, "stubborn")
    turn_until(cloud, lambda: machine(app, "stubborn") == "running")
    cloud.faults.add(service="blob", method="PUT", url="/record/stubborn", status=412, times=None)
    with pytest.raises(InvocationFailed):
        ask(app, "cancel", "stubborn")
    cloud.faults.clear()
    ask(app, "cancel", "stubborn")
    assert run_until_closed(cloud, "stubborn")["state"]["outcome"] == "cancelled"


def test_extend_moves_the_deadline_and_tells_the_machine(
    cloud: LocalCloud, zip_bytes: bytes
) -> None:
    app = cloud.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    order(cloud, zip_bytes, "longer", max_hours=2)
    turn_until(cloud, lambda: machine(app, "longer") == "running")
    before = state(app, "longer")
    ask(app, "extend", "longer", max_hours=5)
    after = state(app, "longer")
    assert after["deadline_s"] == before["started_s"] + 5 * 3600
    control = json.loads(app.blob("job-files", "control/longer.json") or b"{}")
    assert control["deadline_s"] == after["deadline_s"]
    assert control["train_until_s"] == after["train_until_s"]
    assert "`longer` may now take 5 hours once started: until" in app.slack()[-1]
    ask(app, "extend", "longer", max_hours=3)
    assert "may already take 5 hours" in app.slack()[-1]
    assert state(app, "longer")["deadline_s"] == after["deadline_s"]
    assert vm.hold is not None
    vm.hold.set()
    run_until_closed(cloud, "longer")


def test_retry_runs_the_same_once_more_under_a_name_of_its_own(
    cloud: LocalCloud, zip_bytes: bytes
) -> None:
    app = cloud.app
    cloud.vms.work = QuickVm(status="failed")
    order(cloud, zip_bytes, "Unlucky", epochs=7)
    run_until_closed(cloud, "unlucky")
    cloud.vms.work = QuickVm()
    message = json.dumps({"v": 1, "action": "retry", "job_id": "unlucky"})
    message_id = deliver(app, message)
    deliver(app, message, message_id)  # twice: still one
    (again,) = [job for job in app.markers() if job.startswith("unlucky-r")]
    record = run_until_closed(cloud, again)
    assert record["state"]["outcome"] == "succeeded"
    assert record["request"]["epochs"] == 7
    assert record["request"]["zip"] == "Unlucky.zip"


def test_the_same_data_again_is_asked_about(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    app.put_zip("same.zip", zip_bytes)
    deliver(app, '{"v":1,"dataset":"same.zip","job_id":"once"}')
    turn_until(
        cloud, lambda: state(app, "once")["outcome"] == "succeeded"
    )  # its machine may be there
    deliver(app, '{"v":1,"dataset":"same.zip","job_id":"twice","max_cost":90}')
    assert app.record("twice") is None
    text = next(t for t in reversed(app.slack()) if "E11" in t)
    assert "`once` succeeded on" in text
    line = corrected_line(text)
    assert '"force":true' in line
    run_until_closed(cloud, "once")
    deliver(app, line)
    assert run_until_closed(cloud, "twice")["state"]["outcome"] == "succeeded"
    app.put_zip("same.zip", zip_bytes + b"")  # uploaded anew: another ETag
    deliver(app, '{"v":1,"dataset":"same.zip","job_id":"thrice"}')
    assert run_until_closed(cloud, "thrice")["state"]["outcome"] == "succeeded"
    turn(cloud)
