"""Promises that only a moment's trouble shows: time that runs out, a save that comes too late."""

from __future__ import annotations

import json
import uuid

import pytest

from local.cloud import LocalCloud
from local.vm import VirtualMachine
from tests.e2e.helpers import (
    arm_calls,
    deliver,
    deployments,
    machine,
    run_until_closed,
    state,
    turn,
)
from tests.e2e.quick import QuickVm, put


@pytest.mark.parametrize(
    ("what", "method", "url"),
    [("group", "GET", r"-1\?"), ("deployment", "PUT", r"-1\?")],
    ids=["group", "deployment"],
)
def test_nothing_is_created_after_its_time(
    cloud: LocalCloud, zip_bytes: bytes, what: str, method: str, url: str
) -> None:
    """A 404 is proof only because no creation is begun after the time that the record allows.

    The time runs out during the call before: the look at the group, and its making.
    """
    app = cloud.app
    job = f"late-{uuid.uuid4().hex[:6]}"
    app.put_zip("late.zip", zip_bytes)
    slow = cloud.faults.add(
        service="arm",
        method=method,
        url=f"(?i)/train-rg-{job}.*{url}",
        before=lambda: cloud.clock.advance(130),
    )
    deliver(app, f"late.zip:{job}")
    assert slow.hits == 1
    until = state(app, job)["create_until_s"]
    assert 0 < until <= cloud.clock.now()
    tail = r"-1\?" if what == "group" else "/deployments/"
    begun = arm_calls(cloud, "PUT", f"(?i)/train-rg-{job}.*{tail}")
    assert begun == [], f"the {what} was begun {begun[0].time - until:.0f} s too late"
    assert machine(app, job) == "provisioning"
    # A minute later it may be ordered again, with a new time.
    record = run_until_closed(cloud, job)
    assert record["state"]["outcome"] == "succeeded"
    assert len(deployments(cloud, record["slug"])) == 1


def test_a_save_never_undoes_what_another_has_saved(cloud: LocalCloud, zip_bytes: bytes) -> None:
    """Another copy of the app has moved the job between this one's load and its save."""
    app = cloud.app
    job = f"moved-{uuid.uuid4().hex[:6]}"
    name = f"record/{job}.json"
    app.put_zip("moved.zip", zip_bytes)
    seen = []

    def move() -> None:
        record = json.loads(app.blob("jobs", name) or b"{}")
        record["place"] = 7
        seen.append(record)
        app.put_blob("jobs", name, json.dumps(record).encode())

    # The first PUT of a record makes it, the second is the first save.
    cloud.faults.add(service="blob", method="PUT", url=f"/jobs/{name}", nth=2, before=move)
    deliver(app, f"moved.zip:{job}")
    saves = cloud.recorder.select("blob", "PUT", f"/jobs/{name}")
    assert len(seen) == 1
    assert saves[1].status == 412
    assert all(
        any(header.lower() in ("if-match", "if-none-match") for header, _ in e.request_headers)
        for e in saves
    )
    record = run_until_closed(cloud, job)
    assert record["state"]["outcome"] == "succeeded"
    assert len(deployments(cloud, record["slug"])) == 1


def other_bytes(_quick: QuickVm, vm: VirtualMachine) -> None:
    """Write model.bin again, as long as before: the size alone tells nothing."""
    job = json.loads((vm.home / "job.json").read_bytes())
    data = f"model.bin of {job['job_id']}".encode()
    assert put(job["links"]["out_model_bin"], data[::-1]) == 201


def test_a_file_as_long_as_promised_with_other_bytes_is_not_published(
    cloud: LocalCloud, zip_bytes: bytes
) -> None:
    app = cloud.app
    cloud.vms.work = QuickVm(uploaded=other_bytes)
    app.put_zip("bytes.zip", zip_bytes)
    job = f"bytes-{uuid.uuid4().hex[:6]}"
    deliver(app, json.dumps({"v": 1, "dataset": "bytes.zip", "job_id": job, "line": job}))
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "model")
    assert app.blobs("model", f"{job}/") == []


def test_no_secret_is_printed_or_sent_elsewhere(cloud: LocalCloud, zip_bytes: bytes) -> None:
    """A whole job, with a token that must be renewed on the way."""
    app = cloud.app
    app.put_zip("quiet.zip", zip_bytes)
    job = f"quiet-{uuid.uuid4().hex[:6]}"
    before = cloud.recorder.leaks()  # of other tests, which plant some
    cloud.identity.revoke()
    deliver(app, f"quiet.zip:{job}")
    turn(cloud)
    run_until_closed(cloud, job)
    assert cloud.recorder.select("identity", "POST")
    assert [leak for leak in cloud.recorder.leaks() if leak not in before] == []
