"""Public issues of the tools around this one, as far as a zip or its split could show them here.

Each test is named after its issue. Those that only a trainer can show are with the trainers.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from retrain.stages.train import rows
from trainers.tiny.data import load

from tests.vm import fixtures, formats
from tests.vm.bench import Bench, same
from tests.vm.conftest import ROOT, SCRIPTS

CLASSES = ("ok", "dent")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_cvat_9640_both_sides_of_the_split_are_there(bench: Bench) -> None:
    """A random split of a project exported the validation part only."""
    made = fixtures.pictures(10)
    formats.pack(bench.zip, formats.coco(made, CLASSES))
    bench.check()
    parts = bench.split()
    train, val = {s.name for s in parts.train}, {s.name for s in parts.val}
    assert (len(train), len(val), train & val) == (7, 3, set())
    assert train | val == {p.name for p in made}
    assert all(sample.path.is_file() for sample in parts.train + parts.val)


def test_cvat_4540_equal_names_in_two_subsets(bench: Bench) -> None:
    """A project's COCO export lost pictures whose names are equal."""
    first, second = fixtures.pictures(2)
    first.name = second.name = "frame_000000.png"
    one, two = formats.coco([first], CLASSES, "Train"), formats.coco([second], CLASSES, "Test")
    formats.pack(bench.zip, one + two)
    assert {s.path.read_bytes() for s in bench.check().samples} == {first.png, second.png}
    lost = [one[0], two[0], ("images/frame_000000.png", first.png)]
    formats.pack(bench.zip, lost)
    assert bench.refused() == "two annotated images share one file: `images/frame_000000.png`"


def test_cvat_4540_equal_names_and_numbers_in_two_tasks(bench: Bench) -> None:
    """The same in CVAT's own format: each task of a project counts its frames from 0."""
    made = fixtures.pictures(2)
    xml = fixtures.cvat_xml(made, CLASSES, "project").replace('id="1" name', 'id="0" name')
    members = [("annotations.xml", xml.encode()), *formats.images(made, "images")]
    formats.pack(bench.zip, members)
    assert same(bench.check(), made)


@pytest.mark.parametrize("kind", ["project", "job"])
def test_datumaro_58_export_of_a_project_or_a_job(bench: Bench, kind: str) -> None:
    """The pictures were not found. A job's export is read too, and told to be a part."""
    made = fixtures.cvat_zip(bench.zip, 2, kind=kind, subset="Train")
    assert same(bench.check(), made)
    told = ["the zip is the export of one CVAT job, not of the whole task"]
    assert bench.warnings == (told if kind == "job" else [])


def test_datumaro_1211_every_item_has_its_file(bench: Bench) -> None:
    """An export succeeded without pictures when names began with a slash."""
    made = fixtures.pictures(10, pattern="写真/a {:02d}.png")
    xml = fixtures.cvat_xml(made, CLASSES).replace('name="写真', 'name="/写真')
    formats.pack(bench.zip, [("annotations.xml", xml.encode()), *formats.images(made, "images")])
    bench.check()
    parts = bench.split()
    samples = parts.train + parts.val
    assert sorted(s.name for s in samples) == [p.name for p in made]
    assert len({s.path for s in samples if s.path.is_file()}) == 10


@pytest.mark.parametrize("title", formats.BOXES)
def test_datumaro_899_and_1147_annotations_without_images(bench: Bench, title: str) -> None:
    """An export without pictures ended in a type error, or in an empty set."""
    members = formats.BOXES[title](fixtures.pictures(3), CLASSES, "train")
    formats.pack(bench.zip, [m for m in members if not m[0].endswith(".png")])
    assert bench.refused() == "0 images in it; export again with 'Save images' switched on"


def test_geti_5765_and_5804_subset_folders_reach_the_trainer(bench: Bench) -> None:
    """`images/<subset>/` in a COCO export: image not found."""
    made = fixtures.pictures(10)
    formats.pack(bench.zip, formats.coco(made, CLASSES, "default"))
    bench.check()
    parts = bench.split()
    for samples in (parts.train, parts.val):
        loaded = load(rows(samples))
        assert [len(p.labels) for p in loaded] == [len(s.labels) for s in samples]
        assert all(p.pixels.std() > 0 for p in loaded)


def test_geti_2042_versions_that_fit_together() -> None:
    """Trainer and library clashed (`unexpected keyword 'ctx'`): each environment has a lock of its
    own, and what the runner's holds fits together and can be imported."""
    for wanted in (SCRIPTS / "locks").glob("*.in"):
        assert wanted.with_suffix(".txt").exists(), wanted.name
    lock = (SCRIPTS / "locks/runner.txt").read_text()
    here = subprocess.run(
        [ROOT / ".venv/bin/uv", "pip", "freeze", "--python", sys.executable],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert {f"{name} \\" for name in here if name.startswith(("datumaro=", "pillow="))} <= set(
        lock.splitlines()
    )
    check = [ROOT / ".venv/bin/uv", "pip", "check", "--python", sys.executable]
    said = subprocess.run(check, capture_output=True, text=True, check=False).stderr.splitlines()
    assert [line for line in said if line.startswith("Checked ")], said
    wrong = [line for line in said if line.startswith("The package")]
    assert [line for line in wrong if "matplotlib-fontja" not in line] == [], "its font only"
    smoke = "import datumaro, model_api.models, numpy, openvino, PIL, pycocotools.mask"
    subprocess.run([sys.executable, "-c", smoke], check=True)


@pytest.mark.parametrize("way", formats.WAYS)
@pytest.mark.parametrize("title", {**formats.BOXES, **formats.TAGS})
def test_cvat_8650_names_that_are_not_ascii(bench: Bench, title: str, way: str) -> None:
    """Names in Korean or Japanese did not survive."""
    classes, tagged = ("良 品", "傷"), title == "ImageNet 1.0"
    bench.task = "classification" if tagged else "detection"
    build = fixtures.kinds if tagged else fixtures.pictures
    made = build(4, classes, size=(96, 64), pattern="写真 {}.png")
    layouts = {**formats.BOXES, **formats.TAGS}
    formats.pack(bench.zip, layouts[title](made, classes, "train"), way)
    dataset = bench.check(list(classes))
    assert {s.path.read_bytes() for s in dataset.samples} == {p.png for p in made}
    assert all("写真 " in s.name for s in dataset.samples)
