"""An attempt that goes on with what a former one kept, with the epochs and the time left."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from retrain import checkpoints, job
from retrain.context import Context
from retrain.control import Control, parse
from retrain.eviction import announced
from retrain.files import read_json
from retrain.net import Net
from retrain.restore import restore
from retrain.stages.train import _Keeper
from trainers.tiny.__main__ import main as tiny

from tests.vm import fixtures, stub
from tests.vm.conftest import report_of, run_python, start_python
from tests.vm.stub import Call, Cloud

LOGS = "/file/logs/job-a/"
CONTROL = "/blob/job-files/control/job-a.json"
OUT = "/blob/job-files/out/job-a/"


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with stub.Server() as cloud:
        yield cloud
        assert cloud.faults == []


def new_home(folder: Path, cloud: Cloud, name: str, **changes: Any) -> Path:
    """The folder of an attempt on 14 pictures, the same for all of a test."""
    data = folder / "a.zip"
    if not data.exists():
        fixtures.cvat_zip(data, 14)
    return stub.write_home(folder / name, stub.job_document(cloud, data, **changes))


class Bench:
    """An attempt as the train stage sees it, without a trainer."""

    def __init__(self, folder: Path, cloud: Cloud, attempt: int = 1) -> None:
        self.cloud = cloud
        self.home = new_home(folder, cloud, f"home{attempt}", attempt=attempt)
        self.job = job.load(self.home / "job.json")
        self.folder = self.home / "work/train"
        self.folder.mkdir(parents=True)
        log = logging.getLogger("test")
        self.net = Net(tries=1)
        self.control = Control(self.job, log, self.net)
        self.eviction = SimpleNamespace(noticed=False)
        beat = SimpleNamespace(progress=lambda *_: None)
        self.context = Context(
            self.home,
            self.home,
            log,
            self.net,
            cast(Any, beat),
            self.control,
            cast(Any, self.eviction),
        )

    def train(self, epoch: int, better: bool = True) -> None:
        """What a trainer leaves after an epoch."""
        best = f"best {epoch}".encode() if better else None
        identity = {"job_id": "job-a", "attempt": self.job.attempt}
        last = f"last {epoch}".encode()
        checkpoints.save(self.folder, identity, last, best, epoch, epoch, 0.5)

    def keep(self) -> None:
        """All of an attempt's work on the share."""
        _Keeper(self.context, self.job, self.folder, self.restore()).upload()

    def restore(self) -> dict[str, Any] | None:
        return restore(self.context, self.job, self.folder)

    def has(self) -> tuple[int, bytes, bytes] | None:
        """Epoch, last and best of what is on the disk."""
        found = checkpoints.load(self.folder, "job-a")
        return (found.index["epoch"], found.last, found.best) if found else None


def on_the_share(
    cloud: Cloud, attempt: int = 1, job_id: str = "job-a"
) -> tuple[int, bytes, bytes] | None:
    """Epoch, last and best of what an attempt kept there, as a reader would judge it."""
    place = f"/file/logs/{job_id}/{stub.kept(attempt)}"
    try:
        index = json.loads(bytes(cloud.files[place + "ckpt.json"]))
    except (KeyError, ValueError):
        return None
    last, best = (bytes(cloud.files[place + index[kind]["name"]]) for kind in ("last", "best"))
    whole = checkpoints.complete(checkpoints.Snapshot(index, last, best))
    return (index["epoch"], last, best) if whole else None


# --- a whole attempt after a whole attempt ------------------------------------------------------


def epochs_in(home: Path) -> list[int]:
    """The epochs that were trained, by the trainer's own words."""
    log = home / "state/train.log"
    text = log.read_text() if log.exists() else ""
    return [int(n) for n in re.findall(r"^epoch (\d+):", text, re.M)]


EPOCHS = 40


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


def test_the_next_attempt_trains_the_epochs_that_are_left(tmp_path: Path, cloud: Cloud) -> None:
    first = new_home(tmp_path, cloud, "first", epochs=EPOCHS)
    process = start_python(first)
    while len(epochs_in(first)) < 2:
        assert process.poll() is None, report_of(first)
        time.sleep(0.01)
    frozen = children(process.pid)
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)  # it must not be done before anything is on the share
    while on_the_share(cloud) is None:
        assert process.poll() is None, report_of(first)
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    for pid in frozen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    kept = on_the_share(cloud)
    assert kept is not None
    assert 1 <= kept[0] < EPOCHS, "the trainer was faster than this test"
    second = new_home(tmp_path, cloud, "second", epochs=EPOCHS, attempt=2)
    assert run_python(second) == 0, report_of(second)
    assert epochs_in(second) == list(range(kept[0] + 1, EPOCHS + 1)), "one budget over all attempts"
    manifest = json.loads(cloud.blobs[OUT + "2/manifest.json"])
    assert manifest["lineage"]["epochs_done"] == EPOCHS
    done = on_the_share(cloud, 2)
    assert done is not None
    assert done[0] == EPOCHS
    assert on_the_share(cloud) == kept, "what the former one kept is left as it is"
    # The same job without a cut ends with the same bytes.
    third = new_home(tmp_path, cloud, "third", epochs=EPOCHS, job_id="job-w")
    assert run_python(third) == 0, report_of(third)
    ends = [bytes(cloud.files[f"/file/logs/{name}/latest.pth"]) for name in ("job-a", "job-w")]
    assert ends[0] == ends[1]


def test_time_that_was_used_up_before_is_not_given_again(tmp_path: Path, cloud: Cloud) -> None:
    """All epochs but one are kept, and no time is left: what there is is exported."""
    first = new_home(tmp_path, cloud, "first", epochs=1)
    assert run_python(first) == 0, report_of(first)
    over = {"train_until_s": int(time.time()) - 1}
    second = new_home(tmp_path, cloud, "second", epochs=9, attempt=2, times=over)
    assert run_python(second) == 0, report_of(second)
    assert epochs_in(second) == []
    manifest = json.loads(cloud.blobs[OUT + "2/manifest.json"])
    assert manifest["lineage"]["epochs_done"] == 1


def test_an_attempt_that_is_split_otherwise_begins_anew(tmp_path: Path, cloud: Cloud) -> None:
    """The line published meanwhile: what the first attempt learned judges in the second."""
    first = new_home(tmp_path, cloud, "first", epochs=2)
    assert run_python(first) == 0, report_of(first)
    split = read_json(first / "work/out/split.json")
    learned = sorted(k for k, v in split["images"].items() if v["side"] == "train")
    for sha256 in learned[:3]:
        split["images"][sha256]["side"] = "val"
    path = "/blob/model/default/8/split.json"
    cloud.blobs[path] = json.dumps(split).encode()
    links = {"current_split": cloud.link(path, "r")}
    second = new_home(tmp_path, cloud, "second", epochs=2, attempt=2, links=links)
    assert run_python(second) == 0, report_of(second)
    assert epochs_in(second) == [1, 2], "its weights know what judges them"
    warnings = json.loads(bytes(cloud.files[LOGS + "result.json"]))["warnings"]
    assert any("the machine before is of other images" in text for text in warnings)
    # The same on one disk, which a reboot brings back.
    (second / "state/report.json").unlink()
    (second / "work/out/manifest.json").unlink()
    document = read_json(second / "job.json")
    del document["links"]["current_split"]
    (second / "job.json").write_text(json.dumps(document))
    assert run_python(second) == 0, report_of(second)
    assert "the disk is of other images" in (second / "state/train.log").read_text()
    assert epochs_in(second) == [1, 2], "from what the first attempt kept"


# --- which checkpoint ---------------------------------------------------------------------------


@pytest.fixture
def third(tmp_path: Path, cloud: Cloud) -> Bench:
    """A third attempt, after one that kept epoch 2 and one that kept epoch 4."""
    for attempt, epoch in ((1, 2), (2, 4)):
        bench = Bench(tmp_path, cloud, attempt)
        bench.train(epoch)
        bench.keep()
    return Bench(tmp_path, cloud, 3)


def test_the_newest_is_taken(third: Bench) -> None:
    assert third.restore() is None, "nothing of its own is on the share"
    assert third.has() == (4, b"last 4", b"best 4")
    assert third.context.warnings == []


def test_its_own_is_newer_than_a_former_ones(third: Bench) -> None:
    third.train(5, better=True)
    third.train(6, better=False)
    third.keep()
    shutil.rmtree(third.folder)
    third.folder.mkdir()
    there = third.restore()
    assert there is not None
    assert there["epoch"] == 6
    assert third.has() == (6, b"last 6", b"best 5")
    assert third.context.warnings == []


def test_the_disk_is_newer_than_the_share(third: Bench) -> None:
    third.train(5)
    third.keep()
    third.train(7)
    there = third.restore()
    assert there is not None
    assert there["epoch"] == 5, "not to be written over"
    assert third.has() == (7, b"last 7", b"best 7")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("ckpt.json", bytes(4096), "of the machine before could not be read"),
        (
            "ckpt.json",
            b'{"v":1,"job_id":"job-a","epoch":9}',
            "of the machine before is not one of this job",
        ),
        ("ckpt.json", b"[" * 200_000, "of the machine before could not be read"),
        ("last.0.pth", b"last 5", "of the machine before (epoch 4) is not whole and is skipped"),
        ("best.0.pth", b"", "of the machine before (epoch 4) is not whole and is skipped"),
        ("best.0.pth", None, "of the machine before (epoch 4) is not whole and is skipped"),
    ],
)
def test_one_that_is_damaged_is_skipped(
    third: Bench, name: str, content: bytes | None, words: str
) -> None:
    path = LOGS + "run-2." + name
    if content is None:
        del third.cloud.files[path]
    else:
        third.cloud.files[path] = bytearray(content)
    assert third.restore() is None
    assert third.has() == (2, b"last 2", b"best 2")
    assert len(third.context.warnings) == 1
    assert words in third.context.warnings[0]


def test_one_on_the_disk_that_is_damaged_is_skipped(third: Bench) -> None:
    third.train(9)
    (third.folder / "last.0.pth").write_bytes(b"")
    assert third.restore() is None
    assert third.has() == (4, b"last 4", b"best 4")
    assert third.context.warnings == [
        "the checkpoint of the disk (epoch 9) is not whole and is skipped"
    ]


def test_one_that_cannot_be_read_is_skipped(third: Bench) -> None:
    third.cloud.refuse = lambda call: 403 if call.path.endswith("run-2.last.0.pth") else None
    third.restore()
    assert third.has() == (2, b"last 2", b"best 2")
    assert "of the machine before could not be read" in third.context.warnings[0]


def test_nothing_was_kept(tmp_path: Path, cloud: Cloud) -> None:
    bench = Bench(tmp_path, cloud, 2)
    assert bench.restore() is None
    assert bench.has() is None
    assert bench.context.warnings == []


# --- keeping ------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_a_cut_at_any_call_leaves_a_whole_one(tmp_path: Path, cloud: Cloud, first: bool) -> None:
    """The power goes after the n-th call of an upload, for each n."""
    bench = Bench(tmp_path, cloud)
    calls = 0
    for cut in range(20):
        cloud.files = {name: data for name, data in cloud.files.items() if LOGS not in name}
        shutil.rmtree(bench.folder)
        bench.folder.mkdir()
        keeper = _Keeper(bench.context, bench.job, bench.folder, None)
        for epoch in () if first else (1, 2, 3):
            bench.train(epoch, better=epoch != 2)
            keeper.upload()
        before = on_the_share(cloud)
        assert (before is None) == first
        bench.train(4)
        calls = 0

        def refuse(call: Call, cut: int = cut) -> int | None:
            nonlocal calls
            calls += call.method == "PUT"
            return 403 if calls > cut else None

        cloud.refuse = refuse
        keeper.upload()
        cloud.refuse = lambda _: None
        after = on_the_share(cloud)
        new = (4, b"last 4", b"best 4")
        assert after == (new if calls <= cut else before), f"cut after {cut} calls"
        if calls <= cut:
            break
    assert calls == (6 if first else 5)


def test_a_folder_that_was_emptied_is_filled_again(tmp_path: Path, cloud: Cloud) -> None:
    bench = Bench(tmp_path, cloud)
    keeper = _Keeper(bench.context, bench.job, bench.folder, None)
    bench.train(1)
    keeper.upload()
    cloud.files = {name: data for name, data in cloud.files.items() if LOGS not in name}
    bench.train(2)
    cloud.refuse = lambda call: (
        404 if call.comp == "range" and call.path not in cloud.files else None
    )
    keeper.upload()
    assert on_the_share(cloud) is None
    keeper.upload()
    assert on_the_share(cloud) == (2, b"last 2", b"best 2")


def test_a_notice_hurries_the_checkpoint(tmp_path: Path, cloud: Cloud) -> None:
    bench = Bench(tmp_path, cloud)
    keeper = _Keeper(bench.context, bench.job, bench.folder, None)
    bench.train(1)
    keeper.watch()
    bench.train(2)
    keeper.watch()
    assert on_the_share(cloud) == (1, b"last 1", b"best 1"), "at most once in five seconds"
    bench.eviction.noticed = True
    keeper.watch()
    assert on_the_share(cloud) == (2, b"last 2", b"best 2")


# --- more time ----------------------------------------------------------------------------------


def test_more_time_reaches_the_trainer(tmp_path: Path, cloud: Cloud) -> None:
    bench = Bench(tmp_path, cloud)
    keeper = _Keeper(bench.context, bench.job, bench.folder, None)
    times = bench.job.times
    assert read_json(keeper.until_file) == {"train_until_s": times.train_until_s}
    later = {"v": 1, "deadline_s": int(times.deadline_s) + 60, "train_until_s": 60}
    later["train_until_s"] += int(times.train_until_s)
    cloud.blobs[CONTROL] = json.dumps(later).encode()
    bench.control.refresh()
    keeper.watch()
    assert read_json(keeper.until_file) == {"train_until_s": times.train_until_s + 60}
    assert bench.control.times.deadline_s == times.deadline_s + 60
    assert bench.control.times.hard_stop_s == times.hard_stop_s
    # What is earlier, or gone, takes nothing back.
    cloud.blobs[CONTROL] = json.dumps({"v": 1, "deadline_s": 3, "train_until_s": 2}).encode()
    bench.control.refresh()
    del cloud.blobs[CONTROL]
    bench.control.refresh()
    assert bench.control.times.train_until_s == times.train_until_s + 60


def test_a_trainer_whose_time_was_moved_goes_on(tmp_path: Path, cloud: Cloud) -> None:
    """The time of job.json is over; what control gives is enough."""
    now = int(time.time())
    home = new_home(tmp_path, cloud, "home", epochs=1, times={"train_until_s": 1000})
    word = {"v": 1, "deadline_s": now + 4000, "train_until_s": now + 3000}
    cloud.blobs[CONTROL] = json.dumps(word).encode()
    assert run_python(home) == 0, report_of(home)
    assert epochs_in(home) == [1]


def test_tiny_looks_again_before_it_stops(tmp_path: Path) -> None:
    """Whatever the runner wrote since the start counts."""
    picture = fixtures.pictures(1)[0]
    (tmp_path / "a.png").write_bytes(picture.png)
    row = {"path": str(tmp_path / "a.png"), "boxes": [[8, 8, 40, 40]], "labels": [0]}
    (tmp_path / "data.json").write_text(json.dumps({"train": [row], "val": [row]}))
    until = {"train_until_s": time.time() + 600}
    (tmp_path / "until.json").write_text(json.dumps(until))
    document = {
        "v": 1,
        "step": "train",
        "job_id": "job-a",
        "attempt": 1,
        "task": "detection",
        "model": "tiny",
        "classes": ["dent"],
        "epochs": 1,
        "seed": 1,
        "data": str(tmp_path / "data.json"),
        "init_checkpoint": None,
        "train_until_s": time.time() - 1,
        "until_file": str(tmp_path / "until.json"),
        "out": str(tmp_path / "out"),
    }
    (tmp_path / "job.json").write_text(json.dumps(document))
    assert tiny(tmp_path / "job.json") == 0
    document["until_file"] = None
    document["out"] = str(tmp_path / "other")
    (tmp_path / "job.json").write_text(json.dumps(document))
    assert tiny(tmp_path / "job.json") == 5


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"later, please",
        b"[]",
        b"7",
        b"[" * 200_000,
        b'{"v":1}',
        b'{"v":2,"deadline_s":7000,"train_until_s":6000}',
        b'{"v":1,"deadline_s":"7000","train_until_s":6000}',
        b'{"v":1,"deadline_s":7000.5,"train_until_s":6000}',
        b'{"v":1,"deadline_s":true,"train_until_s":true}',
        b'{"v":1,"deadline_s":6000,"train_until_s":7000}',
        b'{"v":1,"deadline_s":90000000000,"train_until_s":6000}',
        b'{"v":1,"deadline_s":1e999,"train_until_s":6000}',
        b"\xff\xfe",
    ],
)
def test_what_no_handler_writes_is_ignored(
    content: bytes, tmp_path: Path, cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    times = job.Times(1, 1000, 5000, 6000, 9000)
    with pytest.raises(ValueError, match="."):
        parse(content, times)
    assert parse(b'{"v":1,"deadline_s":9000,"train_until_s":8000}', times).train_until_s == 8000
    bench = Bench(tmp_path, cloud)
    cloud.blobs[CONTROL] = content
    caplog.set_level(logging.WARNING, "test")
    bench.control.refresh()
    bench.control.refresh()
    assert bench.control.times == bench.job.times
    assert sum("is ignored" in record.message for record in caplog.records) == 1


# --- the notice ---------------------------------------------------------------------------------


def test_which_events_take_the_machine_away() -> None:
    assert announced(stub.PREEMPT)
    assert not announced(stub.PREEMPT.replace(b"Preempt", b"Reboot"))
    assert not announced(b'{"DocumentIncarnation":1,"Events":[]}')
    for broken in (b"", b"[]", b"{}", b'{"Events":[{}]}', b'{"Events":7}'):
        with pytest.raises(ValueError, match="."):
            announced(broken)
