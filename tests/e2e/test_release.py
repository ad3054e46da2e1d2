"""What devices get, changed by a message: a kept model published after all, and the way back."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from local.cloud import LocalCloud
from local.judge import InvocationFailed
from tests.e2e.helpers import (
    current,
    deliver,
    is_closed,
    line_of,
    records,
    result_text,
    run_until_closed,
    state,
    texts_about,
    turn,
    turn_until,
    wait_for,
)
from tests.e2e.quick import FILES, QuickVm

Record = dict[str, Any]
Train = Callable[..., Record]


@pytest.fixture
def line() -> str:
    """A line of the test's own."""
    return f"line-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def train(cloud: LocalCloud, zip_bytes: bytes, line: str) -> Train:
    """train(job, classes=..., **fields): a job of the line to its end; its record."""

    def run(job: str, classes: list[str] | None = None, **fields: Any) -> Record:
        def change(manifest: dict[str, Any]) -> None:
            manifest["classes"] = classes or manifest["classes"]

        cloud.vms.work = QuickVm(change=change)
        cloud.app.put_zip(f"{job}-{line}.zip", zip_bytes)
        message = {"v": 1, "action": "train", "dataset": f"{job}-{line}.zip", "line": line}
        message |= {"job_id": f"{job}-{line}", "publish": "always"}
        deliver(cloud.app, json.dumps(message | fields))
        return run_until_closed(cloud, f"{job}-{line}")

    return run


def release_id(action: str, message_id: str) -> str:
    """The job that a message becomes."""
    return f"{action}-{hashlib.sha256(message_id.encode()).hexdigest()[:8]}"


def release(cloud: LocalCloud, action: str, **fields: Any) -> Record:
    """Send publish or rollback; the record of its job, closed."""
    message_id = deliver(cloud.app, json.dumps({"v": 1, "action": action} | fields))
    return run_until_closed(cloud, release_id(action, message_id))


def refused(cloud: LocalCloud, action: str, **fields: Any) -> str:
    """Send publish or rollback where it cannot be; what was answered. It leaves no job."""
    before = records(cloud.app).keys()
    deliver(cloud.app, json.dumps({"v": 1, "action": action} | fields))
    assert records(cloud.app).keys() == before
    return cloud.app.slack()[-1]


def content(cloud: LocalCloud, line: str, version: int) -> dict[str, bytes | None]:
    """The files of a version, the manifest among them."""
    names = [*FILES, "manifest.json"]
    return {name: cloud.app.blob("model", f"{line}/{version}/{name}") for name in names}


def assert_shows(cloud: LocalCloud, line: str, version: int, maker: str) -> dict[str, Any]:
    """Devices get this version, whole, made by that job; current.json."""
    app = cloud.app
    shown = current(app, line)
    assert (shown["version"], shown["job_id"]) == (version, maker)
    manifest = app.blob("model", f"{line}/{version}/manifest.json") or b""
    assert hashlib.sha256(manifest).hexdigest() == shown["manifest_sha256"]
    assert json.loads(manifest)["job_id"] == maker
    for entry in json.loads(manifest)["files"]:
        data = app.blob("model", f"{line}/{version}/{entry['name']}") or b""
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    carried = line_of(app, line)
    assert (carried["version"], carried["job_id"]) == (version, "")
    assert carried["classes"] == shown["classes"] == json.loads(manifest)["classes"]
    return shown


def test_a_kept_model_is_published_later(cloud: LocalCloud, train: Train, line: str) -> None:
    app = cloud.app
    train("first", classes=["ok", "dent", "hole"])
    kept = train("kept", publish="never", classes=["ok", "dent"])
    assert (kept["state"]["model"], kept["state"]["version"]) == ("kept", 0)
    job = kept["job_id"]
    machines = len(cloud.vms.machines)
    record = release(cloud, "publish", job_id=job.upper())
    end = record["state"]
    told = (end["outcome"], end["reason"], end["version"], end["attempt"])
    assert told == ("succeeded", "published", 2, 0)
    assert len(cloud.vms.machines) == machines
    shown = assert_shows(cloud, line, 2, job)
    assert shown["released_by"] == record["job_id"]
    assert shown["breaking"] is True
    said = texts_about(app, record["job_id"])
    assert said == [
        f"Job `{record['job_id']}` has succeeded: the model of job `{job}`, which had been kept, "
        f"is published: line `{line}`, version 2. "
        "Breaking: it lacks a class that the version before had."
    ]
    assert said[0] in result_text(app, f"{job}.zip")
    after = app.record(job) or {}
    assert (after["published_by"], after["published_version"]) == (record["job_id"], 2)
    assert after["state"] == kept["state"], "how its training ended stays what it was"
    deliver(app, json.dumps({"v": 1, "action": "status", "job_id": job}))
    assert f"; published later by job `{record['job_id']}`, as version 2" in app.slack()[-1]
    # Once is enough.
    answer = refused(cloud, "publish", job_id=job)
    assert "was published already" in answer
    assert f"line `{line}`, version 2" in answer
    assert app.blobs("model", f"{line}/3/") == []


def test_what_cannot_be_published(cloud: LocalCloud, train: Train, line: str) -> None:
    app = cloud.app
    assert f"There is no job `none-{line}`" in refused(cloud, "publish", job_id=f"None-{line}")
    first = train("first")
    answer = refused(cloud, "publish", job_id=first["job_id"])
    assert "was published already" in answer
    assert "version 1; nothing was published" in answer
    cloud.vms.work = QuickVm(status="failed")
    job = f"failed-{line}"
    deliver(app, json.dumps({"dataset": f"first-{line}.zip", "job_id": job, "force": True}))
    run_until_closed(cloud, job)
    assert "has left no model that could be published (failed)" in refused(
        cloud, "publish", job_id=job
    )
    vm = cloud.vms.work = QuickVm(hold=threading.Event())
    job = f"running-{line}"
    deliver(app, json.dumps({"dataset": f"first-{line}.zip", "job_id": job, "force": True}))
    turn_until(cloud, lambda: state(app, job).get("machine") == "running")
    assert f"Job `{job}` is not over yet (running)" in refused(cloud, "publish", job_id=job)
    assert vm.hold is not None
    vm.hold.set()
    run_until_closed(cloud, job)
    train("second")
    back = release(cloud, "rollback", line=line)["job_id"]
    answer = refused(cloud, "publish", job_id=back)
    assert "made no model of its own: name the job that trained it" in answer
    answer = refused(cloud, "retry", job_id=back)
    assert f"Job `{back}` trained nothing; to publish once more, send:" in answer
    again = {"v": 1, "action": "rollback", "line": line, "version": 1}
    assert json.loads(answer.splitlines()[-1]) == again


def test_files_that_were_changed_are_not_published(
    cloud: LocalCloud, train: Train, line: str
) -> None:
    """The same bytes once more are another blob: what was verified is what is copied."""
    app = cloud.app
    job = train("kept", publish="never")["job_id"]
    name = f"out/{job}/1/model.bin"
    app.put_blob("job-files", name, app.blob("job-files", name) or b"")
    record = release(cloud, "publish", job_id=job)
    assert (record["state"]["outcome"], record["state"]["version"]) == ("failed", 0)
    assert texts_about(app, record["job_id"]) == [
        f"Job `{record['job_id']}` has failed: the model of job `{job}` is not published: "
        "model.bin was changed after it had been verified; nothing was published."
    ]
    assert app.blobs("model", f"{line}/") == []
    assert (app.record(job) or {})["published_version"] == 0


def test_the_way_back_goes_on(cloud: LocalCloud, train: Train, line: str) -> None:
    """Numbers only go up; a second message goes further back, and not to what was just left."""
    app = cloud.app
    jobs = [train(f"job{n}", classes=["ok", f"class {n}"])["job_id"] for n in (1, 2, 3)]
    record = release(cloud, "rollback", line=line)
    shown = assert_shows(cloud, line, 4, jobs[1])
    assert (shown["from_version"], shown["classes"]) == (2, ["ok", "class 2"])
    assert content(cloud, line, 4) == content(cloud, line, 2)
    assert texts_about(app, record["job_id"]) == [
        f"Job `{record['job_id']}` has succeeded: line `{line}` is rolled back: the files of "
        f"version 2 (job `{jobs[1]}`) are published again, as version 4. "
        "Breaking: it lacks a class that the version before had."
    ]
    release(cloud, "rollback", line=line)
    assert_shows(cloud, line, 5, jobs[0])
    answer = refused(cloud, "rollback", line=line)
    assert f"Line `{line}` has no version before 1" in answer
    assert "there are 4, 3, 2, 1" in answer
    release(cloud, "rollback", line=line, version=3)  # forward again
    assert_shows(cloud, line, 6, jobs[2])
    for version in (3, 6):
        answer = refused(cloud, "rollback", line=line, version=version)
        assert f"Version {version} of line `{line}` is what devices get already" in answer
        assert "the current version is 6" in answer
    answer = refused(cloud, "rollback", line=line, version=9)
    assert f"Line `{line}` has no version 9; there are 5, 4, 3, 2, 1." in answer
    answer = refused(cloud, "rollback", line=f"{line}-x")
    assert f"Line `{line}-x` has no published model" in answer


def test_the_way_back_does_not_return_to_what_was_left(
    cloud: LocalCloud, train: Train, line: str
) -> None:
    """The version before may itself be a way back: what counts is whose files it has."""
    jobs = [train(f"job{n}")["job_id"] for n in (1, 2, 3)]
    release(cloud, "rollback", line=line)  # 4 has the files of 2, because 3 is bad
    train("job5")
    release(cloud, "rollback", line=line)
    assert assert_shows(cloud, line, 6, jobs[1])["from_version"] == 4
    release(cloud, "rollback", line=line)
    assert assert_shows(cloud, line, 7, jobs[0])["from_version"] == 1


BEING_DELETED = (
    b"<?xml version='1.0'?><Error><Code>ContainerBeingDeleted</Code><Message>x</Message></Error>"
)


@pytest.mark.parametrize("message", ["good", "bad"])
def test_a_conflict_is_no_proof_that_it_was_delivered_before(
    cloud: LocalCloud, train: Train, line: str, message: str
) -> None:
    app = cloud.app
    train("first")
    job = train("kept", publish="never")["job_id"]
    text = json.dumps({"v": 1, "action": "publish", "job_id": job if message == "good" else "a b"})
    message_id = str(uuid.uuid4())
    made = release_id("publish" if message == "good" else "job", message_id)
    cloud.faults.add(
        service="blob", method="PUT", url=f"/jobs/record/{made}", status=409, body=BEING_DELETED
    )
    with pytest.raises(InvocationFailed):
        deliver(app, text, message_id)
    deliver(app, text, message_id)
    outcome = run_until_closed(cloud, made)["state"]["outcome"]
    assert outcome == ("succeeded" if message == "good" else "rejected")
    assert len(texts_about(app, made)) == 1


def test_a_job_goes_on_from_the_model_that_is_current(
    cloud: LocalCloud, train: Train, line: str
) -> None:
    """After the way back, `auto` is the job that made the files, and the next version is new."""
    first = train("first")["job_id"]
    train("second")
    release(cloud, "rollback", line=line)
    record = train("third", continue_from="auto")
    assert record["parent_name"] == first
    assert (record["baseline"], record["state"]["version"]) == (3, 4)


def test_a_damaged_version_is_not_published_again(
    cloud: LocalCloud, train: Train, line: str
) -> None:
    app = cloud.app
    train("first")
    second = train("second")["job_id"]
    app.put_blob("model", f"{line}/1/model.xml", b"model.xml of first-" + line.encode()[::-1])
    record = release(cloud, "rollback", line=line)
    assert (record["state"]["outcome"], record["state"]["version"]) == ("failed", 0)
    assert texts_about(app, record["job_id"]) == [
        f"Job `{record['job_id']}` has failed: line `{line}` is not rolled back to version 1: "
        "model.xml is not what the manifest says (size or sha256 differ); nothing was published."
    ]
    assert_shows(cloud, line, 2, second)
    assert app.blobs("model", f"{line}/3/") == []


def test_the_same_message_again(cloud: LocalCloud, train: Train, line: str) -> None:
    app = cloud.app
    train("first")
    train("second")
    message = json.dumps({"v": 1, "action": "rollback", "line": line})
    message_id = deliver(app, message)
    job = release_id("rollback", message_id)
    deliver(app, message, message_id)
    run_until_closed(cloud, job)
    deliver(app, message, message_id)
    turn(cloud)
    assert (current(app, line)["version"], line_of(app, line)["taken"]) == (3, 3)
    assert len(texts_about(app, job)) == 1


def test_two_at_once_publish_once(cloud: LocalCloud, train: Train, line: str) -> None:
    """Two messages for one model, both accepted before either has published."""
    app = cloud.app
    train("first")
    job = train("kept", publish="never")["job_id"]
    message = json.dumps({"v": 1, "action": "publish", "job_id": job})
    hold, there = threading.Event(), threading.Event()

    def wait() -> None:
        there.set()
        hold.wait(30)

    cloud.faults.add(
        service="blob", method="PUT", url=f"(?i)/jobs/lines/{line}.json", times=1, before=wait
    )
    ids = [str(uuid.uuid4()) for _ in range(2)]
    jobs = [release_id("publish", one) for one in ids]
    slow = threading.Thread(target=deliver, args=(app, message, ids[0]))
    slow.start()
    assert there.wait(30)
    deliver(app, message, ids[1])
    hold.set()
    slow.join()
    turn_until(cloud, lambda: all(is_closed(app, one) for one in jobs))
    ends = sorted(state(app, one)["outcome"] for one in jobs)
    assert ends == ["failed", "succeeded"]
    assert (current(app, line)["version"], line_of(app, line)["version"]) == (2, 2)
    assert app.blobs("model", f"{line}/3/") == []
    loser = next(one for one in jobs if state(app, one)["outcome"] == "failed")
    assert "it was published already, as version 2 by job" in texts_about(app, loser)[-1]


def roots(cloud: LocalCloud) -> tuple[bytes | None, bytes | None]:
    """What devices of the former system find."""
    return cloud.app.blob("model", "model.bin"), cloud.app.blob("model", "model.xml")


def of_version(cloud: LocalCloud, version: int) -> tuple[bytes | None, bytes | None]:
    """The same of a version of line default."""
    files = content(cloud, "default", version)
    return files["model.bin"], files["model.xml"]


def train_default(
    cloud: LocalCloud, zip_bytes: bytes, job: str, outputs: list[str], line: str = "default"
) -> str:
    """A job whose model has these outputs, to its end; what people were told last."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["io"]["outputs"] = outputs
        manifest["io"]["threshold"] = len(job) / 100

    cloud.vms.work = QuickVm(change=change)
    cloud.app.put_zip(f"{job}.zip", zip_bytes)
    message = {"dataset": f"{job}.zip", "job_id": job, "line": line, "publish": "always"}
    deliver(cloud.app, json.dumps(message))
    run_until_closed(cloud, job)
    return texts_about(cloud.app, job)[-1]


def test_devices_of_the_former_system(
    make_cloud: Callable[..., LocalCloud], zip_bytes: bytes
) -> None:
    """Copies in the root follow line default as long as its models are read in the same way."""
    cloud = make_cloud()
    app = cloud.app
    train_default(cloud, zip_bytes, "elsewhere", ["boxes"], "line-b")
    assert roots(cloud) == (None, None)
    said = train_default(cloud, zip_bytes, "first", ["boxes"])
    assert roots(cloud) == of_version(cloud, 1) == (b"model.bin of first", b"model.xml of first")
    assert "former system" not in said
    said = train_default(cloud, zip_bytes, "the-second", ["boxes"])
    assert roots(cloud) == of_version(cloud, 2)
    assert "former system" not in said
    said = train_default(cloud, zip_bytes, "third", ["boxes", "labels"])
    assert current(app)["version"] == 3
    assert roots(cloud) == of_version(cloud, 2)
    assert "stay at version 2: version 3 has other inputs or outputs" in said
    assert "LEGACY_ROOT" in said
    release(cloud, "rollback", version=1)
    assert roots(cloud) == of_version(cloud, 4) == of_version(cloud, 1)
    app.put_blob("model", "model.xml", b"the former system's")
    said = train_default(cloud, zip_bytes, "fifth", ["boxes"])
    assert "were not written by this one and stay as they are" in said
    assert roots(cloud) == (b"model.bin of first", b"the former system's")


def test_the_operator_may_replace_them(
    make_cloud: Callable[..., LocalCloud], zip_bytes: bytes
) -> None:
    cloud = make_cloud({"app": {"LEGACY_ROOT": "replace"}})
    app = cloud.app
    for name in ("model.bin", "model.xml"):
        app.put_blob("model", name, b"the former system's")
    said = train_default(cloud, zip_bytes, "first", ["boxes"])
    assert roots(cloud) == of_version(cloud, 1)
    assert "former system" not in said
    train_default(cloud, zip_bytes, "second", ["boxes", "labels"])
    assert roots(cloud) == of_version(cloud, 2)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("file", ["bin", "xml"])
def test_a_kill_beside_the_copies_in_the_root(
    make_cloud: Callable[..., LocalCloud], zip_bytes: bytes, file: str, when: str
) -> None:
    cloud = make_cloud()
    train_default(cloud, zip_bytes, "first", [])
    fault = cloud.faults.add(
        service="blob",
        method="PUT",
        url=rf"/model/model\.{file}$",
        reset=when,
        **{when: cloud.app.host.kill},
    )
    starts = cloud.app.host.starts
    cloud.vms.work = QuickVm()
    cloud.app.put_zip("b.zip", zip_bytes)
    cloud.app.send(json.dumps({"dataset": "b.zip", "job_id": "second", "publish": "always"}))
    wait_for(lambda: cloud.app.record("second"), what="the job")

    def hit() -> bool:
        if fault.hits:
            cloud.app.host.wait_ready()
        elif state(cloud.app, "second").get("machine") != "closed":
            cloud.clock.advance(5)
        return bool(fault.hits)

    wait_for(hit, what="the kill")
    wait_for(lambda: cloud.app.host.starts == starts + 1, what="the new handler")
    cloud.app.host.wait_ready()
    run_until_closed(cloud, "second")
    assert state(cloud.app, "second")["version"] == 2
    assert roots(cloud) == of_version(cloud, 2)


POINTS = {
    "record": ("/jobs/record/{job}.json", 1),
    "line": ("/jobs/lines/{line}.json", 1),
    "copy": ("/model/{line}/3/model.xml", 1),
    "manifest": ("/model/{line}/3/manifest.json", 1),
    "pointer": ("/model/{line}/current.json", 1),
    "line-free": ("/jobs/lines/{line}.json", 2),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("action", ["publish", "rollback"])
def test_a_kill_in_the_middle(
    cloud: LocalCloud, train: Train, line: str, action: str, point: str, when: str
) -> None:
    app = cloud.app
    first = train("first")["job_id"]
    if action == "publish":
        train("second")
        maker = train("kept", publish="never")["job_id"]
        message = {"v": 1, "action": "publish", "job_id": maker}
    else:
        train("second")
        maker = first
        message = {"v": 1, "action": "rollback", "line": line}
    starts = app.host.starts
    url, nth = POINTS[point]
    pattern = url.format(line=line, job=rf"{action}-\w+")
    fault = cloud.faults.add(
        service="blob",
        method="PUT",
        url=f"(?i){pattern}",
        nth=nth,
        reset=when,
        **{when: app.host.kill},
    )
    before = records(app).keys()
    app.send(json.dumps(message))
    wait_for(lambda: fault.hits, what="the kill")
    wait_for(lambda: app.host.starts == starts + 1, what="the new handler")
    app.host.wait_ready()
    turn_until(cloud, lambda: len(records(app).keys() - before) == 1, what="the job is there")
    (job,) = records(app).keys() - before
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["version"]) == ("succeeded", 3)
    assert_shows(cloud, line, 3, maker)
    assert app.blobs("model", f"{line}/4/") == []
    if action == "publish":
        assert (app.record(maker) or {})["published_by"] == job
