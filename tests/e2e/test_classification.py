"""A classifier beside a detector: the same loop, and each task in a line of its own."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from local.arm import Timing
from local.cloud import App, LocalCloud
from tests.e2e.helpers import (
    corrected_line,
    current,
    deliver,
    line_of,
    refusal,
    result_text,
    run_until_closed,
    settle,
    slots,
    told_by_kind,
)
from tests.e2e.quick import QuickVm
from tests.vm import fixtures

TAGS, BOXES = "kinds.zip", "boxes.zip"
CLASSES = ("点字 ブロック", "dent")
REAL_S = 150.0
"""Real seconds that a real VM gets on a busy machine."""


def kept(app: App, line: str) -> dict[str, Any]:
    """All that devices of a line see, and what the handler knows of it."""
    models = {name: app.blob("model", name) for name in app.blobs("model", f"{line}/")}
    return {"line": line_of(app, line), "models": models}


@dataclass
class Told:
    """A cloud with a detector in line `default`, then a classifier in line `kinds`."""

    cloud: LocalCloud
    record: dict[str, Any]
    detector: dict[str, Any]

    @property
    def app(self) -> App:
        return self.cloud.app


@pytest.fixture(scope="module")
def told(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Run both once; every test looks at what they left."""
    folder = tmp_path_factory.mktemp("zips")
    fixtures.tag_zip(folder / TAGS, 40, CLASSES)
    fixtures.cvat_zip(folder / BOXES, 8, CLASSES)
    with LocalCloud(dist=dist) as cloud:
        cloud.arm.timing = Timing(accepted=0.02, running=0.05, delete=0.1)
        app = cloud.app
        for name in (TAGS, BOXES):
            app.put_zip(name, (folder / name).read_bytes())
        cloud.vms.work = QuickVm()
        deliver(app, f"{BOXES}:boxes")
        run_until_closed(cloud, "boxes")
        detector = kept(app, "default")
        cloud.vms.work = None
        message = {"dataset": TAGS, "job_id": "kinds", "task": "classification", "epochs": 6}
        deliver(app, json.dumps({"v": 1, "action": "train", "line": "kinds", **message}))
        record = run_until_closed(cloud, "kinds", deadline_s=REAL_S)
        cloud.vms.work = QuickVm()
        yield Told(cloud, record, detector)


def test_it_is_published_in_its_own_line(told: Told) -> None:
    app, state = told.app, told.record["state"]
    assert (state["outcome"], state["reason"], state["version"]) == ("succeeded", "published", 1)
    assert (state["machine"], state["model"], state["untold"]) == ("closed", "current", 0)
    assert line_of(app, "kinds")["task"] == "classification"
    pointer = current(app, "kinds")
    assert (pointer["version"], pointer["job_id"]) == (1, "kinds")
    assert (pointer["task"], pointer["classes"]) == ("classification", list(CLASSES))
    settle(told.cloud)
    assert slots(app)["holders"] == []
    assert told.cloud.recorder.leaks() == []


def test_the_detectors_line_is_as_it_was(told: Told) -> None:
    assert told.detector["line"]["task"] == "detection"
    assert told.detector["models"]
    assert kept(told.app, "default") == told.detector


def test_people_are_told_what_was_trained(told: Told) -> None:
    accepted, started, result = told_by_kind(told.app, "kinds")
    assert accepted.startswith(f"Job `kinds` is accepted: `{TAGS}`, classification, 6 epochs")
    assert "training has started" in started
    value = told.record["value"]
    assert result.startswith(f"Job `kinds` has succeeded: macro_f1 {value:.3f} on 12 validation")
    assert "Published: line `kinds`, version 1; it is the line's first model" in result
    assert ". The machine ran " in result
    assert "Classes: 点字 ブロック, dent" in result_text(told.app, TAGS)


def test_a_device_gets_the_class_in_three_lines(told: Told, tmp_path: Path) -> None:
    """On 30 pictures that had no part in the training, and on the published sample."""
    import openvino
    from model_api.models import Model

    for name in ("model.xml", "model.bin", "labels.json", "sample.png", "manifest.json"):
        data = told.app.blob("model", f"kinds/1/{name}")
        assert data is not None, name
        (tmp_path / name).write_bytes(data)
    labels = json.loads((tmp_path / "labels.json").read_text(encoding="utf-8"))
    model = Model.create_model(str(tmp_path / "model.xml"), configuration={"labels": labels})
    plain = openvino.Core().compile_model(tmp_path / "model.xml", "CPU")
    right = 0
    others = fixtures.kinds(30, CLASSES, seed=99, size=(200, 150))
    for picture in others:
        rgb = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB"))
        named = model(rgb).top_labels[0].name
        assert named == labels[int(plain(rgb[None])["scores"][0].argmax())]
        right += named == picture.tags[0]
    assert right >= 0.9 * len(others)
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["metrics"]["primary"] == "macro_f1"
    assert manifest["metrics"]["value"] == pytest.approx(told.record["value"])
    assert manifest["metrics"]["value"] > 0.9
    (expected,) = manifest["sample"]["expected"]
    best = model(np.asarray(Image.open(tmp_path / "sample.png"))).top_labels[0]
    assert (best.name, best.confidence) == (
        expected["label"],
        pytest.approx(expected["score"], abs=1e-3),
    )


SENT_ASTRAY = [
    (
        {"dataset": BOXES, "job_id": "astray-boxes", "line": "kinds"},
        "line `kinds` carries classification models and this job is for detection",
        "kinds-detection",
    ),
    (
        {"dataset": TAGS, "job_id": "astray-tags", "task": "classification"},
        "line `default` carries detection models and this job is for classification",
        "default-classification",
    ),
]


@pytest.mark.parametrize(("message", "words", "line"), SENT_ASTRAY, ids=["boxes", "tags"])
def test_a_job_sent_to_the_other_tasks_line(
    told: Told, message: dict[str, Any], words: str, line: str
) -> None:
    cloud, app = told.cloud, told.app
    before = kept(app, "kinds")
    _, record = refusal(app, deliver(app, json.dumps(message)))
    assert record["state"]["outcome"] == "rejected"
    answer = next(text for text in reversed(app.slack()) if words in text)
    assert "E19" in answer
    corrected = corrected_line(answer)
    deliver(app, corrected)
    record = run_until_closed(cloud, json.loads(corrected)["job_id"])
    assert (record["state"]["outcome"], record["state"]["version"]) == ("succeeded", 1)
    assert current(app, line)["task"] == record["request"]["task"]
    assert kept(app, "kinds") == before
    assert kept(app, "default") == told.detector


def test_instance_segmentation_is_refused(told: Told) -> None:
    app = told.app
    _, record = refusal(app, deliver(app, f"{TAGS}:masks:::20:3:1"))
    assert record["state"]["outcome"] == "rejected"
    answer = app.slack()[-1]
    assert "instance_segmentation cannot be trained here: the trainer `tiny` does" in answer
