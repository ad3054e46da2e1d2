"""Models asked about images, within a time: the images in a seeded order, all models about each
before the next, so that whatever is done when time is up is a fair sample."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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


def ask(
    models: Sequence[Asked[Answer]],
    samples: Sequence[Sample],
    seed: int,
    until: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Sample]:
    """Ask all models about samples until the time ``until``, at least about 10; those asked about,
    in the order of ``samples``."""
    order = sorted(samples, key=lambda sample: sample.sha256)
    random.Random(seed).shuffle(order)
    done: set[Path] = set()
    for sample in order:
        if len(done) >= LEAST_IMAGES and clock() >= until:
            break
        rgb = read_rgb(sample.path)
        for model in models:
            model.about(sample.path, rgb)
        done.add(sample.path)
    return [sample for sample in samples if sample.path in done]
