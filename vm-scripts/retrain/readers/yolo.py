"""'Ultralytics YOLO Detection 1.0' (data.yaml, images/, labels/) and 'YOLO 1.1' (obj.data,
obj.names, obj_<subset>_data/): one text file beside each picture, in parts of its size.

Datumaro reads the text files, laid out as YOLO 1.1. Pictures and texts are brought together here:
its reader of the Ultralytics form knows pictures by their last name only, so that those of two
folders become one, and leaves out pictures without a text; and both ask the file for its size,
which is the wrong way round for a picture that is turned by EXIF.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ..images import SUFFIXES
from .library import desk, size_of, text_of
from .raw import Raw, RawImage, ReadProblem, composed, label_of

_YAML, _NAMES = "data.yaml", "obj.names"
_FOLDER = "obj_data"
FIT = "export as 'Ultralytics YOLO Detection 1.0'"


def find(files: Mapping[str, Path]) -> list[str]:
    """The file with the names of the classes, and all text files but the lists of pictures."""
    heads = [name for name in (_YAML, "obj.data") if name in files]
    return heads + sorted(n for n in files if _is_label(n)) if heads else []


def _is_label(name: str) -> bool:
    top = name.split("/")[0]
    return name.endswith(".txt") and (top == "labels" or _is_data(top)) and "/" in name


def _is_data(folder: str) -> bool:
    return folder.startswith("obj_") and folder.endswith("_data")


def read(files: Mapping[str, Path], members: list[str]) -> Raw:
    """All pictures; one without a text file, or with an empty one, shows no object."""
    modern = members[0] == _YAML
    names = _modern_names(files) if modern else _old_names(files)
    if not all(names) or len(set(names)) < len(names):
        raise ReadProblem("a class has no name, or two have the same")
    if any("\n" in name for name in names):
        raise ReadProblem("the name of a class goes over two lines")
    waiting = {name for name in members if _is_label(name)}
    raw, sizes = Raw(), {}
    with desk(files) as table:
        for member in sorted(_pictures(files, modern)):
            image = RawImage(_bare(member, modern), member, *size_of(files, member))
            number = table.number(image)
            sizes[str(number)] = (image.height, image.width)
            label = _label_of(member, modern)
            place = f"{_FOLDER}/{number}.txt"
            if label in waiting:
                waiting.discard(label)
                table.link(place, files[label])
            else:
                table.write(place, "")
        found = len(table.images)
        table.write(_NAMES, "".join(f"{name}\n" for name in names))
        table.write("all.txt", "".join(f"{_FOLDER}/{n}.png\n" for n in range(found)))
        table.write("obj.data", f"classes = {len(names)}\nall = all.txt\nnames = {_NAMES}\n")
        try:
            table.read("yolo_strict", "obj.data", raw, image_info=sizes, subset="all")
        except ReadProblem as problem:
            raise ReadProblem(f"{problem}; only boxes without tracks are read, {FIT}") from None
        table.clear(raw)
    gone = {*waiting, *_listed(files, modern)}
    raw.images += [RawImage(name, None, 1, 1) for name in sorted(gone)]
    return raw


def _pictures(files: Mapping[str, Path], modern: bool) -> list[str]:
    tops = {name.split("/")[0] for name in files if "/" in name}
    tops = {"images"} & tops if modern else {top for top in tops if _is_data(top)}
    return [
        name
        for name in files
        if name.split("/")[0] in tops and PurePosixPath(name).suffix.lower() in SUFFIXES
    ]


def _bare(member: str, modern: bool) -> str:
    """A picture's name as it was annotated: without images/<subset>/ or obj_<subset>_data/."""
    parts = member.split("/")
    return "/".join(parts[2:] if modern and len(parts) > 2 else parts[1:])


def _label_of(member: str, modern: bool) -> str:
    text = str(PurePosixPath(member).with_suffix(".txt"))
    return f"labels/{text.removeprefix('images/')}" if modern else text


def _listed(files: Mapping[str, Path], modern: bool) -> list[str]:
    """Pictures that a list of the export names and that are not in the zip."""
    lists = [n for n in files if n.endswith(".txt") and "/" not in n]
    lines = [line for member in lists for line in text_of(files, member).splitlines()]
    names = [composed(line.strip()).removeprefix("./").removeprefix("data/") for line in lines]
    return [name for name in names if name and name not in files]


def _modern_names(files: Mapping[str, Path]) -> list[str]:
    import yaml

    try:
        names: Any = yaml.safe_load(text_of(files, _YAML))["names"]
        if isinstance(names, dict):
            names = [names[number] for number in range(len(names))]
        if not isinstance(names, list):
            raise TypeError
    except (yaml.YAMLError, KeyError, TypeError, RecursionError):
        raise ReadProblem(f"`{_YAML}` has no whole list of `names` from 0 on") from None
    # Without quotes, YAML takes `no` for false and `1.10` for 1.1: no name that anybody wrote.
    for number, name in enumerate(names):
        if not isinstance(name, (str, int)) or isinstance(name, bool):
            raise ReadProblem(f"`{_YAML}`: class {number} of `names` is no text; put it in quotes")
    return [label_of(name) for name in names]


def _old_names(files: Mapping[str, Path]) -> list[str]:
    if _NAMES not in files:
        raise ReadProblem(f"`{_NAMES}` with the names of the classes is missing")
    return [label_of(line) for line in text_of(files, _NAMES).split("\n") if line.strip()]
