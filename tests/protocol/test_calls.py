"""What the host sends is understood in every form, and what it gets back never hangs it."""

from __future__ import annotations

import json
import threading
import uuid

import pytest

from local import judge
from tests.protocol.conftest import TRAIN, Caller, at_once, body_of, lines_of

NOTE = 'a"b\\c, naïve 写真 😀 / é'


def train(job: str, note: str = NOTE) -> dict:
    return {"v": 1, "action": "train", "dataset": "not-there.zip", "job_id": job, "note": note}


def note_of(app, job: str) -> str | None:
    record = app.record(job)
    return record and record["request"]["note"]


@pytest.mark.parametrize("kind", ["binary", None], ids=["binary", "doubly-encoded"])
@pytest.mark.parametrize("piece", [0, 1, 2, 3, 7, 4096])
@pytest.mark.parametrize("escaped", [False, True], ids=["raw", "escaped"])
def test_a_message_arrives_letter_by_letter(host, app, kind, piece, escaped):
    """Chunks are cut inside UTF-8 sequences and inside escapes, surrogate pairs among them."""
    job = f"letters-{uuid.uuid4().hex[:8]}"
    text = json.dumps(train(job), ensure_ascii=escaped)
    message = f"m-{job}"
    status, _, answer = Caller(host.port).call(TRAIN, body_of(text, kind, message), piece)
    assert status == 200, answer
    assert note_of(app, job) == NOTE


def test_wire_escapes_of_both_levels(host, app):
    """The host's own JSON may escape anything: as ASCII with surrogates, doubly."""
    job = f"wire-{uuid.uuid4().hex[:8]}"
    inner = json.dumps(json.dumps(train(job), ensure_ascii=True))
    metadata = {"Id": json.dumps(f"m-{job}"), "DequeueCount": "1"}
    body = json.dumps({"Metadata": metadata, "More": [1], "Data": {"message": inner}})
    body = body.replace("/", "\\/").replace("d", "\\u0064")
    status, _, answer = Caller(host.port).call(TRAIN, body.encode(), 1)
    assert status == 200, answer
    assert note_of(app, job) == NOTE


def test_a_message_that_looks_like_metadata_keeps_its_own_id(host, app):
    """Without dataType the host merges a message's members over Metadata; ours is binary."""
    assert host.functions[TRAIN].trigger["dataType"] == "binary"
    job = f"merge-{uuid.uuid4().hex[:8]}"
    host.invoke(TRAIN, json.dumps(train(job)), Id=json.dumps("the-message"))
    record = app.record(job)
    assert record is not None
    assert record["message_id"] == "the-message"


ANSWERED = [
    ("js-queue-items", json.dumps(train("answered"))),
    ("js-queue-items", json.dumps(train("answered"))),
    ("js-queue-items", '{"v":1,"action":"status"}'),
    ("js-queue-items", '{"v":1,"action":"status","job_id":"nobody"}'),
    ("js-queue-items", "{broken"),
    ("js-queue-items", "no-such-file"),
    ("js-queue-items", "bad.zip:a job:b:c:d:e:f"),
    ("js-queue-items", ""),
    ("js-queue-items", b"\xff\xfe\x00"),
    ("js-queue-items", b"\0" * 5000),
    ("js-queue-items", "[" * 5000),
    ("js-queue-items", '{"v":1,"action":"train","note":"' + "\x01" * 40000 + '"}'),
    ("delete-resources", "done"),
    ("delete-resources", ""),
    ("delete-resources", b"\xff"),
    ("delete-resources", "[]"),
    ("delete-resources", '{"v":1,"job_id":"nobody","attempt":1}'),
    ("delete-resources", '{"v":1,"job_id":"../x","attempt":-1}'),
    ("js-queue-items-poison", json.dumps(train("answered"))),
    ("js-queue-items-poison", ""),
    ("js-queue-items-poison", b"\xff\xfe\x00"),
    ("js-queue-items-poison", "[" * 5000),
    ("js-queue-items-poison", '{"v":1,"action":"train","note":"' + "\x01" * 60000 + '"}'),
    ("delete-resources-poison", "done"),
    ("delete-resources-poison", b"\xff"),
    ("delete-resources-poison", '{"v":1,"job_id":"nobody","attempt":1}'),
]


@pytest.mark.parametrize(("function", "text"), ANSWERED, ids=range(len(ANSWERED)))
def test_every_answer_is_a_json_object(host, function, text):
    """Empty and null would hang the real host until functionTimeout."""
    status, headers, answer = Caller(host.port).call(function, body_of(text), 512)
    assert status == 200, answer
    assert headers["Content-Type"] == "application/json"
    value = judge.judge(status, "OK", headers, answer)
    assert set(value) == {"Outputs", "Logs", "ReturnValue"}
    assert value["Outputs"] == {}
    assert all(isinstance(line, str) for line in value["Logs"])


def test_the_timer_is_answered_too(host):
    outcome = host.fire("job-watch")
    assert outcome.error is None
    assert outcome.answer["Outputs"] == {}


def test_a_failure_is_not_2xx_and_its_reason_is_on_stderr(host, cloud):
    job, invocation = f"failing-{uuid.uuid4().hex[:8]}", str(uuid.uuid4())
    cloud.faults.add(
        service="blob",
        method="GET",
        url=f"/record/{job}.json",
        status=403,
        headers={"x-ms-error-code": "AuthorizationFailure"},
    )
    caller = Caller(host.port)
    status, headers, answer = caller.call(
        TRAIN, body_of(json.dumps(train(job))), 64, invocation=invocation
    )
    assert status == 500
    assert headers["Content-Type"] == "application/json"
    assert answer
    said = lines_of(host, "stderr", invocation, job, "AuthorizationFailure")
    assert len(said) == 1, host.lines[-5:]
    status, _, _ = caller.call(TRAIN, body_of(json.dumps(train(job))), 64)
    assert status == 200, "the same connection goes on"


BAD_CALLS = [
    (b"", "not JSON"),
    (b"null", "not a JSON object"),
    (b"[1]", "not a JSON object"),
    (b'{"Data":{"other":"eA=="},"Metadata":{"Id":"\\"1\\""}}', "Data.message"),
    (b'{"Data":{"message":"eA=="},"Metadata":{}}', "message Id"),
    (b'{"Data":{"message":"eA=="', "not JSON"),
]


@pytest.mark.parametrize(("body", "reason"), BAD_CALLS, ids=range(len(BAD_CALLS)))
def test_a_call_that_is_none_fails_with_words(host, body, reason):
    invocation = str(uuid.uuid4())
    status, _, answer = Caller(host.port).call(TRAIN, body, 0, invocation=invocation)
    assert status == 500
    assert reason.encode() in answer
    assert lines_of(host, "stderr", invocation, reason)


def test_unknown_functions_and_methods(host):
    for path in ("/nothing", "/JS-queue-items", "/js-queue-items/x", "//js-queue-items", "/%6as"):
        assert host.request("POST", path, b"{}").status == 404, path
    assert host.request("GET", "/js-queue-items").status == 405
    assert host.request("GET", "/").status == 200
    assert host.request("GET", "/js-queue-items?x=1").status == 405


@pytest.mark.parametrize("piece", [0, 65536], ids=["content-length", "chunked"])
def test_a_body_over_1_mib_is_413_and_the_server_goes_on(host, piece):
    head, tail = b'{"Data":{"message":"', b'"},"Metadata":{"Id":"\\"x\\""}}'

    def body(size: int) -> bytes:
        return head + b"A" * (size - len(head) - len(tail)) + tail

    invocation = str(uuid.uuid4())
    status, _, answer = Caller(host.port).call(
        TRAIN, body((1 << 20) + 1), piece, invocation=invocation
    )
    assert status == 413, answer
    assert lines_of(host, "stderr", invocation, "larger")
    status, _, answer = Caller(host.port).call(TRAIN, body(1 << 20), piece)
    assert status in (200, 500), answer
    assert host.request("GET", "/").status == 200


def test_32_calls_are_at_work_at_once(host, cloud):
    """No call may wait for another: each stands at a barrier that opens for all 32 only."""
    count = 32
    barrier = threading.Barrier(count)
    cloud.faults.add(
        service="blob",
        method="GET",
        url="/record/side-",
        times=count,
        before=lambda: barrier.wait(30),
    )

    def ask(index: int) -> int:
        text = json.dumps({"v": 1, "action": "status", "job_id": f"side-{index}"})
        return Caller(host.port).call(TRAIN, body_of(text), 64)[0]

    assert at_once(count, ask) == [200] * count
    assert not barrier.broken
