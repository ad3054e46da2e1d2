"""What people look at: no empty boxes for letters, all sizes of data, and never a failed job."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle
from retrain import show
from retrain.benchmark import NoBenchmark, benchmark
from retrain.plots import canvas, curve, quality, worst
from retrain.tasks.base import Shown
from trainers.tiny import detection, export

from tests.vm import fixtures

CLASSES = ["点字　ブロック 左", "dent", "凹み（大）", "한국", "x" * 60]


def letters(text: str) -> bytes:
    return bytes(canvas.font(16).getmask(text))


def test_japanese_is_written_and_not_as_empty_boxes() -> None:
    missing = letters(canvas.NOT_A_LETTER)
    assert all(
        letters(letter) != missing for letter in "点字ブロック左凹み（大）dent写真表示々〆ー"
    )
    assert letters("点") != letters("字")
    assert [canvas.words(CLASSES, index) for index in range(3)] == [
        "点字 ブロック 左",
        "dent",
        "凹み（大）",
    ]


def test_what_the_font_lacks_is_a_number() -> None:
    assert canvas.words(CLASSES, 3) == "class 4"
    assert canvas.words(CLASSES, 4) == "x" * 23 + "…"
    assert canvas.words(CLASSES, None) == canvas.words(CLASSES, 5) == "other"


def test_without_the_font_numbers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "find_spec", lambda name: None)
    for cached in (canvas.font, canvas.can_write):
        cached.cache_clear()
    try:
        assert canvas.words(CLASSES, 0) == "class 1"
        assert canvas.words(CLASSES, 1) == "dent"
    finally:
        monkeypatch.undo()
        for cached in (canvas.font, canvas.can_write):
            cached.cache_clear()


def colours(image: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(row) for row in np.unique(np.asarray(image).reshape(-1, 3), axis=0).tolist()}


@pytest.mark.parametrize("epochs", [1, 2, 300])
def test_training_curve(epochs: int) -> None:
    history = [{"epoch": e, "loss": 3.0 / (e + 1), "map": e / 300} for e in range(epochs)]
    history[0]["loss"] = None
    image = curve.training(history, "map", "mAP", epochs - 1)
    assert image is not None
    assert canvas.colour(0) in colours(image)
    assert (canvas.colour(1) in colours(image)) == (epochs > 1)
    assert curve.training([], "map", "mAP", 0) is None
    assert curve.training([{"epoch": 1}], "map", "mAP", 0) is None


@pytest.mark.parametrize("count", [1, 2, 5, 80])
def test_quality_of_few_and_many_classes(count: int) -> None:
    classes = [f"{CLASSES[index % 5]} {index}" for index in range(count)]
    image = quality.matrix(classes, np.eye(count, dtype=int) * 3)
    assert max(image.size) < 1600
    nothing = np.zeros(0)
    lines = [(np.array([0.1, 0.5]), np.array([1.0, 0.8]))] * (count - 1) + [(nothing, nothing)]
    assert quality.curves(classes, lines).width == 1000


def test_matrix_shows_where_the_model_errs() -> None:
    right = quality.matrix(["a", "b"], np.array([[5, 0], [0, 5]]))
    wrong = quality.matrix(["a", "b"], np.array([[0, 5], [0, 5]]))
    assert canvas.colour(3) not in colours(right)
    assert {canvas.colour(2), canvas.colour(3)} <= colours(wrong)


def test_sheet_of_the_worst(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(fixtures.draw("a", ["a"], 1).png)
    mask = np.zeros((240, 320), np.uint8, order="F")
    mask[50:100, 50:100] = 1
    outline = Shown(0, None, [50, 50, 100, 100], rle.encode(mask))
    odd = Shown(None, 0.4, [300, -20, 500, 20])
    rows = [worst.Row("写真 1.png", path, ([outline], [odd, Shown(1, 0.9)], None))] * 9
    image = worst.sheet(CLASSES, rows, ["as annotated", "new model", "current model"])
    assert image.width == 3 * worst.CELL + 4 * worst.GAP
    assert image.height < worst.MOST * (worst.CELL + 50)
    assert {canvas.colour(0), canvas.colour(1), canvas.colour(len(CLASSES))} <= colours(image)


def test_a_picture_that_cannot_be_drawn_is_a_warning(tmp_path: Path) -> None:
    told: list[str] = []
    context: Any = SimpleNamespace(work=tmp_path, warn=told.append)
    job: Any = SimpleNamespace(links={"log_curve": None})

    def broken() -> Image.Image:
        raise ValueError("no ink")

    show._draw(context, job, "log_curve", broken)
    show._draw(context, job, "log_worst", broken)
    assert told == ["training_curve.png could not be drawn: ValueError: no ink"]
    show._draw(context, job, "log_curve", lambda: Image.new("RGB", (3, 2)))
    data = (tmp_path / "shown/training_curve.png").read_bytes()
    assert Image.open(io.BytesIO(data)).size == (3, 2)


def test_benchmark(tmp_path: Path) -> None:
    export.write("detection", detection.fresh(2, 1), ["a", "b"], 0.3, tmp_path)
    xml = tmp_path / "model.xml"
    figures = benchmark({"new": xml, "current": xml}, (64, 48), 1.0, tmp_path / "b", 120)
    assert figures["shape"] == [1, 48, 64, 3]
    for name in ("new", "current"):
        assert set(figures[name]) == {"p50_ms", "p95_ms", "mean_ms"}
        assert all(value > 0 for value in figures[name].values())


def test_a_benchmark_that_fails_is_a_warning(tmp_path: Path) -> None:
    with pytest.raises(NoBenchmark, match="gave no figures"):
        benchmark({"new": tmp_path / "none.xml"}, (64, 48), 1.0, tmp_path / "b", 60)
    told: list[str] = []
    context: Any = SimpleNamespace(work=tmp_path, warn=told.append)
    job: Any = SimpleNamespace(links={"log_benchmark": None})
    assert show.latencies(context, job, tmp_path / "none.xml", None, (64, 48), 1.0, 0.0) == {}
    assert len(told) == 1
    assert told[0].startswith("speed was measured without benchmark_app, which gave no figures")
    job.links.clear()
    assert show.latencies(context, job, tmp_path / "none.xml", None, (64, 48), 1.0, 0.0) == {}
    assert len(told) == 1
