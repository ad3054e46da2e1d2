"""Which pictures train and which judge. Pure: same pictures, history and seed, same answer.

Unseen pictures are cut into runs (neighbouring frames of one video; else single pictures), and runs
are divided so that the whole set comes as near to the asked share as one run allows, classes in
about the same share, and each class that has two runs appears on both sides. A picture that an
ancestor has seen keeps its side; where two ancestors disagree, ``train`` wins.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

LONGEST_RUN = 30
PARTS_OF_A_VIDEO = 10
_FRAME = re.compile(r"(?P<video>.*?)(?P<number>\d{1,18})(?P<suffix>\.[^./]+)?")


class CannotSplit(ValueError):
    """No division has pictures on both sides; the text is for the person who made the zip."""


@dataclass(frozen=True)
class Item:
    """One picture: sha256 of its file, its name, and the class of each annotation."""

    sha256: str
    name: str
    labels: tuple[int, ...]


@dataclass(eq=False)
class Run:
    """Pictures that go to one side together."""

    name: str
    items: list[Item] = field(default_factory=list)

    def classes(self) -> Counter[int]:
        """Annotations per class."""
        return Counter(label for item in self.items for label in item.labels)


def frame_of(name: str) -> tuple[str, int] | None:
    """(video, frame number) of a file name, None without a number: a/clip_0012.png, a/clip_, 12."""
    match = _FRAME.fullmatch(name)
    return (match["video"], int(match["number"])) if match else None


def runs_of(items: Sequence[Item], group: str) -> list[Run]:
    """Cut pictures into runs: at most a tenth of a video and at most 30 frames long."""
    videos: dict[str, list[tuple[int, Item]]] = defaultdict(list)
    runs: list[Run] = []
    for item in sorted(items, key=lambda i: (i.name, i.sha256)):
        frame = frame_of(item.name) if group == "video" else None
        if frame is None:
            runs.append(Run(item.name, [item]))
        else:
            videos[frame[0]].append((frame[1], item))
    for video, frames in sorted(videos.items()):
        frames.sort(key=lambda pair: (pair[0], pair[1].name))
        length = max(1, min(LONGEST_RUN, len(frames) // PARTS_OF_A_VIDEO))
        for start in range(0, len(frames), length):
            part = frames[start : start + length]
            name = f"{video}{part[0][0]}-{part[-1][0]}" if len(part) > 1 else part[0][1].name
            runs.append(Run(name, [item for _, item in part]))
    return runs


def merged(parent: Mapping[str, Any] | None, current: Mapping[str, Any] | None) -> dict[str, Any]:
    """The ``images`` of both ancestors' split.json in one; ``train`` wins a conflict."""
    images: dict[str, Any] = {}
    for source in (current, parent):
        for sha256, entry in (source or {}).get("images", {}).items():
            if images.get(sha256, {}).get("side") != "train":
                images[sha256] = dict(entry)
    return images


class _Division:
    """Two sides with counts of pictures and of annotations per class."""

    def __init__(self, share: float) -> None:
        self.wanted = {"train": share, "val": 1 - share}
        self.pictures = Counter[str]()
        self.boxes: dict[str, Counter[int]] = {"train": Counter(), "val": Counter()}
        self.total = 0
        self.total_boxes: Counter[int] = Counter()

    def expect(self, pictures: int, classes: Counter[int]) -> None:
        self.total += pictures
        self.total_boxes.update(classes)

    def add(self, side: str, pictures: int, classes: Counter[int]) -> None:
        self.pictures[side] += pictures
        self.boxes[side].update(classes)

    def take(self, side: str, run: Run) -> None:
        self.pictures[side] -= len(run.items)
        self.boxes[side].subtract(run.classes())

    def missing(self, side: str, label: int) -> float:
        return self.wanted[side] * self.total_boxes[label] - self.boxes[side][label]

    def missing_pictures(self, side: str) -> float:
        return self.wanted[side] * self.total - self.pictures[side]


def _neediest(division: _Division, label: int | None) -> str:
    """The side that lacks most of a class, then most pictures; train in a tie."""

    def need(side: str) -> tuple[float, float, bool]:
        own = division.missing(side, label) if label is not None else 0.0
        return (round(own, 9), round(division.missing_pictures(side), 9), side == "train")

    return max(("train", "val"), key=need)


def _divide(runs: list[Run], division: _Division, order: random.Random) -> dict[str, list[Run]]:
    """Rarest class first, each run to the side that lacks most of it."""
    waiting = list(runs)
    order.shuffle(waiting)
    counts = {id(run): run.classes() for run in waiting}
    sides: dict[str, list[Run]] = {"train": [], "val": []}
    remaining = Counter(label for run in waiting for label in counts[id(run)])

    def settle(run: Run, label: int | None) -> None:
        side = _neediest(division, label)
        division.add(side, len(run.items), counts[id(run)])
        sides[side].append(run)
        for own in counts[id(run)]:
            remaining[own] -= 1

    while True:
        left = [label for label, count in remaining.items() if count > 0]
        if not left:
            break
        rarest = min(left, key=lambda label: (remaining[label], label))
        for run in [r for r in waiting if rarest in counts[id(r)]]:
            settle(run, rarest)
        waiting = [r for r in waiting if rarest not in counts[id(r)]]
    for run in waiting:
        settle(run, None)
    return sides


def _move(sides: dict[str, list[Run]], division: _Division, run: Run, target: str) -> None:
    source = "val" if target == "train" else "train"
    sides[source].remove(run)
    division.take(source, run)
    sides[target].append(run)
    division.add(target, len(run.items), run.classes())


def _may_leave(division: _Division, side: str, run: Run) -> bool:
    """Whether the side keeps a picture and an annotation of each class without this run."""
    if division.pictures[side] <= len(run.items):
        return False
    return all(division.boxes[side][c] > n for c, n in run.classes().items())


def _cover(sides: dict[str, list[Run]], division: _Division) -> None:
    """Give each class an annotation on both sides where a run can be moved for it."""
    for label in sorted(division.total_boxes):
        for side, other in (("train", "val"), ("val", "train")):
            if division.boxes[side][label] > 0:
                continue
            carriers = [run for run in sides[other] if run.classes()[label]]
            carriers = [
                run for run in carriers if division.boxes[other][label] > run.classes()[label]
            ]
            carriers.sort(key=lambda r: (not _may_leave(division, other, r), len(r.items)))
            if carriers:
                _move(sides, division, carriers[0], side)


def _balance(sides: dict[str, list[Run]], division: _Division) -> None:
    """Move runs while that brings the shares nearer to the wish and no class leaves a side.

    Runs with as many pictures and the same annotations are alike: of each kind only the first by
    name is looked at, so that a long history with many moves does not take hours.
    """
    kinds: dict[str, dict[object, list[tuple[str, str, Run]]]] = {"train": {}, "val": {}}

    def put(side: str, run: Run) -> None:
        kind = (len(run.items), tuple(sorted(run.classes().items())))
        heappush(kinds[side].setdefault(kind, []), (run.name, run.items[0].sha256, run))

    for side, runs in sides.items():
        for run in runs:
            put(side, run)
    while True:
        lacking = max(("train", "val"), key=division.missing_pictures)
        full = "val" if lacking == "train" else "train"
        gap = division.missing_pictures(lacking)
        useful = [
            (kind, run)
            for kind, run in ((kind, alike[0][2]) for kind, alike in kinds[full].items())
            if abs(gap - len(run.items)) < gap - 1e-9 and _may_leave(division, full, run)
        ]
        if not useful:
            return

        def harm(run: Run, full: str = full) -> float:
            return sum(division.missing(full, label) for label in run.classes())

        kind, run = min(useful, key=lambda pair: (harm(pair[1]), pair[1].name))
        heappop(kinds[full][kind])
        if not kinds[full][kind]:
            del kinds[full][kind]
        put(lacking, run)
        _move(sides, division, run, lacking)


def divide(
    items: Iterable[Item], known: Mapping[str, Any], share: float, seed: int, group: str
) -> dict[str, dict[str, str]]:
    """Side, run and name of every picture, by sha256.

    ``known``: entries of ancestors' split.json by sha256 (see ``merged``); ``share``: of pictures
    that train, 0..1; ``group``: ``video`` or ``none``. Raises ``CannotSplit`` below two different
    pictures, or when all are known on one side.
    """
    single: dict[str, Item] = {}
    for item in items:
        former = single.get(item.sha256)
        labels = item.labels + (former.labels if former else ())
        single[item.sha256] = Item(item.sha256, former.name if former else item.name, labels)
    if len(single) < 2:
        raise CannotSplit(f"{len(single)} different image(s), at least 2 are needed")
    division = _Division(share)
    answer: dict[str, dict[str, str]] = {}
    unseen: list[Item] = []
    for sha256, item in single.items():
        division.expect(1, Counter(item.labels))
        if sha256 in known:
            side, run = known[sha256]["side"], known[sha256]["run"]
            answer[sha256] = {"side": side, "run": run, "name": item.name}
            division.add(side, 1, Counter(item.labels))
        else:
            unseen.append(item)
    sides = _divide(runs_of(unseen, group), division, random.Random(seed))
    _cover(sides, division)
    for side, other in (("train", "val"), ("val", "train")):
        if (
            division.pictures[side] <= 0
            and sides[other]
            and len(single) > len(sides[other][0].items)
        ):
            _move(sides, division, min(sides[other], key=lambda r: (len(r.items), r.name)), side)
    _balance(sides, division)
    for side, runs in sides.items():
        for run in runs:
            answer |= {i.sha256: {"side": side, "run": run.name, "name": i.name} for i in run.items}
    for side in ("train", "val"):
        if division.pictures[side] <= 0:
            words = "validation" if side == "val" else "training"
            raise CannotSplit(
                f"no {words} image is left: all {len(single)} images are known from former runs; "
                "add new ones"
            )
    return answer
