"""check: what is in a zip, and the sentences people get when it cannot be used."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from tests.vm import fixtures
from tests.vm.bench import Bench, same


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("kind", ["task", "project", "job"])
def test_cvat(bench: Bench, kind: str) -> None:
    made = fixtures.cvat_zip(bench.zip, 6, kind=kind)
    dataset = bench.check()
    assert same(dataset, made)
    assert dataset.classes == ["ok", "dent"]
    assert dataset.format == "CVAT for images 1.1"
    assert any("one CVAT job" in text for text in bench.warnings) == (kind == "job")


def test_cvat_project_with_subsets(bench: Bench) -> None:
    made = fixtures.cvat_zip(bench.zip, 4, kind="project", subset="Train")
    assert same(bench.check(), made)


def test_coco(bench: Bench) -> None:
    made = fixtures.coco_zip(bench.zip, 6)
    dataset = bench.check()
    assert same(dataset, made)
    assert dataset.format == "COCO 1.0"


def test_nested_folder_and_junk(bench: Bench) -> None:
    made = fixtures.cvat_zip(bench.zip, 4, prefix="export 2026/", junk=True)
    assert same(bench.check(), made)
    assert bench.warnings == []


@pytest.mark.parametrize("encoding", ["utf-8", "cp932", "nfd"])
def test_japanese_names(bench: Bench, encoding: str) -> None:
    made = fixtures.japanese_zip(bench.zip, encoding)
    dataset = bench.check(["点字 ブロック", "良品"])
    assert [s.name for s in dataset.samples] == [p.name for p in made]
    assert dataset.classes == ["点字 ブロック", "良品"]


def test_class_names_are_composed(bench: Bench) -> None:
    name = unicodedata.normalize("NFD", "ガラス")
    fixtures.cvat_zip(bench.zip, 4, (name, "ok"))
    assert bench.check([unicodedata.normalize("NFC", name), "ok"]).classes[0] == "ガラス"


def test_order_of_classes_is_the_jobs(bench: Bench) -> None:
    made = fixtures.cvat_zip(bench.zip, 6)
    dataset = bench.check(["dent", "ok"])
    assert dataset.classes == ["dent", "ok"]
    assert same(dataset, made)


def test_pictures_without_boxes_are_kept(bench: Bench) -> None:
    made = fixtures.pictures(6)
    made[2].shapes.clear()
    fixtures.coco_zip(bench.zip, items=made)
    dataset = bench.check()
    assert len(dataset.samples) == 6
    assert dataset.samples[2].boxes == []


BROKEN = [
    (fixtures.broken_zip, r"cannot be opened \(still uploading, or damaged\?\): `images/.*broken"),
    (fixtures.truncated_zip, r"cannot be opened \(still uploading, or damaged\?\)$"),
    (fixtures.no_images_zip, r"0 images in it; export again with 'Save images' switched on"),
    (fixtures.no_annotations_zip, r"no annotations: none that are known here; export as 'CVAT for"),
    (fixtures.no_boxes_zip, r"class `dent` has 0 boxes in 6 images"),
    (fixtures.missing_images_zip, r"2 of 5 annotated images are not in it: `item_0000.png`, `it"),
    (fixtures.climbing_zip, r"a name leads out of the zip: `../../evil.png`"),
    (fixtures.link_zip, r"links are not allowed in it: `images/link.png`"),
    (fixtures.duplicate_zip, r"a name is in it twice: `images/item_0000.png`"),
    (fixtures.bomb_zip, r"refused as a zip bomb"),
]


@pytest.mark.parametrize(("build", "words"), BROKEN, ids=[b.__name__ for b, _ in BROKEN])
def test_refused(bench: Bench, build: Any, words: str) -> None:
    build(bench.zip)
    assert re.search(words, bench.refused())


@pytest.mark.parametrize("name", ["/etc/evil.png", "C:\\evil.png", "images\\..\\..\\evil.png"])
def test_other_ways_out(bench: Bench, name: str) -> None:
    fixtures.climbing_zip(bench.zip, name)
    assert "leads out of the zip" in bench.refused()
    assert not list(bench.folder.parent.rglob("evil.png"))


def test_empty_file_and_text_file(bench: Bench) -> None:
    for content in (b"", b"not a zip at all"):
        bench.zip.write_bytes(content)
        assert "cannot be opened" in bench.refused()


def test_no_room(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    fixtures.cvat_zip(bench.zip, 4)
    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr("retrain.unzip.shutil.disk_usage", lambda _: usage)
    assert "of disk left" in bench.refused()


def test_password(bench: Bench) -> None:
    fixtures.cvat_zip(bench.zip, 2)
    data = bytearray(bench.zip.read_bytes())
    place = data.find(b"PK\x01\x02")
    data[place + 8] |= 1
    bench.zip.write_bytes(bytes(data))
    assert "it has a password" in bench.refused()


def test_classes_that_differ_are_both_named(bench: Bench) -> None:
    fixtures.cvat_zip(bench.zip, 4)
    assert bench.refused(["ok", "scratch"]) == (
        "the classes of the message differ from those of the zip: "
        "only in the message: `scratch`; only in the zip: `dent`"
    )
    assert bench.refused(["ok"]).endswith("from those of the zip: only in the zip: `dent`")


def test_other_formats_are_named(bench: Bench) -> None:
    keypoints = ("annotations/person_keypoints_default.json", b"{}")
    fixtures.write_zip(bench.zip, [keypoints, ("images/a.jpg", fixtures.pictures(1)[0].png)])
    assert "(it looks like COCO keypoints)" in bench.refused()


def test_losses_are_counted(bench: Bench) -> None:
    made = fixtures.pictures(5)
    extra = {
        made[0].name: '<ellipse label="ok" cx="9" cy="9" rx="3" ry="3"/><tag label="ok"/>',
        made[1].name: '<polyline label="ok" points="1,1;5,5"/><points label="ok" points="1,1"/>',
        made[2].name: '<box label="ok" rotation="30.0" xtl="9" ytl="9" xbr="50" ybr="50"/>',
        made[3].name: '<box label="ok" xtl="-20" ytl="-5" xbr="50" ybr="50"/>'
        '<box label="ok" xtl="10" ytl="10" xbr="10.4" ybr="50"/>'
        '<box label="ok" xtl="400" ytl="10" xbr="500" ybr="50"/>',
        made[4].name: '<polygon label="dent" points="10,20;40,25;30,60"/>'
        '<mask label="dent" left="5" top="6" width="20" height="10" rle="0,200"/>',
    }
    fixtures.cvat_zip(bench.zip, items=made, extra=extra)
    dataset = bench.check()
    counted = [text.split(" were left")[0] for text in bench.warnings]
    for words in ("1 ellipses", "1 polylines", "1 point sets", "1 rotated boxes"):
        assert words in counted
    assert "1 boxes reached outside their image and were cut at its edge" in bench.warnings
    assert (
        "1 images have annotations that reach outside them (of class `ok`): `item_0003.png`"
        in bench.warnings
    )
    assert any(text.startswith("2 boxes were narrower than 1 pixel") for text in bench.warnings)
    assert dataset.samples[3].boxes[-1] == [0.0, 0.0, 50.0, 50.0]
    assert dataset.samples[4].boxes[-2:] == [[10.0, 20.0, 40.0, 60.0], [5.0, 6.0, 25.0, 16.0]]


def test_coco_losses(bench: Bench) -> None:
    def turn_one(document: dict[str, Any]) -> None:
        document["annotations"][0]["attributes"]["rotation"] = 45.0
        document["annotations"][1]["bbox"] = []
        document["annotations"][2].update(bbox=[], segmentation=[[10, 10, 30, 10, 30, 40]])

    fixtures.coco_zip(bench.zip, 8, change=turn_one)
    dataset = bench.check()
    assert {text.split(" were")[0] for text in bench.warnings} == {
        "1 rotated boxes",
        "1 annotations without a box",
        "1 of 8 images have no boxes and teach what is no object: `item_0000.png`",
    }
    assert [10.0, 10.0, 30.0, 40.0] in [box for s in dataset.samples for box in s.boxes]


def test_coco_that_is_not_whole(bench: Bench) -> None:
    made = fixtures.pictures(3)
    text = json.dumps(fixtures.coco_json(made, ("ok", "dent")))
    images = [(f"images/default/{p.name}", p.png) for p in made]
    for content, words in (
        (text[:-30], "not whole JSON"),
        (json.dumps({"images": []}), "is not COCO as CVAT writes it"),
        (text.replace('"category_id": 1', '"category_id": 77'), "names category 77"),
        ("[" * 100_000, "not whole JSON"),
    ):
        fixtures.write_zip(
            bench.zip, [("annotations/instances_default.json", content.encode()), *images]
        )
        assert words in bench.refused()


def test_xml_that_is_not_whole(bench: Bench) -> None:
    made = fixtures.pictures(2)
    xml = fixtures.cvat_xml(made, ("ok", "dent"))
    entity = '<!DOCTYPE a [<!ENTITY b "c">]><annotations/>'
    for content, words in (
        (xml[:-20], "is not whole XML"),
        (entity, "defines entities"),
        ("<annotations><track/></annotations>", "CVAT for video"),
        ("<other/>", "is no CVAT export"),
        (xml.replace('xtl="', 'xtl="x'), "no readable corners"),
        (xml.replace('width="320"', ""), "has no size"),
    ):
        members = [("annotations.xml", content.encode())]
        fixtures.write_zip(bench.zip, members + [(f"images/{p.name}", p.png) for p in made])
        assert words in bench.refused()


def test_annotations_twice(bench: Bench) -> None:
    made = fixtures.cvat_zip(bench.zip, 2)
    document = json.dumps(fixtures.coco_json(made, ("ok", "dent"))).encode()
    with fixtures.zipfile.ZipFile(bench.zip, "a") as archive:
        archive.writestr("annotations/instances_default.json", document)
    assert "annotations twice" in bench.refused()


def test_same_name_in_two_subsets_is_two_pictures(bench: Bench) -> None:
    first, second = fixtures.pictures(2, pattern="frame_{:06d}.png")
    second.name = first.name
    members = []
    for subset, picture in (("Train", first), ("Test", second)):
        document = json.dumps(fixtures.coco_json([picture], ("ok", "dent"))).encode()
        members += [(f"annotations/instances_{subset}.json", document)]
        members += [(f"images/{subset}/{picture.name}", picture.png)]
    fixtures.write_zip(bench.zip, members)
    dataset = bench.check()
    assert len({sample.sha256 for sample in dataset.samples}) == 2
    lost = [members[0], members[2], (f"images/{first.name}", first.png)]
    fixtures.write_zip(bench.zip, lost)
    assert "two annotated images share one file" in bench.refused()


def test_picture_that_cannot_be_read(bench: Bench) -> None:
    made = fixtures.pictures(3)
    made[1].png = made[1].png[:300]
    fixtures.cvat_zip(bench.zip, items=made)
    assert bench.refused() == "1 images cannot be read: `item_0001.png`"


def test_picture_of_another_size(bench: Bench) -> None:
    made = fixtures.pictures(3)
    made[1].size = (640, 480)
    fixtures.cvat_zip(bench.zip, items=made)
    assert "1 images have another size than when they were annotated" in bench.refused()


def test_exif_turn_is_followed(bench: Bench) -> None:
    made = fixtures.pictures(3)
    image = Image.open(io.BytesIO(made[0].png))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = io.BytesIO()
    image.transpose(Image.Transpose.ROTATE_90).save(data, "PNG", exif=exif)
    made[0].png = data.getvalue()
    fixtures.cvat_zip(bench.zip, items=made)
    assert bench.check().samples[0].size == (320, 240)


def test_spare_pictures_are_told(bench: Bench) -> None:
    made = fixtures.cvat_zip(bench.zip, 3)
    with fixtures.zipfile.ZipFile(bench.zip, "a") as archive:
        archive.writestr("images/spare.png", made[0].png)
    assert len(bench.check().samples) == 3
    assert bench.warnings == [
        "1 images in the zip are not annotated and were not used: `images/spare.png`"
    ]
