"""The runner's data.json as the set that getitune reads: Datumaro's own form.

Pictures are read from where they are. Those that different readers see differently (turned by
EXIF, 16 bits, a palette, transparent, not JPEG or PNG) are first written as plain RGB.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from retrain.images import BROKEN, open_rgb

EXIF_TURN = 0x0112
PLAIN_FORMATS = frozenset({"JPEG", "PNG"})
SIDES = ("train", "val")


@dataclass(frozen=True)
class Row:
    """One picture as getitune is given it; one ring of points for each annotation."""

    side: str
    path: Path
    size: tuple[int, int]
    boxes: list[list[float]]
    labels: list[int]
    rings: list[list[tuple[float, float]]]


def plain(path: Path, folder: Path, number: int) -> tuple[Path, tuple[int, int]]:
    """A picture that every reader sees alike, and its (width, height); raises ``Unreadable``."""
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(EXIF_TURN, 1) != 1
            if image.format in PLAIN_FORMATS and image.mode == "RGB" and not turned:
                return path, image.size
    except BROKEN:
        pass  # open_rgb says what is wrong
    made = open_rgb(path)
    own = folder / f"{number:06d}.png"
    made.info.clear()
    made.save(own, "PNG", compress_level=1)
    return own, made.size


def ring(polygons: list[list[float]]) -> list[tuple[float, float]]:
    """All polygons of an annotation as one: from each there is a way back to the first point."""
    points: list[tuple[float, float]] = []
    for flat in polygons:
        corners = [(float(x), float(y)) for x, y in zip(flat[::2], flat[1::2], strict=True)]
        points += [*corners, corners[0]]
        if len(polygons) > 1:
            points.append(points[0])
    return points


def read(document: dict[str, list[dict[str, Any]]], folder: Path) -> list[Row]:
    """All pictures; those that must be rewritten go below ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows: list[Row] = []
    for side in SIDES:
        for entry in document[side]:
            path, size = plain(Path(entry["path"]), folder, len(rows))
            rings = [ring(polygons) for polygons in entry.get("polygons") or []]
            rows.append(Row(side, path, size, entry["boxes"], entry["labels"], rings))
    return rows


def _values(row: Row, task: str, subset: Any) -> dict[str, Any]:
    """A row in the fields of its class in ``samples``."""
    from datumaro.experimental.fields import ImageInfo

    values: dict[str, Any] = {
        "image": str(row.path),
        "image_info": ImageInfo(width=row.size[0], height=row.size[1]),
        "subset": subset,
    }
    if task == "classification":
        return values | {"label": row.labels[0]}
    values["label"] = np.array(row.labels, np.uint16)
    values["bboxes"] = np.array(row.boxes, np.float32).reshape(-1, 4)
    if task == "instance_segmentation":
        rings = np.empty(len(row.rings), object)
        for place, points in enumerate(row.rings):
            rings[place] = np.array(points, np.float32)
        values["polygons"] = rings
    return values


def write(rows: list[Row], task: str, classes: list[str], folder: Path) -> None:
    """The set below ``folder``, its classes in their order."""
    from datumaro.experimental import Dataset
    from datumaro.experimental.categories import LabelCategories
    from datumaro.experimental.export_import import ExportMode, export_dataset
    from datumaro.experimental.fields import Subset

    from .samples import SAMPLES

    shutil.rmtree(folder, ignore_errors=True)
    subsets = {"train": Subset.TRAINING, "val": Subset.VALIDATION}
    kind = SAMPLES[task]
    made = Dataset(kind, categories={"label": LabelCategories(labels=tuple(classes))})
    made.append_batch([kind(**_values(row, task, subsets[row.side])) for row in rows])
    export_dataset(made, folder, export_media=ExportMode.REFERENCE)
