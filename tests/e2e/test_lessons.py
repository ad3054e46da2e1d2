"""What has gone wrong for others, played against this handler: no machine is made twice, kept or
given up too early for it."""

from __future__ import annotations

import json
import threading
import uuid

from local.arm import error_body, nested_failure
from local.cloud import LocalCloud
from tests.e2e.helpers import (
    accepted,
    arm_calls,
    deliver,
    deployments,
    group_of,
    is_closed,
    machine,
    rest,
    result_told,
    run_until_closed,
    state,
    turn,
    turn_until,
    wait_for,
)
from tests.e2e.quick import QuickVm
from tests.e2e.test_faults_vm import nothing_came_of, order, running

HALF_AN_HOUR = 1800
JSON = {"Content-Type": "application/json"}
NIC_RESERVED = (
    "Nic(s) in request is reserved for another Virtual Machine for 180 seconds. Please provide "
    "another nic(s) or retry after 180 seconds."
)
NO_BASIC = (
    "Cannot create more than 0 IPv4 Basic SKU public IP addresses for this subscription in this "
    "region."
)


def deletions(cloud: LocalCloud, job: str) -> list[int]:
    """The answers to the requests to delete a job's first group, in order."""
    group = group_of(cloud.app.record(job) or {})
    return [e.status for e in arm_calls(cloud, "DELETE", rf"(?i)/{group}\?")]


def test_c1_03_plain_text_and_base64_are_the_same_request(cloud: LocalCloud) -> None:
    """The second is known as the first: every field was read alike."""
    app, job = cloud.app, f"both-{uuid.uuid4().hex[:6]}"
    line = f"{job}.zip:{job}::ok,dent:7:2:1"
    app.send(line, encode=False)
    wait_for(lambda: app.record(job), what="a record")
    before = app.record(job)
    app.send(line, encode=True)
    wait_for(
        lambda: any(f"`{job}`: queued" in t and "no new run" in t for t in app.slack()),
        what="the second is recognised",
    )
    assert (app.record(job) or {})["request"] == (before or {})["request"]
    cloud.clock.advance(400)
    assert run_until_closed(cloud, job)["state"]["outcome"] == "rejected"


def test_c1_05_a_deletion_that_is_promised_and_not_carried_out(cloud, zip_bytes):
    """202, and the group stays: it is asked again and again, people are told, nothing is closed."""
    job = order(cloud, zip_bytes, "promise")
    fault = cloud.faults.add(
        service="arm", method="DELETE", url=f"/train-rg-{job}-", times=None, status=202
    )
    turn_until(cloud, lambda: fault.hits >= 3, what="three deletions")
    assert machine(cloud.app, job) == "deleting"
    turn(cloud, seconds=HALF_AN_HOUR)
    stuck = f"The machine of job `{job}` is still there"
    turn_until(cloud, lambda: any(stuck in t for t in cloud.app.slack()), what="people are told")
    assert not is_closed(cloud.app, job)
    assert len(cloud.arm.groups()) == 1
    cloud.faults.remove(fault)
    run_until_closed(cloud, job)
    assert cloud.arm.groups() == []
    assert len([t for t in cloud.app.slack() if stuck in t]) == 1


def test_c1_07_no_bell_ever_comes_and_nobody_looks_until_after_the_deadline(cloud, zip_bytes):
    job, work = running(cloud, zip_bytes, "lost", max_hours=0.5)
    cloud.clock.advance(HALF_AN_HOUR + 600)
    work.beat()  # it is at work, and not silent
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("timed_out", "deadline")
    assert cloud.arm.vms() == []
    nothing_came_of(cloud, job)


def test_c1_09_a_machine_that_is_stopped_costs_until_it_is_deleted(cloud, zip_bytes):
    """The work is done and the VM has switched itself off; Azure goes on billing for it."""
    off = threading.Event()

    def power_off(quick, vm):
        vm._ask("poweroff")
        off.set()

    cloud.vms.work = QuickVm(bell=False, after=power_off)
    job = order(cloud, zip_bytes, "stopped")
    assert off.wait(30)
    wait_for(lambda: [vm.machine.power() for vm in cloud.arm.vms()] == ["stopped"], what="its end")
    cloud.clock.advance(2 * 3600)
    record = run_until_closed(cloud, job)
    assert record["state"]["outcome"] == "succeeded"
    assert accepted(arm_calls(cloud, "DELETE", f"/{group_of(record)}\\?"))
    assert cloud.arm.groups() == []
    assert record["bill_gone_s"] - record["bill_since_s"] >= 2 * 3600
    assert "The machine ran 2 h" in result_told(cloud.app, job)


def test_c1_10_a_deletion_refused_for_a_reserved_nic_is_asked_again(cloud, zip_bytes):
    fault = cloud.faults.add(
        service="arm",
        method="DELETE",
        url="/train-rg-nic-",
        times=None,
        status=400,
        headers=JSON,
        body=error_body("NicReservedForAnotherVm", NIC_RESERVED),
    )
    job = order(cloud, zip_bytes, "nic")
    turn_until(cloud, lambda: fault.hits >= 2, what="two refusals")
    turn_until(cloud, lambda: state(cloud.app, job)["outcome"] == "succeeded", what="the model")
    assert machine(cloud.app, job) == "deleting"
    assert len(cloud.arm.groups()) == 1
    refused = fault.hits
    cloud.faults.remove(fault)
    run_until_closed(cloud, job)
    assert deletions(cloud, job)[: refused + 1] == [*[400] * refused, 202]
    assert cloud.arm.groups() == []


def test_c1_12_nothing_of_the_basic_sku_is_ordered_and_its_refusal_is_final(cloud, zip_bytes):
    cloud.arm.fail_next = nested_failure("IPv4BasicSkuPublicIpCountLimitReached", NO_BASIC)
    job = order(cloud, zip_bytes, "sku")
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "refused")
    assert record["state"]["attempt"] == 1, "it is the same everywhere"
    text = result_told(cloud.app, job)
    assert f"IPv4BasicSkuPublicIpCountLimitReached: {NO_BASIC}" in text
    (put,) = deployments(cloud, record["slug"])
    assert b"publicIPAddresses" in put.request_body
    for call in cloud.recorder.select("arm"):
        assert b'"basic"' not in call.request_body.lower(), call.url
    rest(cloud)


def test_c1_14_no_extension_limits_a_run_to_90_minutes(cloud, zip_bytes):
    job, work = running(cloud, zip_bytes, "long", max_hours=4)
    record = cloud.app.record(job) or {}
    (put,) = deployments(cloud, record["slug"])
    properties = json.loads(put.request_body)["properties"]
    kinds = [resource["type"] for resource in properties["template"]["resources"]]
    assert "Microsoft.Compute/virtualMachines" in kinds
    assert b"/extensions" not in put.request_body
    assert properties["parameters"]["customData"]["value"]
    since = cloud.clock.now()
    while cloud.clock.now() - since < 91 * 60:
        cloud.clock.advance(600)
        work.beat()
        turn(cloud, seconds=1)
    assert machine(cloud.app, job) == "running"
    assert state(cloud.app, job)["attempt"] == 1
    assert deletions(cloud, job) == []
    work.hold.set()
    assert run_until_closed(cloud, job)["state"]["outcome"] == "succeeded"


def test_c1_18_a_heartbeat_that_cannot_be_read_five_times_ends_nothing(cloud, zip_bytes):
    """ARM says that the machine runs, and it does."""
    job, work = running(cloud, zip_bytes, "slow")
    said = len(cloud.app.host.lines)
    fault = cloud.faults.add(
        service="blob", method="GET", url=f"/status/{job}/", times=5, status=500
    )
    turn(cloud, seconds=1000)
    turn_until(cloud, lambda: fault.hits == 5, what="five refusals")
    assert deletions(cloud, job) == []
    warnings = [t for t in cloud.app.host.lines[said:] if "warn: " in t and "status: " in t]
    assert len(warnings) == 1, warnings
    assert machine(cloud.app, job) == "running"
    work.beat()
    turn(cloud)
    assert machine(cloud.app, job) == "running"
    work.hold.set()
    assert run_until_closed(cloud, job)["state"]["outcome"] == "succeeded"


def test_c1_22_slack_500_then_200_is_one_message_each(cloud, zip_bytes):
    """The timer alone looks: nobody who looks at the same time may tell it too."""
    cloud.vms.work = QuickVm(bell=False)
    fault = cloud.faults.add(service="slack", times=3, status=500)
    job = order(cloud, zip_bytes, "once")
    record = run_until_closed(cloud, job)
    assert fault.hits == 3
    assert record["state"]["outcome"] == "succeeded"
    assert len(deployments(cloud, record["slug"])) == 1
    texts = [text for text in cloud.app.slack() if f"`{job}`" in text]
    assert len(texts) == len(set(texts))
    assert "has succeeded" in texts[-1]
    assert len([text for text in texts if "has succeeded" in text]) == 1


def test_c1_23_redelivered_while_its_machine_is_being_made(cloud, zip_bytes, monkeypatch):
    """Azure needs 8 minutes; who is being made counts as made."""
    made, move = threading.Event(), cloud.arm._move
    monkeypatch.setattr(cloud.arm, "_move", lambda *order: made.wait(60) and move(*order))
    app, job = cloud.app, f"pending-{uuid.uuid4().hex[:6]}"
    app.put_zip(f"{job}.zip", zip_bytes)
    message = deliver(app, f"{job}.zip:{job}")
    try:
        for number in range(2, 7):
            turn(cloud, seconds=96)
            count = json.dumps(str(number))
            again = app.host.invoke(
                "js-queue-items", f"{job}.zip:{job}", Id=json.dumps(message), DequeueCount=count
            )
            assert again.error is None
            assert machine(app, job) == "provisioning"
        assert cloud.arm.vms() == []
    finally:
        made.set()
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["attempt"]) == ("succeeded", 1)
    assert len(arm_calls(cloud, "PUT", f"(?i)/{group_of(record)}/.*/deployments/")) == 1
    assert len([m for m in cloud.vms.machines if m.spec.tags["job"] == job]) == 1


def test_c1_25_a_locked_group_is_told_and_never_called_deleted(cloud, zip_bytes):
    job, work = running(cloud, zip_bytes, "locked")
    name = group_of(cloud.app.record(job) or {})
    cloud.arm.lock(name)
    work.hold.set()
    locked = f"The machine of job `{job}` is still there"
    turn_until(cloud, lambda: any(locked in t for t in cloud.app.slack()), what="people are told")
    texts = [t for t in cloud.app.slack() if locked in t]
    assert len(texts) <= 2, "once, or twice when a bell and job-watch tell their news at once"
    assert all("ScopeLocked" in text for text in texts)
    waited = cloud.clock.now() - state(cloud.app, job)["machine_since_s"]
    assert waited < HALF_AN_HOUR, "a lock does not go away by waiting: it is told at once"
    for _ in range(5):
        turn(cloud, seconds=61)
    assert machine(cloud.app, job) == "deleting"
    assert cloud.arm.groups() == [name]
    cloud.arm.lock(name, False)
    assert run_until_closed(cloud, job)["state"]["outcome"] == "succeeded"
    assert cloud.arm.groups() == []
