"""'CVAT for images 1.1': annotations.xml, exported from a task, a project or a job.

Read here and not by Datumaro 1.13.12, which does this format wrong (a test of ours sees each):
pictures are told apart by frame number, so that those of two tasks of one project become one
picture with the boxes of both; a job's export is refused; the first missing picture ends it; shapes
of undeclared classes stay without a class; ellipses and cuboids vanish, a skeleton leaves its
points. It also takes 1.5 s and 80 MB to import, which the everyday format thus saves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from .masks import from_runs, outline
from .raw import Raw, RawImage, ReadProblem, composed, label_of, locate, turned

NAME = "annotations.xml"
# Shapes that have no upright box; they are counted and left out.
_LOST = {
    "ellipse": "ellipses",
    "polyline": "polylines",
    "points": "point sets",
    "cuboid": "cuboids",
    "skeleton": "skeletons",
}


def find(files: Mapping[str, Path]) -> list[str]:
    """``annotations.xml`` at the root of the export."""
    return [NAME] if NAME in files else []


def read(files: Mapping[str, Path], members: list[str]) -> Raw:
    """All pictures with tags, boxes and outlines; an outline has the box around it too."""
    path = files[members[0]]
    if _names_entities(path):
        raise ReadProblem(f"`{NAME}` defines entities, which CVAT never does")
    raw = Raw()
    try:
        for node in _nodes(path):
            if node.tag == "meta":
                labels = node.iterfind("*/labels/label/name")
                raw.declare([label_of(label.text) for label in labels])
                if node.find("job") is not None:
                    raw.notes.append("the zip is the export of one CVAT job, not of the whole task")
            elif node.tag == "track":
                raise ReadProblem("this is 'CVAT for video'; export as 'CVAT for images 1.1'")
            elif node.tag == "image":
                raw.images.append(_image(files, node, raw))
    except ReadProblem:
        raise
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        # The latter two: letters in an encoding that the parser does not know.
        raise ReadProblem(f"`{NAME}` is not whole XML in UTF-8 ({error})") from None
    if not raw.classes:
        raw.declare([name for image in raw.images for name in image.names()])
    return raw


def _names_entities(path: Path) -> bool:
    """Looked for in pieces, which overlap by more than the word."""
    tail = b""
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            if b"<!ENTITY" in tail + piece:
                return True
            tail = piece[-16:]
    return False


def _nodes(path: Path) -> Iterator[ElementTree.Element]:
    """The root's children, each forgotten before the next one is read."""
    depth = 0
    root: ElementTree.Element | None = None
    for event, node in ElementTree.iterparse(path, ("start", "end")):
        if event == "start":
            if root is None:
                root = node
                if root.tag != "annotations":
                    raise ReadProblem(f"`{NAME}` is no CVAT export (it starts with <{root.tag}>)")
            depth += 1
            continue
        depth -= 1
        if depth == 1 and root is not None:
            yield node
            root.clear()


def _image(files: Mapping[str, Path], node: ElementTree.Element, raw: Raw) -> RawImage:
    name = composed(node.get("name") or "")
    try:
        width, height = int(node.get("width", "")), int(node.get("height", ""))
    except ValueError:
        raise ReadProblem(f"`{NAME}`: picture `{name}` has no size") from None
    image = RawImage(name, locate(files, name, node.get("subset")), width, height)
    for shape in node:
        label = label_of(shape.get("label"))
        if not label:
            raw.lose("annotations without a class", name, None)
        elif shape.tag == "tag":
            image.tags.append(label)
        elif shape.tag in _LOST:
            raw.lose(_LOST[shape.tag], name, label)
        elif shape.tag == "box" and turned(shape.get("rotation")):
            raw.lose("rotated boxes", name, label)
        elif shape.tag in ("box", "polygon", "mask"):
            try:
                _add(image, label, shape, raw)
            except (LookupError, ValueError, ArithmeticError):
                raise ReadProblem(
                    f"`{NAME}`: a <{shape.tag}> of `{name}` has no readable corners"
                ) from None
        else:
            raw.lose(f"<{shape.tag}> shapes", name, label)
    return image


def _add(image: RawImage, label: str, shape: ElementTree.Element, raw: Raw) -> None:
    get = shape.attrib
    if shape.tag == "box":
        corners = (float(get["xtl"]), float(get["ytl"]), float(get["xbr"]), float(get["ybr"]))
        image.boxes.append((label, *corners))
    elif shape.tag == "polygon":
        points = [tuple(map(float, point.split(","))) for point in get["points"].split(";")]
        image.outline(label, [[value for x, y in points for value in (x, y)]])
    else:
        left, top = int(get["left"]), int(get["top"])
        width, height = int(get["width"]), int(get["height"])
        if width > image.width or height > image.height:
            raise ValueError("larger than the picture")
        runs = [int(run) for run in get["rle"].split(",")]
        parts, holes = outline(from_runs(runs, width, height))
        if not parts:
            raw.lose("empty masks", image.name, label)
            return
        raw.holes += holes
        moved = [[v + (top if i % 2 else left) for i, v in enumerate(part)] for part in parts]
        image.polygons.append((label, moved))
        image.boxes.append((label, left, top, left + width, top + height))
