"""The whole loop with a real VM: a message in, a model out, the machine gone; then a second run."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.storage.fileshare import ShareClient
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from local import dataset, model_check
from local.arm import Timing
from local.cloud import App, LocalCloud
from tests.e2e.helpers import (
    arm_calls,
    current,
    deliver,
    deployments,
    group_of,
    is_closed,
    line_of,
    result_text,
    run_until_closed,
    settle,
    slots,
    texts_about,
    told_by_kind,
    turn_until,
    wait_for,
)

ZIP = "annotated.zip"
LATER = "annotated-0502.zip"
FILES = {"model.bin", "model.xml", "labels.json", "split.json", "metrics.json", "sample.png"}
REAL_S = 150.0
"""Real seconds that a real VM gets on a busy machine."""


@dataclass
class Told:
    """A cloud in which one job has run with a real VM, and what was seen on the way."""

    cloud: LocalCloud
    job: str
    record: dict[str, Any]
    pictures: list[dataset.Picture]
    secret_names: set[str]

    @property
    def app(self) -> App:
        return self.cloud.app

    def model(self, name: str) -> bytes:
        data = self.app.blob("model", f"default/1/{name}")
        assert data is not None, name
        return data

    def log(self, name: str, job: str | None = None) -> bytes:
        data = self.app.file("logs", f"{job or self.job}/{name}")
        assert data is not None, name
        return data


@pytest.fixture(scope="module")
def told(dist: Path) -> Iterator[Told]:
    """Run the story once; every test looks at what it left."""
    with LocalCloud(dist=dist) as cloud:
        cloud.arm.timing = Timing(accepted=0.02, running=0.05, delete=0.3)
        app = cloud.app
        pictures = dataset.make_pictures(40, seed=7)
        share = ShareClient.from_connection_string(app.direct, "train")
        share.get_file_client(ZIP).upload_file(dataset.make_zip(pictures))
        queue = QueueClient.from_connection_string(
            app.direct, "js-queue-items", message_encode_policy=TextBase64EncodePolicy()
        )
        queue.send_message(ZIP)
        job = wait_for(lambda: app.markers(), what="the message is read")[0]
        # The upload is younger than 20 s: nothing may be ordered yet.
        wait_for(lambda: app.slack(), what="the receipt")
        assert not arm_calls(cloud, "PUT", ".")
        record = run_until_closed(cloud, job, deadline_s=REAL_S)
        yield Told(cloud, job, record, pictures, set(cloud.recorder.secrets))


def test_the_job_has_succeeded_and_is_closed(told: Told) -> None:
    state = told.record["state"]
    assert re.fullmatch(r"annotated-[0-9a-f]{8}", told.job)
    assert (state["machine"], state["model"]) == ("closed", "current")
    assert (state["outcome"], state["reason"], state["version"]) == ("succeeded", "published", 1)
    assert state["due"] == state["told"] == 15
    assert state["untold"] == 0


def test_everything_is_gone_and_given_back(told: Told) -> None:
    settle(told.cloud)
    assert slots(told.app) == {"v": 1, "holders": [], "waiting": []}
    line = line_of(told.app)
    assert (line["version"], line["task"], line["job_id"]) == (1, "detection", "")
    assert told.app.host.given_up == []


def test_one_deployment_made_one_machine_in_a_group_of_its_own(told: Told) -> None:
    assert len(told.cloud.vms.machines) == 1
    assert len(deployments(told.cloud, told.record["slug"])) == 1
    group = group_of(told.record)
    for call in told.cloud.recorder.select("arm"):
        named = re.search(r"(?i)/resourcegroups/([^/?]+)", call.url)
        assert named is None or named[1] == group
    made = arm_calls(told.cloud, "PUT", f"(?i)/resourcegroups/{group}\\?")
    tags = json.loads(made[0].request_body)["tags"]
    owner = told.record["owner"]
    assert tags == {"app": "retrain", "owner": owner, "job": told.job, "attempt": "1"}
    machine = told.cloud.vms.machines[0]
    assert set(machine.results) <= {"success"}  # its deletion may come before its last process ends


def test_the_record_precedes_the_first_write_to_azure(told: Told) -> None:
    every = told.cloud.recorder.exchanges
    put = [e for e in every if e.service == "arm" and e.method == "PUT"]
    record = [e for e in every if e.service == "blob" and f"/record/{told.job}.json" in e.url]
    created = next(e for e in record if e.method == "PUT" and e.status == 201)
    assert every.index(created) < every.index(put[0])


def test_the_model_lies_below_its_line_as_the_manifest_says(told: Told) -> None:
    app = told.app
    names = {name.removeprefix("default/1/") for name in app.blobs("model", "default/1/")}
    assert names == FILES | {"manifest.json"}
    below = {f"default/1/{n}" for n in names} | {"default/current.json"}
    assert set(app.blobs("model")) == below | {"model.bin", "model.xml"}
    for name in ("model.bin", "model.xml"):  # where devices of the former system look
        assert app.blob("model", name) == told.model(name)
    pointer = current(app)
    raw = told.model("manifest.json")
    assert pointer["version"] == 1
    assert pointer["job_id"] == told.job
    assert pointer["manifest_sha256"] == hashlib.sha256(raw).hexdigest()
    assert pointer["classes"] == list(dataset.CLASSES)
    manifest = json.loads(raw)
    assert {entry["name"] for entry in manifest["files"]} == FILES
    for entry in manifest["files"]:
        data = told.model(entry["name"])
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["size"], entry["sha256"])
    assert (manifest["job_id"], manifest["attempt"], manifest["line"]) == (told.job, 1, "default")
    assert manifest["baseline"] is None
    assert manifest["lineage"]["zip"] == ZIP
    assert manifest["lineage"]["images_train"] + manifest["lineage"]["images_val"] == 40
    assert manifest["metrics"]["value"] == pytest.approx(told.record["value"])


def unseen(told: Told) -> list[dataset.Picture]:
    """The pictures that the split kept for validation."""
    images = json.loads(told.model("split.json"))["images"]
    by_hash = {hashlib.sha256(p.png).hexdigest(): p for p in told.pictures}
    assert set(images) == set(by_hash)
    found = [by_hash[key] for key, entry in images.items() if entry["side"] == "val"]
    assert 8 <= len(found) <= 16
    return found


def test_the_model_finds_objects_by_model_api_and_by_plain_openvino(
    told: Told, tmp_path: Path
) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes(told.model(name))
    manifest = json.loads(told.model("manifest.json"))
    for score in (
        model_check.with_model_api(tmp_path, unseen(told)),
        model_check.with_openvino(tmp_path, unseen(told), manifest),
    ):
        assert score.there > 8
        assert score.recall >= 0.6
        assert score.precision >= 0.6


def test_the_snippet_of_the_readme_runs_as_printed(told: Told, tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    code = readme.split("```python\n", 1)[1].split("```", 1)[0]
    for name in ("model.xml", "model.bin", "labels.json", "sample.png"):
        (tmp_path / name).write_bytes(told.model(name))
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    expected = json.loads(told.model("manifest.json"))["sample"]["expected"]
    assert run.returncode == 0, run.stderr
    for answer in expected:
        assert answer["label"] in run.stdout


def test_the_sample_image_gets_the_expected_answer(told: Told, tmp_path: Path) -> None:
    import numpy as np
    from model_api.models import Model
    from PIL import Image

    for name in FILES:
        (tmp_path / name).write_bytes(told.model(name))
    labels = json.loads(told.model("labels.json"))
    model = Model.create_model(str(tmp_path / "model.xml"), configuration={"labels": labels})
    picture = np.asarray(Image.open(io.BytesIO(told.model("sample.png"))).convert("RGB"))
    answer = model(picture)
    expected = json.loads(told.model("manifest.json"))["sample"]["expected"]
    assert expected
    for want in expected:
        assert any(
            labels[int(label)] == want["label"]
            and np.allclose(box, want["box"], atol=2.0)
            and abs(float(score) - want["score"]) < 0.05
            for label, box, score in zip(answer.labels, answer.bboxes, answer.scores, strict=True)
        ), want


def test_logs_and_checkpoint_are_kept(told: Told) -> None:
    assert set(told.app.files("logs", told.job)) >= {
        "train.log",
        "metrics.json",
        "split.json",
        "result.json",
        "latest.pth",
        "ckpt.json",
    }
    checkpoint = json.loads(told.log("result.json"))["checkpoint"]
    data = told.log("latest.pth")
    assert checkpoint["sha256"] == hashlib.sha256(data).hexdigest()
    assert checkpoint["size"] == len(data)
    text = told.log("train.log").decode("utf-8")
    assert "epoch" in text.lower()
    assert json.loads(told.log("split.json"))["v"] == 1
    assert json.loads(told.log("split.json")) == json.loads(told.model("split.json"))


def test_slack_was_told_in_order(told: Told) -> None:
    accepted, started, result = told_by_kind(told.app, told.job)
    assert set(told.app.slack()) == set(texts_about(told.app, told.job))
    assert accepted.startswith(f"Job `{told.job}` is accepted: `{ZIP}`, detection, 20 epochs")
    assert "on a Standard_D8s_v4, at most 8 hours once started" in accepted
    begun = "training has started on a Standard_D8s_v4; the data is checked first."
    assert started == f"Job `{told.job}`: {begun}"
    value = told.record["value"]
    assert result.startswith(f"Job `{told.job}` has succeeded: map {value:.3f} on ")
    assert re.search(r", after (less than a minute|\d+ min)\. ", result)
    assert "Published: line `default`, version 1; it is the line's first model" in result
    assert ". The machine ran " in result
    assert re.search(r" min, about \$\d+\.\d\d\.$", result)


def test_the_annotator_finds_the_result_beside_the_zip(told: Told) -> None:
    text = result_text(told.app, ZIP)
    assert f"Job `{told.job}` has succeeded" in text
    assert "Classes: ok, dent" in text
    assert f"share logs, folder {told.job}" in text


def test_no_secret_is_seen_anywhere(told: Told) -> None:
    assert len(told.secret_names) >= 4
    assert told.cloud.recorder.leaks() == []
    blobs = [
        told.app.blob(box, name) or b"" for box in ("jobs", "model") for name in told.app.blobs(box)
    ]
    outside = [told.log(name) for name in told.app.files("logs", told.job)]
    for data in blobs + outside:
        assert b"sig=" not in data
        for secret in told.cloud.recorder.secrets.values():
            assert secret.encode() not in data


def test_a_second_job_goes_on_from_the_first(told: Told) -> None:
    """Runs last in this file: the line's version becomes 2."""
    cloud, app = told.cloud, told.app
    more = dataset.make_pictures(48, seed=7)  # the same 40, and 8 new ones
    assert [p.png for p in more[:40]] == [p.png for p in told.pictures]
    app.put_zip(LATER, dataset.make_zip(more))
    job = "second-run"
    wish = {"continue_from": "auto", "publish": "always"}  # whether it is better is chance
    deliver(app, json.dumps({"dataset": LATER, "job_id": job, "epochs": 5, **wish}))
    turn_until(cloud, lambda: is_closed(app, job), REAL_S, what=job)
    record = app.record(job)
    assert record is not None
    assert record["state"]["outcome"] == "succeeded", record
    assert record["state"]["version"] == 2
    assert f"going on from `{told.job}`" in next(t for t in app.slack() if f"`{job}` is acc" in t)

    manifest = json.loads(app.blob("model", "default/2/manifest.json") or b"{}")
    assert manifest["baseline"] == 1
    assert manifest["lineage"]["parent"] == told.job
    assert current(app)["version"] == 2
    assert (line_of(app)["version"], line_of(app)["job_id"]) == (2, "")
    assert {n for n in app.blobs("model") if n.startswith("default/1/")} == {
        f"default/1/{name}" for name in FILES | {"manifest.json"}
    }

    first = json.loads(told.log("split.json"))["images"]
    second = json.loads(told.log("split.json", job))["images"]
    assert set(first) < set(second)
    assert {key: entry["side"] for key, entry in first.items()} == {
        key: second[key]["side"] for key in first
    }
    assert b"warm start from the former checkpoint" in told.log("train.log", job)
    assert b"warm start" not in told.log("train.log")
    settle(cloud)
    assert cloud.recorder.leaks() == []
