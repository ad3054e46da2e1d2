"""The split: shares, classes on both sides, videos, history; pure, so tried on many sets."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from retrain.splitting import CannotSplit, Item, Run, divide, frame_of, merged, runs_of


def item(number: int, labels: tuple[int, ...] = (0,), name: str = "") -> Item:
    return Item(f"{number:064x}", name or f"picture {number} x.png", labels)


def sides(answer: dict[str, dict[str, str]]) -> Counter[str]:
    return Counter(entry["side"] for entry in answer.values())


def random_items(seed: int, videos: bool) -> list[Item]:
    source = random.Random(seed)
    classes = source.randint(1, 5)
    items = []
    for number in range(source.randint(2, 150)):
        labels = tuple(
            min(int(source.expovariate(0.9)), classes - 1) for _ in range(source.randint(0, 3))
        )
        name = f"clip{source.randint(1, 3)}_{number:05d}.png" if videos else ""
        items.append(item(number, labels, name))
    return items


@pytest.mark.parametrize("videos", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_share_and_classes(seed: int, videos: bool) -> None:
    items = random_items(seed, videos)
    group = "video" if videos else "none"
    answer = divide(items, {}, 0.7, seed, group)
    assert set(answer) == {i.sha256 for i in items}
    count = sides(answer)
    assert count["train"] > 0
    assert count["val"] > 0
    runs = runs_of(items, group)
    longest = max(len(run.items) for run in runs)
    scarce = 0
    for label in {label for i in items for label in i.labels}:
        carriers = {answer[i.sha256]["run"] for i in items if label in i.labels}
        both = {answer[i.sha256]["side"] for i in items if label in i.labels}
        scarce += len(carriers) < 4
        if len(carriers) >= 2:
            assert both == {"train", "val"}, label
    assert abs(count["val"] - 0.3 * len(items)) <= longest * (1 + scarce)
    for run in runs:
        assert len({answer[i.sha256]["side"] for i in run.items}) == 1


@pytest.mark.parametrize(
    ("count", "train"), [(2, 1), (3, 2), (10, 7), (20, 14), (90, 63), (60, 42)]
)
def test_exact_shares_of_single_pictures(count: int, train: int) -> None:
    answer = divide([item(n, (n % 2,)) for n in range(count)], {}, 0.7, 1, "none")
    assert sides(answer)["train"] == train


def test_same_seed_same_answer_in_any_order() -> None:
    items = random_items(5, True)
    mixed = list(items)
    random.Random(1).shuffle(mixed)
    first = divide(items, {}, 0.7, 9, "video")
    assert divide(mixed, {}, 0.7, 9, "video") == first
    others = [divide(items, {}, 0.7, seed, "video") for seed in range(5)]
    assert any(other != first for other in others)


def test_classes_keep_their_share() -> None:
    items = [item(n, (0,) if n % 4 else (1,)) for n in range(200)]
    answer = divide(items, {}, 0.7, 3, "none")
    val = [i for i in items if answer[i.sha256]["side"] == "val"]
    assert len(val) == 60
    assert sum(i.labels == (1,) for i in val) == 15


def test_frame_names() -> None:
    assert frame_of("a/clip_000012.png") == ("a/clip_", 12)
    assert frame_of("frame7.jpg") == ("frame", 7)
    assert frame_of("2026-11-25 cam1_0003.png") == ("2026-11-25 cam1_", 3)
    assert frame_of("logo.png") is None


@pytest.mark.parametrize(("frames", "length"), [(9, 1), (40, 4), (299, 29), (1000, 30)])
def test_runs_of_a_video(frames: int, length: int) -> None:
    items = [item(n, (0,), f"v_{n:06d}.png") for n in range(frames)]
    runs = runs_of(items, "video")
    assert max(len(run.items) for run in runs) == length
    for run in runs:
        numbers = [int(i.name[2:8]) for i in run.items]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert all(len(run.items) == 1 for run in runs_of(items, "none"))


def test_known_pictures_keep_their_side() -> None:
    old = [item(n, (n % 2,)) for n in range(40)]
    first = divide(old, {}, 0.7, 1, "none")
    everything = old + [item(n, (n % 2,)) for n in range(40, 60)]
    second = divide(everything, first, 0.7, 2, "none")
    assert all(second[sha]["side"] == entry["side"] for sha, entry in first.items())
    assert sides(second) == {"train": 42, "val": 18}
    # Known pictures count towards the share of the whole set.
    lopsided = {sha: {**entry, "side": "train"} for sha, entry in first.items()}
    third = divide(everything, lopsided, 0.7, 2, "none")
    assert sides(third)["val"] >= 17


def test_train_wins_between_ancestors() -> None:
    def document(**by_name: str) -> dict[str, Any]:
        return {"images": {k: {"side": v, "run": k, "name": k} for k, v in by_name.items()}}

    parent, current = document(a="val", b="train", c="val"), document(a="train", b="val", d="val")
    result = {sha: entry["side"] for sha, entry in merged(parent, current).items()}
    assert result == {"a": "train", "b": "train", "c": "val", "d": "val"}
    assert merged(None, None) == {}


def test_the_same_picture_twice_is_one() -> None:
    twins = [item(1, (0,), "a.png"), item(1, (1,), "b.png"), item(2, (0, 1), "c.png")]
    answer = divide(twins, {}, 0.7, 1, "none")
    assert len(answer) == 2
    assert sides(answer) == {"train": 1, "val": 1}
    with pytest.raises(CannotSplit, match="at least 2"):
        divide(twins[:2], {}, 0.7, 1, "none")


def test_never_an_empty_side() -> None:
    with pytest.raises(CannotSplit, match="0 different"):
        divide([], {}, 0.7, 1, "none")
    two = [item(1, ()), item(2, ())]
    assert sides(divide(two, {}, 0.7, 1, "none")) == {"train": 1, "val": 1}
    known = {i.sha256: {"side": "train", "run": "r", "name": "n"} for i in two}
    with pytest.raises(CannotSplit, match="no validation image is left"):
        divide(two, known, 0.7, 1, "none")
    with_new = divide([*two, item(3)], known, 0.7, 1, "none")
    assert with_new[item(3).sha256]["side"] == "val"


def test_a_class_with_one_run_trains() -> None:
    for seed in range(10):
        items = [item(n, (0,)) for n in range(20)] + [item(99, (1,))]
        assert divide(items, {}, 0.7, seed, "none")[item(99).sha256]["side"] == "train"


def test_many_pictures_are_quick_enough() -> None:
    items = [item(n, (n % 7,), f"cam_{n:06d}.png") for n in range(20_000)]
    assert sides(divide(items, {}, 0.7, 1, "none"))["val"] == 6000


def test_a_long_history_of_full_pictures_does_not_take_hours() -> None:
    """All known pictures train and have many objects each, the new ones few: by objects the new
    ones validate, by pictures half of them train, and are moved one by one."""
    count = 300
    known = [item(number, (0,) * 10) for number in range(count)]
    new = [item(count + number) for number in range(count)]
    history = {i.sha256: {"side": "train", "run": i.name} for i in known}
    looks = 0
    whole = Run.classes

    def counted(run: Run) -> Counter[int]:
        nonlocal looks
        looks += 1
        return whole(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "classes", counted)
        answer = divide(known + new, history, 0.7, 1, "none")
    assert sides(answer) == {"train": 420, "val": 180}
    assert looks < 20 * count


@pytest.mark.parametrize("name", ["9" * 5000 + ".png", "1" * 5000 + "/x"])
def test_a_name_of_very_many_digits(name: str) -> None:
    assert len(runs_of([item(1, name=name), item(2, name="1" + name)], "video")) == 2
