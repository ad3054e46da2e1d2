"""Instance segmentation with this model:

    python predict.py model.xml labels.json picture [threshold]

prints the objects above the threshold (else the model's own), best first, as JSON: label, score,
box (x1, y1, x2, y2 in pixels) and area of the mask in pixels. Needs numpy, openvino and pillow. To
have the masks themselves: ``for found in objects(load("model.xml"), rgb, 0.5): found.mask``.
"""

import json
import sys
from collections import namedtuple

import numpy as np
import openvino as ov
from PIL import Image, ImageOps

Object = namedtuple("Object", "label score box mask")  # mask: bool [height, width] of the picture
Model = namedtuple("Model", "run width height threshold")


def load(xml):
    """The model, the size that its boxes are in, and its threshold."""
    model = ov.Core().read_model(xml)
    keys = ("orig_width", "orig_height", "confidence_threshold")
    info = [float(model.get_rt_info(["model_info", key]).value) for key in keys]
    return Model(ov.compile_model(model, "CPU"), *info)


def spread(low, high, cells, pixels):
    """How much of each of the cells between low and high is in each pixel: [pixels, cells]."""
    places = (np.arange(pixels) + 0.5 - low) / max(high - low, 1e-6) * cells - 0.5
    return np.clip(1 - np.abs(places[:, None] - np.arange(cells)), 0, None)


def objects(model, rgb, threshold):
    """Each object on a u8 [height, width, 3] RGB picture, its small mask laid into its box."""
    answer, (height, width) = model.run(rgb[None]), rgb.shape[:2]
    scale = np.array([width / model.width, height / model.height] * 2)
    for place, row in enumerate(answer["boxes"][0]):
        if row[4] > threshold:
            label, small = answer["labels"][0][place], answer["masks"][0][place]
            x1, y1, x2, y2 = box = row[:4] * scale
            rows, columns = small.shape
            mask = spread(y1, y2, rows, height) @ small @ spread(x1, x2, columns, width).T >= 0.5
            yield Object(int(label), float(row[4]), [float(v) for v in box], mask)


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as names:
        model, labels = load(sys.argv[1]), json.load(names)
    picture = np.asarray(ImageOps.exif_transpose(Image.open(sys.argv[3])).convert("RGB"))
    limit = float(sys.argv[4]) if len(sys.argv) > 4 else model.threshold
    found = [
        {"label": labels[o.label], "score": o.score, "box": o.box, "area": int(o.mask.sum())}
        for o in objects(model, picture, limit)
    ]
    print(json.dumps(found, ensure_ascii=False))
