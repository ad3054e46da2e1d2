"""Zips that are missing, half there, broken or strange: from outside, and on the real VM."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local.arm import Timing
from local.cloud import App, LocalCloud
from tests.e2e.helpers import (
    arm_calls,
    corrected_line,
    current,
    deliver,
    is_closed,
    machine,
    result_text,
    run_until_closed,
    settle,
    state,
    texts_about,
    turn,
    turn_until,
)
from tests.vm import fixtures, formats

REAL_S = 240.0
JAPANESE_ZIP = "検査 画像（第２回）.zip"


def upload(app: App, name: str, data: bytes) -> None:
    """Put a file; the clock stays."""
    app.put_zip(name, data, settle_s=0)


def rejected(cloud: LocalCloud, job: str) -> str:
    """The job is rejected for its zip and closed, and no machine was ever asked for; the text."""
    app = cloud.app
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("rejected", "zip")
    assert record["state"]["attempt"] == 0
    assert arm_calls(cloud, "PUT", record["slug"]) == []
    text = texts_about(app, job)[-1]
    assert text.startswith(f"Job `{job}` is rejected: E1")
    assert "; it was waited for 5 min. Put the zip into share `train` first." in text
    assert corrected_line(text) == f"{record['request']['zip']}:{job}-2"
    name = record["request"]["zip"]
    assert text.splitlines()[0] in result_text(app, name)
    return text


# From outside.


def test_a_zip_that_never_comes(cloud: LocalCloud) -> None:
    app = cloud.app
    upload(app, "screws-0413.zip", b"PK")
    upload(app, "notes.txt", b"x")
    deliver(app, "screws-0412.zip:never")
    assert "It waits for its data (E16 zip: `screws-0412.zip`" in texts_about(app, "never")[0]
    started = cloud.clock.now()
    while machine(app, "never") == "queued":
        assert cloud.clock.now() - started < 400
        turn(cloud)
    assert cloud.clock.now() - started >= 300, "it was waited for 5 minutes"
    text = rejected(cloud, "never")
    assert "E16 zip: `screws-0412.zip` is not in share `train` (seen: `screws-0413.zip`" in text


def test_nothing_similar_is_there(cloud: LocalCloud) -> None:
    deliver(
        cloud.app, "絶対に存在しないとても長い名前のファイルです、検査用の写真を含みます.zip:alone"
    )
    text = rejected(cloud, "alone")
    assert "seen:" not in text
    assert "\ufffd" not in text
    assert "`絶対に存在しないとても" in text


def test_a_similar_name_that_is_long(cloud: LocalCloud) -> None:
    long = "とても長い名前のファイルです、検査用の写真を含みますが、第{}回の分です.zip"
    upload(cloud.app, long.format("一"), b"PK")
    deliver(cloud.app, f"{long.format('二')}:similar")
    text = rejected(cloud, "similar")
    assert "(seen: `とても長い名前のファイルです" in text
    assert text.count("`とても長い名前") == 2


def test_a_zip_that_comes_later(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    deliver(app, "later.zip:later")
    for _ in range(4):
        turn(cloud)
        assert machine(app, "later") == "queued"
    app.put_zip("later.zip", zip_bytes)
    assert run_until_closed(cloud, "later")["state"]["outcome"] == "succeeded"


def test_an_upload_is_waited_for_until_it_stands_still(cloud: LocalCloud, zip_bytes: bytes) -> None:
    """Azure Files shows a file at full length from the first moment on."""
    app = cloud.app
    share = app.shares_client.get_share_client("train")
    file = share.get_file_client("slow.zip")
    file.create_file(len(zip_bytes))
    deliver(app, "slow.zip:slow")
    assert "still being uploaded" in texts_about(app, "slow")[0]
    piece = len(zip_bytes) // 6 + 1
    for at in range(0, len(zip_bytes), piece):
        turn(cloud, seconds=15)
        assert machine(app, "slow") == "queued"
        data = zip_bytes[at : at + piece]
        file.upload_range(data, offset=at, length=len(data))
    turn(cloud, seconds=15)
    assert machine(app, "slow") == "queued", "its last byte is 15 s old"
    record = app.record("slow")
    assert record is not None
    assert arm_calls(cloud, "PUT", record["slug"]) == []
    turn_until(cloud, lambda: is_closed(app, "slow"))
    record = app.record("slow")
    assert record is not None
    assert record["state"]["outcome"] == "succeeded"
    assert record["zip_size"] == len(zip_bytes)
    assert record["zip_etag"] == file.get_file_properties().etag


def test_an_upload_that_stops_halfway(cloud: LocalCloud, zip_bytes: bytes) -> None:
    app = cloud.app
    file = app.shares_client.get_share_client("train").get_file_client("half.zip")
    file.create_file(len(zip_bytes))
    file.upload_range(zip_bytes[:5000], offset=0, length=5000)
    deliver(app, "half.zip:half")
    assert "E17 zip: `half.zip` cannot be opened (still uploading" in rejected(cloud, "half")


def test_a_truncated_zip(cloud: LocalCloud, tmp_path: Path) -> None:
    data = fixtures.truncated_zip(tmp_path / "x.zip").read_bytes()
    upload(cloud.app, "cut.zip", data)
    deliver(cloud.app, "cut.zip:cut")
    assert "E17 zip: `cut.zip` cannot be opened" in rejected(cloud, "cut")


def test_an_empty_file(cloud: LocalCloud) -> None:
    upload(cloud.app, "empty.zip", b"")
    deliver(cloud.app, "empty.zip:empty")
    assert "E17 zip: `empty.zip` is empty" in rejected(cloud, "empty")


def test_another_file_that_is_named_zip(cloud: LocalCloud) -> None:
    upload(cloud.app, "rar.zip", b"Rar!\x1a\x07\x00" + bytes(100_000))
    deliver(cloud.app, "rar.zip:rar")
    assert "E17 zip: `rar.zip` cannot be opened" in rejected(cloud, "rar")


def test_a_zip_with_a_comment_at_its_end_is_a_zip(cloud: LocalCloud, zip_bytes: bytes) -> None:
    made = io.BytesIO(zip_bytes)
    with zipfile.ZipFile(made, "a") as archive:
        archive.comment = b"made by a tool that says so, PK\x05\x06 and all" * 20
    app = cloud.app
    app.put_zip("comment.zip", made.getvalue())
    deliver(app, "comment.zip:comment")
    assert run_until_closed(cloud, "comment")["state"]["outcome"] == "succeeded"


def test_the_corrected_line_of_a_missing_zip_works_once_it_is_there(
    cloud: LocalCloud, zip_bytes: bytes
) -> None:
    app = cloud.app
    deliver(app, "again.zip:again")
    text = rejected(cloud, "again")
    app.put_zip("again.zip", zip_bytes)
    deliver(app, corrected_line(text))
    assert run_until_closed(cloud, "again-2")["state"]["outcome"] == "succeeded"


# On the real VM: all cases at once in a cloud of their own, then one test each.


@dataclass
class Case:
    """A zip for the real VM, and what must come of it."""

    job: str
    zip: str
    build: Any
    outcome: str = "failed"
    words: str = ""
    classes: str = ""
    data: bytes = field(default=b"", repr=False)


def japanese_coco_zip(path: Path) -> None:
    """Read by the library, in the environment that the machine makes for itself."""
    classes = ("良品", "点字 ブロック")
    made = fixtures.pictures(8, classes, pattern="写真 表示 ガ{:02d}.png")
    formats.pack(path, formats.coco(made, classes), "nfd")


CASES = [
    Case("v-broken", "broken.zip", fixtures.broken_zip, words="E17 zip `"),
    Case("v-none", "none.zip", fixtures.no_annotations_zip, words="E17 zip `"),
    Case("v-pictures", "pictures.zip", fixtures.no_images_zip, words="E17 zip `"),
    Case("v-climb", "climb.zip", fixtures.climbing_zip, words="E17 zip `"),
    Case("v-classes", "classes.zip", fixtures.cvat_zip, words="`scratch`", classes="ok,scratch"),
    Case("v-utf8", JAPANESE_ZIP, fixtures.japanese_zip, "succeeded"),
    Case("v-coco", "coco.zip", japanese_coco_zip, "succeeded"),
    Case(
        "v-cp932",
        "cp932.zip",
        lambda path: fixtures.japanese_zip(path, "cp932"),
        "succeeded",
    ),
]
IDS = [case.job for case in CASES]


@pytest.fixture(scope="module")
def real(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A cloud in which all cases have run on real VMs, side by side."""
    folder = tmp_path_factory.mktemp("data")
    with LocalCloud({"app": {"MAX_JOBS": str(len(CASES))}}, dist=dist) as cloud:
        cloud.arm.timing = Timing(accepted=0.02, running=0.05, delete=0.1)
        app = cloud.app
        for case in CASES:
            case.build(folder / f"{case.job}.zip")
            case.data = (folder / f"{case.job}.zip").read_bytes()
            app.put_zip(case.zip, case.data)
        for case in CASES:
            line = {"dataset": case.zip, "job_id": case.job, "line": f"line-{case.job}"}
            wanted = {"epochs": 2, "split": {"group": "none"}, "publish": "always"}
            classes = {"classes": case.classes.split(",")} if case.classes else {}
            deliver(app, json.dumps(line | wanted | classes))
        turn_until(cloud, lambda: not app.markers(), REAL_S, what="all cases end")
        settle(cloud)
        yield cloud


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_what_is_inside_is_judged_on_the_machine(real: LocalCloud, case: Case) -> None:
    app = real.app
    assert is_closed(app, case.job)
    assert state(app, case.job)["outcome"] == case.outcome, texts_about(app, case.job)[-1]
    text = texts_about(app, case.job)[-1]
    if case.outcome == "succeeded":
        assert state(app, case.job)["version"] == 1
        assert current(app, f"line-{case.job}")["classes"] == ["良品", "点字 ブロック"]
        labels = app.blob("model", f"line-{case.job}/1/labels.json") or b""
        assert "点字 ブロック" in labels.decode("utf-8")
        split = (app.file("logs", f"{case.job}/split.json") or b"").decode("utf-8")
        assert len(json.loads(split)["images"]) == 8
        assert "写真 表示" in json.dumps(json.loads(split), ensure_ascii=False)
        assert "Classes: 良品, 点字 ブロック" in result_text(app, case.zip)
        return
    assert state(app, case.job)["reason"] == "report"
    assert text.startswith(f"Job `{case.job}` has failed: ")
    assert "(stage check, exit code " in text
    assert case.words in text
    assert "nothing was published" in text
    assert app.blobs("model", f"line-{case.job}/") == []
    result = result_text(app, case.zip)
    assert case.words in result
    assert "```" not in result
    assert f"share logs, folder {case.job}" in result
    log = (app.file("logs", f"{case.job}/train.log") or b"").decode("utf-8")
    assert case.words in log


def test_nothing_is_left_of_any_case(real: LocalCloud) -> None:
    assert real.arm.groups() == []
    for vm in real.vms.machines:
        assert not vm.processes()
        assert not list(vm.root.parent.rglob("evil.png"))
    assert real.recorder.leaks() == []
