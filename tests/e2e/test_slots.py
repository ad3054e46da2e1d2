"""A slot is taken a moment before its job is saved: nothing that happens in between keeps it."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable

import pytest

from local.cloud import App, LocalCloud
from local.host import Options
from tests.e2e.helpers import (
    accepted,
    arm_calls,
    deliver,
    group_of,
    is_closed,
    machine,
    run_until_closed,
    slots,
    turn,
    wait_for,
)
from tests.e2e.quick import QuickVm

MakeCloud = Callable[..., LocalCloud]
HOUR_S = 3600.0
SWEEP_S = 601.0
"""handler/controller/sweep.h: a slot without record and marker is nobody's at the second sweep."""


@pytest.fixture
def one_slot(make_cloud: MakeCloud) -> LocalCloud:
    """A cloud with one slot, where nothing runs but what the test starts."""
    return make_cloud({"app": {"MAX_JOBS": "1"}}, options=Options(queues=False))


def put_slots(app: App, holders: list[str], waiting: list[str] | None = None) -> None:
    held = {"v": 1, "holders": holders, "waiting": waiting or []}
    app.put_blob("jobs", "slots.json", json.dumps(held).encode())


def nobody(app: App) -> bool:
    """Nobody holds a slot or waits for one."""
    held = slots(app)
    return held.get("holders", []) == [] and held.get("waiting", []) == []


def taken(cloud: LocalCloud, job: str) -> int:
    """How often slots.json was written with the job in it."""
    puts = accepted(cloud.recorder.select("blob", "PUT", "/jobs/slots.json"))
    return sum(job.encode() in e.request_body for e in puts)


def test_a_slot_taken_for_a_job_whose_zip_is_not_whole_goes_with_it(
    one_slot: LocalCloud, zip_bytes: bytes
) -> None:
    """Given back at once it might be that of another delivery, whose machine is ordered already."""
    app = one_slot.app
    app.put_zip("half.zip", zip_bytes[: len(zip_bytes) // 2])
    deliver(app, "half.zip:half")
    assert machine(app, "half") == "queued"
    assert slots(app)["holders"] == ["half"]
    record = run_until_closed(one_slot, "half")
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("rejected", "zip")
    assert nobody(app)


def test_a_delivery_that_comes_second_leaves_its_slot_to_the_first(
    one_slot: LocalCloud, zip_bytes: bytes
) -> None:
    """Between its slot and its save the zip is removed, and another delivery is faster."""
    app, message = one_slot.app, str(uuid.uuid4())
    app.put_zip("race.zip", zip_bytes)

    def overtake() -> None:
        share = app.shares_client.get_share_client("train")
        share.get_file_client("race.zip").delete_file()
        deliver(app, "race.zip:race", message)

    fault = one_slot.faults.add(
        service="blob", method="PUT", url="/jobs/record/race.json", before=overtake
    )
    deliver(app, "race.zip:race", message)
    assert fault.hits == 1
    assert taken(one_slot, "race") == 1
    assert machine(app, "race") == "queued"
    app.put_zip("race.zip", zip_bytes)
    assert run_until_closed(one_slot, "race")["state"]["outcome"] == "succeeded"
    assert nobody(app)


def test_a_slot_with_an_orphaned_marker_goes_with_it(one_slot: LocalCloud) -> None:
    """Killed between slot and record, and the message never came again."""
    app = one_slot.app
    app.put_blob("jobs", "live/lost", b"")
    put_slots(app, ["lost"])
    turn(one_slot, seconds=HOUR_S - 100)
    assert slots(app)["holders"] == ["lost"]
    turn(one_slot, seconds=200)
    assert app.markers() == []
    assert nobody(app)


@pytest.mark.parametrize("place", ["holders", "waiting"])
def test_a_slot_with_neither_record_nor_marker_is_given_back_by_the_sweep(
    one_slot: LocalCloud, zip_bytes: bytes, place: str
) -> None:
    """Killed while both were on their way, and the message never came again."""
    app, job = one_slot.app, f"after-{place}"
    app.put_zip("after.zip", zip_bytes)
    turn(one_slot)  # a process sweeps at its first look, whatever there is
    put_slots(app, **({"holders": [], "waiting": []} | {place: ["lost"]}))
    deliver(app, f"after.zip:{job}")
    assert machine(app, job) == "queued"
    turn(one_slot, seconds=SWEEP_S)
    assert "lost" in slots(app)[place], "whoever took it may still be about to save its job"
    turn(one_slot, seconds=SWEEP_S)
    assert "lost" not in slots(app)[place]
    assert run_until_closed(one_slot, job)["state"]["outcome"] == "succeeded"


@pytest.mark.parametrize("place", ["holders", "waiting"])
def test_the_slot_of_a_closed_job_is_free(
    one_slot: LocalCloud, zip_bytes: bytes, place: str
) -> None:
    """A drive that was late may have taken it for a job that was over."""
    app, over, job = one_slot.app, f"over-{place}", f"next-{place}"
    for name in (over, job):
        app.put_zip(f"{name}.zip", zip_bytes)
    deliver(app, f"{over}.zip:{over}")
    run_until_closed(one_slot, over)
    put_slots(app, **({"holders": [], "waiting": []} | {place: [over]}))
    deliver(app, f"{job}.zip:{job}")
    if place == "waiting":
        turn(one_slot)  # who comes new stands behind; who waits already looks at the first
    assert machine(app, job) == "provisioning"
    assert slots(app) == {"v": 1, "holders": [job], "waiting": []}
    run_until_closed(one_slot, job)


def test_a_marker_that_a_delivery_has_renewed_is_no_orphan(
    one_slot: LocalCloud, zip_bytes: bytes
) -> None:
    """job-watch listed it an hour old and found no record; the message comes again right then."""
    app = one_slot.app
    cloud, vm = one_slot, QuickVm(hold=threading.Event())
    cloud.vms.work = vm
    app.put_zip("back.zip", zip_bytes)
    app.put_blob("jobs", "live/back", b"")
    put_slots(app, ["back"])
    fault = cloud.faults.add(
        service="blob",
        method="GET",
        url="/jobs/record/back.json",
        after=lambda: deliver(app, "back.zip:back"),
    )
    turn(cloud, seconds=HOUR_S + 1)
    assert fault.hits == 1
    assert app.markers() == ["back"], "nobody looks at a job without its marker"
    assert slots(app)["holders"] == ["back"]
    assert vm.hold is not None
    vm.hold.set()
    assert run_until_closed(cloud, "back")["state"]["outcome"] == "succeeded"


def test_a_machine_is_found_where_it_was_ordered(one_slot: LocalCloud, zip_bytes: bytes) -> None:
    """AZURE_SUBSCRIPTION_ID was changed while the job ran."""
    cloud, app = one_slot, one_slot.app
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    app.put_zip("moved.zip", zip_bytes)
    deliver(app, "moved.zip:moved")
    wait_for(lambda: vm.jobs, what="the machine is at work")
    app.hosts.pop().stop()
    app._extra["AZURE_SUBSCRIPTION_ID"] = str(uuid.uuid4())
    app.start_host(Options(queues=False))
    assert vm.hold is not None
    vm.hold.set()
    record = run_until_closed(cloud, "moved")
    assert record["subscription"] == cloud.arm.subscription
    assert record["state"]["outcome"] == "succeeded"
    assert group_of(record) not in cloud.arm.groups()
    assert is_closed(app, "moved")
    elsewhere = arm_calls(cloud, ".*", f"/subscriptions/{app._extra['AZURE_SUBSCRIPTION_ID']}")
    assert elsewhere == []
