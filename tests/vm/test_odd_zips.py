"""Zips that nobody meant to make: each is read rightly, or refused in words."""

from __future__ import annotations

import bz2
import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from retrain.failure import some
from retrain.images import Unreadable, measure, open_rgb

from tests.vm import fixtures, formats
from tests.vm.bench import Bench

CLASSES = ("ok", "dent")
SIZE = (96, 64)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def small(count: int = 4, classes: tuple[str, ...] = CLASSES, tagged: bool = False) -> Any:
    build = fixtures.kinds if tagged else fixtures.pictures
    return build(count, classes, size=SIZE)


def changed(members: formats.Members, change: Callable[[Any], object]) -> formats.Members:
    """The annotations, which come first, with a change to their JSON."""
    document = json.loads(members[0][1])
    change(document)
    return [(members[0][0], json.dumps(document).encode()), *members[1:]]


@pytest.mark.parametrize("classes", [("A", "B"), ("良", "x"), ("n.", "ok")])
def test_folders_of_one_letter_are_classes(bench: Bench, classes: tuple[str, str]) -> None:
    made = small(classes=classes, tagged=True)
    bench.task = "classification"
    formats.pack(bench.zip, formats.imagenet(made, classes))
    dataset = bench.check()
    assert sorted(dataset.classes) == sorted(classes)
    tags = {p.png: p.tags for p in made}
    for sample in dataset.samples:
        assert [dataset.classes[n] for n in sample.labels] == tags[sample.path.read_bytes()]


def test_more_classes_than_can_be_published(bench: Bench) -> None:
    names = tuple(f"c{n:03d}" for n in range(201))
    made = small(201, names, tagged=True)
    bench.task = "classification"
    formats.pack(bench.zip, formats.imagenet(made, names))
    assert bench.refused() == "it has 201 classes, at most 200 are allowed"


@pytest.mark.parametrize("name", ["a\nb", "x" * 257, "\x1b[31m", "a\u2028b"])
def test_a_class_that_cannot_be_published(bench: Bench, name: str) -> None:
    members = changed(
        formats.coco(small(), CLASSES), lambda d: d["categories"][0].update(name=name)
    )
    formats.pack(bench.zip, members)
    words = bench.refused()
    assert words.startswith("1 names of classes are empty, longer than 256 bytes or no plain")
    assert words.isprintable()


@pytest.mark.parametrize("title", ["COCO 1.0", "Datumaro 1.0"])
def test_a_class_without_a_name(bench: Bench, title: str) -> None:
    def change(document: Any) -> None:
        rows = document["categories"]
        (rows if title == "COCO 1.0" else rows["label"]["labels"])[0]["name"] = " "

    formats.pack(bench.zip, changed(formats.BOXES[title](small(), CLASSES, "default"), change))
    assert bench.refused().endswith("a class has no name")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("ok", "no whole list of `names` from 0 on"),
        ("[yes, no]", "class 0 of `names` is no text; put it in quotes"),
        ("[ok, 1.10]", "class 1 of `names` is no text; put it in quotes"),
        ("[null, dent]", "class 0 of `names` is no text; put it in quotes"),
        ("['', dent]", "a class has no name, or two have the same"),
        ("[ok, ok]", "a class has no name, or two have the same"),
        ('["ok\\nx", dent]', "the name of a class goes over two lines"),
    ],
)
def test_names_of_yolo(bench: Bench, names: str, words: str) -> None:
    members = formats.ultralytics(small(), CLASSES)
    formats.pack(bench.zip, [("data.yaml", f"names: {names}\n".encode()), *members[1:]])
    assert words in bench.refused()


def test_numbers_are_names_of_yolo(bench: Bench) -> None:
    members = formats.ultralytics(small(), CLASSES)
    formats.pack(bench.zip, [("data.yaml", b"names: [0, 1]\n"), *members[1:]])
    assert bench.check().classes == ["0", "1"]


@pytest.mark.parametrize("title", ["COCO 1.0", "Datumaro 1.0"])
def test_a_picture_without_end(bench: Bench, title: str) -> None:
    def change(document: Any) -> None:
        if title == "COCO 1.0":
            document["images"][0]["width"] = float("inf")
        else:
            document["items"][0]["image"]["size"][0] = float("inf")

    formats.pack(bench.zip, changed(formats.BOXES[title](small(), CLASSES, "default"), change))
    assert f"is not {title.split()[0]} as CVAT writes it (OverflowError" in bench.refused()


def test_a_mask_with_a_negative_run(bench: Bench) -> None:
    mask = {"counts": [-5, 96 * 64 + 5], "size": [64, 96]}
    members = changed(
        formats.coco(small(), CLASSES), lambda d: d["annotations"][0].update(segmentation=mask)
    )
    formats.pack(bench.zip, members)
    assert "is not COCO as CVAT writes it (OverflowError" in bench.refused()


def test_a_mask_on_a_picture_that_is_said_to_be_huge(bench: Bench) -> None:
    """A few bytes, which would be laid out in gigabytes."""
    (name, xml), *others = formats.cvat(small(), CLASSES)
    mask = (
        b'<mask label="ok" rle="1,399999999" left="0" top="0" width="20000" height="20000"></mask>'
    )
    xml = xml.replace(b'width="96" height="64"', b'width="20000" height="20000"', 1)
    formats.pack(bench.zip, [(name, xml.replace(b"<box ", mask + b"<box ", 1)), *others])
    assert "is said to have more than 178956970 pixels" in bench.refused()


def test_a_voc_picture_of_another_size(bench: Bench) -> None:
    made = small()
    members = formats.voc(made, CLASSES)
    side = (b"<width>96", b"<width>192")
    formats.pack(bench.zip, [(n, d.replace(*side)) for n, d in members])
    assert "4 images have another size than when they were annotated" in bench.refused()
    side = (b"<width>96", b"<width>0")
    formats.pack(bench.zip, [(n, d.replace(*side)) for n, d in members])
    assert len(bench.check().samples) == 4


@pytest.mark.parametrize("task", ["detection", "instance_segmentation"])
def test_a_polygon_without_end(bench: Bench, task: str) -> None:
    made = small()
    bench.task = task
    (name, xml), *others = formats.cvat(made, CLASSES)
    shape = b'<polygon label="ok" points="10,10;40,nan;50,50"></polygon><box '
    formats.pack(bench.zip, [(name, xml.replace(b"<box ", shape, 1)), *others])
    assert bench.refused() == f"1 images have corners without end: `{made[0].name}`"


@pytest.mark.parametrize("encoding", ["shift_jis", "none-such"])
def test_xml_in_an_encoding_that_is_not_read(bench: Bench, encoding: str) -> None:
    (name, xml), *others = formats.cvat(small(), CLASSES)
    head = f'<?xml version="1.0" encoding="{encoding}"?>'.encode()
    formats.pack(bench.zip, [(name, head + xml.split(b"?>", 1)[1]), *others])
    assert bench.refused().startswith("`annotations.xml` is not whole XML in UTF-8 (")


@pytest.mark.parametrize("how", ["./{}", "x//{}", "x/./{}"])
def test_names_as_other_packers_write_them(bench: Bench, how: str) -> None:
    made = small()
    members = [(how.format(name), data) for name, data in formats.cvat(made, CLASSES)]
    formats.pack(bench.zip, members)
    dataset = bench.check()
    assert [s.path.read_bytes() for s in dataset.samples] == [p.png for p in made]


@pytest.mark.parametrize("name", [".", "./", "\0x"])
def test_a_member_without_a_name(bench: Bench, name: str) -> None:
    formats.pack(bench.zip, [*formats.cvat(small(), CLASSES), (name, b"")])
    assert len(bench.check().samples) == 4


def test_a_damaged_bzip2_member(bench: Bench) -> None:
    with zipfile.ZipFile(bench.zip, "w", zipfile.ZIP_BZIP2) as archive:
        for name, data in formats.cvat(small(), CLASSES):
            archive.writestr(name, data)
    data = bytearray(bench.zip.read_bytes())
    start = data.index(bz2.compress(b"x")[:3])
    data[start + 20 : start + 60] = bytes(40)
    bench.zip.write_bytes(data)
    assert "`annotations.xml` is broken (OSError)" in bench.refused()


def test_a_way_of_packing_that_is_not_known(bench: Bench) -> None:
    """Windows packs very large files with Deflate64, number 9."""
    formats.pack(bench.zip, formats.cvat(small(), CLASSES))
    with zipfile.ZipFile(bench.zip) as archive:
        places = [info.header_offset + 8 for info in archive.infolist()]
    data = bytearray(bench.zip.read_bytes())
    at = data.find(b"PK\1\2")
    while at >= 0:
        places.append(at + 10)
        at = data.find(b"PK\1\2", at + 4)
    for place in places:
        data[place] = 9
    bench.zip.write_bytes(data)
    assert "it is packed in a way that is not known here" in bench.refused()


def test_names_are_shown_on_one_line_and_not_whole_when_very_long() -> None:
    assert (
        some(["a\nb\x1b[31m\ud800", "写真\u3000表示.png"])
        == "`a\ufffdb\ufffd[31m\ufffd`, `写真\u3000表示.png`"
    )
    assert len(some(["x" * 60_000])) < 300


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("odd", [False, True])
def test_a_picture_with_odd_exif_is_turned(tmp_path: Path, turn: int, odd: bool) -> None:
    """Pillow's own way fails while it writes the EXIF data anew."""
    pixels = np.random.default_rng(1).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = turn, 72.0
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", exif=exif)
    path = tmp_path / "a.jpg"
    path.write_bytes(data.getvalue())
    with Image.open(path) as image:
        wanted = ImageOps.exif_transpose(image).convert("RGB")
    if odd:
        # The resolution, which was a fraction, as text.
        tag = b"\x01\x1a\x00\x05\x00\x00\x00\x01"
        if tag not in data.getvalue():
            tag = b"\x1a\x01\x05\x00\x01\x00\x00\x00"
        assert tag in data.getvalue()
        text = tag.replace(b"\x05", b"\x07")
        path.write_bytes(data.getvalue().replace(tag, text))
    assert np.array_equal(np.asarray(open_rgb(path)), np.asarray(wanted))
    assert measure(path) == wanted.size


def test_damaged_pictures_are_unreadable_and_nothing_else(tmp_path: Path) -> None:
    source = np.random.default_rng(7)
    image = Image.fromarray(source.integers(0, 255, (24, 32, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "maker", 72.0
    whole = []
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP"):
        stream = io.BytesIO()
        image.save(stream, kind, **({} if kind in ("GIF", "BMP") else {"exif": exif}))
        whole.append(stream.getvalue())
    path = tmp_path / "a.bin"
    for turn in range(1500):
        data = bytearray(whole[turn % len(whole)])
        for _ in range(source.integers(1, 6)):
            data[source.integers(0, min(len(data), 200))] = source.integers(0, 256)
        path.write_bytes(data)
        measure(path)
        with contextlib.suppress(Unreadable):
            open_rgb(path)
