"""What the host gives up after five failures: people are told, and what they are told is enough."""

from __future__ import annotations

import base64
import json
import re
import threading
import uuid

import pytest

from local.cloud import LocalCloud
from local.faults import Fault
from local.host import Outcome
from local.judge import InvocationFailed
from tests.e2e.helpers import (
    corrected_line,
    deliver,
    machine,
    rest,
    result_text,
    run_until_closed,
    turn_until,
    wait_for,
)
from tests.e2e.quick import QuickVm

TRAIN, BELL = "js-queue-items", "delete-resources"
KEY = base64.b64encode(bytes(range(64))).decode()
SIGNATURE = "aB3%2Fc9dEf0123456789xyzABCDEFG%3D"
MINUTES_10 = 601.0


def fresh(head: str) -> str:
    return f"{head}-{uuid.uuid4().hex[:6]}"


def unreachable(cloud: LocalCloud, url: str) -> Fault:
    """The record cannot be read or written; 403 is not tried again, which keeps it quick."""
    return cloud.faults.add(
        service="blob",
        url=url,
        times=None,
        status=403,
        headers={"x-ms-error-code": "AuthorizationFailure"},
    )


def fail_for_good(cloud: LocalCloud, queue: str = TRAIN) -> Outcome:
    """Let the message that is in the queue fail until its poison copy was dealt with."""
    host = cloud.app.host

    def done(name: str) -> list[Outcome]:
        return [o for o in host.outcomes[seen:] if o.function == name]

    seen = len(host.outcomes)
    for number in range(1, 6):
        wait_for(lambda n=number: len(done(queue)) >= n, what=f"delivery {number}")
        assert done(queue)[-1].error is not None
        cloud.clock.advance(31)
    wait_for(lambda: done(f"{queue}-poison"), what="the poison function")
    assert len(done(queue)) == 5
    return done(f"{queue}-poison")[0]


def about(cloud: LocalCloud, word: str) -> list[str]:
    """The Slack texts of lost messages that hold a word."""
    return [t for t in cloud.app.slack() if t.startswith("A message in queue") and word in t]


def poison(cloud: LocalCloud, text: str, queue: str = TRAIN, **metadata: object) -> Outcome:
    return cloud.app.host.invoke(f"{queue}-poison", text, **metadata)


def test_c1_04_a_message_given_up_is_told_and_the_told_line_is_accepted(cloud, zip_bytes):
    app, job = cloud.app, fresh("lost")
    app.put_zip(f"{job}.zip", zip_bytes)
    fault = unreachable(cloud, f"/jobs/record/{job}.json")
    app.send(f"{job}.zip:{job}")
    outcome = fail_for_good(cloud)
    assert outcome.error is None
    assert fault.hits >= 5
    (text,) = about(cloud, job)
    assert f"`{job}.zip:{job}`" in text
    assert outcome.message_id in text
    assert "AuthorizationFailure" in text or "HTTP 403" in text, "no reason"
    assert "cannot be seen now" in text
    assert corrected_line(text) == f"{job}.zip:{job}"
    assert result_text(app, f"{job}.zip") == text
    wait_for(lambda: app.queues.count(f"{TRAIN}-poison") == 0, what="its deletion")
    cloud.faults.remove(fault)
    app.send(corrected_line(text))
    assert run_until_closed(cloud, job)["state"]["outcome"] == "succeeded"


def test_c1_04_no_secret_in_what_is_told(cloud):
    note = f"https://x/y.zip?sv=1&sig={SIGNATURE} AccountKey={KEY} Bearer s3cr3tT0ken"
    job = fresh("note")
    message = {"v": 1, "action": "train", "dataset": f"{job}.zip", "job_id": job, "note": note}
    before = len(cloud.app.host.lines)
    outcome = poison(cloud, json.dumps(message))
    assert outcome.error is None
    (text,) = about(cloud, job)
    told = [text, result_text(cloud.app, f"{job}.zip"), *cloud.app.host.lines[before:]]
    for secret in (SIGNATURE, KEY, KEY[:40], "s3cr3tT0ken"):
        assert not [t for t in told if secret in t]
    assert "sig=***" in text
    assert "put it together once more" in text, "a line with a secret is not repeated"


def test_a_long_message_is_cut(cloud):
    poison(cloud, "long.zip:" + "x" * 40_000)
    (text,) = about(cloud, "long.zip")
    assert len(text) < 4000
    assert "xxx..." in text


def test_its_job_was_saved(cloud, zip_bytes):
    """The save came through, and the answer never: nothing is lost, and nothing to be sent."""
    app, job = cloud.app, fresh("saved")
    app.put_zip(f"{job}.zip", zip_bytes)
    cloud.vms.work = QuickVm(hold=threading.Event())
    deliver(app, f"{job}.zip:{job}")
    turn_until(cloud, lambda: machine(app, job) == "running", what="running")
    before = result_text(app, f"{job}.zip")
    poison(cloud, f"{job}.zip:{job}")
    (text,) = about(cloud, job)
    assert "nothing is lost" in text
    assert f"`{job}`: running" in text
    assert "send" not in text
    assert result_text(app, f"{job}.zip") == before, "the result of a live job is its own"
    assert machine(app, job) == "running"
    cloud.vms.work.hold.set()
    assert run_until_closed(cloud, job)["state"]["outcome"] == "succeeded"


def test_a_job_id_that_another_request_has_used(cloud, zip_bytes):
    app, job = cloud.app, fresh("used")
    app.put_zip(f"{job}.zip", zip_bytes)
    deliver(app, f"{job}.zip:{job}")
    run_until_closed(cloud, job)
    poison(cloud, f"{job}.zip:{job}:::7")
    (text,) = about(cloud, job)
    assert "E10" in text
    assert corrected_line(text) == f"{job}.zip:{job}-2:::7"


def test_a_message_without_a_job_id(cloud, zip_bytes):
    """Its copy has another Id, so only the request can tell."""
    app, stem = cloud.app, fresh("noid")
    poison(cloud, f"{stem}.zip")
    (text,) = about(cloud, stem)
    assert "No job has this request" in text
    assert corrected_line(text) == f"{stem}.zip"
    app.put_zip(f"{stem}.zip", zip_bytes)
    deliver(app, f"{stem}.zip")
    deliver(app, f"{stem}.zip::::7")
    poison(cloud, f"{stem}.zip")
    text = about(cloud, stem)[-1]
    assert "A job with the same request was accepted at" in text
    (job,) = set(re.findall(rf"`({stem}-[0-9a-f]{{8}})`", text))
    assert app.record(job)["request"]["epochs"] == 20, "the other request's job was named"
    assert corrected_line(text) == f"{stem}.zip"
    rest(cloud)


def test_a_message_that_cannot_be_read(cloud):
    poison(cloud, "{broken " + (word := fresh("x")))
    (text,) = about(cloud, word)
    assert "It has mistakes, too:\nE" in text
    assert corrected_line(text).startswith("{") or ".zip" in corrected_line(text)
    poison(cloud, b"\xff\xfe\x00\x01\x02")
    assert about(cloud, "(5 bytes that are no message)")


def test_a_question_that_was_not_answered(cloud):
    poison(cloud, '{"v":1,"action":"status"}')
    text = about(cloud, "status")[-1]
    assert corrected_line(text) == '{"v":1,"action":"status"}'


# The bell.


def test_a_bell_loses_nothing(cloud, zip_bytes):
    app, job = cloud.app, fresh("bell")
    app.put_zip(f"{job}.zip", zip_bytes)
    cloud.vms.work = QuickVm(hold=threading.Event(), bell=False)
    deliver(app, f"{job}.zip:{job}")
    turn_until(cloud, lambda: machine(app, job) == "running", what="running")
    cloud.vms.work.hold.set()
    wait_for(lambda: app.blob("job-files", f"out/{job}/1/report.json"), what="the report")
    fault = unreachable(cloud, f"/jobs/record/{job}.json")
    app.send(json.dumps({"v": 1, "job_id": job, "attempt": 1}), encode=False, queue=BELL)
    outcome = fail_for_good(cloud, BELL)
    cloud.faults.remove(fault)
    assert outcome.error is None
    assert "job-watch looks at it" in outcome.answer["Logs"][0]
    assert about(cloud, job) == [], "nobody need be told"
    assert run_until_closed(cloud, job)["state"]["outcome"] == "succeeded"


@pytest.mark.parametrize("text", ["done", '{"v":1,"job_id":"nobody","attempt":1}'])
def test_other_bells_are_logged_only(cloud, text):
    told = len(cloud.app.slack())
    outcome = poison(cloud, text, BELL)
    assert "failed again and again" in outcome.answer["Logs"][0]
    assert len(cloud.app.slack()) == told


def test_what_is_no_bell_is_told(cloud):
    poison(cloud, "no bell at all, sig=" + SIGNATURE, BELL)
    text = about(cloud, "no bell at all")[-1]
    assert "It is no bell" in text
    assert SIGNATURE not in text
    assert "send" not in text
    stem = fresh("wrong-queue")
    poison(cloud, f"{stem}.zip", BELL)
    text = about(cloud, stem)[-1]
    assert "belongs into queue `js-queue-items`" in text
    assert corrected_line(text) == f"{stem}.zip"


# Nobody can be told.


def test_it_comes_again_until_people_are_told(cloud):
    app, job = cloud.app, fresh("deaf")
    slack = cloud.faults.add(service="slack", times=None, status=500)
    files = cloud.faults.add(service="files", url=f"{job}.zip", times=None, status=403)
    app.send(f"{job}.zip:{job}", queue=f"{TRAIN}-poison")
    wait_for(lambda: slack.hits >= 1 and files.hits >= 1, what="the first try")
    wait_for(lambda: app.host.outcomes[-1].function == f"{TRAIN}-poison", what="its end")
    assert isinstance(app.host.outcomes[-1].error, InvocationFailed)
    assert app.queues.count(f"{TRAIN}-poison") == 1
    cloud.faults.remove(slack)
    cloud.clock.advance(MINUTES_10)
    wait_for(lambda: about(cloud, job), what="people are told")
    wait_for(lambda: app.queues.count(f"{TRAIN}-poison") == 0, what="its deletion")
    assert app.queues.count(f"{TRAIN}-poison-poison") == 0


def test_one_channel_is_enough(cloud):
    job = fresh("file")
    slack = cloud.faults.add(service="slack", times=None, status=500)
    assert poison(cloud, f"{job}.zip:{job}").error is None
    assert slack.hits == 1
    assert "given up" in result_text(cloud.app, f"{job}.zip")


def test_after_a_day_it_is_given_up(cloud):
    """144 deliveries, 10 minutes apart: the log has it."""
    job = fresh("day")
    cloud.faults.add(service="slack", times=None, status=500)
    cloud.faults.add(service="files", url=f"{job}.zip", times=None, status=403)
    with pytest.raises(InvocationFailed):
        poison(cloud, f"{job}.zip:{job}", DequeueCount='"143"')
    assert poison(cloud, f"{job}.zip:{job}", DequeueCount='"144"').error is None
    assert any("given up" in line and job in line for line in cloud.app.host.lines)
