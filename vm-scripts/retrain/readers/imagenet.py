"""'ImageNet 1.0': one folder per class, pictures in it, nothing else.

Datumaro reads it from folders of the same names in which the pictures are numbered: it takes
`a.jpg` and `a.png` in one folder for one picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ..images import SUFFIXES
from .library import desk, size_of
from .raw import Raw, RawImage

_NO_CLASSES = {"images", "annotations", "labels", "jpegimages", "default", "train", "training"} | {
    *("val", "valid", "validation", "test")
}


def find(files: Mapping[str, Path]) -> list[str]:
    """All pictures, when there are at least two folders and all files are pictures in folders."""
    names = [name for name in files if PurePosixPath(name).name != "synsets.txt"]
    tops = {name.split("/")[0] for name in names}
    pictures = all("/" in n and PurePosixPath(n).suffix.lower() in SUFFIXES for n in names)
    if not pictures or len(tops) < 2 or {top.lower() for top in tops} & _NO_CLASSES:
        return []
    return sorted(names)


def read(files: Mapping[str, Path], members: list[str]) -> Raw:
    """All pictures, each with its folder as its tag; those in ``no_label`` have none."""
    raw = Raw()
    with desk(files) as table:
        for member in members:
            image = RawImage(member, member, *size_of(files, member))
            number = table.number(image)
            folder, suffix = PurePosixPath(member).parent, PurePosixPath(member).suffix.lower()
            table.link(f"{folder}/{number}{suffix}", files[member])
        table.read("imagenet", ".", raw)
        table.clear(raw)
    used = {name for image in raw.images for name in image.tags}
    raw.classes = [name for name in raw.classes if name in used]
    return raw
