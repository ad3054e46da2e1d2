"""Classification: each cell votes for classes, and the votes are pooled over the picture.

Head values: one logit per class. A picture's logit is the logarithm of the mean of exp over its
cells, so a few sure cells (a small object) weigh as much as many that are a little sure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from retrain.classification import score

from . import network
from .learn import Picture
from .network import Array, Params, forward, softmax

ARCHITECTURE = "tiny-classification-1"
# A mirrored arrow may be another class.
MIRRORED = False
# Else, with few pictures, the colour of the ground is taken for a class.
TINT = 20.0
FIXED_HEAD = 0
SCORES = ("macro_f1", "accuracy")


def fresh(classes: int, seed: int) -> Params:
    """New parameters for ``classes`` classes."""
    return network.fresh(classes, seed)


def pool(head: Array) -> tuple[Array, Array]:
    """Logits [n, c] of pictures, and each cell's share in them [n, 16, 16, c]."""
    most = head.max(axis=(1, 2), keepdims=True)
    powers = np.exp(head - most)
    means = powers.mean(axis=(1, 2), keepdims=True)
    shares = powers / (means * head.shape[1] * head.shape[2])
    return (most + np.log(means))[:, 0, 0], shares


def loss(head: Array, pictures: list[Picture]) -> tuple[float, Array]:
    """Cross entropy of head values [n, 16, 16, c], and its gradient."""
    logits, shares = pool(head)
    chances = softmax(logits)
    rows, wanted = np.arange(len(pictures)), np.array([p.labels[0] for p in pictures])
    value = float(-np.log(np.clip(chances[rows, wanted], 1e-6, None)).mean())
    gradient = chances / len(pictures)
    gradient[rows, wanted] -= 1 / len(pictures)
    return value, np.asarray(gradient[:, None, None] * shares, np.float32)


def classify(params: Params, pictures: Array) -> Array:
    """How likely each class is [n, c], of pictures [n, 96, 96, 3]."""
    parts = range(0, len(pictures), 32)
    return np.concatenate(
        [softmax(pool(forward(params, pictures[s : s + 32])[0])[0]) for s in parts]
    )


def measure(params: Params, pictures: list[Picture]) -> dict[str, Any]:
    """Macro F1 and accuracy on pictures; their cross entropy tells equally good epochs apart."""
    chances = classify(params, np.stack([p.pixels for p in pictures]))
    labels = np.array([p.labels[0] for p in pictures])
    result = score(chances.argmax(1), labels, chances.shape[1])
    own = chances[np.arange(len(labels)), labels]
    return {
        "macro_f1": result.macro_f1,
        "accuracy": result.accuracy,
        "entropy": float(-np.log(np.clip(own, 1e-6, None)).mean()),
        "threshold": 0.0,
    }


def rank(row: dict[str, Any]) -> tuple[float, ...]:
    """What makes one epoch better than another."""
    return (row["macro_f1"], -row["entropy"])
