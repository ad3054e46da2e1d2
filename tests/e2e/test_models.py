"""Which model is trained: by the former numbers, by name, and what each trainer can."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from local.cloud import LocalCloud
from tests.e2e.helpers import corrected_line, deliver, refusal, run_until_closed, texts_about
from tests.e2e.quick import QuickVm

ASKED: dict[str, tuple[dict[str, Any], tuple[str, str, int, bool], str]] = {
    "default": ({}, ("detection", "ssd_mobilenetv2", 256, True), "(ssd_mobilenetv2 at 256 x 256)"),
    "number": (
        {"dl_type": 1, "model_type": 3},
        ("classification", "mobilenet_v3_large", 0, True),
        "mobilenet_v3_large_075, is no longer to be had: the nearest, mobilenet_v3_large, is",
    ),
    "name": (
        {"model": "DEIM_dfine_m", "pretrained": False},
        ("detection", "deim_dfine_m", 0, False),
        "(deim_dfine_m, without public weights)",
    ),
    "masks": (
        {"task": "instance_segmentation", "model": 2},
        ("instance_segmentation", "maskrcnn_efficientnetb2b", 576, True),
        "(maskrcnn_efficientnetb2b at 576 x 576)",
    ),
}


def test_getitune_is_told_its_own_words(
    make_cloud: Callable[..., LocalCloud], zip_bytes: bytes
) -> None:
    cloud = make_cloud({"app": {"TRAINER": "getitune"}})
    app = cloud.app
    vm = cloud.vms.work = QuickVm()
    app.put_zip("a.zip", zip_bytes)
    for job, (fields, told, words) in ASKED.items():
        deliver(app, json.dumps({"dataset": "a.zip", "job_id": job, "line": job} | fields))
        record = run_until_closed(cloud, job)
        assert record["state"]["outcome"] == "succeeded"
        request = vm.jobs[-1]["request"]
        assert vm.jobs[-1]["trainer"] == "getitune"
        assert told == tuple(request[k] for k in ("task", "model", "input_size", "pretrained"))
        assert words in texts_about(app, job)[0]
    # A checkpoint goes on only in the model that made it.
    again = {"dataset": "a.zip", "job_id": "other", "line": "default", "continue_from": "default"}
    _, record = refusal(app, deliver(app, json.dumps(again | {"model": 2})))
    assert (
        "`default` is another kind of model (detection, ssd_mobilenetv2 at 256)"
        in (record["refused"])
    )
    deliver(app, json.dumps(again | {"model": 1, "epochs": 5}))
    assert run_until_closed(cloud, "other")["parent_name"] == "default"


@pytest.mark.parametrize(
    ("fields", "words", "task"),
    [
        ({"task": 3}, "instance_segmentation cannot be trained here: the trainer `tiny`", None),
        (
            {"task": 1, "model": "dino_v2"},
            "`dino_v2` cannot be trained here: the trainer `tiny` has one small model of its own",
            "classification",
        ),
    ],
)
def test_tiny_says_what_it_cannot(
    cloud: LocalCloud, zip_bytes: bytes, fields: dict[str, Any], words: str, task: str | None
) -> None:
    app = cloud.app
    name = f"tiny-{next(iter(fields.values()))}.zip"
    app.put_zip(name, zip_bytes)
    line = {"line": f"tiny-{fields['task']}"}
    _, record = refusal(app, deliver(app, json.dumps({"dataset": name} | line | fields)))
    assert words in record["refused"]
    assert "TRAINER to getitune" in record["refused"]
    meant = json.loads(corrected_line(app.slack()[-1]))
    assert meant["dataset"] == name
    assert "model" not in meant
    assert meant.get("task") == task
