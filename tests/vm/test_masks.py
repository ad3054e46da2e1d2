"""Instance segmentation: outlines, masks in their boxes, mask mAP, predict.py, an attempt."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle
from retrain.dataset import Sample
from retrain.detection import Found
from retrain.inference import Segmenter
from retrain.readers.raw import RawImage
from retrain.tasks import TASKS, Wrong
from retrain.tasks.instance_segmentation import InstanceSegmentation

from tests.vm import fixtures, graphs, stub
from tests.vm.conftest import SCRIPTS, report_of, run_python
from tests.vm.test_run import OUT, scripts_with

TASK = InstanceSegmentation()
FULL = np.ones((1, 28, 28))


def test_a_full_mask_fills_its_box(tmp_path: Path) -> None:
    graphs.instances(tmp_path, (100, 100), [[20, 20, 60, 60, 0.9]], [1], FULL)
    found = Segmenter(tmp_path / "model.xml")(np.zeros((200, 400, 3), np.uint8))
    assert found.boxes.tolist() == [[80, 40, 240, 120]]
    assert (found.labels.tolist(), found.scores[0]) == ([1], pytest.approx(0.9))
    mask = rle.decode((found.masks or [])[0])
    assert mask.shape == (200, 400)
    wanted = np.zeros((200, 400), bool)
    wanted[40:120, 80:240] = True
    assert (mask & wanted).sum() / (mask | wanted).sum() > 0.99


def test_a_mask_ends_where_its_cells_are_half_sure(tmp_path: Path) -> None:
    """Left half of the box surely, right half not: the edge is in the middle. Out of the picture:
    nothing."""
    half = np.zeros((2, 2, 2))
    half[:, :, 0] = 1
    boxes = [[20, 20, 60, 60, 0.9], [-40, -40, 40, 40, 0.8]]
    graphs.instances(tmp_path, (100, 100), boxes, [0, 0], half)
    found = Segmenter(tmp_path / "model.xml")(np.zeros((100, 100, 3), np.uint8))
    first, second = (rle.decode(mask) for mask in found.masks or [])
    assert first[40].tolist() == [0] * 20 + [1] * 20 + [0] * 60
    assert second.sum() == 0, "its left half is outside"


def sample(polygon: list[float], label: int = 0, size: tuple[int, int] = (100, 100)) -> Sample:
    """A picture with one outline."""
    xs, ys = polygon[0::2], polygon[1::2]
    box = [min(xs), min(ys), max(xs), max(ys)]
    return Sample("a", Path("a"), "0" * 64, size, [box], [label], [[polygon]])


def found(rectangle: tuple[int, int, int, int], score: float, label: int = 0) -> Found:
    """One rectangular mask on 100 x 100; its box is somewhere else, which must not matter."""
    mask = np.zeros((100, 100), np.uint8, order="F")
    x1, y1, x2, y2 = rectangle
    mask[y1:y2, x1:x2] = 1
    box = np.array([[0, 0, 3, 3]], float)
    return Found(box, np.array([score]), np.array([label]), [rle.encode(mask)])


def test_mask_map_by_hand() -> None:
    """IoU 0.8 with the one outline: right at 7 of 10 IoU steps."""
    square = sample([10, 10, 20, 10, 20, 20, 10, 20])
    measured = TASK.tally([found((10, 10, 20, 18), 0.9)], [square], 2).measured
    assert measured.value == pytest.approx(0.7)
    assert measured.also == {"map50": pytest.approx(1.0)}
    assert measured.per_class == [pytest.approx(0.7), None]
    assert TASK.tally([found((50, 50, 60, 60), 0.9)], [square], 2).measured.value == 0
    triangle = sample([10, 10, 30, 10, 10, 30])
    measured = TASK.tally([found((10, 10, 30, 30), 0.9)], [triangle], 1).measured
    assert measured.value <= 0.1, "a square is no triangle, though their boxes are the same"


def test_outlines_are_cut_at_the_edge_and_thin_ones_left_out() -> None:
    image = RawImage("a.png", "a.png", 100, 80)
    image.polygons = [
        ("dent", [[-10, 10, 50, 10, 50, 60]]),
        ("dent", [[10, 10, 10.2, 10, 10.2, 60]]),
        ("ok", [[1, 1, 2], [10, 10, 20, 10, 20, 30]]),
    ]
    told: list[str] = []
    (marked,) = TASK.marked([image], [(100, 80)], ["ok", "dent"], told.append)
    boxes, labels, polygons = marked
    assert labels == [1, 0]
    assert boxes == [[0, 10, 50, 60], [10, 10, 20, 30]]
    assert polygons == [[[0, 10, 50, 10, 50, 60]], [[10, 10, 20, 10, 20, 30]]]
    assert told == [
        "2 outlines reached outside their image and were cut at its edge",
        "1 outlines were narrower than 1 pixel inside their image and were left out",
    ]


def published(folder: Path, masks: np.ndarray) -> list[dict[str, object]]:
    """A model as it is published, and what it is expected to say of sample.png."""
    graphs.instances(folder, (64, 64), [[8, 8, 40, 40, 0.9], [1, 1, 9, 9, 0.2]], [1, 0], masks)
    classes = ["ok", "点字 ブロック"]
    (folder / "labels.json").write_text(json.dumps(classes, ensure_ascii=False), "utf-8")
    Image.new("RGB", (128, 96)).save(folder / "sample.png")
    shutil.copy(SCRIPTS / "retrain/predict.py", folder)
    answer = Segmenter(folder / "model.xml")(np.zeros((96, 128, 3), np.uint8))
    return TASK.expected(answer, 0.5, classes)


def test_predict_works_by_itself(tmp_path: Path) -> None:
    """As on an edge device: no package of ours, labels as typed, the model's own threshold."""
    expected = published(tmp_path, np.ones((2, 7, 7)))
    command = [sys.executable, "predict.py", "model.xml", "labels.json", "sample.png"]
    environment = {"PATH": os.environ["PATH"]}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    rows = json.loads(ran.stdout)
    assert [row["label"] for row in rows] == ["点字 ブロック"]
    assert rows[0]["box"] == pytest.approx([16, 12, 80, 60])
    assert rows[0]["area"] == expected[0]["area"] == pytest.approx(64 * 48, rel=0.01)
    TASK.agrees(tmp_path / "model.xml", np.zeros((1, 1, 3), np.uint8), expected, 0.5, [])


@pytest.mark.parametrize("change", ["area", "label", "none", "broken"])
def test_predict_that_disagrees_is_noticed(tmp_path: Path, change: str) -> None:
    expected = published(tmp_path, np.ones((2, 7, 7)))
    if change == "area":
        expected[0]["area"] = 1000
    elif change == "label":
        expected[0]["label"] = "ok"
    elif change == "none":
        expected.clear()
    else:
        (tmp_path / "predict.py").write_text("print('nothing')")
    with pytest.raises(Wrong, match=r"predict\.py"):
        TASK.agrees(tmp_path / "model.xml", np.zeros((1, 1, 3), np.uint8), expected, 0.5, [])


# --- a whole attempt ---------------------------------------------------------------------------

CODE = """
import numpy as np
from retrain import checkpoints
from trainers.puppet import graphs
answer = {"status": "ok", "trainer": {"name": "puppet", "version": "1"}, "warnings": []}
if job["step"] == "train":
    rows = read_json(Path(job["data"]))
    assert all(len(r["polygons"]) == len(r["boxes"]) == 1 for r in rows["train"] + rows["val"])
    identity = {"job_id": job["job_id"], "attempt": job["attempt"]}
    checkpoints.save(out, identity, b"last", b"best", 1, 1, METRIC)
    history = [{"epoch": 1, "loss": 1.0, "map": METRIC}]
    answer |= {"metrics": {"history": history}, "epochs_done": 1, "best_epoch": 1}
else:
    graphs.instances(out, (160, 120), [[20, 20, 120, 100, 0.9]], [0], np.ones((1, 28, 28)))
    answer["ir"] = {"xml": "model.xml", "bin": "model.bin", "input": "image",
                    "network_size": [120, 160], "threshold": 0.5, "min_openvino": "2024.6"}
write_json(out / "result.json", answer)
"""
OUTLINE = '<polygon label="点字 ブロック" points="40,40;240,40;240,200;40,200" z_order="0"/>'


def outlined(folder: Path) -> None:
    """12 pictures with the same outline in each."""
    made = fixtures.kinds(12, ("点字 ブロック",))
    for picture in made:
        picture.tags = []
    extra = {picture.name: OUTLINE for picture in made}
    fixtures.cvat_zip(folder / "a.zip", classes=("点字 ブロック",), items=made, extra=extra)


def tree_with(folder: Path, metric: float) -> Path:
    """The scripts with a trainer whose model says the same of each picture."""
    tree = scripts_with(folder, CODE.replace("METRIC", str(metric)))
    shutil.copy(graphs.__file__, tree / "trainers/puppet/graphs.py")
    return tree


@pytest.mark.parametrize("linked", [True, False])
def test_a_whole_attempt(tmp_path: Path, linked: bool) -> None:
    outlined(tmp_path)
    with stub.Server() as cloud:
        links = stub.shown_links(cloud)
        if linked:
            links["out_predict"] = cloud.link(OUT + "predict.py", "cw")
        document = stub.job_document(
            cloud, tmp_path / "a.zip", task="instance_segmentation", trainer="puppet", links=links
        )
        home = stub.write_home(tmp_path / "home", document)
        assert run_python(home, tree_with(tmp_path, 1.0)) == 0, report_of(home)
        assert cloud.faults == []
        manifest = json.loads(cloud.blobs[OUT + "manifest.json"])
        names = [entry["name"] for entry in manifest["files"]]
        assert ("predict.py" in names) == (OUT + "predict.py" in cloud.blobs) == linked
        assert manifest["metrics"]["primary"] == "map"
        assert manifest["metrics"]["value"] == pytest.approx(1.0)
        assert manifest["gate"]["new"] == pytest.approx(1.0)
        assert manifest["sample"]["expected"][0]["label"] == "点字 ブロック"
        assert manifest["sample"]["expected"][0]["area"] == pytest.approx(200 * 160, rel=0.01)
        assert [output["name"] for output in manifest["io"]["outputs"]] == [
            "boxes", "labels", "masks",
        ]  # fmt: skip
        for name in stub.SHOWN.values():
            assert f"/file/logs/job-a/{name}" in cloud.files
        assert json.loads((home / "work/out/result.json").read_text())["warnings"] == []


def test_a_mask_model_that_is_not_what_was_trained(tmp_path: Path) -> None:
    outlined(tmp_path)
    with stub.Server() as cloud:
        document = stub.job_document(
            cloud, tmp_path / "a.zip", task="instance_segmentation", trainer="puppet"
        )
        home = stub.write_home(tmp_path / "home", document)
        assert run_python(home, tree_with(tmp_path, 0.7)) == 4
        report = report_of(home)
        assert report["stage"] == "verify"
        assert "scores mask mAP 1.000 where the trainer measured 0.700" in report["reason"]


def test_the_task_is_number_3() -> None:
    assert TASKS["instance_segmentation"].number == 3
