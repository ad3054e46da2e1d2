"""Rows of the set that is written for getitune, one class per task (datumaro.experimental)."""

from __future__ import annotations

import numpy as np
import polars as pl
from datumaro.experimental import Sample
from datumaro.experimental.fields import (
    ImageInfo,
    Subset,
    bbox_field,
    image_info_field,
    image_path_field,
    label_field,
    polygon_field,
    subset_field,
)


class Tagged(Sample):
    """Classification: one label."""

    image: str = image_path_field()
    label: int = label_field(pl.UInt16())
    image_info: ImageInfo = image_info_field()
    subset: Subset = subset_field()


class Boxed(Sample):
    """Detection: boxes and their labels."""

    image: str = image_path_field()
    label: np.ndarray = label_field(pl.UInt16(), is_list=True)
    bboxes: np.ndarray = bbox_field(dtype=pl.Float32())
    image_info: ImageInfo = image_info_field()
    subset: Subset = subset_field()


class Outlined(Sample):
    """Instance segmentation: boxes, polygons and their labels."""

    image: str = image_path_field()
    label: np.ndarray = label_field(pl.UInt16(), is_list=True)
    bboxes: np.ndarray = bbox_field(dtype=pl.Float32())
    polygons: np.ndarray = polygon_field(dtype=pl.Float32())
    image_info: ImageInfo = image_info_field()
    subset: Subset = subset_field()


SAMPLES = {"classification": Tagged, "detection": Boxed, "instance_segmentation": Outlined}
