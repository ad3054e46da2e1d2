"""The layouts in which CVAT exports, as its documentation shows them: members of a zip.

A layout is a function of pictures, classes and a subset's name; ``pack`` makes the zip of it in the
ways in which zips are made: plainly, on Japanese Windows, on macOS, with a folder around it all.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from xml.sax.saxutils import escape

from tests.vm import fixtures
from tests.vm.fixtures import Picture

Members = list[tuple[str, bytes]]
Layout = Callable[[Sequence[Picture], Sequence[str], str], Members]


def images(pictures: Sequence[Picture], folder: str) -> Members:
    """The pictures below a folder."""
    return [(f"{folder}/{p.name}", p.png) for p in pictures]


def _stem(picture: Picture) -> str:
    return str(PurePosixPath(picture.name).with_suffix(""))


def as_json(document: Any) -> bytes:
    """As CVAT writes it: UTF-8, nothing escaped."""
    return json.dumps(document, ensure_ascii=False).encode()


def cvat(pictures: Sequence[Picture], classes: Sequence[str], subset: str = "") -> Members:
    """CVAT for images 1.1, of a task."""
    xml = fixtures.cvat_xml(pictures, classes).encode()
    return [("annotations.xml", xml), *images(pictures, "images")]


def coco(pictures: Sequence[Picture], classes: Sequence[str], subset: str = "default") -> Members:
    """COCO 1.0."""
    document = as_json(fixtures.coco_json(pictures, classes))
    return [
        (f"annotations/instances_{subset}.json", document),
        *images(pictures, f"images/{subset}"),
    ]


def datumaro_items(pictures: Sequence[Picture], classes: Sequence[str]) -> dict[str, Any]:
    """The document of Datumaro 1.0."""
    items = []
    for number, picture in enumerate(pictures):
        marks: list[dict[str, Any]] = []
        for shape in picture.shapes:
            x1, y1, x2, y2 = shape.box
            box = {"type": "bbox", "bbox": [x1, y1, x2 - x1, y2 - y1], "z_order": 0}
            marks.append({**box, "label_id": list(classes).index(shape.label)})
        marks += [{"type": "label", "label_id": list(classes).index(t)} for t in picture.tags]
        for mark in marks:
            mark |= {"id": 0, "group": 0, "attributes": {"occluded": False}}
        width, height = picture.size
        items.append(
            {
                "id": _stem(picture),
                "annotations": marks,
                "attr": {"frame": number},
                "image": {"path": picture.name, "size": [height, width]},
            }
        )
    labels = [{"name": name, "parent": "", "attributes": []} for name in classes]
    return {
        "info": {},
        "categories": {"label": {"labels": labels, "attributes": ["occluded"]}},
        "items": items,
    }


def datumaro(
    pictures: Sequence[Picture], classes: Sequence[str], subset: str = "default"
) -> Members:
    """Datumaro 1.0."""
    document = as_json(datumaro_items(pictures, classes))
    return [(f"annotations/{subset}.json", document), *images(pictures, f"images/{subset}")]


def voc_xml(picture: Picture, extra: str = "") -> bytes:
    """One file below Annotations/."""
    objects = "".join(
        f"<object><name>{escape(s.label)}</name><occluded>0</occluded><bndbox>"
        f"<xmin>{s.box[0]}</xmin><ymin>{s.box[1]}</ymin><xmax>{s.box[2]}</xmax>"
        f"<ymax>{s.box[3]}</ymax></bndbox></object>"
        for s in picture.shapes
    )
    width, height = picture.size
    return (
        f"<annotation><folder></folder><filename>{escape(picture.name)}</filename>"
        f"<source><database>Unknown</database></source><size><width>{width}</width>"
        f"<height>{height}</height><depth></depth></size><segmented>0</segmented>"
        f"{objects}{extra}</annotation>"
    ).encode()


def voc(pictures: Sequence[Picture], classes: Sequence[str], subset: str = "default") -> Members:
    """Pascal VOC 1.1: boxes in the XML files, tags in lists of their own."""
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::"]
    lines += [f"{name}:{9 * n},0,0::" for n, name in enumerate(classes, 1)]
    members = [("labelmap.txt", "\n".join(lines).encode())]
    listed = "".join(f"{_stem(p)}\n" for p in pictures).encode()
    members += [(f"ImageSets/Main/{subset}.txt", listed)]
    if any(p.tags for p in pictures):
        for name in classes:
            rows = "".join(f"{_stem(p)} {1 if name in p.tags else -1}\n" for p in pictures)
            members.append((f"ImageSets/Main/{name}_{subset}.txt", rows.encode()))
    members += [(f"Annotations/{_stem(p)}.xml", voc_xml(p)) for p in pictures]
    return members + images(pictures, "JPEGImages")


def yolo_lines(picture: Picture, classes: Sequence[str]) -> bytes:
    """The text beside one picture."""
    width, height = picture.size
    rows = []
    for shape in picture.shapes:
        x1, y1, x2, y2 = shape.box
        place = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width)
        numbers = " ".join(f"{v:.6f}" for v in (*place, (y2 - y1) / height))
        rows.append(f"{list(classes).index(shape.label)} {numbers}\n")
    return "".join(rows).encode()


def ultralytics(
    pictures: Sequence[Picture], classes: Sequence[str], subset: str = "train"
) -> Members:
    """Ultralytics YOLO Detection 1.0."""
    names = "".join(f"  {n}: {json.dumps(name)}\n" for n, name in enumerate(classes))
    head = f"path: ./ # dataset root dir\n{subset}: {subset}.txt\n\n# Classes\nnames:\n{names}"
    listed = "".join(f"images/{subset}/{p.name}\n" for p in pictures).encode()
    labels = [(f"labels/{subset}/{_stem(p)}.txt", yolo_lines(p, classes)) for p in pictures]
    return [
        ("data.yaml", head.encode()),
        (f"{subset}.txt", listed),
        *labels,
        *images(pictures, f"images/{subset}"),
    ]


def yolo(pictures: Sequence[Picture], classes: Sequence[str], subset: str = "train") -> Members:
    """YOLO 1.1."""
    folder = f"obj_{subset}_data"
    head = f"classes = {len(classes)}\n{subset} = data/{subset}.txt\nnames = data/obj.names\n"
    listed = "".join(f"data/{folder}/{p.name}\n" for p in pictures).encode()
    return [
        ("obj.data", f"{head}backup = backup/\n".encode()),
        ("obj.names", "".join(f"{name}\n" for name in classes).encode()),
        (f"{subset}.txt", listed),
        *[(f"{folder}/{_stem(p)}.txt", yolo_lines(p, classes)) for p in pictures],
        *images(pictures, folder),
    ]


def imagenet(pictures: Sequence[Picture], classes: Sequence[str], subset: str = "") -> Members:
    """ImageNet 1.0: a folder per class; a picture with two tags is in both."""
    members = [(f"{tag}/{tag}_{p.name}", p.png) for p in pictures for tag in p.tags]
    return members + [(f"no_label/{p.name}", p.png) for p in pictures if not p.tags]


BOXES: dict[str, Layout] = {
    "CVAT for images 1.1": cvat,
    "COCO 1.0": coco,
    "Datumaro 1.0": datumaro,
    "Pascal VOC 1.1": voc,
    "Ultralytics YOLO Detection 1.0": ultralytics,
    "YOLO 1.1": yolo,
}
TAGS: dict[str, Layout] = {
    "CVAT for images 1.1": cvat,
    "Datumaro 1.0": datumaro,
    "Pascal VOC 1.1": voc,
    "ImageNet 1.0": imagenet,
}
WAYS = ("utf-8", "cp932", "nfd", "folder")


def pack(path: Path, members: Members, way: str = "utf-8") -> Path:
    """The zip: names in flagged UTF-8, in cp932 without a flag (Japanese Windows), taken apart into
    NFD (macOS), or below a folder and with what macOS and Windows leave behind."""
    if way == "cp932":
        return fixtures.raw_zip(path, [(name.encode("cp932"), data) for name, data in members])
    if way == "nfd":
        members = [(unicodedata.normalize("NFD", name), data) for name, data in members]
    if way == "folder":
        members = [(f"出力 2026/{name}", data) for name, data in members]
        members += [("__MACOSX/出力 2026/._x", b"x"), ("出力 2026/.DS_Store", b"x")]
        members += [("出力 2026/Thumbs.db", b"x")]
    return fixtures.write_zip(path, members)
