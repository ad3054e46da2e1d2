"""What judges a model: the line's validation zip, former splits, the current model's classes; and
the disk that all this needs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from retrain.failure import Failure
from retrain.files import sha256_of

from tests.vm import fixtures, stub
from tests.vm.bench import Bench
from tests.vm.conftest import report_of, run_python

CLASSES = ("ok", "dent")
LOGS = "/file/logs/job-a/"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.validation = tmp_path / "validation.zip"
    return bench


def known(pictures: list[fixtures.Picture], side: str) -> bytes:
    """A former split.json."""
    images = {sha256_of(p.png): {"side": side, "run": p.name, "name": p.name} for p in pictures}
    return json.dumps({"v": 1, "images": images}).encode()


def test_the_validation_zip_judges_and_never_trains(bench: Bench) -> None:
    made = fixtures.cvat_zip(bench.zip, 20)
    new = fixtures.pictures(4, seed=9, pattern="judge_{}.png")
    assert bench.validation
    fixtures.coco_zip(bench.validation, items=[*new, *made[:3]])
    dataset = bench.check()
    assert len(dataset.samples) == 17
    assert bench.warning(
        "also in the validation zip of the line and were not trained on"
    ).startswith("3 images are ")
    parts = bench.split()
    assert (len(parts.train), len(parts.val)) == (12, 5 + 7)
    judges = {sha256_of(p.png) for p in [*new, *made[:3]]}
    assert judges <= {s.sha256 for s in parts.val}
    assert not judges & {s.sha256 for s in parts.train}
    images = json.loads((bench.context.out / "split.json").read_text())["images"]
    assert {images[sha]["side"] for sha in judges} == {"val"}
    assert len(images) == 24


def test_a_class_that_only_the_validation_zip_has_left(bench: Bench) -> None:
    """The message does not tell people to draw what they have drawn."""
    made = fixtures.cvat_zip(bench.zip, 20)
    assert bench.validation
    fixtures.cvat_zip(bench.validation, items=made)
    assert bench.refused().startswith(
        "classes `ok`, `dent` have 0 boxes in the 0 images that may train "
        "(those in `validation/default.zip` too only judge); "
    )


def test_a_judge_stays_one_when_the_validation_zip_is_gone(bench: Bench) -> None:
    made = fixtures.cvat_zip(bench.zip, 20)
    assert bench.validation
    fixtures.cvat_zip(bench.validation, items=made[:4])
    bench.check()
    bench.split()
    bench.links["parent_split"] = (bench.context.out / "split.json").read_bytes()
    bench.validation = None
    bench.check()
    assert {s.name for s in bench.split().val} >= {p.name for p in made[:4]}


def test_what_a_former_run_trained_on_judges_nothing(bench: Bench) -> None:
    made = fixtures.cvat_zip(bench.zip, 10)
    assert bench.validation
    new = fixtures.pictures(4, seed=9, pattern="judge_{}.png")
    fixtures.cvat_zip(bench.validation, items=[*made[:2], *new])
    bench.links["current_split"] = known(made[:2], "train")
    bench.check()
    parts = bench.split()
    taught = {sha256_of(p.png) for p in made[:2]}
    assert not taught & {s.sha256 for s in parts.train + parts.val}
    assert bench.warning("judge nothing").startswith("2 of 6 images of the validation zip")


def test_whether_a_former_split_was_there(bench: Bench) -> None:
    bench.validation = None
    made = fixtures.cvat_zip(bench.zip, 20)
    bench.check()
    assert bench.split().parent_told, "there is no former run"
    for content, told in ((None, False), (known(made[:6], "val"), True)):
        bench.links["parent_split"] = content
        assert bench.split().parent_told is told


def test_former_splits_are_kept_and_train_wins(bench: Bench) -> None:
    made = fixtures.cvat_zip(bench.zip, 20)
    absent = fixtures.pictures(3, seed=5)
    bench.validation = None
    bench.links["parent_split"] = known([*made[:6], *absent], "val")
    bench.links["current_split"] = known(made[:2], "train")
    bench.check()
    parts = bench.split()
    assert {p.name for p in made[:2]} <= {s.name for s in parts.train}
    assert {p.name for p in made[2:6]} <= {s.name for s in parts.val}
    images = json.loads((bench.context.out / "split.json").read_text())["images"]
    assert {sha256_of(p.png) for p in absent} < set(images)


def test_classes_of_the_validation_zip(bench: Bench) -> None:
    fixtures.cvat_zip(bench.zip, 10)
    assert bench.validation
    strange = fixtures.pictures(4, ("ok", "scratch"), seed=9, pattern="judge_{}.png")
    fixtures.cvat_zip(bench.validation, classes=("ok", "scratch"), items=strange)
    dataset = bench.check()
    words = bench.warning("that this job does not have")
    shown = [p for p in strange if {s.label for s in p.shapes} == {"ok"}]
    assert words.startswith(f"validation zip: {4 - len(shown)} of 4 images")
    assert "(`scratch`)" in words
    assert len(dataset.validation) == len(shown)


def test_a_validation_zip_that_cannot_be_used_is_named(bench: Bench) -> None:
    fixtures.cvat_zip(bench.zip, 10)
    assert bench.validation
    fixtures.missing_images_zip(bench.validation)
    with pytest.raises(Failure) as caught:
        bench.check()
    assert caught.value.exit_code == 2
    assert caught.value.reason.startswith(
        "E17 zip `validation/default.zip`: 2 of 5 annotated images are not in it: "
    )


def test_classes_are_compared_with_the_lines_in_both_directions(bench: Bench) -> None:
    bench.validation = None
    fixtures.cvat_zip(bench.zip, 10, ("ok", "点字 ブロック"))
    bench.links["current_labels"] = json.dumps(["dent", "ok"]).encode()
    bench.check()
    assert bench.warnings == [
        "classes that the current model of `default` does not know: `点字 ブロック`",
        "classes of the current model of `default` that are not in the zip and that the new model "
        "will not know: `dent`; annotate them in this zip too to keep them",
    ]
    bench.links["current_labels"] = json.dumps(["点字 ブロック", "ok"]).encode()
    bench.check()
    assert bench.warnings == []
    for damaged in (None, b"[1]", b"{", b"\xff"):
        bench.links["current_labels"] = damaged
        bench.check()
        assert "were not compared" in bench.warning("labels.json")


# The stage `fetch`


def attempt(folder: Path, cloud: stub.Cloud, **changes: object) -> Path:
    document = stub.job_document(cloud, folder / "a.zip", **changes)  # type: ignore[arg-type]
    return stub.write_home(folder / "home", document)


def test_a_whole_run_with_a_validation_zip(tmp_path: Path) -> None:
    made = fixtures.cvat_zip(tmp_path / "a.zip", 20)
    judges = fixtures.cvat_zip(tmp_path / "v.zip", 6, seed=9)
    place = "/file/train/validation/default.zip"
    with stub.Server() as cloud:
        cloud.files[place] = bytearray((tmp_path / "v.zip").read_bytes())
        links = {"validation_zip": cloud.link(place, "r")}
        home = attempt(tmp_path, cloud, epochs=1, links=links)
        assert run_python(home) == 0, report_of(home)
        assert cloud.faults == []
        result = json.loads(bytes(cloud.files[LOGS + "result.json"]))
        data = json.loads((home / "work/train/data.json").read_text())
    counts = result["counts"]
    assert (counts["images"], counts["images_train"], counts["images_val"]) == (20, 14, 12)
    boxes = {c: sum(s.label == c for p in made for s in p.shapes) for c in CLASSES}
    assert counts["boxes"] == boxes
    taught = {sha256_of(Path(row["path"]).read_bytes()) for row in data["train"]}
    assert not taught & {sha256_of(p.png) for p in judges}
    assert all(row["polygons"] == [] for row in data["train"])


def test_a_validation_zip_that_goes_or_changes(tmp_path: Path) -> None:
    fixtures.cvat_zip(tmp_path / "a.zip", 8)
    place = "/file/train/validation/default.zip"
    with stub.Server() as cloud:
        home = attempt(tmp_path, cloud, epochs=1, links={"validation_zip": cloud.link(place, "r")})
        assert run_python(home) == 0, report_of(home)
        warnings = json.loads(bytes(cloud.files[LOGS + "result.json"]))["warnings"]
    assert warnings == ["`validation/default.zip` is no longer in share `train`; judged without it"]


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from retrain.stages import fetch

    gib = 1 << 30
    job = SimpleNamespace(zip_name="a.zip", zip_size=2 * gib)
    monkeypatch.delenv("RETRAIN_SPARE_GIB", raising=False)
    for free, fits in ((26, True), (25.9, False)):
        usage = SimpleNamespace(free=int(free * gib))
        monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _, usage=usage: usage)
        if fits:
            fetch._check_disk(job, tmp_path / "x.zip")  # type: ignore[arg-type]
            continue
        with pytest.raises(Failure) as caught:
            fetch._check_disk(job, tmp_path / "x.zip")  # type: ignore[arg-type]
        assert caught.value.reason == (
            "zip `a.zip` of 2.0 GiB needs 26.0 GiB of free disk (3 times its size and 20 GiB for "
            "the training), the VM has 25.9 GiB; export fewer or smaller images"
        )


def test_no_byte_is_fetched_to_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fixtures.cvat_zip(tmp_path / "a.zip", 8)
    monkeypatch.setattr("tests.vm.conftest.SPARE_GIB", "1000000")
    with stub.Server() as cloud:
        home = attempt(tmp_path, cloud)
        assert run_python(home) == 1
        assert "/file/train/a.zip" not in cloud.paths("GET")
    assert report_of(home)["stage"] == "fetch"
    assert "needs 1000000.0 GiB of free disk" in report_of(home)["reason"]
