"""The sweep: what should be gone and is still there is found without anybody's word."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable

from local.cloud import App, LocalCloud
from tests.e2e.helpers import (
    arm_calls,
    deliver,
    group_of,
    machine,
    run_until_closed,
    settle,
    slots,
    turn,
    turn_until,
)
from tests.e2e.quick import QuickVm

MakeCloud = Callable[..., LocalCloud]
SWEEP_S = 601.0


def owner_of(cloud: LocalCloud, zip_bytes: bytes) -> dict[str, str]:
    """The record of a job that has come and gone: it tells the app's owner mark and prefix."""
    cloud.app.put_zip("first.zip", zip_bytes)
    deliver(cloud.app, "first.zip:first")
    return run_until_closed(cloud, "first")


def name_for(record: dict[str, str], job: str, attempt: int = 1) -> str:
    """The group name of a job of the same app, as the handler derives it."""
    mark = hashlib.sha256(f"{record['owner']}/{job}".encode()).hexdigest()[:6]
    return f"{record['group_prefix']}-{job}-{mark}-{attempt}"


def tags_for(record: dict[str, str], job: str, attempt: int = 1) -> dict[str, str]:
    """The tags that the handler gives."""
    return {"app": "retrain", "owner": record["owner"], "job": job, "attempt": str(attempt)}


def sweep(cloud: LocalCloud, app: App | None = None) -> None:
    """Let the time of a sweep pass and fire the timer."""
    turn(cloud, app, SWEEP_S)


def forgotten(cloud: LocalCloud) -> list[str]:
    """What people were told of leftovers."""
    return [text for text in cloud.app.slack() if "forgotten resource group" in text]


def test_c1_06_a_group_with_our_tags_and_no_record_is_deleted(
    make_cloud: MakeCloud, zip_bytes: bytes
) -> None:
    cloud = make_cloud()
    record = owner_of(cloud, zip_bytes)
    lost = name_for(record, "lost")
    others = {
        "somebody-else": {"team": "others"},
        name_for(record, "alien"): tags_for(record, "alien") | {"owner": "0123456789ab"},
        name_for(record, "bare"): {},
        "train-vm-of-mine": tags_for(record, "mine"),
        name_for(record, "twisted"): tags_for(record, "other"),
    }
    cloud.arm.make_group(lost, tags_for(record, "lost"))
    for name, tags in others.items():
        cloud.arm.make_group(name, tags)
    sweep(cloud)
    turn_until(cloud, lambda: lost not in cloud.arm.groups(), what="the leftover goes")
    assert cloud.arm.groups() == sorted(others)
    assert len(forgotten(cloud)) == 1
    assert lost in forgotten(cloud)[0]
    for name in others:
        assert [e.method for e in arm_calls(cloud, "DELETE", f"/{name}\\?")] == []
        cloud.arm._groups.pop(name.lower())


def test_a_leftover_that_is_locked_is_told_once(make_cloud: MakeCloud, zip_bytes: bytes) -> None:
    """It costs money until somebody sees to it, and nobody reads logs by themselves."""
    cloud = make_cloud()
    record = owner_of(cloud, zip_bytes)
    names = [name_for(record, job) for job in ("left", "over")]
    for name, job in zip(names, ("left", "over"), strict=True):
        cloud.arm.make_group(name, tags_for(record, job))
        cloud.arm.lock(name)
    for _ in range(3):
        sweep(cloud)
    assert cloud.arm.groups() == sorted(names)
    told = forgotten(cloud)
    assert len(told) == 2, told
    for name, text in zip(names, sorted(told), strict=True):
        assert f"cannot be deleted, and may cost money: {name} (ScopeLocked: " in text
    for name in names:
        cloud.arm.lock(name, False)
    sweep(cloud)
    turn_until(cloud, lambda: cloud.arm.groups() == [], what="the leftovers go")


def test_a_group_of_a_closed_job_that_comes_back_is_deleted(
    make_cloud: MakeCloud, zip_bytes: bytes
) -> None:
    cloud = make_cloud()
    record = owner_of(cloud, zip_bytes)
    name = group_of(record)
    cloud.arm.make_group(name, tags_for(record, "first"))
    sweep(cloud)
    turn_until(cloud, lambda: cloud.arm.groups() == [], what="the leftover goes")


def test_c1_19_the_sweep_leaves_a_live_job_alone(make_cloud: MakeCloud, zip_bytes: bytes) -> None:
    cloud = make_cloud({"app": {"MAX_JOBS": "1"}})
    app = cloud.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    app.put_zip("a.zip", zip_bytes)
    deliver(app, "a.zip:live")
    deliver(app, "a.zip:waits")
    turn_until(cloud, lambda: machine(app, "live") == "running")
    record = app.record("live") or {}
    # ARM lists the group; storage does not let the record be read: that proves nothing.
    cloud.faults.add(service="blob", method="GET", url="/record/", status=500, times=None)
    cloud.clock.advance(SWEEP_S)
    app.watch()
    cloud.faults.clear()
    assert cloud.arm.groups() == [group_of(record)]
    assert arm_calls(cloud, "DELETE", record["slug"]) == []
    assert slots(app) == {"v": 1, "holders": ["live"], "waiting": ["waits"]}
    assert vm.hold is not None
    vm.hold.set()
    for job in ("live", "waits"):
        run_until_closed(cloud, job)
    settle(cloud)


def test_a_slot_and_a_line_that_closed_jobs_hold_are_given_back(
    make_cloud: MakeCloud, zip_bytes: bytes
) -> None:
    cloud = make_cloud()
    owner_of(cloud, zip_bytes)
    app = cloud.app
    held = {"v": 1, "holders": ["first", "never-was"], "waiting": []}
    app.put_blob("jobs", "slots.json", json.dumps(held).encode())
    line = json.loads(app.blob("jobs", "lines/default.json") or b"{}") | {"job_id": "first"}
    app.put_blob("jobs", "lines/default.json", json.dumps(line).encode())
    sweep(cloud)
    assert slots(app)["holders"] == ["never-was"]  # one sight of nothing proves nothing
    sweep(cloud)
    assert slots(app)["holders"] == [], "\n".join(app.host.lines[-14:])
    assert json.loads(app.blob("jobs", "lines/default.json") or b"{}")["job_id"] == ""
    settle(cloud)
