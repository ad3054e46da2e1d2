"""The cloud as a whole: several apps, two hosts of one app, and an orderly end."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from local.clock import wait_until
from local.cloud import LocalCloud
from local.dataset import make_pictures, make_zip
from local.host import Options


def test_two_apps_and_two_hosts_start_and_end(toy):
    with LocalCloud({"one": {"MAX_JOBS": "1"}, "two": {}}, dist=toy) as cloud:
        one, two = cloud.apps["one"], cloud.apps["two"]
        assert one.settings()["MAX_JOBS"] == "1"
        assert one.account != two.account
        assert one.settings()["SLACK_URL"] != two.settings()["SLACK_URL"]
        assert one.settings()["AZURE_SUBSCRIPTION_ID"] == two.settings()["AZURE_SUBSCRIPTION_ID"]
        one.start_host(Options(queues=False))
        assert len({host.port for host in [*one.hosts, *two.hosts]}) == 3
        one.queues.create("work")
        one.send("fine", encode=False, queue="work")
        wait_until(lambda: one.host.outcomes, what="the message")
        assert not two.host.outcomes
        text = json.dumps({"text": "hello"}).encode()
        urllib.request.urlopen(one.settings()["SLACK_URL"], text, timeout=5)
        assert (one.slack(), two.slack()) == (["hello"], [])
        pids = [host.pid for host in one.hosts]
    assert not any(Path("/proc", str(pid)).exists() for pid in pids)


def test_a_broken_rule_of_the_host_fails_the_test_that_saw_it(toy):
    with (
        pytest.raises(AssertionError, match="hang"),
        LocalCloud(dist=toy, options=Options(queues=False)) as cloud,
    ):
        cloud.app.host.fire("job-watch")
        with pytest.raises(Exception, match="hang"):
            cloud.app.host.invoke("work", "null")


def test_a_handler_that_does_not_start_says_why(toy):
    (toy / "handler").write_text("#!/bin/sh\necho 'a setting is missing' >&2\nexit 1\n")
    with pytest.raises(TimeoutError, match="a setting is missing"), LocalCloud(dist=toy):
        pass


def test_the_handler_can_be_killed_by_a_request_it_makes(toy):
    with LocalCloud(dist=toy) as cloud:
        app = cloud.app
        fault = cloud.faults.add(service="slack", after=app.host.kill)
        text = json.dumps({"text": "last words"}).encode()
        urllib.request.urlopen(app.settings()["SLACK_URL"], text, timeout=5)
        assert fault.hits == 1
        assert app.slack() == ["last words"]
        wait_until(lambda: app.host.starts == 2, what="the new handler")
        app.host.wait_ready()


def test_the_data_set_is_the_same_each_time():
    first, second = (make_zip(make_pictures(4, seed=1)) for _ in range(2))
    assert len(first) == len(second)
    assert make_pictures(4, seed=1) == make_pictures(4, seed=1)
    assert {box.label for p in make_pictures(4, seed=1) for box in p.boxes} == {"ok", "dent"}
