"""'COCO 1.0': annotations/instances_<subset>.json with images/<subset>/ or images/.

Datumaro reads it from a copy that is put right before: it passes over annotations of pictures that
are not declared, keeps one of two pictures with the same id, reads category 0 as "no class", and
turns the order round.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .library import Desk, desk, text_of
from .raw import Raw, RawImage, ReadProblem, composed, label_of, locate

_NAME = re.compile(r"annotations/instances_(?P<subset>[^/]+)\.json")


def find(files: Mapping[str, Path]) -> list[str]:
    """All ``annotations/instances_*.json``."""
    return sorted(name for name in files if _NAME.fullmatch(name))


def read(files: Mapping[str, Path], members: list[str]) -> Raw:
    """All pictures of all subsets; classes by name, in the order of the first file."""
    raw = Raw()
    with desk(files) as table:
        table.write("images/none.txt", "")
        for number, member in enumerate(members):
            match = _NAME.fullmatch(member)
            assert match, "only members that find() returned"
            copy = f"annotations/instances_{number}.json"
            try:
                document = parsed(files, member)
                table.write(copy, json.dumps(_copy(document, files, match["subset"], table, raw)))
                del document
                table.read("coco_instances", copy, raw, grouped=True)
            except ReadProblem as error:
                raise ReadProblem(f"`{member}`: {error}") from None
            except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
                raise unlike(member, "COCO", error) from None
        return table.clear(raw)


def _copy(
    document: Any, files: Mapping[str, Path], subset: str, table: Desk, raw: Raw
) -> dict[str, Any]:
    """The document with pictures, classes and annotations numbered anew."""
    names: dict[Any, str] = {}
    for row in document["categories"]:
        names[row["id"]] = label_of(row["name"])
    if len(set(names.values())) < len(document["categories"]):
        raise ReadProblem("two classes have the same name or the same id")
    if "" in names.values():
        raise ReadProblem("a class has no name")
    category = {old: new for new, old in enumerate(names, 1)}
    numbers: dict[Any, int] = {}
    for row in document["images"]:
        if row["id"] in numbers:
            raise ReadProblem(f"two pictures have the id {row['id']}")
        name = composed(str(row["file_name"]))
        size = int(row["width"]), int(row["height"])
        numbers[row["id"]] = table.number(RawImage(name, locate(files, name, subset), *size))
    annotations = []
    for row in document["annotations"]:
        if row["category_id"] not in names:
            raise ReadProblem(f"a box names category {row['category_id']}, which is not declared")
        if row["image_id"] not in numbers:
            raise ReadProblem(f"a box names picture {row['image_id']}, which is not declared")
        number, label = numbers[row["image_id"]], names[row["category_id"]]
        shape = _shape(row)
        if shape is None:
            raw.lose("annotations without a box", table.images[number].name, label)
            continue
        place = {"id": len(annotations) + 1, "image_id": number}
        annotations.append({**place, "category_id": category[row["category_id"]], **shape})
    return {
        "categories": [{"id": category[old], "name": name} for old, name in names.items()],
        "images": [
            {"id": n, "file_name": f"{n}.png", "width": image.width, "height": image.height}
            for n, image in ((n, table.images[n]) for n in numbers.values())
        ],
        "annotations": annotations,
    }


def _shape(row: dict[str, Any]) -> dict[str, Any] | None:
    """What the library reads of an annotation; None when there is neither box nor outline."""
    box, outline = row.get("bbox") or [], row.get("segmentation") or []
    if isinstance(outline, list):
        outline = [part for part in outline if len(part) >= 6 and len(part) % 2 == 0]
    if not box and not outline:
        return None
    rotation = (row.get("attributes") or {}).get("rotation")
    return {
        "bbox": box,
        "segmentation": outline,
        "iscrowd": int(bool(row.get("iscrowd"))),
        "attributes": {"rotation": rotation},
    }


def parsed(files: Mapping[str, Path], member: str) -> Any:
    """A member that is JSON."""
    try:
        return json.loads(text_of(files, member))
    except ReadProblem:
        raise
    except (ValueError, RecursionError) as error:
        raise ReadProblem(f"not whole JSON ({type(error).__name__})") from None


def unlike(member: str, title: str, error: Exception) -> ReadProblem:
    """JSON that is something else."""
    return ReadProblem(
        f"`{member}` is not {title} as CVAT writes it ({type(error).__name__}: {error})"
    )
