"""The trainer getitune as far as it goes without torch: what it asks for, what it makes of it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from retrain import checkpoints
from retrain.images import read_rgb
from trainers.getitune import VERSION, data, machine, models, recipe, rows, sampling, weights
from trainers.getitune.progress import Progress
from trainers.program import Clock, Job, Refused

from tests.vm import fixtures
from tests.vm.conftest import ROOT

TABLE = ROOT / "handler" / "job" / "models.c"


# --- names ------------------------------------------------------------------------------------


def test_the_handlers_table_has_these_models_and_no_others() -> None:
    found = re.findall(r"\{TASK_(\w+), (\d+), \"(\w+)\", (\d+),", TABLE.read_text())
    assert len(found) > 10
    for task, _, name, size in found:
        models.find(task.lower(), name, int(size))
    assert {name for _, _, name, _ in found} == set(models.MODELS)


def test_a_size_is_the_models_own_or_fits_it() -> None:
    assert models.find("detection", "ssd_mobilenetv2", 384)[1] == (384, 384)
    assert models.find("detection", "atss_mobilenetv2", 0)[1] == (800, 992)
    assert models.find("detection", "deim_dfine_m", 640)[1] == (640, 640)
    assert models.find("classification", "dino_v2", 224)[1] == (224, 224)


@pytest.mark.parametrize(
    ("task", "name", "size", "words"),
    [
        ("detection", "efficientnet_b0", 0, "does not do detection; these do: ssd_mobilenetv2,"),
        ("detection", "ssd_mobilenetv2", 300, "a multiple of 32, for instance 288"),
        ("detection", "ssd_mobilenetv2", 4096, "for instance 2048"),
        ("detection", "deim_dfine_m", 320, "works at input_size 640 only"),
        ("anomaly", "padim", 0, "does classification, detection, instance_segmentation"),
    ],
)
def test_what_there_is_not_is_refused_in_words(task: str, name: str, size: int, words: str) -> None:
    with pytest.raises(models.Unknown, match=re.escape(words)):
        models.find(task, name, size)


# --- the recipe -------------------------------------------------------------------------------

BASE: dict[str, Any] = {
    "train_subset": {
        "batch_size": 64,
        "sampler": {
            "class_path": "getitune.data.samplers.balanced_sampler.BalancedSampler",
            "init_args": None,
        },
    }
}
RECIPE: dict[str, Any] = {
    "model": {"class_path": "x.Net", "init_args": {"model_name": "large", "label_info": 80}},
    "data": "../_base_/data/x.yaml",
    "callbacks": [{"class_path": "x.EarlyStopping"}, {"class_path": "x.ModelCheckpoint"}],
    "overrides": {"data": {"train_subset": {"augmentations_cpu": [1]}}},
}


def adapted(content: dict[str, Any], name: str = "mobilenet_v3_small") -> dict[str, Any]:
    return recipe.adapted(
        content, BASE, "/r/x.yaml", models.MODELS[name], (96, 64), machine.Loads(4, 2), False
    )


def test_the_copy_of_a_recipe_asks_for_what_the_job_asks_for() -> None:
    made = adapted(RECIPE)
    assert made["data"] == "/r/x.yaml"
    assert made["model"] == {
        "class_path": "trainers.getitune.networks.MobileNetV3",
        "init_args": {"model_name": "mobilenetv3_small", "label_info": 80, "pretrained": False},
    }
    own = made["overrides"]["data"]
    assert own["input_size"] == [96, 64]
    assert own["train_subset"]["augmentations_cpu"] == [1]
    for subset in recipe.SUBSETS:
        assert (own[subset]["batch_size"], own[subset]["num_workers"]) == (4, 2)
    assert own["train_subset"]["sampler"] == {"class_path": "trainers.getitune.sampling.Balanced"}
    assert RECIPE["model"]["init_args"] == {"model_name": "large", "label_info": 80}, "a copy"


def test_the_recipes_own_callbacks_stay_and_each_epoch_is_measured() -> None:
    paths = [entry["class_path"] for entry in adapted(RECIPE)["callbacks"]]
    assert paths == [recipe.SCHEDULING, "x.EarlyStopping", "x.ModelCheckpoint", *recipe.OWN]
    own = {"class_path": recipe.SCHEDULING, "init_args": {"max_interval": 5, "decay": -1}}
    scheduled = {**RECIPE, "callbacks": [own, *RECIPE["callbacks"]]}
    scheduled["overrides"] = {"callbacks": [own]}
    made = adapted(scheduled)
    for part in (made["callbacks"], made["overrides"]["callbacks"]):
        found = [entry for entry in part if entry["class_path"] == recipe.SCHEDULING]
        assert found == [
            {"class_path": recipe.SCHEDULING, "init_args": {"max_interval": 1, "decay": -1}}
        ]


def test_the_batch_is_the_recipes_at_most() -> None:
    assert recipe.batch_of(RECIPE, BASE) == 64
    own = {**RECIPE, "overrides": {"data": {"train_subset": {"batch_size": 8}}}}
    assert recipe.batch_of(own, BASE) == 8


@pytest.mark.parametrize(
    ("task", "cores", "gib", "images", "wanted", "side", "expected"),
    [
        ("detection", 2, 22, 42, 8, 320, (4, 0)),  # a small set has some steps in an epoch
        ("classification", 2, 22, 42, 64, 224, (16, 0)),  # and batches that tell something
        ("classification", 2, 22, 1000, 64, 224, (64, 0)),
        ("detection", 8, 30, 1000, 8, 864, (8, 4)),
        ("detection", 8, 7, 1000, 8, 1024, (2, 1)),  # little memory: small batches, few workers
        ("detection", 2, 2, 1000, 8, 864, (2, 0)),  # never below 2
        ("detection", 64, 250, 9000, 8, 512, (8, 8)),
    ],
)
def test_batches_and_workers_fit_the_machine(
    task: str, cores: int, gib: int, images: int, wanted: int, side: int, expected: tuple[int, int]
) -> None:
    here = machine.Machine(cores, gib << 30, gib << 30, "cpu")
    found = machine.loads(here, task, images, wanted, (side, side))
    assert (found.batch, found.workers) == expected


def test_memory_is_read_from_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 99 kB\nMemAvailable:   2048 kB\n")
    assert machine.main_memory(tmp_path / "meminfo") == 2 << 20
    assert machine.main_memory() > 1 << 20
    assert machine.cores() >= 1


@pytest.mark.parametrize("images", [1, 2, 8, 9, 16, 17])
def test_no_batch_is_of_one_picture(images: int) -> None:
    """9 pictures in batches of 8, or a set of one: batch normalisation needs two."""
    sampler = sampling._NeverAlone(list(range(images)), 8)
    indices = list(sampler)
    assert len(indices) == len(sampler) == images + (images % 8 == 1)
    assert set(indices) == set(range(images))
    assert len(indices) % 8 != 1


# --- data -------------------------------------------------------------------------------------


def test_pictures_that_readers_see_differently_are_written_as_rgb(tmp_path: Path) -> None:
    rgb = Image.fromarray(np.random.default_rng(1).integers(0, 255, (20, 30, 3)).astype(np.uint8))
    made = {}
    for name, image, more in (
        ("plain.jpg", rgb, {}),
        ("plain.png", rgb, {}),
        ("palette.png", rgb.convert("P"), {}),
        ("grey.png", Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30)), {}),
        ("clear.png", rgb.convert("RGBA"), {}),
        ("other.bmp", rgb, {}),
    ):
        image.save(tmp_path / name, **more)
        made[name] = data.plain(tmp_path / name, tmp_path, len(made))
    turn = Image.Exif()
    turn[data.EXIF_TURN] = 6
    rgb.save(tmp_path / "turned.jpg", exif=turn)
    made["turned.jpg"] = data.plain(tmp_path / "turned.jpg", tmp_path, len(made))
    for name, (path, size) in made.items():
        assert (path.name == name) == name.startswith("plain"), name
        seen = read_rgb(tmp_path / name)
        assert size == seen.shape[1::-1] == ((20, 30) if name == "turned.jpg" else (30, 20))
        with Image.open(path) as image:
            assert image.mode == "RGB"
            assert image.getexif().get(data.EXIF_TURN, 1) == 1
        assert np.array_equal(read_rgb(path), seen), name


def test_names_as_cvat_has_them_reach_the_set(tmp_path: Path) -> None:
    """Pictures in images/<subset>/, names with blanks and Japanese: the path is kept as it is."""
    folder = tmp_path / "images" / "default"
    folder.mkdir(parents=True)
    paths = [folder / name for name in ("写真 1.png", "b.png", "c.png")]
    for path in paths:
        path.write_bytes(fixtures.draw("x", ["a"], 1).png)
    rows = [{"path": str(p), "boxes": [[1, 2, 30, 40]], "labels": [0]} for p in paths]
    made = data.read({"train": rows[:2], "val": rows[2:]}, tmp_path / "own")
    assert [row.path for row in made] == paths
    assert [row.side for row in made] == ["train", "train", "val"]
    assert {row.size for row in made} == {(320, 240)}
    assert list((tmp_path / "own").iterdir()) == []


def test_parts_of_an_object_become_one_ring() -> None:
    one = [0.0, 0.0, 4.0, 0.0, 4.0, 4.0, 0.0, 4.0]
    two = [10.0, 10.0, 14.0, 10.0, 14.0, 14.0]
    assert data.ring([one]) == [(0, 0), (4, 0), (4, 4), (0, 4), (0, 0)]
    points = data.ring([one, two])
    assert points[0] == points[-1]
    x, y = np.array(points[:-1]).T
    following = np.roll(np.arange(len(x)), -1)
    area = abs((x * y[following] - x[following] * y).sum()) / 2
    assert area == 16 + 8, "the way from part to part has no area"


# --- rows of classes --------------------------------------------------------------------------


def test_rows_follow_the_names() -> None:
    """[red, blue] before, [blue, green, red] now."""
    now, before = ["blue", "green", "red"], ["red", "blue"]
    plain = rows.pairs(models.Rows(), (3, 4), now, before)
    assert sorted(plain) == [(0, 1), (2, 0)]
    last = rows.pairs(models.Rows(), (4, 5), now, before)
    assert sorted(last) == [(0, 1), (2, 0), (3, 2)]
    first = rows.pairs(models.Rows("first"), (4, 5), now, before)
    assert sorted(first) == [(0, 0), (1, 2), (3, 1)]
    corners = rows.pairs(models.Rows(), (12, 16), now, before)
    assert sorted(corners) == [(i, i + 4) for i in range(4)] + [(i + 8, i) for i in range(4)]
    behind = rows.pairs(models.Rows("first"), (16, 20), now, before)
    assert sorted(behind)[:4] == [(i, i) for i in range(4)]
    assert len(behind) == 12


def test_rows_by_anchor_follow_the_names() -> None:
    """Two anchors, each with its classes and the background behind them."""
    now, before = ["blue", "green", "red"], ["red", "blue"]
    found = rows.pairs(models.Rows(by_anchor=True), (8, 10), now, before)
    assert sorted(found) == [(0, 1), (2, 0), (3, 2), (4, 4), (6, 3), (7, 5)]


# --- epochs -----------------------------------------------------------------------------------


def job(folder: Path, task: str = "detection", **more: Any) -> Job:
    raw = {"job_id": "a", "attempt": 1, "task": task, "model": "m", "classes": ["x"], **more}
    return Job(raw, folder, [])


def test_the_best_epoch_is_kept_and_the_first_of_equals(tmp_path: Path) -> None:
    progress = Progress(job(tmp_path))

    def epoch(number: int, value: float) -> bool:
        better = progress.measured(number, 1.0, {"val/map": value, "val/map_50": 0.5, "more": 9})
        progress.keep(f"last {number}".encode(), f"best {number}".encode() if better else None)
        return better

    assert [epoch(n, value) for n, value in enumerate((0.2, 0.4, 0.4, 0.1), 1)] == [
        True,
        True,
        False,
        False,
    ]
    snapshot = checkpoints.load(tmp_path, "a")
    assert snapshot is not None
    assert (snapshot.last, snapshot.best) == (b"last 4", b"best 2")
    assert (snapshot.index["epoch"], snapshot.index["best"]["metric"]) == (4, 0.4)
    assert progress.history[1] == {"epoch": 2, "loss": 1.0, "map": 0.4, "map50": 0.5}


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not finite after epoch 3") as refusal:
        Progress(job(tmp_path)).measured(3, float("nan"), {"val/map": 0, "val/map_50": 0})
    assert refusal.value.code == 3


def test_nothing_to_find_is_a_score_of_nothing(tmp_path: Path) -> None:
    """Getitune says -1 when no validation picture has an object."""
    progress = Progress(job(tmp_path))
    progress.measured(1, 0.5, {"val/map": -1.0, "val/map_50": -1.0})
    assert progress.best()["map"] == 0


def test_the_clock_looks_whether_more_time_was_given(tmp_path: Path) -> None:
    later = tmp_path / "until.json"
    later.write_text('{"train_until_s": 0}')
    clock = Clock({"train_until_s": 1, "until_file": str(later)})
    assert not clock.in_time()
    later.write_text(f'{{"train_until_s": {time.time() + 60}}}')
    assert clock.in_time()


# --- public weights ---------------------------------------------------------------------------


def test_weights_that_cannot_be_had_are_told_in_words(tmp_path: Path) -> None:
    with (
        pytest.raises(Refused, match="weights: the public weights of model `m`") as refusal,
        weights.fetched("m", tmp_path, lambda _: None),
    ):
        raise ValueError(
            "does not validate\n  Errors:\n  - <urlopen error [Errno 111] refused>\nbye"
        )
    assert refusal.value.code == 3
    assert "(<urlopen error [Errno 111] refused>)" in str(refusal.value)
    assert '"pretrained": false' in str(refusal.value)


def test_weights_that_do_not_come_are_waited_for_no_longer_than_told(tmp_path: Path) -> None:
    told: list[Refused] = []
    with weights.fetched("m", tmp_path, told.append, quiet_s=0.5):
        deadline = time.monotonic() + 30
        while not told and time.monotonic() < deadline:
            time.sleep(0.05)
    assert "nothing came for" in str(told[0])


def test_weights_that_come_slowly_are_waited_for(tmp_path: Path) -> None:
    told: list[Refused] = []
    with weights.fetched("m", tmp_path, told.append, quiet_s=3.0):
        for size in range(1, 6):
            (tmp_path / "part").write_bytes(bytes(size))
            time.sleep(1.0)
    assert told == []


def test_weights_are_kept_where_the_runner_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PRETRAINED_WEIGHTS_CACHE_DIR", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert weights.prepare() == tmp_path / "hub" / "checkpoints"
    import os

    assert os.environ["HF_HUB_CACHE"] == str(tmp_path / "hub" / "checkpoints")


# --- the list of packages -----------------------------------------------------------------------


def test_each_environment_has_a_list_of_its_own_with_hashes() -> None:
    for name in ("runner", "getitune"):
        text = (ROOT / "vm-scripts" / "locks" / f"{name}.txt").read_text()
        packages = re.findall(r"^([a-z0-9-]+)==", text, re.M)
        blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.M)[1:]
        assert all("--hash=sha256:" in block for block in blocks)
        assert ("torch" in packages) == (name == "getitune")
        assert "openvino-telemetry" not in packages
    pinned = re.search(r"^getitune==(\S+)", text, re.M)
    assert pinned is not None
    assert pinned[1] == VERSION
