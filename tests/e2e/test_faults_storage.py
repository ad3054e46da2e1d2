"""Storage and Slack in trouble: one run, one version, and what is published is what was verified.

The crowd: one job for each write of a job's life and each kind of trouble, all in one cloud. What
needs a story of its own stands behind it.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.cloud import App, LocalCloud
from local.faults import Fault
from local.vm import VirtualMachine
from tests.e2e.conftest import hasten
from tests.e2e.helpers import (
    current,
    deliver,
    deployments,
    is_closed,
    line_of,
    machine,
    rest,
    result_text,
    run_until_closed,
    state,
    turn,
    turn_until,
    wait_for,
)
from tests.e2e.quick import FILES, QuickVm, expect, manifest, put

ZIP = "crowd.zip"
CROWD_S = 180.0
DAY_S = 86400

# Writes of a job's life: (method, URL with {job}, which of these requests). The line is the job's.
WRITES = {
    "record": ("PUT", "/jobs/record/{job}.json", 1),
    "marker": ("PUT", "/jobs/live/{job}$", 1),
    "save-order": ("PUT", "/jobs/record/{job}.json", 3),
    "save-later": ("PUT", "/jobs/record/{job}.json", 6),
    "line-take": ("PUT", "/jobs/lines/{job}.json", 1),
    "line-free": ("PUT", "/jobs/lines/{job}.json", 2),
    "copy-bin": ("PUT", "/model/{job}/1/model.bin", 1),
    "copy-xml": ("PUT", "/model/{job}/1/model.xml", 1),
    "copy-manifest": ("PUT", "/model/{job}/1/manifest.json", 1),
    "pointer": ("PUT", "/model/{job}/current.json", 1),
    "fence": ("PUT", "/job-files/claim/{job}/1$", 1),
    "forget": ("DELETE", "/jobs/live/{job}$", 1),
}
READS = {
    "record-get": ("GET", "/jobs/record/{job}.json", 2),
    "manifest-get": ("GET", "/job-files/out/{job}/1/manifest.json", 1),
    "report-get": ("GET", "/job-files/out/{job}/1/report.json", 1),
    "verify-get": ("GET", "/job-files/out/{job}/1/model.bin", 1),
    "line-get": ("GET", "/jobs/lines/{job}.json", 1),
    "claim-get": ("HEAD", "/job-files/claim/{job}/1$", 1),
}
XML = b'<?xml version="1.0"?><Error><Code>ServerBusy</Code><Message>Busy.</Message></Error>'
BUSY = {"x-ms-error-code": "ServerBusy", "x-ms-retry-after-ms": "1"}
TROUBLES: dict[str, dict[str, Any]] = {
    "503": {"status": 503, "headers": BUSY, "body": XML, "times": 2},
    "gone-on-503": {"status": 503, "headers": BUSY, "body": XML, "times": 7},
    "reset": {"reset": "before"},
    "half": {"reset": "half"},
    "lost-reply": {"reset": "after"},
    "busy-but-done": {"status": 500, "headers": BUSY, "body": XML, "work": True},
    "late": {"delay": 2.0},
}


@dataclass
class Case:
    call: str
    trouble: str
    fault: Fault | None = None

    @property
    def job(self) -> str:
        return f"{self.call}-{self.trouble}"

    def script(self, cloud: LocalCloud) -> None:
        method, url, nth = (WRITES | READS)[self.call]
        trouble = dict(TROUBLES[self.trouble])
        self.fault = cloud.faults.add(
            service="blob", method=method, url=url.format(job=self.job), nth=nth, **trouble
        )


CASES = [Case(call, trouble) for call in WRITES | READS for trouble in TROUBLES]


@pytest.fixture(scope="module")
def crowd(dist: Path, zip_bytes: bytes) -> Iterator[LocalCloud]:
    with LocalCloud({"app": {"MAX_JOBS": "100"}}, dist=dist) as cloud:
        app = hasten(cloud).app
        app.put_zip(ZIP, zip_bytes)
        for case in CASES:
            case.script(cloud)
        for case in CASES:
            message = {"v": 1, "action": "train", "dataset": ZIP, "job_id": case.job}
            app.send(json.dumps(message | {"line": case.job}))
        end = time.monotonic() + CROWD_S
        while app.markers() or not all(app.record(case.job) for case in CASES):
            assert time.monotonic() < end, [*map(state, [app] * 999, app.markers())]
            turn(cloud, seconds=61)
        wait_for(lambda: app.queues.count("js-queue-items") == 0, what="the queue")
        yield cloud


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.job)
def test_trouble_with_one_call(crowd, case):
    app, job = crowd.app, case.job
    assert case.fault is not None
    assert case.fault.hits >= 1, "the fault never struck: the test tests nothing"
    shown = app.record(job)["state"]
    assert (shown["outcome"], shown["reason"]) == ("succeeded", "published")
    assert (shown["machine"], shown["model"], shown["version"]) == ("closed", "current", 1)
    assert len(deployments(crowd, f"{job}-[0-9a-f]{{6}}")) == 1
    assert sum(m.spec.tags["job"] == job for m in crowd.vms.machines) == 1
    line, pointer = line_of(app, job), current(app, job)
    assert (line["version"], line["job_id"]) == (1, ""), "a version was burnt"
    assert (pointer["version"], pointer["job_id"]) == (1, job)
    names = {name.removeprefix(f"{job}/") for name in app.blobs("model", f"{job}/")}
    assert names == {"current.json", *(f"1/{file}" for file in [*FILES, "manifest.json"])}
    for file in FILES:
        assert app.blob("model", f"{job}/1/{file}") == f"{file} of {job}".encode()


def test_nothing_is_left_of_the_crowd(crowd):
    rest(crowd)


# Stories of their own.


def order(cloud: LocalCloud, zip_bytes: bytes, head: str, **more: Any) -> str:
    """Deliver a message for a job of its own, in a line of its own; its job_id."""
    job = f"{head}-{uuid.uuid4().hex[:6]}"
    cloud.app.put_zip(f"{job}.zip", zip_bytes)
    message = {"v": 1, "action": "train", "dataset": f"{job}.zip", "job_id": job, "line": job}
    deliver(cloud.app, json.dumps(message | more))
    return job


def told(app: App, job: str) -> list[str]:
    return [text for text in app.slack() if f"`{job}`" in text]


def unpublished(app: App, job: str, line: str = "") -> None:
    """No pointer and no whole version, and the line is free."""
    line = line or job
    assert current(app, line) == {}
    names = [name for name in app.blobs("model", f"{line}/") if name.endswith("manifest.json")]
    assert names == []
    assert line_of(app, line).get("version", 0) == 0
    assert line_of(app, line).get("job_id", "") == ""


def test_slots_in_trouble(cloud, zip_bytes):
    for name in ("gone-on-503", "lost-reply", "busy-but-done", "late"):
        fault = cloud.faults.add(
            service="blob", method="PUT", url="/jobs/slots.json", **TROUBLES[name]
        )
        job = order(cloud, zip_bytes, "slots")
        record = run_until_closed(cloud, job)
        assert record["state"]["outcome"] == "succeeded"
        assert fault.hits >= 1
        assert len(deployments(cloud, job)) == 1
        cloud.faults.remove(fault)


@pytest.mark.parametrize("file", [*FILES, "manifest.json"])
@pytest.mark.parametrize("same", [False, True], ids=["other-bytes", "same-bytes"])
def test_a_file_overwritten_after_it_was_verified_is_not_published(cloud, zip_bytes, file, same):
    """Whoever holds the machine's link may write again; the ETag that was verified is copied."""
    app, job = cloud.app, f"swap-{uuid.uuid4().hex[:6]}"
    name = f"out/{job}/1/{file}"

    def overwrite() -> None:
        before = app.blob("job-files", name)
        assert before is not None
        app.put_blob("job-files", name, before if same else b"something else")

    fault = cloud.faults.add(
        service="blob", method="PUT", url=f"/jobs/lines/{job}.json", before=overwrite
    )
    app.put_zip(f"{job}.zip", zip_bytes)
    message = {"v": 1, "action": "train", "dataset": f"{job}.zip", "job_id": job, "line": job}
    deliver(app, json.dumps(message))
    record = run_until_closed(cloud, job)
    assert fault.hits == 1
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "model")
    assert record["state"]["model"] == "broken"
    words = f"{file} was changed after it had been verified; nothing was published"
    assert words in told(app, job)[-1]
    assert words in result_text(app, f"{job}.zip")
    unpublished(app, job)


def overwrite_model(_quick: QuickVm, vm: VirtualMachine) -> None:
    job = json.loads((vm.home / "job.json").read_bytes())
    assert put(job["links"]["out_model_xml"], b"other bytes") == 201


def test_files_that_are_not_what_the_manifest_says_are_not_published(cloud, zip_bytes):
    cloud.vms.work = QuickVm(uploaded=overwrite_model)
    job = order(cloud, zip_bytes, "differ")
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "model")
    assert "model.xml is not what the manifest says" in told(cloud.app, job)[-1]
    unpublished(cloud.app, job)


class Forged(QuickVm):
    """Uploads a manifest that `change` has altered."""

    def __init__(self, change: Callable[[dict[str, Any]], Any]) -> None:
        super().__init__()
        self._change = change

    def upload(self, vm: VirtualMachine, job: dict[str, Any]) -> dict[str, Any]:
        contents = {name: f"{name} of {job['job_id']}".encode() for name in FILES}
        for name, link in FILES.items():
            expect(put(job["links"][link], contents[name]), 201, name)
        made = manifest(job, contents)
        self._change(made)
        expect(put(job["links"]["out_manifest"], json.dumps(made).encode()), 201, "manifest")
        return made


FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "missing-file": (
        lambda m: m["files"].append({"name": "labels.json", "size": 1, "sha256": "0" * 64}),
        "twice",
    ),
    "climbs": (lambda m: m["files"][0].update(name="../../jobs/slots.json"), "not a name"),
    "other-job": (lambda m: m.update(job_id="somebody"), "not of job"),
    "other-attempt": (lambda m: m.update(attempt=2), "not of job"),
    "other-line": (lambda m: m.update(line="default"), "not for line"),
    "other-task": (lambda m: m.update(task="classification"), "not for line"),
    "later-version": (lambda m: m.update(v=2), "v is not 1"),
    "no-files": (lambda m: m.update(files=[]), "files"),
    "no-xml": (lambda m: m["files"].pop(1), "model.xml"),
    "wrong-size": (lambda m: m["files"][0].update(size=1), "is not what the manifest says"),
    "no-classes": (lambda m: m.update(classes=[]), "classes"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_manifest_that_is_not_right_publishes_nothing(cloud, zip_bytes, name):
    change, words = FORGERIES[name]
    cloud.vms.work = Forged(change)
    job = order(cloud, zip_bytes, "forged")
    record = run_until_closed(cloud, job)
    assert record["state"]["outcome"] == "failed"
    assert words in told(cloud.app, job)[-1]
    unpublished(cloud.app, job)


def test_a_file_that_is_missing_is_told(cloud, zip_bytes):
    job = f"absent-{uuid.uuid4().hex[:6]}"
    app = cloud.app

    def remove(_quick: QuickVm, vm: VirtualMachine) -> None:
        app.blobs_client.get_blob_client("job-files", f"out/{job}/1/labels.json").delete_blob()

    cloud.vms.work = QuickVm(uploaded=remove)
    app.put_zip("absent.zip", zip_bytes)
    message = {"v": 1, "action": "train", "dataset": "absent.zip", "job_id": job, "line": job}
    deliver(app, json.dumps(message))
    assert run_until_closed(cloud, job)["state"]["reason"] == "model"
    assert "labels.json is named in the manifest and is not there" in told(app, job)[-1]
    unpublished(app, job)


@pytest.mark.parametrize("more", ["version", "version-and-source"])
def test_a_version_that_is_deleted_before_its_pointer(cloud, zip_bytes, more):
    """Copied again; without its source nothing is published, and the line is free for others."""
    app, cloud.vms.work = cloud.app, QuickVm(bell=False)
    job = order(cloud, zip_bytes, "between")
    fault = cloud.faults.add(
        service="blob", method="PUT", url=f"/model/{job}/current.json", times=None, status=503
    )
    turn_until(cloud, lambda: state(app, job).get("model") == "copied", what="all is copied")
    places = {"model": f"{job}/"} | ({} if more == "version" else {"job-files": f"out/{job}/"})
    for container, folder in places.items():
        client = app.blobs_client.get_container_client(container)
        for name in app.blobs(container, folder):
            client.delete_blob(name)
    cloud.faults.remove(fault)
    outcome = run_until_closed(cloud, job)["state"]["outcome"]
    assert line_of(app, job)["job_id"] == ""
    if more == "version":
        assert (outcome, current(app, job)["version"]) == ("succeeded", 1)
        assert f"{job}/1/manifest.json" in app.blobs("model", f"{job}/")
        return
    assert outcome == "failed"
    assert "was changed after it had been verified" in told(app, job)[-1]
    assert app.blobs("model", f"{job}/") == []


def test_a_version_that_is_deleted_under_its_pointer_keeps_no_line(cloud, zip_bytes):
    app, cloud.vms.work = cloud.app, QuickVm(bell=False)
    job = f"under-{uuid.uuid4().hex[:6]}"
    fault = cloud.faults.add(  # the second one gives it back
        service="blob", method="PUT", url=f"/jobs/lines/{job}.json", nth=2, times=None, status=503
    )
    order(cloud, zip_bytes, "under", job_id=job, line=job)
    turn_until(cloud, lambda: state(app, job).get("model") == "current", what="the pointer")
    app.blobs_client.get_blob_client("model", f"{job}/1/manifest.json").delete_blob()
    cloud.faults.remove(fault)
    assert run_until_closed(cloud, job)["state"]["outcome"] == "succeeded"
    assert line_of(app, job)["job_id"] == ""


def hold_line(app: App, line: str, job: str, version: int = 3) -> None:
    held = {"v": 1, "task": "detection", "version": version, "job_id": job, "classes": ["ok"]}
    app.put_blob("jobs", f"lines/{line}.json", json.dumps(held).encode())


def test_a_line_that_another_job_holds_is_waited_for(cloud, zip_bytes):
    app, line = cloud.app, f"held-{uuid.uuid4().hex[:6]}"
    hold_line(app, line, "another")
    job = order(cloud, zip_bytes, "waits", line=line)
    turn_until(cloud, lambda: state(app, job)["model"] == "verified")
    turn_until(
        cloud, lambda: cloud.arm.groups() == [], what="the machine need not wait for the line"
    )
    for _ in range(3):
        turn(cloud, seconds=61)
    assert machine(app, job) == "deleting"
    assert current(app, line) == {}
    assert line_of(app, line)["job_id"] == "another", "the line was taken by force"
    hold_line(app, line, "")
    assert run_until_closed(cloud, job)["state"]["version"] == 4
    assert current(app, line)["version"] == 4


def test_a_line_that_never_becomes_free_keeps_the_model_unpublished(cloud, zip_bytes):
    app, line = cloud.app, f"stuck-{uuid.uuid4().hex[:6]}"
    hold_line(app, line, "another")
    job = order(cloud, zip_bytes, "kept", line=line)
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["model"]) == ("succeeded", "kept")
    assert "Not published" in told(app, job)[-1]
    assert line_of(app, line) == {
        "v": 1,
        "task": "detection",
        "version": 3,
        "job_id": "another",
        "classes": ["ok"],
    }
    hold_line(app, line, "")  # for the order after the test


def test_a_line_that_a_closed_job_holds_is_free(cloud, zip_bytes):
    """A drive that was killed may have taken it late, for a job that was over."""
    app = cloud.app
    over = order(cloud, zip_bytes, "over")
    run_until_closed(cloud, over)
    hold_line(app, over, over, version=1)
    job = order(cloud, zip_bytes, "next", line=over)
    assert run_until_closed(cloud, job)["state"]["version"] == 2
    assert line_of(app, over)["job_id"] == ""


@pytest.mark.parametrize("file", ["model.bin", "model.xml", "manifest.json"])
def test_a_name_left_by_a_broken_run_is_overwritten_only_as_it_was_seen(cloud, zip_bytes, file):
    app, line = cloud.app, f"left-{uuid.uuid4().hex[:6]}"
    app.put_blob("model", f"{line}/1/{file}", b"left by a run that broke")
    job = order(cloud, zip_bytes, "over", line=line)
    assert run_until_closed(cloud, job)["state"]["reason"] == "published"
    wanted = app.blob("job-files", f"out/{job}/1/{file}")
    assert app.blob("model", f"{line}/1/{file}") == wanted
    copies = [
        e
        for e in cloud.recorder.select("blob", "PUT", f"/model/{line}/1/{file}")
        if any(k.lower() == "x-ms-copy-source" for k, _ in e.request_headers)
    ]
    conditions = [
        {k.lower(): v for k, v in e.request_headers if k.lower() in ("if-match", "if-none-match")}
        for e in copies
    ]
    assert conditions[0] == {"if-none-match": "*"}
    done = [c for c, e in zip(conditions, copies, strict=True) if e.status == 202]
    assert done
    assert all(set(condition) == {"if-match"} for condition in done)
    assert all(
        any(k.lower() == "x-ms-source-if-match" for k, _ in e.request_headers) for e in copies
    )


def test_a_run_that_broke_half_way_does_not_lend_its_number(cloud, zip_bytes):
    """model.bin is copied, model.xml was overwritten: no late copy may meet the next job's."""
    app, line = cloud.app, f"half-{uuid.uuid4().hex[:6]}"
    first = f"first-{uuid.uuid4().hex[:6]}"
    cloud.faults.add(
        service="blob",
        method="PUT",
        url=f"/model/{line}/1/model.xml",
        before=lambda: app.put_blob("job-files", f"out/{first}/1/model.xml", b"late"),
    )
    app.put_zip("half.zip", zip_bytes)
    message = {"v": 1, "action": "train", "dataset": "half.zip", "job_id": first, "line": line}
    deliver(app, json.dumps(message))
    assert run_until_closed(cloud, first)["state"]["reason"] == "model"
    assert app.blob("model", f"{line}/1/model.bin") == f"model.bin of {first}".encode()
    unpublished(app, first, line)
    job = order(cloud, zip_bytes, "second", line=line)
    assert run_until_closed(cloud, job)["state"]["version"] == 2
    for file in FILES:
        assert app.blob("model", f"{line}/2/{file}") == f"{file} of {job}".encode()
    assert current(app, line)["version"] == 2


def test_the_pointer_never_goes_back(cloud, zip_bytes):
    app, line = cloud.app, f"newer-{uuid.uuid4().hex[:6]}"
    newer = json.dumps({"v": 1, "line": line, "version": 9, "job_id": "another"}).encode()
    fault = cloud.faults.add(
        service="blob",
        method="PUT",
        url=f"/model/{line}/current.json",
        before=lambda: app.put_blob("model", f"{line}/current.json", newer),
    )
    job = order(cloud, zip_bytes, "late", line=line)
    run_until_closed(cloud, job)
    assert fault.hits == 1
    assert app.blob("model", f"{line}/current.json") == newer


def test_an_older_pointer_moves_on_by_its_etag(cloud, zip_bytes):
    app, line = cloud.app, f"older-{uuid.uuid4().hex[:6]}"
    hold_line(app, line, "", version=4)
    older = {"v": 1, "line": line, "version": 3, "job_id": "another"}
    between = {"v": 1, "line": line, "version": 4, "job_id": "another"}
    app.put_blob("model", f"{line}/current.json", json.dumps(older).encode())
    cloud.faults.add(
        service="blob",
        method="PUT",
        url=f"/model/{line}/current.json",
        before=lambda: app.put_blob("model", f"{line}/current.json", json.dumps(between).encode()),
    )
    job = order(cloud, zip_bytes, "newest", line=line)
    assert run_until_closed(cloud, job)["state"]["version"] == 5
    assert (current(app, line)["version"], current(app, line)["job_id"]) == (5, job)


# Slack and the text file.


def slack_is(cloud: LocalCloud, **trouble: Any) -> Fault:
    return cloud.faults.add(service="slack", times=None, **trouble)


@pytest.mark.parametrize("status", [404, 429, 500])
def test_c1_22_slack_down_troubles_no_job_and_is_told_later_in_order(cloud, zip_bytes, status):
    refusal = slack_is(cloud, status=status)
    app = cloud.app
    job = order(cloud, zip_bytes, "mute")
    turn_until(cloud, lambda: "has succeeded" in result_text(app, f"{job}.zip"))
    turn_until(cloud, lambda: not cloud.arm.groups())
    assert state(app, job)["outcome"] == "succeeded"
    assert current(app, job)
    for _ in range(3):
        turn(cloud, seconds=61)
    assert machine(app, job) == "deleting", "not everybody has been told"
    assert told(app, job) == []
    assert len(deployments(cloud, job)) == 1
    cloud.faults.remove(refusal)
    run_until_closed(cloud, job)
    words = [text.partition(f"`{job}`")[2][:14] for text in told(app, job)]
    heads = list(dict.fromkeys(words))
    assert heads in (
        [" is accepted: ", ": training has", " has succeeded"],
        [" is accepted: ", " has succeeded"],
    )
    assert len(words) <= len(heads) * 2, "told again and again"


def test_slack_that_hangs_holds_nothing_up_for_long(cloud, zip_bytes):
    go_on = threading.Event()
    fault = cloud.faults.add(
        service="slack", times=2, before=lambda: go_on.wait(30), reset="before"
    )
    job = order(cloud, zip_bytes, "hang")
    assert deployments(cloud, job), "the machine is ordered before anybody is told"
    turn_until(cloud, lambda: current(cloud.app, job) and fault.hits == 2)
    go_on.set()
    assert run_until_closed(cloud, job)["state"]["outcome"] == "succeeded"


def test_people_who_cannot_be_told_are_given_up_after_a_day(cloud, zip_bytes):
    refusal = slack_is(cloud, status=500)
    job = order(cloud, zip_bytes, "day")
    turn_until(cloud, lambda: not cloud.arm.groups() and current(cloud.app, job))
    turn(cloud, seconds=DAY_S - 3600)
    assert not is_closed(cloud.app, job)
    turn(cloud, seconds=3700)
    record = run_until_closed(cloud, job)
    assert record["state"]["outcome"] == "succeeded"
    assert record["state"]["untold"] != 0
    assert told(cloud.app, job) == []
    cloud.faults.remove(refusal)
    said = [line for line in cloud.app.host.lines if "given up" in line and job in line]
    assert len(said) in (1, 2)
    assert said[0].startswith("stderr: warn: ")


@pytest.mark.parametrize("status", [403, 503])
def test_the_text_beside_the_zip_is_written_when_files_answers(cloud, zip_bytes, status):
    job = f"text-{uuid.uuid4().hex[:6]}"
    fault = cloud.faults.add(
        service="files",
        method="PUT",
        url=rf"/train/{job}.zip.RESULT.txt",
        times=None,
        status=status,
        headers=BUSY,
    )
    app = cloud.app
    app.put_zip(f"{job}.zip", zip_bytes)
    message = {"v": 1, "action": "train", "dataset": f"{job}.zip", "job_id": job, "line": job}
    deliver(app, json.dumps(message))
    turn_until(cloud, lambda: current(app, job) and not cloud.arm.groups())
    turn(cloud, seconds=61)
    assert fault.hits > 1
    assert result_text(app, f"{job}.zip") == ""
    assert any("has succeeded" in text for text in told(app, job)), "one channel waits for none"
    assert not is_closed(app, job)
    cloud.faults.remove(fault)
    run_until_closed(cloud, job)
    assert "has succeeded" in result_text(app, f"{job}.zip")
