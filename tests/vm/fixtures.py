"""Generated data sets: pictures with coloured shapes, zipped as CVAT exports them.

``cvat_zip``, ``coco_zip`` and ``tag_zip`` make whole and useful data sets; the other builders make
each kind of zip that a check must refuse or survive. All are small, made from a seed, and write to
a given path.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image, ImageDraw

COLOURS = [(210, 40, 40), (40, 90, 220), (40, 180, 70), (230, 190, 30), (160, 50, 190)]
JAPANESE = "写真 表示"


@dataclass
class Shape:
    """One annotated box: class name and corners in pixels."""

    label: str
    box: tuple[float, float, float, float]


@dataclass
class Picture:
    """One annotated picture; ``name`` is its path below ``images/``."""

    name: str
    png: bytes
    size: tuple[int, int]
    shapes: list[Shape] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


def draw(
    name: str,
    classes: Sequence[str],
    seed: int,
    size: tuple[int, int] = (320, 240),
    at_least: int = 1,
    must: int | None = None,
    alone: bool = False,
) -> Picture:
    """One picture of ``size`` (width, height): 1 to 3 shapes, each class its own colour.

    ``must``: the class of the first shape, and of all when it is ``alone``.
    """
    random = np.random.default_rng([seed, 3])
    width, height = size
    base = random.integers(90, 170, 3)
    noise = random.normal(0, 6, (height // 4 + 1, width // 4 + 1, 3))
    ground = np.clip(base + noise, 0, 255).astype(np.uint8)
    image = Image.fromarray(ground).resize(size, Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(image)
    shapes: list[Shape] = []
    taken: list[tuple[int, int, int, int]] = []
    for turn in range(int(random.integers(at_least, 4))):
        for _ in range(20):
            w = int(random.integers(width // 8, width // 3))
            h = int(random.integers(height // 7, height // 3))
            x, y = int(random.integers(0, width - w)), int(random.integers(0, height - h))
            if all(
                x > b[2] + 4 or y > b[3] + 4 or x + w < b[0] - 4 or y + h < b[1] - 4 for b in taken
            ):
                break
        else:
            continue
        index = (
            must
            if must is not None and (turn == 0 or alone)
            else int(random.integers(len(classes)))
        )
        colour = tuple(int(np.clip(c + random.normal(0, 8), 0, 255)) for c in COLOURS[index % 5])
        place = (x, y, x + w - 1, y + h - 1)
        (pen.rectangle if index % 2 == 0 else pen.ellipse)(place, fill=colour)
        taken.append((x, y, x + w, y + h))
        shapes.append(Shape(classes[index], (float(x), float(y), float(x + w), float(y + h))))
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    return Picture(name, data.getvalue(), size, shapes)


def pictures(
    count: int,
    classes: Sequence[str] = ("ok", "dent"),
    seed: int = 1,
    size: tuple[int, int] = (320, 240),
    pattern: str = "item_{:04d}.png",
) -> list[Picture]:
    """``count`` pictures; each class appears about equally often."""
    return [
        draw(pattern.format(i), classes, seed * 100_003 + i, size, must=i % len(classes))
        for i in range(count)
    ]


def kinds(
    count: int,
    classes: Sequence[str] = ("ok", "dent"),
    seed: int = 1,
    size: tuple[int, int] = (320, 240),
    pattern: str = "kind_{:04d}.png",
) -> list[Picture]:
    """``count`` pictures with shapes of one class each, which is the tag; no boxes."""
    made = []
    for i in range(count):
        index = i % len(classes)
        name = pattern.format(i)
        picture = draw(name, classes, seed * 100_003 + i, size, must=index, alone=True)
        made.append(Picture(name, picture.png, size, tags=[classes[index]]))
    return made


def _tag_xml(label: str) -> str:
    return f'<tag label={quoteattr(label)} source="manual"></tag>'


def _box_xml(shape: Shape) -> str:
    x1, y1, x2, y2 = shape.box
    return (
        f'<box label={quoteattr(shape.label)} source="manual" occluded="0" xtl="{x1:.2f}" '
        f'ytl="{y1:.2f}" xbr="{x2:.2f}" ybr="{y2:.2f}" z_order="0"></box>'
    )


def cvat_xml(
    items: Sequence[Picture],
    classes: Sequence[str],
    kind: str = "task",
    extra: dict[str, str] | None = None,
    subset: str | None = None,
) -> str:
    """annotations.xml of 'CVAT for images 1.1'; ``extra`` adds raw shapes to pictures by name."""
    labels = "".join(f"<label><name>{_escape(c)}</name></label>" for c in classes)
    rows = []
    for number, item in enumerate(items):
        place = f" subset={quoteattr(subset)}" if subset else ""
        inner = "".join(_box_xml(s) for s in item.shapes)
        inner += "".join(_tag_xml(label) for label in item.tags) + (extra or {}).get(item.name, "")
        rows.append(
            f'<image id="{number}" name={quoteattr(item.name)}{place} width="{item.size[0]}" '
            f'height="{item.size[1]}">{inner}</image>'
        )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta>'
        f"<{kind}><id>1</id><name>t</name><labels>{labels}</labels></{kind}></meta>"
        + "".join(rows)
        + "</annotations>"
    )


def coco_json(items: Sequence[Picture], classes: Sequence[str]) -> dict[str, object]:
    """instances_default.json of 'COCO 1.0'."""
    annotations = []
    for image_id, item in enumerate(items, 1):
        for shape in item.shapes:
            x1, y1, x2, y2 = shape.box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": list(classes).index(shape.label) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                    "segmentation": [],
                    "attributes": {"occluded": False},
                }
            )
    return {
        "categories": [{"id": i, "name": c, "supercategory": ""} for i, c in enumerate(classes, 1)],
        "images": [
            {"id": i, "file_name": p.name, "width": p.size[0], "height": p.size[1]}
            for i, p in enumerate(items, 1)
        ],
        "annotations": annotations,
    }


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def write_zip(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    """A plain zip with UTF-8 names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6)), data)
    return path


def cvat_zip(
    path: Path,
    count: int = 40,
    classes: Sequence[str] = ("ok", "dent"),
    seed: int = 1,
    items: Sequence[Picture] | None = None,
    kind: str = "task",
    extra: dict[str, str] | None = None,
    prefix: str = "",
    junk: bool = False,
    subset: str | None = None,
) -> list[Picture]:
    """A 'CVAT for images 1.1' export with pictures; returns what is in it.

    ``kind``: task, project or job. ``prefix``: a folder around everything, with its ``/``.
    ``junk``: adds what macOS and Windows leave behind. ``subset``: as a project export has it.
    """
    made = list(items) if items is not None else pictures(count, classes, seed)
    folder = f"images/{subset}/" if subset else "images/"
    members = [(f"{prefix}annotations.xml", cvat_xml(made, classes, kind, extra, subset).encode())]
    members += [(f"{prefix}{folder}{p.name}", p.png) for p in made]
    if junk:
        members += [("__MACOSX/._annotations.xml", b"x"), (f"{prefix}images/.DS_Store", b"x")]
        members += [(f"{prefix}images/Thumbs.db", b"x")]
    write_zip(path, members)
    return made


def tag_zip(
    path: Path,
    count: int = 40,
    classes: Sequence[str] = ("ok", "dent"),
    seed: int = 1,
    items: Sequence[Picture] | None = None,
    extra: dict[str, str] | None = None,
) -> list[Picture]:
    """A 'CVAT for images 1.1' export with a tag on each picture; returns what is in it."""
    made = list(items) if items is not None else kinds(count, classes, seed)
    return cvat_zip(path, classes=classes, items=made, extra=extra)


def coco_zip(
    path: Path,
    count: int = 40,
    classes: Sequence[str] = ("ok", "dent"),
    seed: int = 1,
    items: Sequence[Picture] | None = None,
    change: Callable[[dict[str, object]], None] | None = None,
) -> list[Picture]:
    """A 'COCO 1.0' export with pictures; ``change`` may edit the JSON before it is written."""
    made = list(items) if items is not None else pictures(count, classes, seed)
    document = coco_json(made, classes)
    if change:
        change(document)
    members = [("annotations/instances_default.json", json.dumps(document).encode())]
    members += [(f"images/default/{p.name}", p.png) for p in made]
    write_zip(path, members)
    return made


def japanese_zip(path: Path, encoding: str = "utf-8", count: int = 8) -> list[Picture]:
    """A CVAT zip with Japanese names: ``utf-8`` (flagged), ``cp932`` (no flag) or ``nfd`` (macOS).

    The annotations always have the names composed (NFC), as CVAT writes them.
    """
    import unicodedata

    classes = ("良品", "点字 ブロック")
    made = pictures(count, classes, pattern=JAPANESE + " ガ{:02d}.png")
    xml = cvat_xml(made, classes).encode()
    if encoding == "utf-8":
        write_zip(path, [("annotations.xml", xml)] + [(f"images/{p.name}", p.png) for p in made])
    elif encoding == "nfd":
        names = [unicodedata.normalize("NFD", p.name) for p in made]
        pairs = zip(names, made, strict=True)
        write_zip(path, [("annotations.xml", xml)] + [(f"images/{n}", p.png) for n, p in pairs])
    else:
        raw_zip(
            path,
            [(b"annotations.xml", xml)]
            + [(f"images/{p.name}".encode("cp932"), p.png) for p in made],
        )
    return made


def raw_zip(path: Path, members: Sequence[tuple[bytes, bytes]], attributes: int = 0) -> Path:
    """A stored zip with names given as bytes and no UTF-8 flag (as Windows tools write them)."""
    import zlib

    body, index = b"", b""
    for name, data in members:
        crc = zlib.crc32(data)
        head = struct.pack(
            "<HHHHHIIIHH", 20, 0, 0, 0, 0x5A21, crc, len(data), len(data), len(name), 0
        )
        index += struct.pack("<IH", 0x02014B50, 20 | (3 << 8)) + head
        index += struct.pack("<HHHII", 0, 0, 0, attributes, len(body)) + name
        body += struct.pack("<I", 0x04034B50) + head + name + data
    end = struct.pack(
        "<IHHHHIIH", 0x06054B50, 0, 0, len(members), len(members), len(index), len(body), 0
    )
    path.write_bytes(body + index + end)
    return path


def broken_zip(path: Path) -> Path:
    """A zip cut in the middle of a picture, its directory intact: looks whole from outside."""
    cvat_zip(path, 4)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        place = archive.infolist()[2].header_offset + 200
    data[place : place + 400] = bytes(400)
    path.write_bytes(bytes(data))
    return path


def truncated_zip(path: Path) -> Path:
    """Only the first half of a zip."""
    cvat_zip(path, 4)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def no_images_zip(path: Path) -> Path:
    """Annotations without pictures ('Save images' was off)."""
    return write_zip(path, [("annotations.xml", cvat_xml(pictures(3), ("ok", "dent")).encode())])


def no_annotations_zip(path: Path) -> Path:
    """Pictures without annotations."""
    return write_zip(path, [(f"images/{p.name}", p.png) for p in pictures(3)])


def no_boxes_zip(path: Path) -> list[Picture]:
    """A CVAT zip in which class ``dent`` is declared and never drawn."""
    made = pictures(6, ("ok",))
    cvat_zip(path, classes=("ok", "dent"), items=made)
    return made


def missing_images_zip(path: Path) -> Path:
    """A CVAT zip that lost two of its five pictures."""
    made = pictures(5)
    xml = cvat_xml(made, ("ok", "dent")).encode()
    return write_zip(
        path, [("annotations.xml", xml)] + [(f"images/{p.name}", p.png) for p in made[2:]]
    )


def climbing_zip(path: Path, name: str = "../../evil.png") -> Path:
    """A zip with a member that wants to be written somewhere else."""
    cvat_zip(path, 2)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    return path


def link_zip(path: Path) -> Path:
    """A zip with a symbolic link in it."""
    cvat_zip(path, 2)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("images/link.png")
        info.create_system = 3
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return path


def bomb_zip(path: Path, size: int = 300 << 20) -> Path:
    """A small zip that unfolds to ``size`` bytes of zeros."""
    cvat_zip(path, 2)
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive,
        archive.open("images/zeros.bmp", "w") as member,
    ):
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))
    return path


def duplicate_zip(path: Path) -> Path:
    """A zip with one name twice."""
    import warnings

    made = cvat_zip(path, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(f"images/{made[0].name}", made[1].png)
    return path
