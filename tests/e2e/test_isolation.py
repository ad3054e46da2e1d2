"""Jobs side by side, and other people's resource groups: nobody touches what is not theirs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from local.cloud import LocalCloud
from tests.e2e.helpers import (
    arm_calls,
    deliver,
    deployments,
    group_of,
    is_closed,
    line_of,
    machine,
    result_text,
    run_until_closed,
    settle,
    slots,
    state,
    texts_about,
    turn,
    turn_until,
    wait_for,
)
from tests.e2e.quick import QuickVm

MakeCloud = Callable[..., LocalCloud]


def test_two_jobs_at_once(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    for name in ("left", "right"):
        app.put_zip(f"{name}.zip", zip_bytes)
        deliver(app, f'{{"dataset":"{name}.zip","job_id":"{name}","line":"line-{name}"}}')
    jobs = ("left", "right")
    turn_until(cloud, lambda: all(machine(app, job) == "running" for job in jobs))
    records = {job: app.record(job) or {} for job in jobs}
    groups = {job: group_of(records[job]) for job in jobs}
    assert cloud.arm.groups() == sorted(groups.values())
    assert sorted(slots(app)["holders"]) == ["left", "right"]
    # Each machine has links to its own files and to nothing of the other.
    for job, other in (("left", "right"), ("right", "left")):
        (mine,) = [made for made in vm.jobs if made["job_id"] == job]
        links = json.dumps(mine["links"])
        assert f"/out/{job}/1/" in links
        assert other not in links
    # One ends; the other goes on undisturbed.
    assert vm.hold is not None
    bystander = next(m for m in cloud.vms.machines if m.spec.group == groups["right"])
    cloud.arm.evict(groups["left"])
    run_until_closed(cloud, "left")
    assert state(app, "left")["outcome"] == "failed"
    assert machine(app, "right") == "running"
    assert cloud.arm.groups() == [groups["right"]]
    assert bystander.power() == "running"
    assert arm_calls(cloud, "DELETE", records["right"]["slug"]) == []
    vm.hold.set()
    run_until_closed(cloud, "right")
    assert state(app, "right")["outcome"] == "succeeded"
    assert line_of(app, "line-right")["version"] == 1
    assert app.blobs("model", "line-left/") == []


def test_the_second_waits_for_the_only_slot(make_cloud: MakeCloud, zip_bytes: bytes) -> None:
    cloud = make_cloud({"app": {"MAX_JOBS": "1"}})
    app = cloud.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    app.put_zip("a.zip", zip_bytes)
    deliver(app, "a.zip:first")
    turn_until(cloud, lambda: machine(app, "first") == "running")
    deliver(app, "a.zip:second")
    deliver(app, "a.zip:third")
    assert texts_about(app, "second")[0].endswith("It is number 1 in the queue.")
    assert texts_about(app, "third")[0].endswith("It is number 2 in the queue.")
    for _ in range(3):
        turn(cloud)
        assert [machine(app, job) for job in ("second", "third")] == ["queued", "queued"]
        assert len(cloud.arm.groups()) == 1
        assert slots(app) == {"v": 1, "holders": ["first"], "waiting": ["second", "third"]}
    # No machine of the second before the group of the first is gone.
    seen: list[list[str]] = []
    cloud.faults.add(
        service="arm",
        method="PUT",
        url="(?i)/resourcegroups/[^/]*-(second|third)-.*/deployments/",
        times=None,
        before=lambda: seen.append(cloud.arm.groups()),
    )
    assert vm.hold is not None
    vm.hold.set()
    for job in ("first", "second", "third"):
        run_until_closed(cloud, job)
        assert state(app, job)["outcome"] == "succeeded"
    assert len(seen) == 2
    assert all(len(groups) == 1 for groups in seen)
    order = [state(app, job)["version"] for job in ("first", "second", "third")]
    assert order == [1, 2, 3]
    settle(cloud)


def test_a_group_deleted_by_hand_ends_the_job(cloud: LocalCloud, zip_bytes: bytes) -> None:
    """README: to cancel a job, delete its resource group."""
    app = cloud.app
    cloud.vms.work = QuickVm(hold=threading.Event())
    app.put_zip("by-hand.zip", zip_bytes)
    deliver(app, "by-hand.zip:by-hand")
    turn_until(cloud, lambda: machine(app, "by-hand") == "running")
    record = app.record("by-hand")
    assert record is not None
    cloud.arm._groups.pop(group_of(record).lower())
    record = run_until_closed(cloud, "by-hand")
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "gone")
    assert "the machine is no longer there" in texts_about(app, "by-hand")[-1].lower()


def test_two_apps_with_the_same_job_id(make_cloud: MakeCloud, zip_bytes: bytes) -> None:
    cloud = make_cloud({"north": {}, "south": {}})
    north, south = cloud.apps["north"], cloud.apps["south"]
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    for app in (north, south):
        app.put_zip("a.zip", zip_bytes)
        deliver(app, "a.zip:same")
    for app in (north, south):
        turn_until(cloud, lambda app=app: machine(app, "same") == "running", app=app)
    one, two = north.record("same") or {}, south.record("same") or {}
    assert one["owner"] != two["owner"]
    assert one["slug"] != two["slug"]
    assert cloud.arm.groups() == sorted([group_of(one), group_of(two)])
    assert len(deployments(cloud, one["slug"])) == len(deployments(cloud, two["slug"])) == 1
    # North's machine is taken away: only north's job ends.
    cloud.arm.evict(group_of(one))
    run_until_closed(cloud, "same", north)
    assert state(north, "same")["outcome"] == "failed"
    assert cloud.arm.groups() == [group_of(two)]
    assert arm_calls(cloud, "DELETE", two["slug"]) == []
    assert machine(south, "same") == "running"
    assert len(south.slack()) == 2
    assert vm.hold is not None
    vm.hold.set()
    run_until_closed(cloud, "same", south)
    assert state(south, "same")["outcome"] == "succeeded"
    assert south.blobs("model", "default/1/")
    assert north.blobs("model") == []
    settle(cloud)


def foreign(cloud: LocalCloud, job: str, tags: dict[str, str]) -> str:
    """Make the group that `job` is going to want, as somebody else; its name.

    The name holds a hash that only the handler knows, so a job that waits for its zip tells it.
    """
    app = cloud.app
    deliver(app, f"{job}.zip:{job}")
    record = app.record(job)
    assert record is not None
    name = group_of(record)
    cloud.arm.make_group(name, tags)
    return name


def assert_untouched(cloud: LocalCloud, job: str, name: str, tags: dict[str, str]) -> None:
    """The job has failed and closed; nothing was sent to the group but questions."""
    app = cloud.app
    record = app.record(job)
    assert record is not None
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "refused")
    assert cloud.arm.groups() == [name]
    assert cloud.arm._groups[name.lower()].tags == tags
    written = [e for e in cloud.recorder.select("arm", None, name) if e.method != "GET"]
    assert [f"{e.method} {e.url}" for e in written] == []
    for text in (texts_about(app, job)[-1], result_text(app, f"{job}.zip")):
        assert "has failed" in text
        assert name in text
        assert "this app did not make" in text
    assert slots(app)["holders"] == []
    cloud.arm._groups.pop(name.lower())
    settle(cloud)


def test_a_group_of_that_name_that_somebody_else_made(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    tags = {"team": "others"}
    name = foreign(cloud, "foreign", tags)
    app.put_zip("foreign.zip", zip_bytes)
    turn_until(cloud, lambda: is_closed(app, "foreign"))
    assert_untouched(cloud, "foreign", name, tags)


def test_a_group_with_our_tags_but_another_owner(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    tags = {"app": "retrain", "owner": "0123456789ab", "job": "alike", "attempt": "1"}
    name = foreign(cloud, "alike", tags)
    app.put_zip("alike.zip", zip_bytes)
    turn_until(cloud, lambda: is_closed(app, "alike"))
    assert_untouched(cloud, "alike", name, tags)


def test_a_group_that_is_retagged_while_the_job_runs(cloud: LocalCloud, zip_bytes: bytes) -> None:
    """Somebody takes our group over: it is no longer ours to delete, and people are told."""
    app = cloud.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    app.put_zip("taken.zip", zip_bytes)
    deliver(app, "taken.zip:taken")
    turn_until(cloud, lambda: machine(app, "taken") == "running")
    record = app.record("taken")
    assert record is not None
    cloud.arm._groups[group_of(record).lower()].tags["owner"] = "somebody"
    assert vm.hold is not None
    vm.hold.set()
    wait_for(lambda: app.blob("job-files", "out/taken/1/manifest.json"), what="the manifest")
    turn_until(cloud, lambda: state(app, "taken")["model"] == "current")
    for _ in range(3):
        turn(cloud)
    assert arm_calls(cloud, "DELETE", record["slug"]) == []
    cloud.arm._groups.pop(group_of(record).lower())
    run_until_closed(cloud, "taken")


def test_a_group_that_was_adopted_and_then_retagged_is_not_believed_gone(
    cloud: LocalCloud, zip_bytes: bytes
) -> None:
    """As after a kill between the PUT of the group and the save that would have said so."""
    app = cloud.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    deliver(app, "adopted.zip:adopted")
    record = app.record("adopted")
    assert record is not None
    tags = {"app": "retrain", "owner": record["owner"], "job": "adopted", "attempt": "1"}
    cloud.arm.make_group(group_of(record), tags)
    app.put_zip("adopted.zip", zip_bytes)
    turn_until(cloud, lambda: machine(app, "adopted") == "running")
    cloud.arm._groups[group_of(record).lower()].tags["owner"] = "somebody"
    assert vm.hold is not None
    vm.hold.set()
    turn_until(cloud, lambda: state(app, "adopted")["model"] == "current")
    for _ in range(4):
        turn(cloud)
    assert machine(app, "adopted") == "deleting", "closed, and the group is there and costs"
    assert arm_calls(cloud, "DELETE", record["slug"]) == []
    cloud.arm._groups.pop(group_of(record).lower())
    run_until_closed(cloud, "adopted")


def test_two_jobs_whose_ids_look_alike(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    app.put_zip("alike.zip", zip_bytes)
    deliver(app, "alike.zip:A.b")
    deliver(app, "alike.zip:a-b")
    jobs = ("a.b", "a-b")
    turn_until(cloud, lambda: all(machine(app, job) == "running" for job in jobs))
    groups = {group_of(app.record(job) or {}) for job in jobs}
    assert len(groups) == 2
    assert set(cloud.arm.groups()) == groups
    assert vm.hold is not None
    vm.hold.set()
    for job in jobs:
        assert run_until_closed(cloud, job)["state"]["outcome"] == "succeeded"
