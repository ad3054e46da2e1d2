"""The host stand-in judges and retries as the real host does."""

from __future__ import annotations

import base64
import json

import pytest

from local.clock import wait_until
from local.judge import Hang, InvocationFailed, judge, messages
from local.payload import body

JSON = {"Content-Type": "application/json; charset=utf-8"}


@pytest.mark.parametrize("answer", [b"", b"null", b" null "])
def test_an_empty_or_null_answer_would_hang(answer):
    with pytest.raises(Hang):
        judge(200, "OK", JSON, answer)


def test_204_would_hang():
    with pytest.raises(Hang):
        judge(204, "No Content", {}, b"")


@pytest.mark.parametrize(
    ("status", "headers", "answer"),
    [
        (200, {"Content-Type": "text/plain"}, b"{}"),
        (200, {}, b"{}"),
        (200, JSON, b"[]"),
        (200, JSON, b"3"),
        (200, JSON, b"{"),
        (200, JSON, b'{"a":"\xff"}'),
        (200, JSON, b'{"a":' * 300 + b"1" + b"}" * 300),
        (200, JSON, b'{"Logs":[{}]}'),
        (302, JSON, b"{}"),
        (500, JSON, b"{}"),
    ],
)
def test_bad_answers_fail_the_invocation(status, headers, answer):
    with pytest.raises(InvocationFailed):
        judge(status, "Reason", headers, answer)


def test_a_good_answer_is_read_whatever_the_case_of_its_names():
    answer = judge(201, "Created", JSON, b'{"outputs":{"a":1},"logs":["x"],"returnValue":null}')
    assert answer == {"Outputs": {"a": 1}, "Logs": ["x"], "ReturnValue": None}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, []),
        ("abcd", [base64.b64decode("abcd")]),
        ("hello world", [b"hello world"]),
        (["abcd", "x"], [b"abcd", b"x"]),
        ('{"a":1}', [b'{\n  "a": 1\n}']),
        ("[1,2]", [b"1", b"2"]),
        (7, [b"7"]),
    ],
)
def test_outputs_become_messages_as_the_host_makes_them(value, sent):
    assert messages(value) == sent


def test_an_output_that_only_looks_like_json_fails():
    with pytest.raises(InvocationFailed):
        messages("{not json}")


def test_double_encoding_and_merged_metadata_without_data_type():
    text = '{"id":7,"o":{"k":1},"t":[1],"dequeueCount":99}'
    sent = json.loads(body({"name": "item"}, "work", text.encode(), 1.0))
    assert json.loads(sent["Data"]["item"]) == text
    assert sent["Metadata"]["Id"] == '"7"'
    assert sent["Metadata"]["DequeueCount"] == '"99"'
    assert sent["Metadata"]["o"] == {"k": 1}
    assert "t" not in sent["Metadata"]


def test_binary_data_is_one_clean_base64_string():
    sent = json.loads(body({"name": "item", "dataType": "binary"}, "work", b'{"id":7}\xff', 1.0))
    assert base64.b64decode(sent["Data"]["item"]) == b'{"id":7}\xff'
    assert sent["Metadata"]["DequeueCount"] == "1"
    assert len(json.loads(sent["Metadata"]["Id"])) == 36


@pytest.mark.parametrize("chunked", [True, False])
def test_invocations_reach_the_handler_whole(hosts, chunked):
    host = hosts.start(chunked=chunked, queues=False)
    text = 'Ünï "quoted" \\ 日本\n' * 40
    call = json.loads(host.invoke("work", text).answer["Logs"][0])
    assert base64.b64decode(call["Data"]["item"]).decode() == text
    call = json.loads(host.invoke("plain", text, Id='"mine"').answer["Logs"][0])
    assert json.loads(call["Data"]["item"]) == text
    assert call["Metadata"]["Id"] == '"mine"'


def test_a_hang_is_raised_and_remembered(hosts):
    host = hosts.start(queues=False)
    for text in ("empty", "null"):
        with pytest.raises(Hang):
            host.invoke("work", text)
    with pytest.raises(InvocationFailed):
        host.invoke("work", "text")
    assert len(host.violations) == 2


def test_messages_are_deleted_retried_and_poisoned(hosts, cloud):
    queues = cloud.app.queues
    queues.create("work")
    host = hosts.start()
    queues.send_text("work", "fine")
    wait_until(lambda: host.outcomes, what="the message")
    wait_until(lambda: queues.count("work") == 0, what="its deletion")
    queues.send_text("work", "fail")
    for attempt in range(2, 7):
        wait_until(lambda n=attempt: len(host.outcomes) >= n, what=f"attempt {attempt - 1}")
        cloud.clock.advance(31)
    wait_until(lambda: queues.peek("work-poison") == ["fail"], what="the poison queue")
    assert len({outcome.invocation for outcome in host.outcomes}) == 6
    assert any("warn: failing" in line for line in host.lines)


def test_outputs_are_sent(hosts, cloud):
    host = hosts.start(queues=False)
    host.invoke("work", "out")
    assert cloud.app.queues.peek("toy-out") == ["done", "two"]


def test_a_crashed_handler_is_started_again_on_its_port_three_crashes_end_it(hosts):
    host = hosts.start(queues=False)
    port = host.port
    for starts in (2, 3):
        with pytest.raises((OSError, Exception)):
            host.invoke("work", "crash")
        wait_until(lambda n=starts: host.starts == n, what="the restart")
        host.wait_ready()
        assert host.port == port
    with pytest.raises((OSError, Exception)):
        host.invoke("work", "crash")
    wait_until(lambda: host.down, what="the host to give up")


def test_a_killed_handler_comes_back_uncounted(hosts):
    host = hosts.start(queues=False)
    for starts in (2, 3, 4, 5):
        host.kill()
        wait_until(lambda n=starts: host.starts == n, what="the restart")
        host.wait_ready()
    assert not host.down


def test_exit_code_zero_is_a_violation(hosts):
    host = hosts.start(queues=False)
    with pytest.raises((OSError, Exception)):
        host.invoke("work", "zero")
    wait_until(lambda: host.violations, what="the violation")
    assert host.starts == 1


def test_timers_fire_when_told_and_with_the_moved_clock(hosts, cloud):
    host = hosts.start(queues=False, timers=True)
    assert host.fire("job-watch").error is None
    cloud.clock.advance(60)
    wait_until(lambda: len(host.outcomes) >= 2, what="the ticker")


def test_24_invocations_run_side_by_side(hosts, cloud):
    queues = cloud.app.queues
    queues.create("work")
    host = hosts.start()
    for number in range(24):
        queues.send_text("work", f"message {number}")
    wait_until(lambda: len(host.outcomes) == 24, what="24 messages")
    assert all(outcome.error is None for outcome in host.outcomes)
