"""The new model beside the current one: on which images, by which names, within which time."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from retrain import job as jobs
from retrain import measure
from retrain.compare import Former, Side, gate, spread, unseen
from retrain.dataset import Dataset, Sample
from retrain.detection import Found
from retrain.failure import Failure
from retrain.files import sha256_file
from retrain.images import read_rgb
from retrain.job import Times
from retrain.link import Link
from retrain.stages.export import Exported
from retrain.stages.split import Split
from retrain.stages.train import Trained
from retrain.stages.verify import Verified, verify
from retrain.tasks import TASKS
from trainers.tiny import classification, data, detection, export, network, weights

from tests.vm import fixtures, stub
from tests.vm.test_classification import Bench as TagBench
from tests.vm.test_tiny import Bench as BoxBench

JAPANESE = "点字　ブロック 左"
CLASSES = ["ok", JAPANESE]


def of_classes(labels: list[int]) -> list[Sample]:
    """Tagged pictures; nobody opens them."""
    return [
        Sample(f"{n}", Path(f"{n}"), f"{n:064x}", (9, 9), [], [label])
        for n, label in enumerate(labels)
    ]


def chances(named: list[int], classes: int = 2) -> list[np.ndarray]:
    """Answers that name a class each."""
    return [np.eye(classes)[label] for label in named]


def block(
    true: list[int], new: list[int], current: list[int] | None, classes: list[str], **more: Any
) -> dict[str, Any]:
    """The block gate of a classifier that names ``new``."""
    samples, count = of_classes(true), len(classes)
    former = None
    if current is not None:
        side = Side(chances(current, count), 120, 3.0)
        former = Former(7, side, more.get("known", [True] * count), more.get("why"))
    own = Side(chances(new, count), 123, 3.1)
    return gate(TASKS["classification"], samples, classes, own, former, 1)


# --- the block -----------------------------------------------------------------------------------


def test_the_block_by_hand() -> None:
    true = [0] * 10 + [1] * 10
    new, current = [0] * 10 + [1] * 8 + [0] * 2, [0] * 10 + [1] * 5 + [0] * 5
    made = block(true, new, current, CLASSES)
    f1 = [2 * 10 / 22, 2 * 8 / 18]
    before = [2 * 10 / 25, 2 * 5 / 15]
    assert made == {
        "images": 20,
        "new": pytest.approx(np.mean(f1), abs=1e-6),
        "current": pytest.approx(np.mean(before), abs=1e-6),
        "current_version": 7,
        "difference_sd": made["difference_sd"],
        "floor": pytest.approx(0.5 + 2 * (0.25 / 20) ** 0.5, abs=1e-6),
        "latency_ms": {"new": 3.1, "current": 3.0},
        "size_bytes": {"new": 123, "current": 120},
        "per_class": [
            {"class": "ok", "images": 10, "new": round(f1[0], 6), "current": round(before[0], 6)},
            {"class": JAPANESE, "images": 10, "new": round(f1[1], 6), "current": 0.666667},
        ],
    }
    # 3 of 20 answers differ: the share of them has a standard deviation of 0.08.
    assert 0.05 < made["difference_sd"] < 0.12
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_the_same_seed_gives_the_same_spread() -> None:
    true, new = [0, 1] * 10, [0, 1] * 8 + [1, 0] * 2
    one, two = (block(true, new, [0] * 20, CLASSES)["difference_sd"] for _ in range(2))
    assert one == two
    assert (spread(20, 1) != spread(20, 2)).any()
    assert spread(20, 1).shape == (500, 20)
    assert (spread(20, 1).sum(axis=1) == 20).all()


def test_the_same_answers_do_not_differ() -> None:
    true, same = [0, 1] * 10, [0, 1] * 8 + [1, 0] * 2
    made = block(true, same, same, CLASSES)
    assert made["new"] == made["current"]
    assert made["difference_sd"] == 0


def test_first_model_of_a_line() -> None:
    made = block([0, 1] * 10, [0, 1] * 10, None, CLASSES)
    assert made["current"] is made["current_version"] is made["difference_sd"] is None
    assert made["latency_ms"]["current"] is made["size_bytes"]["current"] is None
    assert [row["current"] for row in made["per_class"]] == [None, None]
    assert "not_comparable" not in made


def test_a_class_that_the_current_model_does_not_know() -> None:
    """It scores 0 there, as on a device, and the row has no figure to lose."""
    true = [0] * 10 + [1] * 10 + [2] * 10
    made = block(true, true, [0] * 10 + [1] * 10 + [0] * 10, [*CLASSES, "new"],
                 known=[True, True, False])  # fmt: skip
    assert made["new"] == 1
    assert made["current"] == pytest.approx((2 * 10 / 30 + 1) / 3, abs=1e-6)
    assert [row["current"] for row in made["per_class"]] == [round(2 / 3, 6), 1.0, None]


def test_fewer_than_10_images_are_not_compared() -> None:
    made = block([0, 1] * 4 + [0], [0] * 9, [1] * 9, CLASSES)
    assert made["current"] is made["difference_sd"] is None
    assert made["not_comparable"] == (
        "9 validation images that neither model was trained on, 10 are needed"
    )
    assert "not_comparable" not in block([0, 1] * 5, [0] * 10, [1] * 10, CLASSES)
    assert block([], [], [], CLASSES)["images"] == 0


def test_the_floor_is_never_out_of_reach() -> None:
    made = block([0] * 19 + [1], [0] * 20, None, CLASSES)
    assert made["floor"] == 0.95


def test_images_that_a_model_was_trained_on_are_not_counted() -> None:
    samples = of_classes([0, 1, 0])
    assert unseen(samples, frozenset({samples[1].sha256})) == [samples[0], samples[2]]


# --- trainings that differ by chance, and those that do not --------------------------------------


def test_models_that_err_by_chance_alone_are_hardly_ever_better() -> None:
    """300 pairs of models that are right 4 times of 5, each on its own images: about one in
    twenty is taken for better."""
    random = np.random.default_rng(4)
    true = np.array([0, 1] * 30)

    def named() -> list[int]:
        return list(np.where(random.uniform(size=60) < 0.8, true, 1 - true))

    better = 0
    for _ in range(300):
        made = block(list(true), named(), named(), CLASSES)
        better += made["new"] - made["current"] > max(0.01, 1.64 * made["difference_sd"])
    assert 4 <= better <= 27
    sure = block(list(true), list(true), named(), CLASSES)
    assert sure["new"] - sure["current"] > 1.64 * sure["difference_sd"]


def boxes_of(bench: BoxBench, out: str) -> list[Found]:
    """What the best epoch finds on the validation pictures, at the network's size."""
    params = weights.parse(detection, bench.snapshot(out).best).state.params
    pixels = [data.shrink(read_rgb(Path(row["path"]))) for row in bench.rows["val"]]
    return detection.detect(params, np.stack(pixels))


def drawn(bench: BoxBench) -> list[Sample]:
    """The validation pictures with their boxes, at the network's size."""
    scale = np.array([network.SIZE / 320, network.SIZE / 240] * 2)
    size = (network.SIZE, network.SIZE)
    return [
        Sample(row["path"], Path(row["path"]), f"{n:064x}", size,
               [list(np.array(box) * scale) for box in row["boxes"]], row["labels"])
        for n, row in enumerate(bench.rows["val"])
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> BoxBench:
    """Twice the same but for the seed, and once too short."""
    bench = BoxBench(tmp_path_factory.mktemp("trained"), 60, CLASSES)
    for out, seed, epochs in (("one", 2, 8), ("two", 3, 8), ("short", 2, 2)):
        assert bench.train(out, seed=seed, epochs=epochs)[0] == 0
    return bench


def compared(bench: BoxBench, new: str, current: str) -> dict[str, Any]:
    former = Former(1, Side(boxes_of(bench, current), 1, 1.0), [True, True])
    own = Side(boxes_of(bench, new), 1, 1.0)
    return gate(TASKS["detection"], drawn(bench), CLASSES, own, former, 1)


def test_chance_is_a_tie_and_a_better_model_is_not(trained: BoxBench) -> None:
    tie = compared(trained, "two", "one")
    assert abs(tie["new"] - tie["current"]) <= max(0.01, 1.64 * tie["difference_sd"])
    better = compared(trained, "one", "short")
    assert better["new"] - better["current"] > max(0.01, 1.64 * better["difference_sd"])
    worse = compared(trained, "short", "one")
    assert worse["new"] - worse["current"] < -1.64 * worse["difference_sd"]
    assert worse["difference_sd"] == better["difference_sd"]


def mixed(rows: list[dict[str, Any]], *keys: str) -> None:
    """Give annotations to the wrong pictures."""
    shuffled = [{key: row[key] for key in keys} for row in rows]
    random.Random(3).shuffle(shuffled)
    for row, other in zip(rows, shuffled, strict=True):
        row |= other


def test_shuffled_labels_stay_below_the_floor(tmp_path: Path) -> None:
    tags = TagBench(tmp_path / "tags", 80)
    mixed(tags.rows["train"] + tags.rows["val"], "labels")
    assert tags.train("out", epochs=4)[0] == 0
    params = tags.best("out").state.params
    pixels = np.stack([data.shrink(read_rgb(Path(row["path"]))) for row in tags.rows["val"]])
    samples = of_classes([row["labels"][0] for row in tags.rows["val"]])
    side = Side(list(classification.classify(params, pixels)), 1, 1.0)
    made = gate(TASKS["classification"], samples, CLASSES, side, None, 1)
    assert made["new"] < made["floor"] < 0.75
    boxes = BoxBench(tmp_path / "boxes", 40, CLASSES)
    mixed(boxes.rows["train"] + boxes.rows["val"], "labels", "boxes")
    assert boxes.train("out", epochs=4)[0] == 0
    own = Side(boxes_of(boxes, "out"), 1, 1.0)
    made = gate(TASKS["detection"], drawn(boxes), CLASSES, own, None, 1)
    assert made["new"] < made["floor"] == 0.05


# --- the stage -----------------------------------------------------------------------------------


class Blobs:
    """Answers for links, by the last part of their path."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    def read(self, link: Link) -> bytes | None:
        return self.content.get(repr(link).rsplit("/", 1)[1])


@dataclass
class Stage:
    """The stage verify on a trained model: what the stages before it left, and the current model
    where ``links`` name one."""

    folder: Path
    bench: BoxBench
    out: Path = field(init=False)
    blobs: Blobs = field(default_factory=Blobs)
    warnings: list[str] = field(default_factory=list)
    learned: frozenset[str] = frozenset()
    current_told: bool = True
    parent_told: bool = True
    warm: bool = False
    metric: float | None = None
    reserve_s: float = 600.0

    def __post_init__(self) -> None:
        self.out = self.folder / "work/out"
        self.out.mkdir(parents=True)

    def write(self, folder: Path, out: str, classes: list[str]) -> float:
        """A training's model into ``folder``; its score as the trainer measured it."""
        progress = weights.parse(detection, self.bench.snapshot(out).best)
        export.write("detection", progress.state.params, classes, 0.3, folder)
        (folder / "labels.json").write_text(json.dumps(classes, ensure_ascii=False), "utf-8")
        return float(progress.best()["map"])

    def current(self, out: str, classes: list[str], **changes: Any) -> None:
        """Make a training's model the line's current one."""
        place = self.folder / "former"
        place.mkdir()
        self.write(place, out, classes)
        names = ("model.xml", "model.bin", "labels.json")
        files = [{"name": name, "sha256": sha256_file(place / name)} for name in names]
        size = {"network_size": [network.SIZE, network.SIZE]}
        manifest = {"task": "detection", "files": files, "io": {"input": size, "threshold": 0.3}}
        self.blobs.content["manifest.json"] = json.dumps(manifest | changes).encode()
        for name in names:
            self.blobs.content[name] = (place / name).read_bytes()

    def samples(self) -> list[Sample]:
        return [
            Sample(Path(row["path"]).name, Path(row["path"]), sha256_file(Path(row["path"])),
                   (320, 240), row["boxes"], row["labels"])
            for row in self.bench.rows["val"]
        ]  # fmt: skip

    def run(self, out: str, classes: list[str] = CLASSES, **changes: Any) -> Verified:
        trained = self.write(self.out, out, classes)
        cloud = stub.Cloud(url="http://cloud")
        zip_path = self.folder / "a.zip"
        zip_path.write_bytes(b"zip")
        links = stub.current_links(cloud, "/line/") if self.blobs.content else {}
        document = stub.job_document(cloud, zip_path, links=links, **changes)
        val = self.samples()
        metric = trained if self.metric is None else self.metric
        results: dict[type, object] = {
            Exported: Exported("image", [network.SIZE, network.SIZE], 0.3, "2024.6"),
            Dataset: Dataset("test", classes, val),
            Split: Split(
                [], val, val, val, True, self.learned, self.current_told, self.parent_told
            ),
            Trained: Trained(b"", metric, 1, 1, [], {"name": "tiny"}, 1.0, self.warm),
        }
        times = Times(0, 0, 4e9, 4e9 + self.reserve_s, 5e9)
        context = SimpleNamespace(
            out=self.out, work=self.folder / "work", net=self.blobs, warn=self.warnings.append,
            log=logging.getLogger("test"), control=SimpleNamespace(times=times),
            result=results.__getitem__,
        )  # fmt: skip
        return verify(context, jobs.parse(document))  # type: ignore[arg-type]


@pytest.fixture
def stage(tmp_path: Path, trained: BoxBench) -> Stage:
    return Stage(tmp_path, trained)


def test_the_current_model_is_measured_by_the_names_of_its_classes(stage: Stage) -> None:
    """It has other numbers for the same classes, and one that is no more."""
    alone = stage.run("one")
    stage.current("one", CLASSES)
    same = stage.run("one", baseline=7)
    assert same.gate["current"] == same.gate["new"] == alone.gate["new"]
    assert same.gate["difference_sd"] == 0
    assert same.gate["current_version"] == 7
    assert [row["class"] for row in same.gate["per_class"]] == CLASSES
    assert all(row["current"] == row["new"] for row in same.gate["per_class"])
    assert stage.warnings == []


def test_classes_that_came_and_went(tmp_path: Path, trained: BoxBench) -> None:
    stage = Stage(tmp_path, trained)
    stage.current("one", ["gone", JAPANESE])
    made = stage.run("one", baseline=7).gate
    known = {row["class"]: row["current"] for row in made["per_class"]}
    news = {row["class"]: row["new"] for row in made["per_class"]}
    assert known == {"ok": None, JAPANESE: news[JAPANESE]}
    assert made["current"] == pytest.approx(news[JAPANESE] / 2, abs=1e-6)


def test_only_images_that_neither_model_was_trained_on(stage: Stage) -> None:
    everything = stage.run("one").gate
    assert everything["images"] == 18
    stage.learned = frozenset(sample.sha256 for sample in stage.samples()[:5])
    stage.current("short", CLASSES)
    made = stage.run("one", baseline=7).gate
    assert made["images"] == 13
    assert made["new"] != everything["new"]
    assert sum(row["images"] for row in made["per_class"]) < sum(
        row["images"] for row in everything["per_class"]
    )


def break_xml(stage: Stage) -> None:
    stage.current("one", CLASSES)
    document = json.loads(stage.blobs.content["manifest.json"])
    broken = stage.folder / "broken.xml"
    broken.write_text("<net/>")
    stage.blobs.content["model.xml"] = broken.read_bytes()
    document["files"][0]["sha256"] = sha256_file(broken)
    stage.blobs.content["manifest.json"] = json.dumps(document).encode()


def other_bytes(stage: Stage) -> None:
    stage.current("one", CLASSES)
    stage.blobs.content["model.bin"] = b"other"


def other_task(stage: Stage) -> None:
    stage.current("one", CLASSES, task="classification")


def no_common_class(stage: Stage) -> None:
    stage.current("one", ["a", "b"])


def no_longer_there(stage: Stage) -> None:
    stage.current("one", CLASSES)
    del stage.blobs.content["model.xml"]


def without_split(stage: Stage) -> None:
    stage.current("one", CLASSES)
    stage.current_told = False


def one_label_only(stage: Stage) -> None:
    """It loads, and says something impossible of the first image with the other class."""
    stage.current("one", CLASSES)
    stage.blobs.content["labels.json"] = b'["ok"]'
    document = json.loads(stage.blobs.content["manifest.json"])
    label = stage.folder / "labels.json"
    label.write_bytes(b'["ok"]')
    document["files"][2]["sha256"] = sha256_file(label)
    stage.blobs.content["manifest.json"] = json.dumps(document).encode()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (break_xml, "the current model cannot be loaded: RuntimeError"),
        (other_bytes, "the current model's model.bin is not what its manifest says"),
        (other_task, "the current model does classification, the new detection"),
        (no_common_class, "the current model knows none of the new model's classes"),
        (no_longer_there, "the current model is not there any more (current_xml)"),
        (without_split, "which images the current model was trained on is not known"),
        (one_label_only, "the current model cannot be used: Wrong"),
        (lambda stage: None, "this job was not given the current model"),
    ],
)
def test_a_current_model_that_cannot_be_compared(stage: Stage, how: Any, words: str) -> None:
    """The job goes on, with words."""
    how(stage)
    made = stage.run("one", baseline=7)
    assert made.gate["not_comparable"].startswith(words)
    assert made.gate["current"] is made.gate["difference_sd"] is None
    assert made.gate["current_version"] == 7
    assert made.gate["new"] > 0.2
    assert any(warning.startswith(words) for warning in stage.warnings)


@pytest.mark.parametrize("warm", [True, False])
def test_what_a_former_run_taught_is_unknown(stage: Stage, warm: bool) -> None:
    """It may have shown the new model what is judged; one that began anew owes it nothing."""
    stage.current("one", CLASSES)
    stage.parent_told, stage.warm = False, warm
    made = stage.run("one", baseline=7, continue_from="old").gate
    words = "which images `old`, from which the new model goes on, was trained on is not known"
    assert made.get("not_comparable") == (words if warm else None)
    assert (made["current"] is None) == warm


def test_unsure_answers_count(stage: Stage) -> None:
    """What the model finds below its threshold belongs to mAP, for both models."""
    stage.current("one", CLASSES)
    made = stage.run("one", baseline=7).gate
    trainers = max(
        row["map"] for row in weights.parse(detection, stage.bench.snapshot("one").best).history
    )
    assert made["new"] == pytest.approx(trainers, abs=0.005)
    assert made["current"] == pytest.approx(trainers, abs=0.005)


def test_another_score_than_the_trainers_is_refused(stage: Stage) -> None:
    stage.metric = stage.run("one").metrics["value"] + 0.07
    with pytest.raises(Failure, match=r"where the trainer measured .* \(allowed difference 0\.056"):
        stage.run("one")


def test_japanese_names_with_blanks_come_back_from_both(stage: Stage) -> None:
    made = stage.run("one")
    assert set(made.metrics["per_class"]) == set(CLASSES)
    assert {row["label"] for row in made.expected} <= set(CLASSES)
    document = json.loads((stage.out / "metrics.json").read_text("utf-8"))
    assert document["per_class"][JAPANESE] > 0.2
    # Model API answers by name: were they lost or mixed up, nothing would be right.
    assert document["model_api_value"] == pytest.approx(document["select_value"], abs=0.05)


# --- the time ------------------------------------------------------------------------------------


def times(until: float, deadline: float) -> Times:
    return Times(0, 0, until, deadline, deadline)


def test_half_of_the_reserve() -> None:
    assert measure.limit_s(times(1000, 1600), 900) == 300
    assert measure.limit_s(times(1000, 1600), 1400) == 100, "what is left, when training ran late"
    assert measure.limit_s(times(1000, 1600), 2000) == measure.LEAST_S


def clock(step: float) -> Iterator[float]:
    now = 0.0
    while True:
        now += step
        yield now


def test_a_seeded_sample_when_time_is_short(tmp_path: Path) -> None:
    samples = []
    for number, picture in enumerate(fixtures.pictures(20, size=(32, 24))):
        path = tmp_path / f"{number}.png"
        path.write_bytes(picture.png)
        samples.append(Sample(path.name, path, sha256_file(path), (32, 24), [], []))

    halves = [samples[::2], samples[1::2]]

    def asked(seed: int, until: float) -> set[Path]:
        ticks = clock(1.0)
        model = measure.Asked[int](lambda rgb: int(rgb.sum()))
        found = measure.ask([model], halves, seed, until, lambda: next(ticks))
        assert set(model.answers) == found
        return found

    assert asked(1, 100.0) == {sample.path for sample in samples}
    some = asked(1, 3.0)
    assert len(some) == 12
    assert [sum(sample.path in some for sample in half) for half in halves] == [6, 6]
    assert asked(1, 3.0) == some
    assert asked(2, 3.0) != some


def test_a_model_that_may_fail_is_given_up(tmp_path: Path) -> None:
    (path := tmp_path / "a.png").write_bytes(fixtures.pictures(1)[0].png)
    sample = Sample("a", path, sha256_file(path), (320, 240), [], [])

    def broken(_rgb: Any) -> int:
        raise RuntimeError("no")

    optional = measure.Asked[int](broken, optional=True)
    measure.ask([optional], [[sample], [sample]], 1, 1e9)
    assert str(optional.failed) == "no"
    with pytest.raises(RuntimeError):
        measure.ask([measure.Asked[int](broken)], [[sample]], 1, 1e9)
