"""'ImageNet 1.0': one folder per class, pictures in it, nothing else.

Datumaro reads it from folders and pictures that are numbered: it takes `a.jpg` and `a.png` in one
folder for one picture, and a class of one letter, as in `A/1.png`, for the drive of a Windows path.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ..images import SUFFIXES
from .library import desk, size_of
from .raw import Raw, RawImage, label_of

_NO_CLASSES = {"images", "annotations", "labels", "jpegimages", "default", "train", "training"} | {
    *("val", "valid", "validation", "test")
}


_NO_LABEL = "no_label"


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
    folders = sorted({PurePosixPath(member).parent for member in members})
    stands = {folder: f"folder-{number:06d}" for number, folder in enumerate(folders)}
    classes = {stand: label_of(folder) for folder, stand in stands.items()}
    stands[PurePosixPath(_NO_LABEL)] = _NO_LABEL
    with desk(files) as table:
        for member in members:
            image = RawImage(member, member, *size_of(files, member))
            number = table.number(image)
            folder, suffix = PurePosixPath(member).parent, PurePosixPath(member).suffix.lower()
            table.link(f"{stands[folder]}/{number}{suffix}", files[member])
        table.read("imagenet", ".", raw)
        table.clear(raw)
    for image in raw.images:
        image.tags = [classes[name] for name in image.tags]
    used = {name for image in raw.images for name in image.tags}
    raw.classes = [name for name in dict.fromkeys(classes.values()) if name in used]
    return raw
