"""'CVAT for images 1.1': annotations.xml, exported from a task, a project or a job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from .raw import Raw, RawImage, ReadProblem, composed, locate

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
    """All pictures with tags and boxes; polygons and masks become the box around them."""
    path = files[members[0]]
    if b"<!ENTITY" in path.read_bytes():
        raise ReadProblem(f"`{NAME}` defines entities, which CVAT never does")
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ReadProblem(f"`{NAME}` is not whole XML ({error})") from None
    if root.tag != "annotations":
        raise ReadProblem(f"`{NAME}` is no CVAT export (it starts with <{root.tag}>)")
    if root.find("track") is not None:
        raise ReadProblem("this is 'CVAT for video'; export as 'CVAT for images 1.1'")
    labels = [node.text or "" for node in root.iterfind("meta/*/labels/label/name")]
    raw = Raw(list(dict.fromkeys(composed(label.strip()) for label in labels)), [])
    if root.find("meta/job") is not None:
        raw.notes.append("the zip is the export of one CVAT job, not of the whole task")
    for node in root.iterfind("image"):
        raw.images.append(_image(files, node, raw))
    if not raw.classes:
        used = {name: None for image in raw.images for name in image.names()}
        raw.classes = list(used)
    return raw


def _image(files: Mapping[str, Path], node: ElementTree.Element, raw: Raw) -> RawImage:
    name = node.get("name") or ""
    try:
        width, height = int(node.get("width", "")), int(node.get("height", ""))
    except ValueError:
        raise ReadProblem(f"`{NAME}`: picture `{name}` has no size") from None
    image = RawImage(name, locate(files, name, node.get("subset")), width, height)
    for shape in node:
        label = composed((shape.get("label") or "").strip())
        if shape.tag == "tag":
            image.tags.append(label)
            continue
        if shape.tag in _LOST:
            raw.losses[_LOST[shape.tag]] += 1
            continue
        try:
            corners = _corners(shape)
        except (KeyError, ValueError, IndexError):
            raise ReadProblem(
                f"`{NAME}`: a <{shape.tag}> of `{name}` has no readable corners"
            ) from None
        if corners is None:
            kind = "rotated boxes" if shape.tag == "box" else f"<{shape.tag}> shapes"
            raw.losses[kind] += 1
        else:
            image.boxes.append((label, *corners))
            if shape.tag == "polygon":
                flat = shape.attrib["points"].replace(";", ",").split(",")
                image.polygons.append((label, [[float(value) for value in flat]]))
    return image


def _corners(shape: ElementTree.Element) -> tuple[float, float, float, float] | None:
    """x1, y1, x2, y2 of a shape; None when it has no upright box."""
    get = shape.attrib
    if shape.tag == "box":
        if float(get.get("rotation", 0)) % 360 != 0:
            return None
        return float(get["xtl"]), float(get["ytl"]), float(get["xbr"]), float(get["ybr"])
    if shape.tag == "polygon":
        points = [tuple(map(float, p.split(","))) for p in get["points"].split(";")]
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        return min(xs), min(ys), max(xs), max(ys)
    if shape.tag == "mask":
        left, top = float(get["left"]), float(get["top"])
        return left, top, left + float(get["width"]), top + float(get["height"])
    return None
