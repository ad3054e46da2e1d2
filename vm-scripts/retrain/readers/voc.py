"""'Pascal VOC 1.1': Annotations/<picture>.xml, JPEGImages/, ImageSets/Main/, labelmap.txt.

Datumaro reads the XML files and labelmap.txt. Lists of pictures are read here: it passes over a
subset with `_` in its name and over XML files that no list names. Tags are in the lists too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from ..images import SUFFIXES
from .library import desk, size_of, text_of
from .raw import Raw, RawImage, ReadProblem, composed, label_of

_XML, _PICTURES, _LISTS, _LABELS = "Annotations/", "JPEGImages/", "ImageSets/Main/", "labelmap.txt"


def find(files: Mapping[str, Path]) -> list[str]:
    """All XML files and lists."""
    xml = [name for name in files if name.startswith(_XML) and name.endswith(".xml")]
    return sorted(xml + [n for n in files if n.startswith(_LISTS) and n.endswith(".txt")])


def read(files: Mapping[str, Path], members: list[str]) -> Raw:
    """All pictures with boxes (of XML files) and tags (of the lists ``<class>_<subset>.txt``)."""
    if _LABELS not in files:
        raise ReadProblem(f"`{_LABELS}` with the names of the classes is missing")
    raw = Raw()
    labelmap = text_of(files, _LABELS)
    labels = [label_of(line.split(":")[0]) for line in labelmap.splitlines() if line[:1] != "#"]
    listed, tags = _lists(files, [m for m in members if m.startswith(_LISTS)], labels)
    annotated = {m[len(_XML) : -len(".xml")]: m for m in members if m.startswith(_XML)}
    pictures = _by_stem(files)
    with desk(files) as table:
        for stem in sorted({**annotated, **listed}):
            member = pictures.get(stem)
            name = member[len(_PICTURES) :] if member else stem
            size = _said(files[annotated[stem]]) if stem in annotated else None
            size = size or size_of(files, member)
            image = RawImage(name, member, *size, tags=tags.get(stem, []))
            number = table.number(image)
            if stem in annotated:
                table.link(f"{_XML}{number}.xml", files[annotated[stem]])
        table.write(_LABELS, labelmap)
        table.write(f"{_LISTS}all.txt", "".join(f"{n}\n" for n in range(len(table.images))))
        table.read("voc_detection", f"{_LISTS}all.txt", raw)
        table.clear(raw)
    used = {name for image in raw.images for name in image.names()}
    raw.classes = [name for name in raw.classes if name != "background" or name in used]
    return raw


def _said(path: Path) -> tuple[int, int] | None:
    """The picture's size when it was annotated; None when the file does not say it. The library
    passes over it, and tells what else is wrong with the file."""
    try:
        root = ElementTree.parse(path).getroot()
        size = tuple(int(root.findtext(f"size/{side}") or 0) for side in ("width", "height"))
    except (ElementTree.ParseError, LookupError, ValueError):
        return None
    return (size[0], size[1]) if min(size) > 0 else None


def _by_stem(files: Mapping[str, Path]) -> dict[str, str]:
    """Pictures by their names without suffix, which is all that an XML file's name says."""
    pictures: dict[str, str] = {}
    for name in sorted(files):
        path = PurePosixPath(name)
        if name.startswith(_PICTURES) and path.suffix.lower() in SUFFIXES:
            stem = str(path.with_suffix(""))[len(_PICTURES) :]
            if stem in pictures:
                raise ReadProblem(
                    f"`{pictures[stem]}` and `{name}` differ in their suffix only; "
                    "Pascal VOC cannot tell them apart, rename one of them"
                )
            pictures[stem] = name
    return pictures


def _lists(
    files: Mapping[str, Path], members: list[str], labels: list[str]
) -> tuple[dict[str, None], dict[str, list[str]]]:
    """Pictures of all subsets; tags of pictures, from lists like ``dent_train.txt``."""
    listed: dict[str, None] = {}
    tags: dict[str, list[str]] = {}
    for member in members:
        name = member[len(_LISTS) :]
        owner = max((c for c in labels if name.startswith(f"{c}_")), key=len, default=None)
        for line in text_of(files, member).splitlines():
            words = line.strip().rsplit(maxsplit=1)
            if not words or line.startswith("#"):
                continue
            if owner is not None and len(words) == 2 and words[1] in ("-1", "0", "1"):
                stem = composed(words[0].strip('"'))
                if words[1] == "1":
                    tags.setdefault(stem, []).append(owner)
            else:
                stem = composed(line.strip().strip('"'))
            listed[stem] = None
    return listed, tags
