"""The handler is killed with SIGKILL right before and right after every write of a job's life.

The host starts a new one at once, and brings the message again when its time has come. There is one
machine, one outcome, one version, and nothing is left.
"""

from __future__ import annotations

import json
import uuid

import pytest

from local.clock import wait_until
from local.recorder import Exchange
from tests.e2e.helpers import (
    arm_calls,
    current,
    line_of,
    result_text,
    run_until_closed,
    slots,
    turn,
    wait_for,
)
from tests.e2e.quick import FILES, QuickVm

# (service, method, URL with {job}, which of these requests)
POINTS = {
    "marker": ("blob", "PUT", "/jobs/live/{job}$", 1),
    "record": ("blob", "PUT", "/jobs/record/{job}.json", 1),
    "slot": ("blob", "PUT", "/jobs/slots.json", 1),
    "group": ("arm", "PUT", r"/train-rg-{job}-\w+-1\?", 1),
    "deployment": ("arm", "PUT", r"/train-rg-{job}-\w+-1/.*/deployments/train\?", 1),
    "telling": ("blob", "PUT", "/jobs/record/{job}.json", 2),
    "told": ("blob", "PUT", "/jobs/record/{job}.json", 3),
    "accepted-notice": ("slack", "POST", "", 1),
    "fence": ("blob", "PUT", "/job-files/claim/{job}/1$", 1),
    "delete": ("arm", "DELETE", r"/train-rg-{job}-\w+-1\?", 1),
    "line": ("blob", "PUT", "/jobs/lines/{job}.json", 1),
    "copy-bin": ("blob", "PUT", "/model/{job}/1/model.bin", 1),
    "copy-xml": ("blob", "PUT", "/model/{job}/1/model.xml", 1),
    "copy-manifest": ("blob", "PUT", "/model/{job}/1/manifest.json", 1),
    "pointer": ("blob", "PUT", "/model/{job}/current.json", 1),
    "line-free": ("blob", "PUT", "/jobs/lines/{job}.json", 2),
    "slot-free": ("blob", "PUT", "/jobs/slots.json", 2),
    "text-file": ("files", "PUT", "/train/{job}.zip.RESULT.txt", 1),
    "result-notice": ("slack", "POST", "", 2),
    "forget": ("blob", "DELETE", "/jobs/live/{job}$", 1),
}


def send(cloud, zip_bytes: bytes, job: str) -> None:
    """Put the message on the queue, so that the host brings it again after a kill."""
    cloud.app.put_zip(f"{job}.zip", zip_bytes)
    message = {"v": 1, "action": "train", "dataset": f"{job}.zip", "job_id": job, "line": job}
    cloud.app.send(json.dumps(message))


def is_ready(cloud) -> bool:
    """The new handler takes connections."""
    cloud.app.host.wait_ready()
    return True


def orders(cloud, job: str) -> list[Exchange]:
    """The orders of a machine that ARM carried out, those whose reply was lost among them."""
    puts = arm_calls(cloud, "PUT", f"(?i)/train-rg-{job}-.*/deployments/train")
    return [e for e in puts if 200 <= e.status < 300 or e.fault == "after"]


def one_of_everything(cloud, job: str) -> dict:
    """Judge what a job left, however it was lived through; its record."""
    app = cloud.app
    record = app.record(job)
    shown = record["state"]
    assert (shown["outcome"], shown["reason"], shown["version"]) == ("succeeded", "published", 1)
    assert shown["attempt"] == 1
    assert len(orders(cloud, job)) == 1, "a second machine was ordered"
    assert sum(m.spec.tags["job"] == job for m in cloud.vms.machines) == 1
    assert cloud.arm.groups() == []
    assert job not in app.markers()
    assert job not in slots(app).get("holders", []) + slots(app).get("waiting", [])
    assert (line_of(app, job)["version"], line_of(app, job)["job_id"]) == (1, "")
    assert (current(app, job)["version"], current(app, job)["job_id"]) == (1, job)
    folders = {name.split("/")[1] for name in app.blobs("model", f"{job}/")}
    assert folders == {"1", "current.json"}
    for file in FILES:
        assert app.blob("model", f"{job}/1/{file}") == f"{file} of {job}".encode()
    assert "has succeeded" in result_text(app, f"{job}.zip")
    told = [text for text in app.slack() if f"`{job}` has succeeded" in text]
    assert 1 <= len(told) <= 3, "after a kill a notice may come again, but not always again"
    return record


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_one_point(cloud, zip_bytes, point, when):
    job = f"{point}-{when}-{uuid.uuid4().hex[:4]}"
    service, method, url, nth = POINTS[point]
    starts = cloud.app.host.starts
    cloud.vms.work = QuickVm()
    fault = cloud.faults.add(
        service=service,
        method=method,
        url=f"(?i){url.format(job=job)}",
        nth=nth,
        reset="before" if when == "before" else "after",
        **{when: cloud.app.host.kill},
    )
    send(cloud, zip_bytes, job)
    wait_for(lambda: fault.hits or cloud.app.record(job), what="the beginning")
    if fault.hits:
        is_ready(cloud)
    run_through(cloud, job)
    assert fault.hits == 1, "nobody was killed: the test tests nothing"
    wait_for(lambda: cloud.app.host.starts == starts + 1, what="the new handler")
    is_ready(cloud)
    one_of_everything(cloud, job)


def run_through(cloud, job: str) -> None:
    """Drive a job to its end; the timer of a killed handler fails, and is fired again."""
    app = cloud.app

    def over() -> bool:
        cloud.clock.advance(31.0)
        app.watch()
        record = app.record(job)
        return bool(record) and record["state"]["machine"] == "closed" and job not in app.markers()

    wait_until(over, 60, f"{job} closes")
    wait_until(lambda: not drained(cloud), 20, "an empty queue")


def drained(cloud) -> int:
    """How many messages are left; they come again when their time is over."""
    left = cloud.app.queues.count("js-queue-items") + cloud.app.queues.count("delete-resources")
    if left:
        cloud.clock.advance(31.0)
    return left


def test_c1_02_killed_after_arm_accepted_the_deployment_and_the_message_comes_again(
    cloud, zip_bytes
):
    """The order's reply is lost with the handler: what is there is adopted, the same VM goes on."""
    job = f"adopt-{uuid.uuid4().hex[:6]}"
    fault = cloud.faults.add(
        service="arm",
        method="PUT",
        url=f"/train-rg-{job}-.*/deployments/train",
        after=cloud.app.host.kill,
        reset="after",
    )
    send(cloud, zip_bytes, job)
    assert fault.fired.wait(30)
    is_ready(cloud)
    before = [m for m in cloud.vms.machines if m.spec.tags["job"] == job]
    failed = wait_for(
        lambda: [o for o in cloud.app.host.outcomes if o.function == "js-queue-items" and o.error],
        what="the failed call",
    )
    message = failed[-1].message_id

    def again() -> bool:
        cloud.clock.advance(31.0)
        done = [o for o in cloud.app.host.outcomes if o.message_id == message and not o.error]
        return bool(done)

    wait_for(again, what="the second delivery")
    puts = arm_calls(cloud, "PUT", f"/train-rg-{job}-.*/deployments/train")
    assert len(puts) == 1, "ordered again although it was there"
    gets = arm_calls(cloud, "GET", f"/train-rg-{job}-.*/deployments/train")
    assert any(e.status == 200 for e in gets), "nobody looked whether it was there"
    run_until_closed(cloud, job)
    record = one_of_everything(cloud, job)
    after = [m for m in cloud.vms.machines if m.spec.tags["job"] == job]
    assert len(after) == 1
    assert before in ([], after)
    claim = cloud.app.blob("job-files", f"claim/{job}/1")
    assert claim == after[0].spec.vm_id.encode()
    assert record["state"]["attempt"] == 1


def test_an_order_that_never_arrived_is_given_again_when_it_cannot_arrive_any_more(
    cloud, zip_bytes
):
    """Killed before ARM saw it: until 60 s after create_until it might still be on its way."""
    job = f"again-{uuid.uuid4().hex[:6]}"
    url = f"/train-rg-{job}-.*/deployments/train"
    fault = cloud.faults.add(
        service="arm", method="PUT", url=url, before=cloud.app.host.kill, reset="before"
    )
    send(cloud, zip_bytes, job)
    assert fault.fired.wait(30)
    is_ready(cloud)
    until = cloud.app.record(job)["state"]["create_until_s"]
    assert until > cloud.clock.now()
    run_through(cloud, job)
    first, second = arm_calls(cloud, "PUT", url)
    assert (first.status, second.status) == (0, 201)
    assert second.time > until + 60
    one_of_everything(cloud, job)


def test_a_marker_without_a_record_is_removed_after_an_hour(cloud):
    """Killed between the two, and the message never came again."""
    job = f"orphan-{uuid.uuid4().hex[:6]}"
    cloud.app.put_blob("jobs", f"live/{job}", b"")
    turn(cloud, seconds=3000)
    assert job in cloud.app.markers()
    turn(cloud, seconds=700)
    assert job not in cloud.app.markers()
