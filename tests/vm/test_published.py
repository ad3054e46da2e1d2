"""The published form around a network: small networks built here stand in for getitune's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op
from PIL import Image
from retrain.inference import Classifier, Detector, detect_by_model_api
from trainers.getitune import published, segments
from trainers.getitune.graph import number, whole

SIZE = (64, 96)
FORM = published.Form(
    task="detection",
    size=SIZE,
    mean=(0.0, 0.0, 0.0),
    scale=(1.0, 1.0, 1.0),
    pad=None,
    reverse=False,
    labels=["点字 ブロック", "dent"],
    threshold=0.3,
)


def network(outputs: dict[str, Any]) -> ov.Model:
    """Getitune's export: f32 [?, 3, h, w] in; each output is a function of that."""
    entry = op.parameter(ov.PartialShape([-1, 3, *SIZE]), ov.Type.f32, name="image")
    results = []
    for name, make in outputs.items():
        node = make(entry)
        node.output(0).tensor.set_names({name})
        results.append(op.result(node))
    return ov.Model(results, [entry], "x")


def fixed(values: Any, kind: type = np.float32) -> Any:
    """An output that is always the same, whatever comes in."""
    return lambda entry: op.add(
        op.constant(np.asarray(values, kind)),
        op.convert(
            op.multiply(op.reduce_max(entry, whole([0, 1, 2, 3])), number(0.0)), _type(kind)
        ),
    )


def _type(kind: type) -> str:
    return {np.float32: "f32", np.int64: "i64"}[kind]


def saved(folder: Path, inner: ov.Model, form: published.Form) -> Path:
    folder.mkdir(exist_ok=True)
    ov.save_model(inner, folder / "own.xml", compress_to_fp16=False)
    published.write(folder / "own.xml", form, folder)
    return folder / "model.xml"


def picture(width: int, height: int) -> np.ndarray:
    random = np.random.default_rng(width)
    small = random.integers(0, 255, (height // 7 + 2, width // 7 + 2, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


# --- what the network is given ------------------------------------------------------------------


def given(folder: Path, form: published.Form, rgb: np.ndarray) -> np.ndarray:
    """[h, w, 3] that the network is given."""
    folder.mkdir()
    seen: list[Any] = []
    image = op.parameter(ov.PartialShape([1, -1, -1, 3]), ov.Type.u8)
    made, used = published._picture(image, form)
    model = ov.Model([op.result(made), op.result(used)], [image], "x")
    seen = list(ov.Core().compile_model(model, "CPU")(rgb[None]).values())
    assert seen[0].shape == (1, 3, *form.size)
    return np.asarray(seen[0][0].transpose(1, 2, 0))


@pytest.mark.parametrize(("width", "height"), [(1280, 960), (96, 64), (50, 131), (640, 200)])
def test_a_stretched_picture_is_resized_as_pil_does(
    tmp_path: Path, width: int, height: int
) -> None:
    rgb = picture(width, height)
    form = replace(FORM, mean=(0.4, 0.5, 0.6), scale=(0.2, 0.3, 0.1))
    planes = [Image.fromarray(rgb[..., c].astype(np.float32)) for c in range(3)]
    wanted = np.stack(
        [np.asarray(p.resize(SIZE[::-1], Image.Resampling.BILINEAR)) for p in planes], axis=2
    )
    wanted = (np.clip(wanted / 255, 0, 1) - form.mean) / form.scale
    assert np.abs(given(tmp_path / "x", form, rgb) - wanted).max() < 2e-3


@pytest.mark.parametrize(
    ("width", "height", "inside"),
    [(1280, 960, (64, 85)), (1000, 100, (10, 96)), (96, 64, (64, 96)), (33, 640, (64, 3))],
)
def test_a_picture_whose_aspect_is_kept_lies_at_the_top_left(
    tmp_path: Path, width: int, height: int, inside: tuple[int, int]
) -> None:
    rgb = picture(width, height)
    made = given(tmp_path / "x", replace(FORM, pad=114.0), rgb)
    rows, columns = inside
    plane = Image.fromarray(rgb[..., 1].astype(np.float32))
    wanted = np.asarray(plane.resize((columns, rows), Image.Resampling.BILINEAR)) / 255
    assert np.abs(made[:rows, :columns, 1] - np.clip(wanted, 0, 1)).max() < 1e-3
    assert np.allclose(made[rows:], 114 / 255, atol=1e-6)
    assert np.allclose(made[:, columns:], 114 / 255, atol=1e-6)


def test_channels_are_turned_for_a_network_that_wants_bgr(tmp_path: Path) -> None:
    rgb = picture(96, 64)
    assert (
        np.abs(given(tmp_path / "x", replace(FORM, reverse=True), rgb) * 255 - rgb[..., ::-1]).max()
        < 0.01
    )


# --- outputs ------------------------------------------------------------------------------------

ROWS = [
    [10, 8, 40, 30, 0.4],
    [0, 0, 0, 0, 0.0],
    [20, 16, 60, 60, 0.9],
    [5, 5, 5, 20, 0.8],  # no area
    [-4, 2, 200, 30, 0.2],  # reaches out
]
LABELS = [1, 0, 0, 1, 1]


def test_boxes_come_best_first_without_what_only_fills_up(tmp_path: Path) -> None:
    inner = network({"boxes": fixed([ROWS]), "labels": fixed([LABELS], np.int64)})
    xml = saved(tmp_path / "x", inner, FORM)
    rgb = picture(192, 256)
    found = Detector(xml, list(SIZE))(rgb)
    assert found.labels.tolist() == [0, 1, 1]
    assert np.allclose(found.scores, [0.9, 0.4, 0.2])
    assert np.allclose(found.boxes[0], [40, 64, 120, 240])
    assert np.allclose(found.boxes[2], [0, 8, 192, 120]), "cut at the edge"
    api = detect_by_model_api(xml, FORM.labels, rgb)
    assert [(name, round(score, 4)) for name, score, _ in api] == [
        ("点字 ブロック", 0.9),
        ("dent", 0.4),
    ]
    assert api[0][2] == [40, 64, 120, 240]


def test_nothing_found_is_an_answer(tmp_path: Path) -> None:
    empty = np.zeros((1, 3, 5))
    inner = network({"boxes": fixed(empty), "labels": fixed([[0, 0, 0]], np.int64)})
    xml = saved(tmp_path / "x", inner, FORM)
    found = Detector(xml, list(SIZE))(picture(96, 64))
    assert found.boxes.shape == (0, 4)
    assert detect_by_model_api(xml, FORM.labels, picture(96, 64)) == []


def test_boxes_of_a_padded_picture_are_told_as_of_a_stretched_one(tmp_path: Path) -> None:
    """1280 x 320 in 96 x 64: the picture fills 96 x 24."""
    row = [[[48, 6, 96, 24, 0.9]]]
    inner = network({"boxes": fixed(row), "labels": fixed([[1]], np.int64)})
    xml = saved(tmp_path / "x", inner, replace(FORM, pad=0.0))
    rgb = picture(1280, 320)
    found = Detector(xml, list(SIZE))(rgb)
    assert np.allclose(found.boxes, [[640, 80, 1280, 320]], atol=0.01)
    ((name, _, box),) = detect_by_model_api(xml, FORM.labels, rgb)
    assert (name, box) == ("dent", [640, 80, 1280, 320])


def test_a_transformers_answer_has_the_same_form(tmp_path: Path) -> None:
    inner = network(
        {
            "bboxes": fixed([[[0.5, 0.25, 1.0, 0.5], [0.0, 0.0, 0.5, 0.5]]]),
            "labels": fixed([[1, 0]], np.int64),
            "scores": fixed([[0.3, 0.6]]),
        }
    )
    found = Detector(saved(tmp_path / "x", inner, FORM), list(SIZE))(picture(200, 100))
    assert found.labels.tolist() == [0, 1]
    assert np.allclose(found.boxes, [[0, 0, 100, 50], [100, 25, 200, 50]], atol=0.01)


def test_scores_of_classes_sum_up_to_one(tmp_path: Path) -> None:
    inner = network({"logits": fixed([[1.0, 3.0]])})
    form = replace(FORM, task="classification")
    xml = saved(tmp_path / "x", inner, form)
    chances = Classifier(xml)(picture(30, 40))
    assert np.allclose(chances, np.exp([1, 3]) / np.exp([1, 3]).sum())
    from model_api.models import Model

    best = Model.create_model(str(xml))(picture(30, 40)).top_labels[0]
    assert best.name == "dent"
    assert best.confidence == pytest.approx(chances[1], abs=1e-5)


def masks_of(xml: Path, rgb: np.ndarray) -> np.ndarray:
    return np.asarray(ov.Core().compile_model(xml, "CPU")(rgb[None])["masks"][0])


def test_small_masks_stay_beside_their_boxes(tmp_path: Path) -> None:
    masks = np.stack([np.full((28, 28), i / 10) for i in range(5)])[None]
    inner = network(
        {
            "boxes": fixed([ROWS]),
            "labels": fixed([LABELS], np.int64),
            "masks": fixed(masks),
        }
    )
    xml = saved(tmp_path / "x", inner, replace(FORM, task="instance_segmentation"))
    made = masks_of(xml, picture(192, 128))
    assert made.shape == (3, 28, 28)
    assert np.allclose(made[:, 0, 0], [0.2, 0.0, 0.4]), "in the order of the boxes"


def test_masks_of_the_whole_picture_are_cut_to_their_boxes(tmp_path: Path) -> None:
    """A mask that fills the left half of its box, in a picture that is padded."""
    whole_mask = np.zeros(SIZE, np.float32)
    whole_mask[16:48, 10:30] = 1.0
    masks = np.stack([whole_mask, whole_mask])[None]
    row = [[[10, 16, 50, 48, 0.9], [0, 0, 0, 0, 0.0]]]
    inner = network(
        {"boxes": fixed(row), "labels": fixed([[1, 0]], np.int64), "masks": fixed(masks)}
    )
    xml = saved(tmp_path / "x", inner, replace(FORM, task="instance_segmentation", pad=114.0))
    (made,) = masks_of(xml, picture(400, 400))
    assert made.shape == (segments.SIDE, segments.SIDE)
    half = segments.SIDE // 2
    assert made[:, : half - 2].min() > 0.6, "blended at the edge"
    assert made[:, half + 2 :].max() < 0.05


def test_what_a_device_reads_of_the_file(tmp_path: Path) -> None:
    inner = network({"boxes": fixed([ROWS]), "labels": fixed([LABELS], np.int64)})
    xml = saved(tmp_path / "x", inner, replace(FORM, labels=["点字　ブロック", "a b"]))
    from model_api.models import Model

    model = Model.create_model(str(xml))
    assert list(model.params.labels) == ["点字_ブロック", "a_b"]
    assert model.params.confidence_threshold == pytest.approx(0.3)
    read = ov.Core().read_model(xml)
    assert read.inputs[0].get_partial_shape() == ov.PartialShape([1, -1, -1, 3])
    assert read.inputs[0].get_element_type() == ov.Type.u8
