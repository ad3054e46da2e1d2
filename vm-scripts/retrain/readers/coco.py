"""'COCO 1.0': annotations/instances_<subset>.json with images/<subset>/ or images/."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .raw import Raw, RawImage, ReadProblem, composed, locate

_NAME = re.compile(r"annotations/instances_(?P<subset>[^/]+)\.json")


def find(files: Mapping[str, Path]) -> list[str]:
    """All ``annotations/instances_*.json``."""
    return sorted(name for name in files if _NAME.fullmatch(name))


def read(files: Mapping[str, Path], members: list[str]) -> Raw:
    """All pictures of all subsets; classes by name, in the order of the first file."""
    raw = Raw([], [])
    for member in members:
        match = _NAME.fullmatch(member)
        assert match, "only members that find() returned"
        try:
            document = json.loads(files[member].read_bytes().decode("utf-8-sig"))
            _add(raw, files, document, match["subset"])
        except (ValueError, RecursionError) as error:
            if isinstance(error, ReadProblem):
                raise ReadProblem(f"`{member}`: {error}") from None
            raise ReadProblem(f"`{member}` is not whole JSON ({type(error).__name__})") from None
        except (KeyError, TypeError, AttributeError) as error:
            raise ReadProblem(
                f"`{member}` is not COCO as CVAT writes it ({type(error).__name__}: {error})"
            ) from None
    return raw


def _add(raw: Raw, files: Mapping[str, Path], document: Any, subset: str) -> None:
    names = {row["id"]: composed(str(row["name"]).strip()) for row in document["categories"]}
    raw.classes += [name for name in names.values() if name not in raw.classes]
    images: dict[Any, RawImage] = {}
    for row in document["images"]:
        name = str(row["file_name"])
        image = RawImage(name, locate(files, name, subset), int(row["width"]), int(row["height"]))
        if row["id"] in images:
            raise ReadProblem(f"two pictures have the id {row['id']}")
        images[row["id"]] = image
    for row in document["annotations"]:
        if row["category_id"] not in names:
            raise ReadProblem(f"a box names category {row['category_id']}, which is not declared")
        if row["image_id"] not in images:
            raise ReadProblem(f"a box names picture {row['image_id']}, which is not declared")
        box = row.get("bbox") or _around(row.get("segmentation"))
        if box is None:
            raw.losses["annotations without a box"] += 1
        elif float((row.get("attributes") or {}).get("rotation") or 0) % 360 != 0:
            raw.losses["rotated boxes"] += 1
        else:
            x, y, w, h = (float(value) for value in box)
            images[row["image_id"]].boxes.append((names[row["category_id"]], x, y, x + w, y + h))
    raw.images += images.values()


def _around(segmentation: Any) -> list[float] | None:
    """x, y, w, h around polygons given as lists of numbers."""
    if not isinstance(segmentation, list) or not segmentation:
        return None
    flat = [float(v) for polygon in segmentation for v in polygon]
    xs, ys = flat[0::2], flat[1::2]
    if not xs or not ys:
        return None
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
