"""The gate: a model replaces the line's only when it is measurably better, and people read why."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from local.cloud import LocalCloud
from tests.e2e.helpers import (
    current,
    deliver,
    line_of,
    result_text,
    run_until_closed,
    state,
    texts_about,
    turn_until,
)
from tests.e2e.quick import QuickVm

Record = dict[str, Any]
Train = Callable[..., Record]


@pytest.fixture
def line() -> str:
    """A line of the test's own."""
    return f"line-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def train(cloud: LocalCloud, zip_bytes: bytes, line: str) -> Train:
    """train(block=..., classes=..., **fields): a job of the line to its end; its record."""

    def run(
        block: dict[str, Any] | None = None,
        classes: list[str] | None = None,
        name: str = "job",
        **fields: Any,
    ) -> Record:
        def change(manifest: dict[str, Any]) -> None:
            if block is not None:
                manifest["gate"] = manifest["gate"] | block
            manifest["classes"] = classes or manifest["classes"]

        cloud.vms.work = QuickVm(change=change)
        return run_until_closed(cloud, order(cloud, zip_bytes, line, name, **fields))

    return run


def order(cloud: LocalCloud, zip_bytes: bytes, line: str, name: str, **fields: Any) -> str:
    """Send a job for the line; its id."""
    job = f"{name}-{line}"
    cloud.app.put_zip(f"{job}.zip", zip_bytes)
    message = {"v": 1, "action": "train", "dataset": f"{job}.zip", "job_id": job, "line": line}
    deliver(cloud.app, json.dumps(message | fields))
    return job


def assert_kept(cloud: LocalCloud, record: Record, version: int, *words: str) -> None:
    """It succeeded, nothing moved, and Slack, RESULT.txt, the record and status say why."""
    app, line, job = cloud.app, record["request"]["line"], record["job_id"]
    end = record["state"]
    assert (end["outcome"], end["reason"], end["model"]) == ("succeeded", "gate", "kept")
    assert (end["version"], end["untold"]) == (0, 0)
    assert current(app, line).get("version", 0) == version
    assert line_of(app, line).get("version", 0) == version
    assert line_of(app, line).get("job_id", "") == ""
    assert app.blobs("model", f"{line}/{version + 1}/") == []
    assert app.blobs("job-files", f"out/{job}/1/model.bin")
    said = texts_about(app, job)[-1]
    for text in (said, result_text(app, f"{job}.zip")):
        assert "has succeeded" in text
        assert f"Not published: {record['gate_note']}. The files are kept." in text
        send = f'{{"v":1,"action":"publish","job_id":"{job}"}}'
        assert f"\nTo publish it all the same, send:\n{send}" in text
        assert "Published:" not in text
    for word in words:
        assert word in record["gate_note"]
    deliver(app, json.dumps({"v": 1, "action": "status", "job_id": job}))
    assert f"not published: {record['gate_note']}" in app.slack()[-1]
    assert (
        f"not published: {record['gate_note']}" in (app.file("logs", "status.txt") or b"").decode()
    )


def assert_published(cloud: LocalCloud, record: Record, version: int, *words: str) -> None:
    """It is the line's current one, and people are told why."""
    app, line, job = cloud.app, record["request"]["line"], record["job_id"]
    end = record["state"]
    assert (end["outcome"], end["reason"], end["version"]) == ("succeeded", "published", version)
    pointer = current(app, line)
    assert (pointer["version"], pointer["job_id"]) == (version, job)
    said = texts_about(app, job)[-1]
    assert f"Published: line `{line}`, version {version}; " in said
    for word in words:
        assert word in said


def test_a_better_one_is_published_and_a_tie_is_kept(cloud: LocalCloud, train: Train) -> None:
    first = train(name="first")
    assert first["gate"] == "first"
    assert_published(cloud, first, 1, "it is the line's first model: map 0.710 on 40 images")
    tie = train({"new": 0.612, "difference_sd": 0.013}, name="tie")
    assert tie["gate"] == "tie"
    numbers = "map 0.612 against 0.600 of version 1 on 40 images (+0.012, it takes more than 0.021)"
    assert_kept(cloud, tie, 1, f"it is not clearly better: {numbers}")
    worse = train({"new": 0.4}, name="worse")
    assert_kept(cloud, worse, 1, "it is worse: map 0.400 against 0.600 of version 1")
    # What was kept has cost no version and is nobody's baseline.
    better = train(name="better")
    assert (better["gate"], better["baseline"]) == ("better", 1)
    assert_published(cloud, better, 2, "it is better: map 0.710 against 0.600 of version 1 on 40")


def test_shuffled_labels_are_refused_with_and_without_a_current_model(
    cloud: LocalCloud, train: Train
) -> None:
    guessing = {"new": 0.021}
    nothing = train(guessing, name="nothing")
    assert nothing["gate"] == "floor"
    assert_kept(cloud, nothing, 0, "no better than guessing: map 0.021 on 40 images", "0.050")
    # The line is still open to any task.
    assert line_of(cloud.app, nothing["request"]["line"]).get("task", "") == ""
    assert_published(cloud, train(name="first"), 1)
    assert_kept(cloud, train(guessing, name="worse"), 1, "it is worse: map 0.021 against 0.600")
    chance = train(guessing | {"current": 0.001}, name="chance")
    assert chance["gate"] == "floor"
    assert_kept(cloud, chance, 1, "it is better", "but guessing reaches up to 0.050")


def test_what_devices_would_feel_keeps_it(cloud: LocalCloud, train: Train) -> None:
    train(name="first")
    lost = {"per_class": [{"class": "dent", "images": 12, "new": 0.5, "current": 0.6}]}
    words = "class `dent` falls from 0.600 to 0.500 on 12 images"
    assert_kept(cloud, train(lost, name="class"), 1, words)
    slow = {"latency_ms": {"new": 6.1, "current": 3.0}}
    assert_kept(cloud, train(slow, name="slow"), 1, "slower: 6.1 ms an image against 3.0 ms")
    large = {"size_bytes": {"new": 18_000_000, "current": 9_000_000}}
    assert_kept(cloud, train(large, name="large"), 1, "larger: 18.0 MB against 9.0 MB")


def test_a_baseline_that_moved_meanwhile(
    cloud: LocalCloud, train: Train, zip_bytes: bytes, line: str
) -> None:
    train(name="first")
    slow = cloud.vms.work = QuickVm(hold=threading.Event())
    job = order(cloud, zip_bytes, line, "slow")
    turn_until(cloud, lambda: state(cloud.app, job).get("machine") == "running")
    assert_published(cloud, train(name="fast"), 2)
    assert slow.hold is not None
    slow.hold.set()
    record = run_until_closed(cloud, job)
    assert (record["gate"], record["baseline"]) == ("moved", 1)
    words = "it was compared with version 1, and meanwhile version 2 has become current"
    assert_kept(cloud, record, 2, words)


def test_a_class_that_goes_missing(cloud: LocalCloud, train: Train) -> None:
    three = ["ok", "dent", "点字 ブロック"]
    assert_published(cloud, train(classes=three, name="first"), 1)
    record = train(classes=["ok", "dent"], name="two")
    assert record["gate"] == "missing_class"
    assert_kept(cloud, record, 1, "it lacks class `点字 ブロック`, which the line has")
    assert current(cloud.app, record["request"]["line"])["breaking"] is False
    always = train(classes=["ok", "dent"], name="always", publish="always")
    assert always["breaking"] == 1
    assert_published(cloud, always, 2, "it lacks class `点字 ブロック`", "Breaking:")
    assert current(cloud.app, record["request"]["line"])["breaking"] is True
    # From now on the line has two; a third is welcome, and breaks nobody.
    assert_published(cloud, train(classes=["ok", "dent", "rust"], name="more"), 3)
    assert current(cloud.app, record["request"]["line"])["breaking"] is False


def test_what_the_message_says_is_done(cloud: LocalCloud, train: Train) -> None:
    never = train(name="never", publish="never")
    assert never["gate"] == "never"
    assert_kept(cloud, never, 0, 'as the message says ("publish":"never"): map 0.710 on 40 images')
    train(name="first")
    always = train({"new": 0.1}, name="always", publish="always")
    assert_published(cloud, always, 2, "map 0.100 against 0.600 of version 1 on 40 images")


def test_what_is_not_comparable_says_what_to_add(cloud: LocalCloud, train: Train) -> None:
    train(name="first")
    few = train({"images": 6}, name="few")
    assert few["gate"] == "not_comparable"
    words = "6 images that neither model was trained on, and 10 are needed; add at least 4 labelled"
    assert_kept(cloud, few, 1, words)
    why = {"current": None, "not_comparable": "the two share no class"}
    other = train(why, name="other")
    assert_kept(cloud, other, 1, "the two share no class")


@pytest.mark.parametrize("publish", ["if_better", "always"])
def test_older_scripts_that_measure_nothing(
    cloud: LocalCloud, zip_bytes: bytes, line: str, publish: str
) -> None:
    cloud.vms.work = QuickVm(change=lambda manifest: manifest.pop("gate"))
    first = run_until_closed(cloud, order(cloud, zip_bytes, line, "one", publish=publish))
    assert_published(cloud, first, 1)
    second = run_until_closed(cloud, order(cloud, zip_bytes, line, "two", publish=publish))
    if publish == "always":
        assert_published(cloud, second, 2)
    else:
        assert_kept(cloud, second, 1, "did not measure the two side by side")


def test_figures_that_cannot_be(cloud: LocalCloud, train: Train) -> None:
    record = train({"new": 71.2}, name="percent")
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "no_model")
    said = texts_about(cloud.app, record["job_id"])[-1]
    assert "gate.new must be a number from 0 to 1" in said
    assert current(cloud.app, record["request"]["line"]) == {}


def test_a_record_from_before_there_was_a_gate(
    cloud: LocalCloud, zip_bytes: bytes, line: str, train: Train
) -> None:
    """Its sender was told that what is complete is published."""
    train(name="first")
    vm = cloud.vms.work = QuickVm(
        hold=threading.Event(), change=lambda manifest: manifest.pop("gate")
    )
    job = order(cloud, zip_bytes, line, "former")
    turn_until(cloud, lambda: state(cloud.app, job).get("machine") == "running")
    blob = cloud.app.blobs_client.get_blob_client("jobs", f"record/{job}.json")
    record = json.loads(blob.download_blob().readall())
    assert record["request"].pop("publish") == "if_better"
    blob.upload_blob(json.dumps(record).encode(), overwrite=True)
    assert vm.hold is not None
    vm.hold.set()
    done = run_until_closed(cloud, job)
    assert (done["state"]["reason"], done["state"]["version"]) == ("published", 2)
    assert f"Published: line `{line}`, version 2. " in texts_about(cloud.app, job)[-1]


def test_links_to_what_is_compared_with(
    cloud: LocalCloud, zip_bytes: bytes, line: str, train: Train
) -> None:
    """The current model and the validation zip, when they are there; read only."""

    def links() -> dict[str, str]:
        assert isinstance(cloud.vms.work, QuickVm)
        return dict(cloud.vms.work.jobs[-1]["links"])

    train(name="first")
    assert not [name for name in links() if name.startswith(("current_", "validation"))]
    share = cloud.app.shares_client.get_share_client("train")
    share.get_directory_client("validation").create_directory()
    cloud.app.put_zip(f"validation/{line}.zip", zip_bytes)
    train(name="second")
    made = links()
    names = ("manifest.json", "model.xml", "model.bin", "labels.json", "split.json")
    for name, link in zip(names, ("manifest", "xml", "bin", "labels", "split"), strict=True):
        assert f"/model/{line}/1/{name}?" in made[f"current_{link}"]
    assert f"/train/validation/{line}.zip?" in made["validation_zip"]
    assert "sp=r&" in made["validation_zip"] + "&"
