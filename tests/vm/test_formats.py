"""Every format that CVAT writes: the same pictures, classes, boxes, tags and outlines come out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datumaro
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from retrain.dataset import Dataset
from retrain.readers import READERS, Raw
from retrain.stages.train import rows

from tests.vm import fixtures, formats
from tests.vm.bench import Bench

CLASSES = ("良品", "点字 ブロック")
SIZE = (96, 64)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def small(count: int = 4, tagged: bool = False) -> list[fixtures.Picture]:
    build = fixtures.kinds if tagged else fixtures.pictures
    return build(count, CLASSES, size=SIZE, pattern="写真 表示 ガ{:02d}.png")


def assert_same(dataset: Dataset, made: list[fixtures.Picture], within: float) -> None:
    """Every picture, box and tag came through, in whichever order the pictures are."""
    by_png = {sample.path.read_bytes(): sample for sample in dataset.samples}
    assert len(by_png) == len(dataset.samples) == len(made)
    for picture in made:
        sample = by_png[picture.png]
        assert sample.size == picture.size
        names = [dataset.classes[label] for label in sample.labels]
        assert names == [shape.label for shape in picture.shapes] + picture.tags
        for box, shape in zip(sample.boxes, picture.shapes, strict=True):
            assert box == pytest.approx(list(shape.box), abs=within)


@pytest.mark.parametrize("way", formats.WAYS)
@pytest.mark.parametrize("title", formats.BOXES)
def test_boxes(bench: Bench, title: str, way: str) -> None:
    made = small()
    formats.pack(bench.zip, formats.BOXES[title](made, CLASSES, "train"), way)
    dataset = bench.check()
    assert_same(dataset, made, within=0.02 if "YOLO" in title else 0)
    assert dataset.classes == list(CLASSES)
    assert dataset.format in title or (dataset.format, "YOLO" in title) == ("YOLO", True)
    assert {s.name for s in dataset.samples} == {p.name for p in made}
    assert bench.warnings == []


@pytest.mark.parametrize("way", formats.WAYS)
@pytest.mark.parametrize("title", formats.TAGS)
def test_tags(bench: Bench, title: str, way: str) -> None:
    made = small(tagged=True)
    bench.task = "classification"
    formats.pack(bench.zip, formats.TAGS[title](made, CLASSES, "train"), way)
    dataset = bench.check(list(CLASSES))
    assert_same(dataset, made, within=0)
    assert (dataset.format, bench.warnings) == (title, [])


@pytest.mark.parametrize("title", formats.BOXES)
def test_an_image_without_a_box_is_kept_and_told(bench: Bench, title: str) -> None:
    made = small()
    made[2].shapes.clear()
    formats.pack(bench.zip, formats.BOXES[title](made, CLASSES, "train"))
    assert len(bench.check().samples) == 4
    assert bench.warnings == [
        f"1 of 4 images have no boxes and teach what is no object: `{made[2].name}`"
    ]


@pytest.mark.parametrize("title", formats.BOXES)
def test_missing_images_are_named(bench: Bench, title: str) -> None:
    made = small()
    members = formats.BOXES[title](made, CLASSES, "train")
    gone = [m for m in members if m[0].endswith(made[1].name)]
    formats.pack(bench.zip, [m for m in members if m not in gone])
    words = bench.refused()
    assert "annotated images are not in it: `" in words
    assert Path(made[1].name).stem in words


@pytest.mark.parametrize("title", formats.BOXES)
def test_names_that_differ_in_folder_or_suffix_only(bench: Bench, title: str) -> None:
    made = small()
    for picture, name in zip(made, ("a/x.png", "b/x.png", "a/b/c/x.png", "x.jpg"), strict=True):
        picture.name = name
    formats.pack(bench.zip, formats.BOXES[title](made, CLASSES, "train"))
    assert_same(bench.check(), made, within=0.02 if "YOLO" in title else 0)


@pytest.mark.parametrize("title", formats.BOXES)
def test_a_picture_turned_by_exif(bench: Bench, title: str) -> None:
    """CVAT shows and annotates it upright, its file holds it lying."""
    made = small()
    exif = Image.Exif()
    exif[0x0112] = 6
    data = io.BytesIO()
    upright = Image.open(io.BytesIO(made[0].png))
    upright.transpose(Image.Transpose.ROTATE_90).save(data, "PNG", exif=exif)
    made[0].png = data.getvalue()
    formats.pack(bench.zip, formats.BOXES[title](made, CLASSES, "train"))
    assert_same(bench.check(), made, within=0.02 if "YOLO" in title else 0)


@pytest.mark.parametrize("title", ["COCO 1.0", "Datumaro 1.0", "Ultralytics YOLO Detection 1.0"])
def test_subsets_of_a_project_come_together(bench: Bench, title: str) -> None:
    made = small()
    layout = formats.BOXES[title]
    first, second = layout(made[:2], CLASSES, "Train"), layout(made[2:], CLASSES, "my_set")
    there = {name for name, _ in first}
    formats.pack(bench.zip, first + [m for m in second if m[0] not in there])
    assert_same(bench.check(), made, within=0.02)


# Outlines


def read(path: Path, folder: Path) -> Raw:
    """What the format's reader makes of a zip."""
    from retrain.unzip import unpack

    files = unpack(path, folder, "a.zip")
    found = [(reader, reader.find(files)) for reader in READERS]
    (reader, members), *others = [(r, m) for r, m in found if m]
    assert not others
    return reader.read(files, members)


TRIANGLE = [10.0, 10.0, 40.0, 12.0, 20.0, 50.0]
SQUARE = [50.0, 20.0, 60.0, 20.0, 60.0, 30.0, 50.0, 30.0]


def covered(parts: list[list[float]]) -> float:
    """Area of polygons, rasterised."""
    rles = coco_mask.frPyObjects(parts, SIZE[1], SIZE[0])
    return float(coco_mask.area(coco_mask.merge(rles)))


def disc() -> np.ndarray[Any, Any]:
    """A mask with a hole."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    far = (x - 50) ** 2 + (y - 30) ** 2
    return ((far <= 20**2) & (far >= 4**2)).astype(np.uint8)


def test_outlines_of_cvat(tmp_path: Path) -> None:
    made = small(2)
    mask = disc()[5:60, 10:90]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.ravel(), [2]]))).tolist()
    runs = ",".join(str(v) for v in np.diff([0, *edges]))
    points = ";".join(f"{x},{y}" for x, y in zip(TRIANGLE[::2], TRIANGLE[1::2], strict=True))
    extra = {
        made[0].name: f'<polygon label="{CLASSES[1]}" points="{points}"/>',
        made[1].name: f'<mask label="{CLASSES[0]}" left="10" top="5" width="80" height="55" '
        f'rle="{runs}"/>',
    }
    fixtures.cvat_zip(tmp_path / "a.zip", classes=CLASSES, items=made, extra=extra)
    raw = read(tmp_path / "a.zip", tmp_path / "z")
    assert raw.images[0].polygons == [(CLASSES[1], [TRIANGLE])]
    assert raw.images[0].boxes[-1] == (CLASSES[1], 10, 10, 40, 50)
    assert len(raw.images[0].boxes) == len(made[0].shapes) + 1
    label, parts = raw.images[1].polygons[0]
    assert (label, len(parts), raw.holes) == (CLASSES[0], 1, 1)
    assert covered(parts) == pytest.approx(np.pi * 20**2, rel=0.06)


def test_outlines_of_coco(tmp_path: Path) -> None:
    made = small(2)
    rle = coco_mask.encode(np.asfortranarray(disc()))

    def change(document: dict[str, Any]) -> None:
        common = {"image_id": 1, "iscrowd": 0, "area": 1, "attributes": {}}
        parts = {"bbox": [10, 10, 50, 40], "segmentation": [TRIANGLE, SQUARE], "category_id": 2}
        mask = {"size": list(rle["size"]), "counts": rle["counts"].decode()}
        document["annotations"] += [
            {**common, "id": 90, **parts},
            {**common, "id": 91, "category_id": 1, "bbox": [], "segmentation": mask},
        ]

    fixtures.coco_zip(tmp_path / "a.zip", classes=CLASSES, items=made, change=change)
    raw = read(tmp_path / "a.zip", tmp_path / "z")
    (first, second), boxes = raw.images[0].polygons, raw.images[0].boxes
    assert first == (CLASSES[1], [TRIANGLE, SQUARE])
    assert boxes[-2] == (CLASSES[1], 10, 10, 60, 50)
    assert (second[0], raw.holes) == (CLASSES[0], 1)
    assert covered(second[1]) == pytest.approx(np.pi * 20**2, rel=0.06)
    assert len(boxes) - len(raw.images[0].polygons) == len(made[0].shapes)


def test_outlines_of_datumaro(tmp_path: Path) -> None:
    made = small(2)
    document = formats.datumaro_items(made, CLASSES)
    rle = coco_mask.encode(np.asfortranarray(disc()))
    mask = {"size": list(rle["size"]), "counts": rle["counts"].decode()}
    common = {"id": 0, "group": 0, "attributes": {}, "z_order": 0}
    document["items"][0]["annotations"] += [
        {**common, "type": "polygon", "label_id": 1, "points": TRIANGLE},
        {**common, "type": "mask", "label_id": 0, "rle": mask},
    ]
    members = [("annotations/default.json", formats.as_json(document))]
    formats.pack(tmp_path / "a.zip", members + formats.images(made, "images/default"))
    raw = read(tmp_path / "a.zip", tmp_path / "z")
    (first, second) = raw.images[0].polygons
    assert first == (CLASSES[1], [TRIANGLE])
    assert second[0] == CLASSES[0]
    assert covered(second[1]) == pytest.approx(np.pi * 20**2, rel=0.06)


def test_outlines_reach_the_trainer(bench: Bench) -> None:
    """Boxes alone are not learned from by a task that learns outlines, and told."""
    made = small()
    bench.task = "instance_segmentation"

    def change(document: dict[str, Any]) -> None:
        common = {"iscrowd": 0, "area": 1, "attributes": {}, "bbox": [10, 10, 50, 40]}
        for number in range(1, 5):
            owner = {"id": 90 + number, "image_id": number, "category_id": 1 + number % 2}
            outline = {"segmentation": [TRIANGLE, SQUARE]}
            document["annotations"].append({**common, **owner, **outline})

    fixtures.coco_zip(bench.zip, classes=CLASSES, items=made, change=change)
    dataset = bench.check()
    assert [s.polygons for s in dataset.samples] == [[[TRIANGLE, SQUARE]]] * 4
    assert [s.labels for s in dataset.samples] == [[1], [0], [1], [0]]
    boxes = sum(len(p.shapes) for p in made)
    assert bench.warning(" boxes were left out").startswith(f"{boxes} boxes were left out: ")
    assert all(row["polygons"] == [[TRIANGLE, SQUARE]] for row in rows(dataset.samples))


@pytest.mark.parametrize("alike", [True, False])
def test_the_same_picture_under_two_names(bench: Bench, alike: bool) -> None:
    made = small()
    twin = made[0] if alike else made[1]
    made.append(fixtures.Picture("twin.png", made[0].png, SIZE, twin.shapes))
    formats.pack(bench.zip, formats.coco(made, CLASSES))
    assert len(bench.check().samples) == 5
    how = "" if alike else ", annotated differently"
    assert bench.warnings == [
        f"1 images are in the zip twice under two names{how}: `{made[0].name} = twin.png`"
    ]


# What would be lost in silence


def test_datumaro_losses(bench: Bench) -> None:
    made = small()
    document = formats.datumaro_items(made, CLASSES)
    common = {"id": 0, "group": 0, "attributes": {}, "z_order": 0, "label_id": 1}
    document["items"][0]["annotations"] += [
        {**common, "type": "ellipse", "points": [1, 1, 9, 9]},
        {**common, "type": "skeleton", "elements": []},
        {**common, "type": "cuboid_2d", "points": [[1, 1]] * 8},
        {**common, "type": "bbox", "bbox": [1, 1, 9, 9], "attributes": {"rotation": 30.0}},
        {**common, "type": "bbox", "bbox": [1, 1, 9, 9], "label_id": None},
    ]
    members = [("annotations/default.json", formats.as_json(document))]
    formats.pack(bench.zip, members + formats.images(made, "images/default"))
    assert_same(bench.check(), made, within=0)
    why = "only upright boxes are trained on"
    place = f"on `{made[0].name}`): {why}"
    lost = ("cuboids", "ellipses", "rotated boxes", "skeletons")
    assert set(bench.warnings) == {
        f"1 annotations without a class were left out ({place}",
        *(f"1 {what} were left out (of class `{CLASSES[1]}` {place}" for what in lost),
    }
    document["items"][1]["annotations"][0]["label_id"] = 7
    members = [("annotations/default.json", formats.as_json(document))]
    formats.pack(bench.zip, members + formats.images(made, "images/default"))
    assert f"`{made[1].name}` has class number 7, there are 2" in bench.refused()


def test_coco_category_0_is_a_class(bench: Bench) -> None:
    made = small()

    def change(document: dict[str, Any]) -> None:
        for row in document["categories"]:
            row["id"] -= 1
        for row in document["annotations"]:
            row["category_id"] -= 1

    fixtures.coco_zip(bench.zip, classes=CLASSES, items=made, change=change)
    assert_same(bench.check(), made, within=0)


def test_coco_annotation_of_no_picture(bench: Bench) -> None:
    def change(document: dict[str, Any]) -> None:
        document["annotations"][0]["image_id"] = 77

    fixtures.coco_zip(bench.zip, items=small(), classes=CLASSES, change=change)
    assert "names picture 77, which is not declared" in bench.refused()


def test_voc_losses(bench: Bench) -> None:
    made = small()
    members = formats.voc(made, CLASSES)
    turned = (
        f"<object><name>{CLASSES[0]}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax>"
        "<ymax>9</ymax></bndbox><attributes><attribute><name>rotation</name><value>30.0</value>"
        "</attribute></attributes></object>"
    )
    place = next(i for i, m in enumerate(members) if m[0] == "Annotations/写真 表示 ガ00.xml")
    members[place] = (members[place][0], formats.voc_xml(made[0], turned))
    formats.pack(bench.zip, members)
    assert_same(bench.check(), made, within=0)
    assert bench.warning("1 rotated boxes were left out").count("ガ00.png") == 1
    strange = turned.replace(CLASSES[0], "nobody")
    members[place] = (members[place][0], formats.voc_xml(made[0], strange))
    formats.pack(bench.zip, members)
    assert "nobody" in bench.refused()


def test_voc_subset_and_pictures_that_the_library_passes_over(bench: Bench) -> None:
    made = small()
    members = formats.voc(made, CLASSES, "my_set")
    lists = [m for m in members if m[0].startswith("ImageSets/")]
    formats.pack(bench.zip, members)
    assert_same(bench.check(), made, within=0)
    formats.pack(bench.zip, [m for m in members if m not in lists])
    assert_same(bench.check(), made, within=0)
    twin = (f"JPEGImages/{made[0].name.replace('.png', '.jpg')}", made[1].png)
    formats.pack(bench.zip, [*members, twin])
    assert "differ in their suffix only" in bench.refused()


@pytest.mark.parametrize("title", ["Ultralytics YOLO Detection 1.0", "YOLO 1.1"])
def test_yolo_that_is_no_detection(bench: Bench, title: str) -> None:
    made = small()
    members = formats.BOXES[title](made, CLASSES, "train")
    place = next(i for i, (name, _) in enumerate(members) if name.endswith("00.txt"))
    for line, words in (
        (b"1 0.3 0.8 0.1 0.3 0.4 0.5\n", "only boxes without tracks are read"),
        (b"7 0.3 0.8 0.1 0.3\n", "7"),
        (b"1 0.3 0.8 0.1 wide\n", "wide"),
    ):
        members[place] = (members[place][0], line)
        formats.pack(bench.zip, members)
        assert words in bench.refused()


def test_yolo_names_need_every_number(bench: Bench) -> None:
    members = formats.ultralytics(small(), CLASSES)
    members[0] = (members[0][0], members[0][1].replace(b"  1:", b"  2:"))
    formats.pack(bench.zip, members)
    assert "no whole list of `names` from 0 on" in bench.refused()


def test_imagenet_with_two_tags_or_none(bench: Bench) -> None:
    made = small(tagged=True)
    bench.task = "classification"
    made[0].tags = list(CLASSES)
    formats.pack(bench.zip, formats.imagenet(made, CLASSES))
    words = bench.refused()
    assert "1 images are in it twice with different tags: " in words
    assert all(f"{tag}/{tag}_{made[0].name}" in words for tag in CLASSES)
    made[0].tags = []
    formats.pack(bench.zip, formats.imagenet(made, CLASSES))
    assert f"1 have none: `no_label/{made[0].name}`" in bench.refused()


def test_folders_that_are_no_classes(bench: Bench) -> None:
    made = small()
    bench.task = "classification"
    members = formats.images(made[:2], "train") + formats.images(made[2:], "val")
    formats.pack(bench.zip, members)
    assert bench.refused().startswith("no annotations: none that are known here")


@pytest.mark.parametrize("title", {**formats.BOXES, **formats.TAGS})
def test_a_name_in_the_annotations_that_climbs_out(bench: Bench, title: str) -> None:
    """It is looked for among the members of the zip only, and nothing is written under it."""
    tagged = title == "ImageNet 1.0"
    bench.task = "classification" if tagged else "detection"
    made = small(tagged=tagged)
    secret = bench.folder / "evil.png"
    secret.write_bytes(made[0].png)
    made[0].name = "../../../evil.png"
    members = {**formats.BOXES, **formats.TAGS}[title](made, CLASSES, "train")
    if not tagged:
        members = [m for m in members if m[1] != made[0].png and "/../" not in m[0]]
    formats.pack(bench.zip, members)
    before = set(bench.folder.parent.rglob("*evil*"))
    bench.refused()
    assert set(bench.folder.parent.rglob("*evil*")) == before


def test_why_cvat_is_not_read_by_the_library(tmp_path: Path) -> None:
    """When this fails, the library may have become good enough for our own reader to go."""
    made = fixtures.pictures(2, size=SIZE)
    xml = fixtures.cvat_xml(made, ("ok", "dent"), "project").replace('id="1" name', 'id="0" name')
    subsets = "<project><subsets><subset>default</subset></subsets>"
    for text in (xml.replace("<project>", subsets), fixtures.cvat_xml(made, ("ok",), "job")):
        folder = tmp_path / str(len(text))
        members = [("annotations.xml", text.encode()), *formats.images(made, "images")]
        for name, data in members:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        if "<job>" in text:
            with pytest.raises(datumaro.errors.DatasetImportError):
                datumaro.Dataset.import_from(str(folder), "cvat")
        else:
            assert len(datumaro.Dataset.import_from(str(folder), "cvat")) == 1, "2 pictures"
        fixtures.write_zip(
            tmp_path / "a.zip",
            [("annotations.xml", text.encode()), *formats.images(made, "images")],
        )
        assert len(read(tmp_path / "a.zip", tmp_path / f"{len(text)}.zip").images) == 2
