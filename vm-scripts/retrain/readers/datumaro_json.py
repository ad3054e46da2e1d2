"""'Datumaro 1.0': annotations/<subset>.json with images/<subset>/.

Datumaro reads its own format from a copy: it tells pictures apart by their names without suffix,
does not ask whether a class exists, and passes over kinds that it does not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..images import SUFFIXES
from .coco import parsed, unlike
from .library import LOST, Desk, desk, size_of
from .raw import Raw, RawImage, ReadProblem, composed, label_of, locate

_NAME = re.compile(r"annotations/(?P<subset>[^/]+)\.json")
_OTHERS = re.compile(
    r"annotations/(instances|person_keypoints|captions|labels|image_info|panoptic|stuff)_[^/]*"
)
_KEPT = frozenset({"bbox", "label", "mask", "polygon"})


def find(files: Mapping[str, Path]) -> list[str]:
    """All ``annotations/*.json`` that are not COCO's."""
    return sorted(n for n in files if _NAME.fullmatch(n) and not _OTHERS.fullmatch(n))


def read(files: Mapping[str, Path], members: list[str]) -> Raw:
    """All pictures of all subsets; classes by name, in the order of the first file."""
    raw = Raw()
    with desk(files) as table:
        for number, member in enumerate(members):
            match = _NAME.fullmatch(member)
            assert match, "only members that find() returned"
            copy = f"annotations/{number}.json"
            try:
                document = parsed(files, member)
                table.write(copy, json.dumps(_copy(document, files, match["subset"], table, raw)))
                del document
                table.read("datumaro", copy, raw)
            except ReadProblem as error:
                raise ReadProblem(f"`{member}`: {error}") from None
            except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
                raise unlike(member, "Datumaro", error) from None
        return table.clear(raw)


def _copy(
    document: Any, files: Mapping[str, Path], subset: str, table: Desk, raw: Raw
) -> dict[str, Any]:
    """The document with its pictures numbered anew and only with what is trained on."""
    rows = (document["categories"].get("label") or {}).get("labels") or []
    labels = [label_of(row["name"]) for row in rows]
    if "" in labels:
        raise ReadProblem("a class has no name")
    if len(set(labels)) < len(labels):
        raise ReadProblem("two classes have the same name")
    items = []
    for item in document["items"]:
        said = item.get("image") or {}
        name = composed(str(said.get("path") or item["id"]))
        member = _member(files, name, subset)
        height, width = said.get("size") or size_of(files, member)[::-1]
        image = RawImage(name, member, int(width), int(height))
        number = table.number(image)
        annotations = _annotations(item.get("annotations") or [], labels, image, raw)
        picture = {"path": f"{number}.png", "size": [image.height, image.width]}
        items.append({"id": str(number), "image": picture, "annotations": annotations})
    declared = [{"name": label, "parent": ""} for label in labels]
    return {"categories": {"label": {"labels": declared}}, "items": items}


def _member(files: Mapping[str, Path], name: str, subset: str) -> str | None:
    """A picture by its path; one that is annotated without a path by its name without suffix."""
    places = (locate(files, name + suffix, subset) for suffix in ("", *sorted(SUFFIXES)))
    return next((place for place in places if place), None)


def _annotations(
    rows: list[dict[str, Any]], labels: list[str], image: RawImage, raw: Raw
) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for row in rows:
        index, kind = row.get("label_id"), row["type"]
        if index is not None and not 0 <= index < len(labels):
            raise ReadProblem(f"`{image.name}` has class number {index}, there are {len(labels)}")
        label = None if index is None else labels[index]
        if kind not in _KEPT:
            raw.lose(LOST.get(kind, f"`{kind}` annotations"), image.name, label)
        elif kind == "polygon" and len(row["points"]) < 6:
            raw.lose("outlines of fewer than 3 points", image.name, label)
        else:
            rotation = (row.get("attributes") or {}).get("rotation")
            kept.append({**row, "id": len(kept), "attributes": {"rotation": rotation}})
    return kept
