"""Classification: tags in a zip, the tiny classifier, its graph, and whole attempts."""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from PIL import Image
from retrain import checkpoints
from retrain.classification import score
from retrain.images import read_rgb
from retrain.inference import Classifier, classify_by_model_api
from retrain.tasks import TASKS, Wrong
from trainers.tiny import classification, data, detection, export, learn, weights

from tests.vm import fixtures, stub
from tests.vm.bench import Bench as CheckBench
from tests.vm.conftest import CleanRun, report_of, run_python
from tests.vm.test_run import OUT, scripts_with
from tests.vm.test_tiny import Bench as TinyBench

FORMATS = "'CVAT for images 1.1' or 'Datumaro 1.0' or 'Pascal VOC 1.1' or 'ImageNet 1.0'"
CLASSES = ["ok", "dent"]


# --- the metric --------------------------------------------------------------------------------


def test_macro_f1_by_hand() -> None:
    true = np.array([0, 0, 0, 0, 1, 1])
    named = np.array([0, 0, 0, 1, 1, 2])
    result = score(named, true, 4)
    assert result.per_class == [pytest.approx(6 / 7), pytest.approx(0.5), None, None]
    assert result.macro_f1 == pytest.approx((6 / 7 + 0.5) / 2)
    assert result.accuracy == pytest.approx(4 / 6)


def test_macro_f1_at_its_ends() -> None:
    labels = np.array([0, 1, 2])
    assert score(labels, labels, 3).macro_f1 == score(labels, labels, 3).accuracy == 1.0
    assert score((labels + 1) % 3, labels, 3).macro_f1 == 0.0
    nothing = np.zeros(0, int)
    assert score(nothing, nothing, 2).per_class == [None, None]
    assert score(nothing, nothing, 2).macro_f1 == 0.0


# --- check -------------------------------------------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path) -> CheckBench:
    bench = CheckBench(tmp_path)
    bench.task = "classification"
    return bench


def test_tags(bench: CheckBench) -> None:
    made = fixtures.tag_zip(bench.zip, 6, ("点字 ブロック", "ok", "dent"))
    dataset = bench.check(["ok", "dent", "点字 ブロック"])
    assert dataset.classes == ["ok", "dent", "点字 ブロック"]
    assert [[dataset.classes[label] for label in s.labels] for s in dataset.samples] == [
        picture.tags for picture in made
    ]
    assert all(sample.boxes == [] for sample in dataset.samples)
    assert bench.warnings == []
    assert bench.check().classes == ["点字 ブロック", "ok", "dent"]


def test_the_same_tag_twice_is_one(bench: CheckBench) -> None:
    made = fixtures.kinds(4)
    made[1].tags *= 2
    fixtures.tag_zip(bench.zip, items=made)
    assert bench.check().samples[1].labels == [1]


def test_images_without_one_tag_are_counted_and_named(bench: CheckBench) -> None:
    made = fixtures.kinds(8)
    for index in (1, 2, 3, 5):
        made[index].tags.clear()
    fixtures.tag_zip(bench.zip, items=made)
    head = "each of the 8 images needs exactly one tag; "
    none = "4 have none: `kind_0001.png`, `kind_0002.png`, `kind_0003.png` and 1 more"
    assert bench.refused() == head + none
    made[6].tags.append("dent")
    fixtures.tag_zip(bench.zip, items=made)
    assert bench.refused() == f"{head}{none}; 1 have several: `kind_0006.png`"


def test_boxes_in_a_classification_job(bench: CheckBench) -> None:
    made = fixtures.kinds(6)
    made[0].shapes = [fixtures.Shape("ok", (10, 10, 50, 60)), fixtures.Shape("hole", (1, 1, 9, 9))]
    extra = {made[1].name: '<ellipse label="ok" cx="9" cy="9" rx="3" ry="3"/>'}
    fixtures.tag_zip(bench.zip, classes=("ok", "dent", "hole"), items=made, extra=extra)
    dataset = bench.check()
    assert dataset.classes == CLASSES, "a class that only boxes have is not this task's"
    assert bench.warnings == [
        "2 boxes were left out: only tags of whole images are trained on",
        "1 ellipses were left out (of class `ok` on `kind_0001.png`): "
        "only tags of whole images are trained on",
    ]
    assert bench.check(CLASSES).classes == CLASSES
    assert "class `hole` has 0 tags in 6 images; tag some images" in bench.refused(
        [*CLASSES, "hole"]
    )


def test_tags_in_a_detection_job(bench: CheckBench) -> None:
    made = fixtures.pictures(6)
    for picture in made:
        picture.tags = ["night"]
    fixtures.cvat_zip(bench.zip, classes=("ok", "dent", "night"), items=made)
    bench.task = "detection"
    dataset = bench.check()
    assert dataset.classes == CLASSES
    assert sum(dataset.per_class().values()) == sum(len(p.shapes) for p in made)
    assert bench.warnings == [
        "6 tags of whole images were left out: only upright boxes are trained on"
    ]


def test_only_the_other_kind_of_annotation(bench: CheckBench) -> None:
    boxes = sum(len(p.shapes) for p in fixtures.cvat_zip(bench.zip, 4))
    assert bench.refused() == (
        f"no annotations: 4 images and not one tag; for the {boxes} boxes in it "
        "send dl_type 2 (detection)"
    )
    bench.task = "detection"
    fixtures.tag_zip(bench.zip, 4)
    assert bench.refused() == (
        "no annotations: 4 images and not one box; for the 4 tags of whole images in it "
        "send dl_type 1 (classification)"
    )
    fixtures.tag_zip(bench.zip, items=[fixtures.Picture(p.name, p.png, p.size) for p in
                                       fixtures.kinds(3)])  # fmt: skip
    for task, mark in (("classification", "tag"), ("detection", "box")):
        bench.task = task
        assert bench.refused() == f"no annotations: 3 images and not one {mark}"


def test_coco_has_no_tags(bench: CheckBench) -> None:
    fixtures.coco_zip(bench.zip, 4)
    assert bench.refused() == f"COCO 1.0 has no tags; send {FORMATS} for classification"


def test_no_annotations_names_the_formats(bench: CheckBench) -> None:
    fixtures.no_annotations_zip(bench.zip)
    assert bench.refused().endswith(f"known here; export as {FORMATS}")


def test_classes_that_differ_or_are_too_few(bench: CheckBench) -> None:
    fixtures.tag_zip(bench.zip, 4)
    assert bench.refused(["ok", "scratch"]) == (
        "the classes of the message differ from those of the zip: "
        "only in the message: `scratch`; only in the zip: `dent`"
    )
    fixtures.tag_zip(bench.zip, 4, ("ok",))
    assert bench.refused() == "one class only (`ok`); classification needs at least 2"
    fixtures.tag_zip(bench.zip, classes=("ok", "dent", "hole"), items=fixtures.kinds(4))
    assert "class `hole` has 0 tags in 4 images; tag some" in bench.refused()


# --- the trainer -------------------------------------------------------------------------------


class Bench(TinyBench):
    """Train jobs on generated pictures of kinds."""

    def __init__(
        self, folder: Path, count: int = 16, classes: list[str] | None = None, seed: int = 4
    ) -> None:
        self.folder = folder
        self.classes = classes or CLASSES
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for picture in fixtures.kinds(count, self.classes, seed=seed):
            path = folder / picture.name
            path.write_bytes(picture.png)
            labels = [self.classes.index(picture.tags[0])]
            rows.append({"path": str(path), "boxes": [], "labels": labels})
        cut = count * 7 // 10
        self.rows = {"train": rows[:cut], "val": rows[cut:]}

    def train(self, out: str, **changes: Any) -> tuple[int, dict[str, Any]]:
        return super().train(out, **{"task": "classification", **changes})

    def best(self, out: str) -> weights.Progress:
        return weights.parse(classification, self.snapshot(out).best)


@pytest.fixture
def tags(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "b")


@pytest.mark.parametrize(
    ("classes", "count", "seed"), [(2, 40, 4), (2, 40, 5), (3, 40, 6), (5, 60, 7)]
)
def test_it_learns(tmp_path: Path, classes: int, count: int, seed: int) -> None:
    """Judged on 40 pictures that had no part in the training, not even in choosing the epoch."""
    names = [f"class {index}" for index in range(classes)]
    bench = Bench(tmp_path / "b", count, names, seed)
    code, result = bench.train("out", epochs=10)
    assert code == 0
    assert set(result["metrics"]) == {"macro_f1", "accuracy", "history"}
    others = fixtures.kinds(40, names, seed=seed + 50)
    pixels = [data.shrink(np.asarray(Image.open(io.BytesIO(p.png)))) for p in others]
    chances = classification.classify(bench.best("out").state.params, np.stack(pixels))
    true = np.array([names.index(p.tags[0]) for p in others])
    assert score(chances.argmax(1), true, classes).macro_f1 > 0.9


def test_shuffled_labels_score_low(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "b", 80)
    mixer = random.Random(3)
    rows = bench.rows["train"] + bench.rows["val"]
    labels = [row["labels"] for row in rows]
    mixer.shuffle(labels)
    for row, label in zip(rows, labels, strict=True):
        row["labels"] = label
    code, result = bench.train("out", epochs=4)
    assert code == 0
    # The best of 4 epochs by chance on 24 pictures; what is learnt is above 0.9.
    assert result["metrics"]["macro_f1"] < 0.75


def test_gradient_is_the_slope_of_the_loss() -> None:
    generator = np.random.default_rng(1)
    head = generator.normal(0, 2, (2, 16, 16, 3)).astype(np.float32)
    nothing = np.zeros((0, 4), np.float32)
    shown = [learn.Picture(np.zeros(0, np.float32), nothing, np.array([i])) for i in (2, 0)]
    _, gradient = classification.loss(head, shown)
    for place in [(0, 3, 4, 1), (1, 0, 15, 0), tuple(np.unravel_index(head.argmax(), head.shape))]:
        values = []
        for step in (-0.05, 0.05):
            moved = head.astype(np.float64)
            moved[place] += step
            values.append(classification.loss(moved, shown)[0])
        assert gradient[place] == pytest.approx((values[1] - values[0]) / 0.1, rel=1e-2, abs=1e-6)


def test_same_seed_same_weights(tags: Bench) -> None:
    for out, seed in (("one", 1), ("two", 1), ("three", 2)):
        assert tags.train(out, epochs=2, seed=seed)[0] == 0
    one, two, three = (tags.snapshot(out).last for out in ("one", "two", "three"))
    assert one == two
    assert one != three


def test_continued_equals_uninterrupted(tags: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tags.train("whole", epochs=3)[0] == 0
    real = checkpoints.save

    def cut(*arguments: Any) -> None:
        real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save", cut)
    with pytest.raises(KeyboardInterrupt):
        tags.train("parts", epochs=3)
    monkeypatch.setattr(checkpoints, "save", real)
    assert tags.snapshot("parts").index["epoch"] == 1
    assert tags.train("parts", epochs=3)[0] == 0
    assert tags.snapshot("whole").last == tags.snapshot("parts").last
    assert tags.snapshot("whole").best == tags.snapshot("parts").best


def test_warm_start_by_class_name(tmp_path: Path) -> None:
    former = classification.fresh(2, 5)
    old = weights.dump(weights.Progress(classification, learn.State(former), ["red", "blue"]))
    warm = weights.warm(classification, old, ["blue", "green", "red"], 9)
    green = classification.fresh(3, 9)
    for kind in ("head.w", "head.b"):
        assert np.array_equal(warm[kind][..., 0], former[kind][..., 1])
        assert np.array_equal(warm[kind][..., 1], green[kind][..., 1])
        assert np.array_equal(warm[kind][..., 2], former[kind][..., 0])
    bench = Bench(tmp_path / "b")
    bench.train("former", epochs=6)
    path = bench.folder / "latest.pth"
    path.write_bytes(bench.snapshot("former").best)
    code, result = bench.train("warm", epochs=1, init_checkpoint=str(path))
    assert (code, result["warnings"]) == (0, [])
    first = result["metrics"]["history"][0]
    assert (first["epoch"], first["loss"]) == (0, None)
    assert first["macro_f1"] == bench.snapshot("former").index["best"]["metric"]


def test_a_detectors_checkpoint_is_a_cold_start(tags: Bench) -> None:
    other = learn.State(detection.fresh(2, 1))
    path = tags.folder / "latest.pth"
    path.write_bytes(weights.dump(weights.Progress(detection, other, CLASSES)))
    code, result = tags.train("out", epochs=1, init_checkpoint=str(path))
    assert code == 0
    assert "it was made by another trainer ('tiny-1')" in result["warnings"][0]


def test_a_task_nobody_trains(tags: Bench) -> None:
    code, result = tags.train("out", task="instance_segmentation")
    assert (code, result["status"]) == (2, "failed")
    words = "trainer `tiny` does classification and detection, not instance_segmentation"
    assert result["reason"] == words


# --- the graph ---------------------------------------------------------------------------------


def test_graph_equals_network_and_model_api_equals_graph(tmp_path: Path) -> None:
    """At several picture sizes, with class names Model API would split."""
    classes = ["点字 ブロック", "a b", "ok"]
    bench = Bench(tmp_path / "b", 18, classes)
    bench.train("out", epochs=3)
    params = bench.best("out").state.params
    export.write("classification", params, classes, 0.0, tmp_path)
    classifier = Classifier(tmp_path / "model.xml")
    for number, size in enumerate([(320, 240), (96, 96), (1280, 960), (57, 131), (640, 200)]):
        path = tmp_path / f"{number}.png"
        path.write_bytes(fixtures.draw("x", classes, 70 + number, size).png)
        rgb = read_rgb(path)
        by_graph = classifier(rgb)
        by_numpy = classification.classify(params, data.shrink(rgb)[None])[0]
        assert np.abs(by_graph - by_numpy).max() < 1e-4
        label, value = classify_by_model_api(tmp_path / "model.xml", classes, rgb)
        assert label == classes[int(by_graph.argmax())]
        assert value == pytest.approx(by_graph.max(), abs=1e-6)


def test_model_api_without_configuration(tmp_path: Path) -> None:
    """The three lines of an edge device that passes no labels: names have `_` for white space."""
    from model_api.models import ClassificationModel, Model

    labels = ["点字　ブロック", "ok"]
    export.write("classification", classification.fresh(2, 1), labels, 0.0, tmp_path)
    model = Model.create_model(str(tmp_path / "model.xml"))
    assert isinstance(model, ClassificationModel)
    assert list(model.params.labels) == ["点字_ブロック", "ok"]
    assert not model.params.multilabel
    result = model(np.zeros((50, 60, 3), np.uint8))
    assert [label.name for label in result.top_labels] in (["点字_ブロック"], ["ok"])
    assert result.raw_scores.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([0.5, 0.2, 0.3], "gives 3 scores for 2 classes"),
        ([np.nan, 1.0], "not finite"),
        ([2.0, -1.0], "do not sum up to 1"),
        ([0.9, 0.9], "do not sum up to 1"),
    ],
)
def test_answers_that_are_impossible(answer: list[float], words: str) -> None:
    with pytest.raises(Wrong, match=words):
        TASKS["classification"].sane(np.array(answer), 2)


# --- whole attempts ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CleanRun]:
    """40 pictures, 8 epochs, a class with a blank in its name."""
    folder = tmp_path_factory.mktemp("kinds")
    made = fixtures.tag_zip(folder / "a.zip", 40, ("点字 ブロック", "dent"))
    with stub.Server() as cloud:
        document = stub.job_document(cloud, folder / "a.zip", task="classification", epochs=8)
        home = stub.write_home(folder / "home", document)
        code = run_python(home)
        assert code == 0, report_of(home)
        yield CleanRun(home, cloud, document, made, code)


def test_what_is_published(run: CleanRun) -> None:
    assert run.cloud.faults == []
    manifest = json.loads(run.published("manifest.json"))
    assert (manifest["task"], manifest["classes"]) == ("classification", ["点字 ブロック", "dent"])
    for entry in manifest["files"]:
        content = run.published(entry["name"])
        assert entry["size"] == len(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    metrics = manifest["metrics"]
    assert metrics["primary"] == "macro_f1"
    assert metrics["value"] > 0.9
    assert metrics["images"] == metrics["gate_images"] == metrics["select_images"] == 12
    assert set(metrics["per_class"]) == {"点字 ブロック", "dent"}
    assert np.mean(list(metrics["per_class"].values())) == pytest.approx(metrics["value"], abs=1e-5)
    document = json.loads(run.published("metrics.json"))
    assert document["accuracy"] > 0.9
    assert document["trainer_value"] == pytest.approx(document["select_value"], abs=1e-5)
    assert manifest["io"]["outputs"][0]["shape"] == [1, 2]
    assert manifest["io"]["threshold"] == 0
    counts = json.loads((run.out / "result.json").read_text())["counts"]
    assert counts["tags"] == {"点字 ブロック": 20, "dent": 20}
    assert (counts["images_train"], counts["images_val"]) == (28, 12)


def test_both_classes_are_on_both_sides_in_their_share(run: CleanRun) -> None:
    images = json.loads(run.published("split.json"))["images"]
    sides = [(images[hashlib.sha256(p.png).hexdigest()]["side"], p.tags[0]) for p in run.pictures]
    counts = {key: sides.count(key) for key in set(sides)}
    assert counts == {
        (side, label): count
        for side, count in (("train", 14), ("val", 6))
        for label in ("点字 ブロック", "dent")
    }


def test_published_model_is_right_without_us(run: CleanRun, tmp_path: Path) -> None:
    """Downloaded again: plain OpenVINO and Model API, all validation pictures and the sample."""
    from model_api.models import Model

    for name in ("model.xml", "model.bin", "sample.png", "labels.json"):
        (tmp_path / name).write_bytes(run.published(name))
    manifest = json.loads(run.published("manifest.json"))
    labels = json.loads((tmp_path / "labels.json").read_text())
    plain = ov.Core().compile_model(tmp_path / "model.xml", "CPU")
    assert plain.input(0).get_any_name() == manifest["io"]["input"]["name"]
    assert plain.input(0).get_partial_shape() == ov.PartialShape([1, -1, -1, 3])
    (output,) = manifest["io"]["outputs"]
    api = Model.create_model(str(tmp_path / "model.xml"), configuration={"labels": labels})
    images = json.loads(run.published("split.json"))["images"]
    named, true = [], []
    for picture in run.pictures:
        if images[hashlib.sha256(picture.png).hexdigest()]["side"] == "val":
            rgb = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB"))
            index = int(plain(rgb[None])[output["name"]][0].argmax())
            assert api(rgb).top_labels[0].name == labels[index]
            named.append(index)
            true.append(labels.index(picture.tags[0]))
    result = score(np.array(named), np.array(true), 2)
    assert result.macro_f1 == pytest.approx(manifest["metrics"]["value"], abs=1e-5)
    (expected,) = manifest["sample"]["expected"]
    best = api(np.asarray(Image.open(tmp_path / "sample.png"))).top_labels[0]
    assert best.name == expected["label"]
    assert best.confidence == pytest.approx(expected["score"], abs=1e-4)


def test_next_job_continues(run: CleanRun, tmp_path: Path) -> None:
    names = [("parent_checkpoint", "latest.pth"), ("parent_split", "split.json")]
    links = {key: run.cloud.link(f"/file/logs/job-a/{name}", "r") for key, name in names}
    new = fixtures.kinds(12, ("scratch", "dent", "点字 ブロック"), seed=8, pattern="new_{:02d}.png")
    classes = ("scratch", "点字 ブロック", "dent")
    fixtures.tag_zip(tmp_path / "b.zip", items=run.pictures[:14] + new, classes=classes)
    more: dict[str, Any] = {"job_id": "job-b", "continue_from": "job-a", "links": links}
    document = stub.job_document(
        run.cloud, tmp_path / "b.zip", task="classification", epochs=1, **more
    )
    home = stub.write_home(tmp_path / "home", document)
    assert run_python(home) == 0, report_of(home)
    assert "warm start" in (home / "state/train.log").read_text()
    before = json.loads(run.published("split.json"))["images"]
    after = json.loads(run.cloud.blobs["/blob/job-files/out/job-b/1/split.json"])["images"]
    assert len(after) == 52
    assert all(after[sha]["side"] == entry["side"] for sha, entry in before.items())


@pytest.fixture
def cloud() -> Iterator[stub.Cloud]:
    with stub.Server() as cloud:
        yield cloud
        assert cloud.faults == []


def refused(cloud: stub.Cloud, folder: Path, scripts: Path | None = None, **changes: Any) -> Any:
    """Run an attempt on folder/a.zip that must not offer a model; its report."""
    document = stub.job_document(cloud, folder / "a.zip", **{"epochs": 2, **changes})
    home = stub.write_home(folder / "home", document)
    code = run_python(home, scripts) if scripts else run_python(home)
    report = report_of(home)
    assert (report["status"], report["exit_code"]) == ("failed", code)
    assert OUT + "manifest.json" not in cloud.blobs
    return report


def test_the_wrong_task_for_the_zip(tmp_path: Path, cloud: stub.Cloud) -> None:
    fixtures.tag_zip(tmp_path / "a.zip", 8)
    report = refused(cloud, tmp_path)
    assert (report["stage"], report["exit_code"]) == ("check", 2)
    assert report["reason"].startswith("E17 zip `a.zip`: no annotations: 8 images and not one box")
    report = refused(cloud, tmp_path, task="instance_segmentation")
    assert report["stage"] == "check"
    assert "not one polygon; for the 8 tags of whole images" in report["reason"]
    report = refused(cloud, tmp_path, task="keypoints")
    assert report["stage"] == "check"
    assert report["reason"].startswith("`keypoints` is not trained here")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("index['best']['metric'] = 0.5", "scores macro F1 "),
        (None, "scores for 2 classes"),
    ],
)
def test_a_model_that_is_not_what_was_trained(
    tmp_path: Path, cloud: stub.Cloud, change: str | None, words: str
) -> None:
    """ckpt.json tells another score than the file has; the file has another number of classes."""
    code = f"""
code = tiny(path)
if job["step"] == "train" and {change is not None}:
    index = read_json(out / "ckpt.json"); {change or "pass"}
    index["best"]["metric"] -= 1
    write_json(out / "ckpt.json", index)
if job["step"] == "export" and {change is None}:
    from trainers.tiny import classification, export
    export.write("classification", classification.fresh(3, 1), ["a", "b", "c"], 0.0, out)
"""
    fixtures.tag_zip(tmp_path / "a.zip", 14)
    tree = scripts_with(tmp_path, code)
    report = refused(cloud, tmp_path, tree, task="classification", trainer="puppet")
    assert (report["stage"], report["exit_code"]) == ("verify", 4)
    assert words in report["reason"]
