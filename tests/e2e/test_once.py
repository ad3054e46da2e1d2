"""One message is one run, however often and however many at once it is delivered."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local.cloud import App, LocalCloud
from tests.e2e.helpers import (
    accepted,
    arm_calls,
    deliver,
    deployments,
    line_of,
    machine,
    records,
    result_text,
    run_until_closed,
    state,
    texts_about,
    turn_until,
    wait_for,
)
from tests.e2e.quick import QuickVm

AT_ONCE = 24


def assert_one_run(cloud: LocalCloud, app: App, job: str) -> dict[str, Any]:
    """One deployment, one group, one VM, one version; the record."""
    record = app.record(job)
    assert record is not None
    slug = record["slug"]
    assert len(deployments(cloud, slug)) == 1
    groups = {vm.spec.group for vm in cloud.vms.machines if slug in vm.spec.group}
    assert groups == {f"train-rg-{slug}-1"}
    assert len([vm for vm in cloud.vms.machines if slug in vm.spec.group]) == 1
    assert record["state"]["attempt"] == 1
    published = [
        json.loads(app.blob("model", name) or b"{}")
        for name in app.blobs("model")
        if name.endswith("/manifest.json")
    ]
    assert len([made for made in published if made["job_id"] == job]) == 1
    return record


def test_c1_01_twice_and_once_more_after_the_end(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    app.put_zip("twice.zip", zip_bytes)
    before = set(records(app))
    message = deliver(app, "twice.zip")
    deliver(app, "twice.zip", message)
    (job,) = set(records(app)) - before
    run_until_closed(cloud, job)
    record = assert_one_run(cloud, app, job)
    told = app.slack()
    deliver(app, "twice.zip", message)
    assert app.record(job) == record
    assert app.slack() == told, "the same delivery says nothing new"
    assert app.markers() == []
    assert set(records(app)) - before == {job}


def test_once_more_when_the_zip_has_changed(cloud: LocalCloud, zip_bytes: bytes) -> None:
    """The same message Id is the same job, always; content decides only between messages."""
    app = cloud.app
    app.put_zip("changed.zip", zip_bytes)
    message = deliver(app, "changed.zip:changed")
    record = run_until_closed(cloud, "changed")
    told, before = app.slack(), set(records(app))
    app.put_zip("changed.zip", zip_bytes)
    deliver(app, "changed.zip:changed", message)
    assert app.record("changed") == record
    assert (app.slack(), set(records(app))) == (told, before)


def test_c1_01_many_at_once(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    app.put_zip("many.zip", zip_bytes)
    before = set(records(app))
    message, barrier = "5b5f0a6e-0000-4000-8000-0000000000aa", threading.Barrier(AT_ONCE)

    def bring(_: int) -> None:
        barrier.wait(30)
        deliver(app, "many.zip:many", message)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(bring, range(AT_ONCE)))
    assert set(records(app)) - before == {"many"}
    run_until_closed(cloud, "many")
    record = assert_one_run(cloud, app, "many")
    assert record["message_id"] == message
    assert record["state"]["outcome"] == "succeeded"
    groups = accepted(arm_calls(cloud, "PUT", f"(?i)/resourcegroups/[^/]*{record['slug']}-1\\?"))
    assert {json.loads(e.request_body)["tags"]["attempt"] for e in groups} == {"1"}
    deliver(app, "many.zip:many", message)
    assert_one_run(cloud, app, "many")


def test_many_refusals_at_once_are_one_answer(cloud: LocalCloud) -> None:
    app = cloud.app
    before = set(records(app))
    message, barrier = "5b5f0a6e-0000-4000-8000-0000000000bb", threading.Barrier(AT_ONCE)

    def bring(_: int) -> None:
        barrier.wait(30)
        deliver(app, "many-bad.zip:many-bad:::0", message)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(bring, range(AT_ONCE)))
    (job,) = set(records(app)) - before
    run_until_closed(cloud, job)
    assert state(app, job)["outcome"] == "rejected"
    assert len(set(texts_about(app, job))) == 1
    assert app.record("many-bad") is None
    assert "E07" in result_text(app, "many-bad.zip")


def test_over_the_queue_twice(cloud: LocalCloud, zip_bytes: bytes) -> None:
    """Two messages are two jobs when no job_id says otherwise; both run."""
    app = cloud.app
    app.put_zip("two.zip", zip_bytes)
    before = set(records(app))
    message = '{"v":1,"action":"train","dataset":"two.zip","publish":"always"}'
    app.send(message)
    app.send(message)
    wait_for(lambda: len(set(records(app)) - before) == 2, what="two records")
    for job in set(records(app)) - before:
        run_until_closed(cloud, job)
        assert_one_run(cloud, app, job)


def test_the_same_content_under_the_same_job_id(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    app.put_zip("same.zip", zip_bytes)
    before = set(records(app))
    first = deliver(app, "same.zip:Same")
    turn_until(cloud, lambda: machine(app, "same") == "running")
    told = len(app.slack())
    # Another message, in another form, that asks for the same.
    deliver(app, '{"v":1,"dataset":"same.zip","job_id":"SAME","epochs":20,"model_type":1}')
    (text,) = app.slack()[told:]
    assert text.startswith("This job was sent before with the same data; no new run was started.")
    assert "`Same`: running for" in text
    assert vm.hold is not None
    vm.hold.set()
    run_until_closed(cloud, "same")
    told = len(app.slack())
    deliver(app, "same.zip:same")
    (text,) = app.slack()[told:]
    assert "no new run was started. `Same`: succeeded, closed for " in text
    told = len(app.slack())
    deliver(app, '{"dataset":"same.zip","job_id":"same","publish":"never"}')
    (text,) = app.slack()[told:]
    assert "no new run was started. Its `publish` stays `if_better`, as it was sent first. " in text
    record = assert_one_run(cloud, app, "same")
    assert record["message_id"] == first
    assert set(records(app)) - before == {"same"}


def test_a_refused_message_stays_refused_when_it_comes_again(
    cloud: LocalCloud, zip_bytes: bytes
) -> None:
    """The former job has ended well in the meantime; the person has been told otherwise."""
    app = cloud.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    app.put_zip("early.zip", zip_bytes)
    deliver(app, "early.zip:early-1")
    turn_until(cloud, lambda: machine(app, "early-1") == "running")
    message = deliver(app, "early.zip:early-2::::::early-1")
    assert "`early-1` has not succeeded (running)" in app.slack()[-1]
    assert vm.hold is not None
    vm.hold.set()
    run_until_closed(cloud, "early-1")
    told = app.slack()
    deliver(app, "early.zip:early-2::::::early-1", message)
    assert app.record("early-2") is None
    assert app.slack() == told
    # Sent anew it is another message, and it is good now.
    cloud.vms.work = QuickVm()
    deliver(app, "early.zip:early-2::::::early-1")
    assert run_until_closed(cloud, "early-2")["state"]["outcome"] == "succeeded"


def test_a_slow_look_takes_no_second_version(cloud: LocalCloud, zip_bytes: bytes) -> None:
    """It goes on to take the line when another has published there and given it back."""
    app, line = cloud.app, "slow-look"
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    app.put_zip("slow-look.zip", zip_bytes)
    message = {"dataset": "slow-look.zip", "job_id": "slow-look", "line": line, "publish": "always"}
    deliver(app, json.dumps(message))
    turn_until(cloud, lambda: machine(app, "slow-look") == "running")
    late = cloud.faults.add(
        service="blob",
        method="GET",
        url=f"/model/{line}/current.json",  # read before the line is
        before=lambda: turn_until(cloud, lambda: line_of(app, line).get("version") == 1),
    )
    assert vm.hold is not None
    vm.hold.set()
    run_until_closed(cloud, "slow-look")
    assert late.hits == 1
    assert_one_run(cloud, app, "slow-look")
    held = line_of(app, line)
    assert (held["version"], held["taken"], held["job_id"]) == (1, 1, "")
