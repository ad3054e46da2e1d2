"""delete-resources is only a bell: whatever it says, only what storage and Azure say counts."""

from __future__ import annotations

import json
import threading

import pytest

from local.cloud import LocalCloud
from tests.e2e.helpers import (
    arm_calls,
    deliver,
    group_of,
    is_closed,
    machine,
    ring,
    run_until_closed,
    settle,
    state,
    turn_until,
    wait_for,
)
from tests.e2e.quick import QuickVm


def bell(job: str, attempt: int = 1) -> str:
    return json.dumps({"v": 1, "job_id": job, "attempt": attempt})


def working(cloud: LocalCloud, zip_bytes: bytes, job: str) -> QuickVm:
    """Bring a job to `running`, its VM held at work."""
    app = cloud.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    app.put_zip(f"{job}.zip", zip_bytes)
    deliver(app, f"{job}.zip:{job}")
    turn_until(cloud, lambda: machine(app, job) == "running")
    return vm


def let_go(vm: QuickVm) -> None:
    assert vm.hold is not None
    vm.hold.set()


def test_for_an_unknown_job(cloud: LocalCloud) -> None:
    calls = len(cloud.recorder.select("arm"))
    answer = ring(cloud.app, bell("nobody")).answer
    assert answer["Logs"] == ["no job nobody"]
    assert cloud.app.record("nobody") is None
    assert len(cloud.recorder.select("arm")) == calls


def test_for_another_attempt_and_forged_for_a_running_job(
    cloud: LocalCloud, zip_bytes: bytes
) -> None:
    app = cloud.app
    vm = working(cloud, zip_bytes, "forged")
    for attempt in (2, 0):
        answer = ring(app, bell("forged", attempt)).answer
        assert answer["Logs"] == [f"job forged is at attempt 1; the bell was for {attempt}"]
    for text in (
        bell("FORGED"),
        bell("forged"),
        '{"v":1,"job_id":"forged","attempt":1,"status":"succeeded","delete":true}',
    ):
        ring(app, text)
        assert machine(app, "forged") == "running"
        assert state(app, "forged")["outcome"] == "none"
    record = app.record("forged")
    assert record is not None
    assert cloud.arm.groups() == [group_of(record)]
    assert arm_calls(cloud, "DELETE", record["slug"]) == []
    assert arm_calls(cloud, "POST", record["slug"]) == []
    let_go(vm)
    assert run_until_closed(cloud, "forged")["state"]["outcome"] == "succeeded"


def test_over_the_queue_as_the_machine_sends_it(cloud: LocalCloud, zip_bytes: bytes) -> None:
    """No timer: the bell alone brings the deletion and the publishing."""
    app = cloud.app
    vm = working(cloud, zip_bytes, "rung")
    let_go(vm)
    wait_for(lambda: state(app, "rung")["model"] == "current", what="the model is published")
    record = app.record("rung")
    assert record is not None
    assert len(arm_calls(cloud, "DELETE", record["slug"])) >= 1
    run_until_closed(cloud, "rung")


def test_twice_and_after_the_end(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    vm = working(cloud, zip_bytes, "twice-rung")
    vm.bell = False
    let_go(vm)
    out = "out/twice-rung/1/report.json"
    wait_for(lambda: app.blob("job-files", out), what="the report")
    ring(app, bell("twice-rung"))
    assert machine(app, "twice-rung") in ("deleting", "closed")
    ring(app, bell("twice-rung"))
    record = run_until_closed(cloud, "twice-rung")
    assert record["state"]["outcome"] == "succeeded"
    assert record["state"]["version"] > 0
    told = app.slack()
    answer = ring(app, bell("twice-rung")).answer
    assert answer["Logs"] == ["job twice-rung is closed"]
    assert app.record("twice-rung") == record
    assert app.slack() == told
    assert app.markers() == []


def test_before_the_report_is_there(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    vm = working(cloud, zip_bytes, "early-bell")
    vm.status, vm.bell = "failed", False
    ring(app, bell("early-bell"))
    assert state(app, "early-bell")["outcome"] == "none"
    let_go(vm)
    wait_for(lambda: app.blob("job-files", "out/early-bell/1/report.json"), what="the report")
    record = run_until_closed(cloud, "early-bell")
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "report")


def test_a_report_that_somebody_else_wrote_counts_only_for_its_attempt(
    cloud: LocalCloud, zip_bytes: bytes
) -> None:
    """A report of another job below this one's name is none of this job."""
    app = cloud.app
    vm = working(cloud, zip_bytes, "alien")
    report = {"v": 1, "job_id": "alien", "attempt": 2, "status": "succeeded", "stage": "upload"}
    app.put_blob("job-files", "out/alien/2/report.json", json.dumps(report).encode())
    ring(app, bell("alien", 2))
    ring(app, bell("alien"))
    assert machine(app, "alien") == "running"
    let_go(vm)
    assert run_until_closed(cloud, "alien")["state"]["outcome"] == "succeeded"


def test_done_with_no_live_job(cloud: LocalCloud) -> None:
    calls = len(cloud.recorder.select("arm"))
    assert ring(cloud.app, "done").answer["Logs"] == ["0 live, 0 looked at, 0 could not be"]
    assert len(cloud.recorder.select("arm")) == calls


@pytest.mark.parametrize("word", ["done", "ZG9uZQ==", "done\n"])
def test_done_looks_at_one_live_job(cloud: LocalCloud, zip_bytes: bytes, word: str) -> None:
    app, job = cloud.app, f"done-{len(word)}"
    vm = working(cloud, zip_bytes, job)
    vm.bell = False
    logs = ring(app, word).answer["Logs"]
    assert logs == ["1 live, 1 looked at, 0 could not be"]
    assert machine(app, job) == "running", "the word alone ends nothing"
    let_go(vm)
    wait_for(lambda: app.blob("job-files", f"out/{job}/1/report.json"), what="the report")
    ring(app, word)
    assert machine(app, job) in ("deleting", "closed")
    assert state(app, job)["model"] == "current"
    run_until_closed(cloud, job)


def test_done_looks_at_two_live_jobs_and_ends_the_one_that_is_done(
    cloud: LocalCloud, zip_bytes: bytes
) -> None:
    app = cloud.app
    vm = working(cloud, zip_bytes, "done-a")
    vm.bell = False
    other = working(cloud, zip_bytes, "done-b")
    let_go(vm)
    wait_for(lambda: app.blob("job-files", "out/done-a/1/report.json"), what="the report")
    assert ring(app, "done").answer["Logs"] == ["2 live, 2 looked at, 0 could not be"]
    assert machine(app, "done-a") in ("deleting", "closed")
    assert machine(app, "done-b") == "running"
    run_until_closed(cloud, "done-a")
    assert machine(app, "done-b") == "running"
    record = app.record("done-b")
    assert record is not None
    assert cloud.arm.groups() == [group_of(record)]
    let_go(other)
    run_until_closed(cloud, "done-b")


RUBBISH = [
    "",
    "Done and dusted",
    "{",
    "null",
    "[]",
    "7",
    '"done',
    '{"v":1}',
    '{"v":2,"job_id":"x","attempt":1}',
    '{"v":1,"job_id":"../../x","attempt":1}',
    '{"v":1,"job_id":"","attempt":1}',
    '{"v":1,"job_id":7,"attempt":"1"}',
    '{"v":1,"job_id":"x","attempt":1e400}',
    "[" * 2000,
    "x" * 48_000,
]


@pytest.mark.parametrize("text", RUBBISH, ids=[text[:20] or "empty" for text in RUBBISH])
def test_rubbish_is_answered_and_does_nothing(cloud: LocalCloud, text: str) -> None:
    calls = len(cloud.recorder.exchanges)
    ring(cloud.app, text)
    written = [e for e in cloud.recorder.exchanges[calls:] if e.method != "GET"]
    assert written == []
    assert cloud.app.markers() == []


def test_rubbish_that_is_no_text(cloud: LocalCloud) -> None:
    ring(cloud.app, b"\xff\xfe\x00done")
    assert cloud.app.markers() == []


def test_rubbish_over_the_queue_is_eaten(cloud: LocalCloud) -> None:
    for text in ("rubbish", "done", bell("nobody")):
        cloud.app.send(text, encode=False, queue="delete-resources")
        cloud.app.send(text, encode=True, queue="delete-resources")
    settle(cloud)
    assert not [text for text in cloud.app.host.given_up if "nobody" in text or "rubbish" in text]
    assert is_closed(cloud.app, "nobody") is False
