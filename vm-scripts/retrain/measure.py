"""Models asked about images, within a time: the images in a seeded order, all models about each
before the next, so that whatever is done when time is up is a fair sample of each part."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Generic

from .dataset import Sample
from .images import read_rgb
from .job import Times
from .tasks.base import Answer, Rgb

# Of the reserve between the end of training and the deadline, and of what is left until then.
SHARE = 0.5
# Of that, for the rest of verifying: drawing, the benchmark.
REST = 0.2
LEAST_S = 5.0
LEAST_IMAGES = 10


@dataclass
class Asked(Generic[Answer]):
    """One model at work. ``optional``: it is given up when it fails; then ``failed`` says why."""

    ask: Callable[[Rgb], Answer]
    optional: bool = False
    answers: dict[Path, Answer] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    failed: Exception | None = None

    def about(self, path: Path, rgb: Rgb) -> None:
        """Ask about one image."""
        if self.failed:
            return
        began = time.perf_counter()
        try:
            self.answers[path] = self.ask(rgb)
        except Exception as error:  # a file of former days may fail in any way
            if not self.optional:
                raise
            self.failed = error
        self.seconds.append(time.perf_counter() - began)

    def of(self, samples: Sequence[Sample]) -> list[Answer]:
        """Answers in the order of samples, all of which it was asked about."""
        return [self.answers[sample.path] for sample in samples]

    def total_s(self) -> float:
        """Time spent in the model."""
        return sum(self.seconds)

    def median_ms(self) -> float:
        """Time of one answer; the first, which prepares much, does not count."""
        return 1000 * statistics.median(self.seconds[1:] or self.seconds or [0.0])


def limit_s(times: Times, now: float) -> float:
    """How long verifying may take, in seconds."""
    reserve = times.deadline_s - times.train_until_s
    return max(min(reserve, times.deadline_s - now) * SHARE, LEAST_S)


def _order(parts: Sequence[Sequence[Sample]], seed: int) -> list[Sample]:
    """Each part shuffled, then one of each in turns; each image once."""
    shuffled = []
    for part in parts:
        row = sorted(part, key=lambda sample: sample.sha256)
        random.Random(seed).shuffle(row)
        shuffled.append(row)
    turns = (sample for turn in zip_longest(*shuffled) for sample in turn if sample)
    return list({sample.path: sample for sample in turns}.values())


def ask(
    models: Sequence[Asked[Answer]],
    parts: Sequence[Sequence[Sample]],
    seed: int,
    until: float,
    clock: Callable[[], float] = time.monotonic,
) -> set[Path]:
    """Ask all models about the images of all parts until the time ``until``, at least about 10;
    the files of those asked about."""
    done: set[Path] = set()
    for sample in _order(parts, seed):
        if len(done) >= LEAST_IMAGES and clock() >= until:
            break
        rgb = read_rgb(sample.path)
        for model in models:
            model.about(sample.path, rgb)
        done.add(sample.path)
    return done
