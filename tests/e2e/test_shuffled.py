"""Annotations that belong to other pictures teach nothing, and the gate says so: real machines."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

from local import dataset
from local.cloud import LocalCloud
from tests.e2e.helpers import current, deliver, run_until_closed

REAL_S = 150.0
"""Real seconds that a real VM gets on a busy machine."""
LINE = "shuffled"


def trained(cloud: LocalCloud, job: str, pictures: list[dataset.Picture]) -> dict[str, Any]:
    """A job of the line, with a machine that trains; its record when it is closed."""
    cloud.app.put_zip(f"{job}.zip", dataset.make_zip(pictures))
    message = {"v": 1, "action": "train", "dataset": f"{job}.zip", "job_id": job, "line": LINE}
    deliver(cloud.app, json.dumps(message | {"epochs": 12}))
    return run_until_closed(cloud, job, deadline_s=REAL_S)


def test_shuffled_labels_are_kept_without_and_with_a_current_model(cloud: LocalCloud) -> None:
    cloud.vms.work = None
    right = dataset.make_pictures(60, seed=5)
    boxes = [picture.boxes for picture in right]
    random.Random(5).shuffle(boxes)
    wrong = [replace(p, boxes=b) for p, b in zip(right, boxes, strict=True)]

    record = trained(cloud, "guessing", wrong)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("succeeded", "gate")
    assert record["gate"] == "floor", record["gate_note"]
    assert cloud.app.blob("model", f"{LINE}/current.json") is None

    record = trained(cloud, "knowing", right)
    assert record["state"]["reason"] == "published", record["gate_note"]

    record = trained(cloud, "guessing-again", wrong)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("succeeded", "gate")
    assert record["gate"] in ("floor", "tie", "worse"), record["gate_note"]
    assert current(cloud.app, LINE)["job_id"] == "knowing"
