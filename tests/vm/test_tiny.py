"""The tiny trainer: it learns, continues, and the graph it writes is the network it trained."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from retrain import checkpoints
from retrain.checkpoints import Snapshot
from retrain.files import read_json, sha256_of, write_json
from retrain.images import read_rgb
from retrain.inference import Detector, detect_by_model_api
from trainers import program
from trainers.tiny import __main__ as tiny
from trainers.tiny import data, detection, export, learn, network, weights

from tests.vm import fixtures

CLASSES = ["ok", "dent"]


class Bench:
    """Train jobs on generated pictures."""

    def __init__(self, folder: Path, count: int = 16, classes: list[str] | None = None) -> None:
        self.folder = folder
        self.classes = classes or CLASSES
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for picture in fixtures.pictures(count, self.classes, seed=4):
            path = folder / picture.name
            path.write_bytes(picture.png)
            labels = [self.classes.index(shape.label) for shape in picture.shapes]
            boxes = [list(shape.box) for shape in picture.shapes]
            rows.append({"path": str(path), "boxes": boxes, "labels": labels})
        cut = count * 7 // 10
        self.rows = {"train": rows[:cut], "val": rows[cut:]}

    def train(self, out: str, **changes: Any) -> tuple[int, dict[str, Any]]:
        write_json(self.folder / "data.json", self.rows)
        job = {
            "v": 1,
            "step": "train",
            "job_id": "a",
            "attempt": 1,
            "task": "detection",
            "model": "tiny",
            "classes": self.classes,
            "epochs": 4,
            "seed": 1,
            "data": str(self.folder / "data.json"),
            "init_checkpoint": None,
            "train_until_s": 4e9,
            "out": str(self.folder / out),
        }
        return self.run({**job, **changes})

    def run(self, job: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        write_json(self.folder / "job.json", job)
        code = tiny.main(self.folder / "job.json")
        return code, read_json(Path(job["out"]) / "result.json")

    def snapshot(self, out: str) -> Snapshot:
        snapshot = checkpoints.load(self.folder / out, "a")
        assert snapshot is not None
        return snapshot


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "b")


def test_same_seed_same_weights(bench: Bench) -> None:
    for out in ("one", "two"):
        assert bench.train(out, epochs=2)[0] == 0
    bench.train("three", epochs=2, seed=2)
    one, two, three = (bench.snapshot(out).last for out in ("one", "two", "three"))
    assert one == two
    assert one != three


def test_continued_equals_uninterrupted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.train("whole")[0] == 0
    saves: list[int] = []
    real = checkpoints.save

    def cut(*arguments: Any) -> None:
        real(*arguments)
        saves.append(arguments[4])
        if len(saves) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save", cut)
    with pytest.raises(KeyboardInterrupt):
        bench.train("parts")
    assert bench.snapshot("parts").index["epoch"] == 2
    code, result = bench.train("parts")
    assert (code, saves, result["epochs_done"]) == (0, [1, 2, 3, 4], 4)
    whole, parts = bench.snapshot("whole"), bench.snapshot("parts")
    assert whole.last == parts.last
    assert whole.best == parts.best
    # Once all is done, one more start trains nothing and says the same.
    assert bench.train("parts")[1] == result
    assert len(saves) == 4


def test_warm_start_is_better_than_cold(bench: Bench) -> None:
    bench.train("former", epochs=12)
    former = bench.folder / "latest.pth"
    former.write_bytes(bench.snapshot("former").best)
    _, cold = bench.train("cold", epochs=1)
    code, warm = bench.train("warm", epochs=1, init_checkpoint=str(former))
    assert code == 0
    assert warm["warnings"] == []
    first, history = warm["metrics"]["history"][0], warm["metrics"]["history"]
    assert first["epoch"] == 0
    assert first["loss"] is None
    assert first["map"] == bench.snapshot("former").index["best"]["metric"]
    assert first["map"] > cold["metrics"]["map"]
    assert history[1]["loss"] < cold["metrics"]["history"][0]["loss"]


def test_rows_of_classes_are_matched_by_name() -> None:
    params = detection.fresh(2, 5)
    former = weights.dump(weights.Progress(detection, learn.State(params), ["red", "blue"]))
    warm = weights.warm(detection, former, ["blue", "green", "red"], 9)
    head = detection.FIXED_HEAD
    assert np.array_equal(warm["head.w"][:, head], params["head.w"][:, head + 1])
    assert np.array_equal(warm["head.w"][:, head + 2], params["head.w"][:, head])
    green = detection.fresh(3, 9)["head.w"][:, head + 1]
    assert np.array_equal(warm["head.w"][:, head + 1], green)
    assert np.array_equal(warm["head.w"][:, :head], params["head.w"][:, :head])
    assert np.array_equal(warm["conv1.w"], params["conv1.w"])


def damaged(kind: str) -> bytes:
    """A former checkpoint that cannot be used."""
    fresh = learn.State(detection.fresh(2, 1))
    good = weights.dump(weights.Progress(detection, fresh, CLASSES))
    if kind == "text":
        return b"not a checkpoint"
    if kind == "cut":
        return good[: len(good) // 2]
    if kind == "empty":
        return b""
    broken = detection.fresh(2, 1)
    if kind == "size":
        broken["conv0.w"] = np.zeros((3, 3), np.float32)
    if kind == "nan":
        broken["conv0.w"][0, 0] = np.nan
    return weights.dump(weights.Progress(detection, learn.State(broken), CLASSES))


@pytest.mark.parametrize("kind", ["text", "cut", "empty", "size", "nan"])
def test_unusable_checkpoint_is_a_cold_start(bench: Bench, kind: str) -> None:
    with pytest.raises(weights.Unusable):
        weights.parse(detection, damaged(kind))
    former = bench.folder / "latest.pth"
    former.write_bytes(damaged(kind))
    code, result = bench.train("out", epochs=1, init_checkpoint=str(former))
    assert code == 0
    assert len(result["warnings"]) == 1
    assert result["warnings"][0].startswith("former checkpoint not used, training from scratch")


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, meta=np.array([{"a": 1}], dtype=object))
    with pytest.raises(weights.Unusable):
        weights.parse(detection, path.read_bytes())


def test_out_of_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    code, result = bench.train("never", train_until_s=0)
    assert (code, result["status"]) == (5, "failed")
    assert checkpoints.load(bench.folder / "never", "a") is None
    clock = iter([0.0] * 6 + [10.0] * 100)
    monkeypatch.setattr(program.time, "time", lambda: next(clock))
    code, result = bench.train("some", train_until_s=5)
    assert code == 0
    assert result["out_of_time"]
    assert 1 <= result["epochs_done"] < 4


def test_bad_data(bench: Bench) -> None:
    bench.rows["val"] = []
    assert bench.train("out")[0] == 2
    bench = Bench(bench.folder / "x")
    Path(bench.rows["train"][0]["path"]).write_bytes(b"no picture")
    code, result = bench.train("out")
    assert code == 2
    assert "cannot be read" in result["reason"]


def test_shuffled_labels_score_low(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "b", 30)
    mixer = random.Random(3)
    for row in bench.rows["train"] + bench.rows["val"]:
        row["boxes"] = [
            [x, y, x + 60, y + 50]
            for x, y in ((mixer.uniform(0, 260), mixer.uniform(0, 190)) for _ in row["boxes"])
        ]
        row["labels"] = [mixer.randrange(2) for _ in row["labels"]]
    code, result = bench.train("out", epochs=8)
    assert code == 0
    assert result["metrics"]["map"] < 0.05


def test_export_refuses_what_it_cannot_use(bench: Bench) -> None:
    bad = bench.folder / "bad.pth"
    bad.write_bytes(b"x")
    job = {"v": 1, "step": "export", "task": "detection", "checkpoint": str(bad)}
    job["classes"] = CLASSES
    code, result = bench.run({**job, "out": str(bench.folder / "e")})
    assert code == 4
    assert "cannot be exported" in result["reason"]


def test_graph_equals_network_and_model_api_equals_graph(tmp_path: Path) -> None:
    """At several picture sizes, with class names Model API would split."""
    classes = ["点字 ブロック", "a b", "ok"]
    bench = Bench(tmp_path / "b", 20, classes)
    bench.train("out", epochs=8)
    params = weights.parse(detection, bench.snapshot("out").best).state.params
    export.write("detection", params, classes, 0.2, tmp_path)
    detector = Detector(tmp_path / "model.xml", [network.SIZE, network.SIZE])
    seen = 0
    for number, size in enumerate([(320, 240), (96, 96), (1280, 960), (57, 131), (640, 200)]):
        path = tmp_path / f"{number}.png"
        path.write_bytes(fixtures.draw("x", classes, 70 + number, size, at_least=2).png)
        rgb = read_rgb(path)
        by_graph = detector(rgb)
        by_numpy = detection.detect(params, data.shrink(rgb)[None])[0]
        scale = np.array([size[0] / network.SIZE, size[1] / network.SIZE] * 2)
        assert np.array_equal(by_graph.labels, by_numpy.labels)
        assert np.abs(by_graph.boxes / scale - by_numpy.boxes).max() < 1e-3
        assert np.abs(by_graph.scores - by_numpy.scores).max() < 1e-4
        api = detect_by_model_api(tmp_path / "model.xml", classes, rgb)
        sure = by_graph.scores > 0.2
        assert [row[0] for row in api] == [classes[i] for i in by_graph.labels[sure]]
        for (_, value, box), own, own_box in zip(
            api, by_graph.scores[sure], by_graph.boxes[sure], strict=True
        ):
            assert abs(value - own) < 1e-4
            assert np.abs(np.array(box) - own_box).max() <= 0.51
        seen += len(api)
    assert seen >= 8


def test_model_api_without_configuration(tmp_path: Path) -> None:
    """The three lines of an edge device that passes no labels: names have `_` for white space."""
    from model_api.models import Model

    labels = ["点字　ブロック", "ok"]
    export.write("detection", detection.fresh(2, 1), labels, 0.35, tmp_path)
    model = Model.create_model(str(tmp_path / "model.xml"))
    assert list(model.params.labels) == ["点字_ブロック", "ok"]
    assert model.params.confidence_threshold == pytest.approx(0.35)
    assert len(model(np.zeros((50, 60, 3), np.uint8))) == 0


def test_checkpoints_survive_a_cut_at_every_write(tmp_path: Path) -> None:
    identity = {"job_id": "a", "attempt": 1}
    checkpoints.save(tmp_path, identity, b"L1", b"B1", 1, 1, 0.1)
    checkpoints.save(tmp_path, identity, b"L2", None, 2, 1, 0.1)
    before = checkpoints.load(tmp_path, "a")
    assert before is not None
    assert (before.last, before.best) == (b"L2", b"B1")
    # Epoch 3 writes last, then best, then the index: without the index, epoch 2 still stands.
    (tmp_path / checkpoints.other_name("last", before.index["last"]["name"])).write_bytes(b"L3")
    (tmp_path / checkpoints.other_name("best", before.index["best"]["name"])).write_bytes(b"B3")
    assert checkpoints.load(tmp_path, "a") == before
    assert checkpoints.load(tmp_path, "other job") is None
    (tmp_path / before.index["best"]["name"]).write_bytes(b"B?")
    assert checkpoints.load(tmp_path, "a") is None


def test_plan_never_overwrites_what_the_index_names() -> None:
    place: dict[str, bytes] = {}
    index: dict[str, Any] | None = None
    for epoch, (last, best) in enumerate([(b"1", b"a"), (b"2", b"a"), (b"3", b"b"), (b"4", b"b")]):
        entry = {**checkpoints.entry("best.0.pth", best), "epoch": 1, "metric": 0.5}
        own = {"v": 1, "job_id": "a", "attempt": 1, "epoch": epoch, "best": entry}
        own["last"] = checkpoints.entry("last.0.pth", last)
        writes, new_index = checkpoints.plan(index, Snapshot(own, last, best))
        for name, content in writes:
            if index:
                assert name not in (index["last"]["name"], index["best"]["name"])
            place[name] = content
        index = new_index
        for kind, content in (("last", last), ("best", best)):
            assert sha256_of(place[index[kind]["name"]]) == index[kind]["sha256"]
            assert place[index[kind]["name"]] == content
    assert len(place) == 4
