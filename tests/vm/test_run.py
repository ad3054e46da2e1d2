"""Whole attempts against the stub: from the zip to the manifest, and every way not to get there."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from PIL import Image
from retrain import __main__ as program
from retrain.detection import Drawn
from retrain.failure import Failure
from retrain.inference import Detector
from retrain.matching import score

from tests.vm import fixtures, stub
from tests.vm.conftest import SCRIPTS, CleanRun, report_of, run_python, start_python
from tests.vm.stub import SENTINEL, Call, Cloud

OUT = "/blob/job-files/out/job-a/1/"
LOGS = "/file/logs/job-a/"

# The start of every puppet trainer: the train job as `job`, and tiny's own main.
PUPPET = """
import json, os, signal, sys, time
from pathlib import Path
from retrain.files import read_json, write_json
from trainers.tiny.__main__ import main as tiny
path = Path(sys.argv[1])
job = read_json(path)
out = Path(job["out"])
"""


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with stub.Server() as cloud:
        yield cloud
        assert cloud.faults == []


def scripts_with(folder: Path, code: str) -> Path:
    """The scripts with one more trainer, `puppet`, that runs ``code``."""
    tree = folder / "scripts"
    shutil.copytree(SCRIPTS, tree, ignore=shutil.ignore_patterns("__pycache__", "boot"))
    (tree / "trainers/puppet").mkdir()
    (tree / "trainers/puppet/__init__.py").write_text("")
    (tree / "trainers/puppet/__main__.py").write_text(PUPPET + code)
    return tree


def attempt(folder: Path, cloud: Cloud, **changes: Any) -> tuple[Path, dict[str, Any]]:
    """The folder and job.json of an attempt on 14 pictures."""
    data = folder / "a.zip"
    if not data.exists():
        fixtures.cvat_zip(data, 14)
    document = stub.job_document(cloud, data, **{"epochs": 2, **changes})
    return stub.write_home(folder / "home", document), document


# --- a clean run -----------------------------------------------------------------------------


def test_everything_is_there(clean_run: CleanRun) -> None:
    assert clean_run.code == 0
    assert clean_run.cloud.faults == []
    manifest = json.loads(clean_run.published("manifest.json"))
    assert [entry["name"] for entry in manifest["files"]] == [
        "model.bin",
        "model.xml",
        "labels.json",
        "split.json",
        "metrics.json",
        "sample.png",
    ]
    for entry in manifest["files"]:
        content = clean_run.published(entry["name"])
        assert entry["size"] == len(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    assert json.loads(clean_run.published("labels.json")) == ["点字 ブロック", "dent"]
    assert manifest["classes"] == ["点字 ブロック", "dent"]
    written = [path for path in clean_run.cloud.paths("PUT") if path.startswith(OUT)]
    assert written[-1] == OUT + "manifest.json"
    assert written.count(OUT + "manifest.json") == 1
    metrics = manifest["metrics"]
    assert metrics["primary"] == "map"
    assert metrics["value"] > 0.4
    assert metrics["small_set"]
    assert metrics["images"] == metrics["gate_images"] == 12
    assert set(metrics["per_class"]) == {"点字 ブロック", "dent"}
    lineage = manifest["lineage"]
    zip_bytes = bytes(clean_run.cloud.files["/file/train/a.zip"])
    assert lineage["zip_sha256"] == hashlib.sha256(zip_bytes).hexdigest()
    gate = manifest["gate"]
    assert (gate["images"], gate["new"]) == (12, metrics["value"])
    assert gate["current"] is gate["current_version"] is gate["difference_sd"] is None
    assert gate["floor"] == 0.05
    assert [row["class"] for row in gate["per_class"]] == ["点字 ブロック", "dent"]
    assert gate["size_bytes"]["new"] == sum(e["size"] for e in manifest["files"][:2])
    assert gate["latency_ms"]["new"] > 0
    assert "not_comparable" not in gate
    assert (lineage["epochs_done"], lineage["images_train"], lineage["images_val"]) == (20, 28, 12)


def test_c1_26_the_zip_comes_by_its_link_and_no_share_is_mounted(clean_run: CleanRun) -> None:
    """Where port 445 is shut, and it often is, nothing is amiss."""
    assert "/file/train/a.zip" in clean_run.cloud.paths("GET")
    for path in SCRIPTS.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not re.search(r"\bcifs\b|\bsmb\b|\bmount +-|:445\b", text), path


def test_it_learned(clean_run: CleanRun) -> None:
    metrics = json.loads(clean_run.published("metrics.json"))
    assert metrics["map50"] > 0.85
    assert metrics["epochs"][-1]["loss"] < metrics["epochs"][0]["loss"] / 2
    assert metrics["value"] == pytest.approx(metrics["trainer_value"], abs=0.02)
    assert metrics["model_api_value"] == pytest.approx(metrics["select_value"], abs=0.05)


def test_published_model_is_right_without_us(clean_run: CleanRun, tmp_path: Path) -> None:
    """Downloaded again: plain OpenVINO on the validation pictures, and the sample's answer."""
    for name in ("model.xml", "model.bin", "sample.png"):
        (tmp_path / name).write_bytes(clean_run.published(name))
    manifest = json.loads(clean_run.published("manifest.json"))
    split = json.loads(clean_run.published("split.json"))["images"]
    model = ov.Core().compile_model(tmp_path / "model.xml", "CPU")
    assert model.input(0).get_any_name() == manifest["io"]["input"]["name"]
    assert model.input(0).get_partial_shape() == ov.PartialShape([1, -1, -1, 3])
    detector = Detector(tmp_path / "model.xml", manifest["io"]["input"]["network_size"])
    found, drawn = [], []
    for picture in clean_run.pictures:
        if split[hashlib.sha256(picture.png).hexdigest()]["side"] == "val":
            rgb = np.asarray(Image.open(io.BytesIO(picture.png)).convert("RGB"))
            found.append(detector(rgb))
            boxes = np.array([shape.box for shape in picture.shapes])
            labels = [manifest["classes"].index(shape.label) for shape in picture.shapes]
            drawn.append(Drawn(boxes, np.array(labels)))
    result = score(found, drawn, 2)
    assert result.map == pytest.approx(manifest["metrics"]["value"], abs=1e-5)
    sample = detector(np.asarray(Image.open(tmp_path / "sample.png")))
    expected = manifest["sample"]["expected"]
    assert expected
    for place, row in enumerate(expected):
        assert manifest["classes"][sample.labels[place]] == row["label"]
        assert sample.scores[place] == pytest.approx(row["score"], abs=1e-4)
        assert list(sample.boxes[place]) == pytest.approx(row["box"], abs=1e-2)


def test_logs_are_kept(clean_run: CleanRun) -> None:
    files = {k.removeprefix(LOGS): bytes(v) for k, v in clean_run.cloud.files.items() if LOGS in k}
    index = json.loads(files["ckpt.json"])
    assert index["epoch"] == 20
    for kind in ("last", "best"):
        content = files[index[kind]["name"]]
        assert hashlib.sha256(content).hexdigest() == index[kind]["sha256"]
    assert files["latest.pth"] == files[index["best"]["name"]]
    result = json.loads(files["result.json"])
    stages = ["fetch", "check", "split", "train", "export", "verify", "upload"]
    assert [step["stage"] for step in result["steps"]] == stages
    assert result["status"] == "succeeded"
    assert result["counts"]["images"] == 40
    assert result["checkpoint"]["sha256"] == hashlib.sha256(files["latest.pth"]).hexdigest()
    assert files["split.json"] == clean_run.published("split.json")
    assert b"epoch 20:" in files["train.log"]
    assert result["gate"] == json.loads(clean_run.published("manifest.json"))["gate"]
    parts = result["verify_seconds"]
    assert {"load", "openvino", "model_api", "benchmark", "draw"} <= set(parts)


def test_what_people_look_at(clean_run: CleanRun) -> None:
    files = {k.removeprefix(LOGS): bytes(v) for k, v in clean_run.cloud.files.items() if LOGS in k}
    for name in ("training_curve.png", "quality.png", "worst_images.png"):
        picture = Image.open(io.BytesIO(files[name]))
        assert picture.format == "PNG"
        assert len(files[name]) < 2_000_000
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) > 10
    speed = json.loads(files["benchmark.json"])
    assert speed["shape"] == [1, 240, 320, 3]
    assert all(value > 0 for value in speed["new"].values())
    gate = json.loads(clean_run.published("manifest.json"))["gate"]
    assert gate["latency_ms"] == {"new": speed["new"]["p50_ms"], "current": None}


def test_heart_beat(clean_run: CleanRun) -> None:
    status = json.loads(clean_run.cloud.blobs["/blob/job-files/status/job-a/1.json"])
    assert (status["stage"], status["epoch"], status["epochs"]) == ("upload", 20, 20)
    assert status["metric"] > 0.4
    assert status["beat_s"] >= status["since_s"] > 1_700_000_000


def test_report_is_complete(clean_run: CleanRun) -> None:
    report = report_of(clean_run.home)
    assert (report["status"], report["stage"], report["exit_code"]) == ("succeeded", "upload", 0)
    assert 0 < len(report["log"]) <= 20
    assert all(len(line) <= 300 for line in report["log"])


def test_no_secret_anywhere(clean_run: CleanRun) -> None:
    places = [p for p in clean_run.home.rglob("*") if p.is_file() and p.name != "job.json"]
    texts = [p.read_bytes() for p in places]
    texts += list(clean_run.cloud.blobs.values())
    texts += [bytes(v) for v in clean_run.cloud.files.values()]
    for text in texts:
        assert SENTINEL.encode() not in text
        assert SENTINEL.split("%")[0].encode() not in text


def test_next_job_continues(clean_run: CleanRun, tmp_path: Path) -> None:
    cloud = clean_run.cloud
    former = [("parent_checkpoint", LOGS + "latest.pth"), ("parent_split", LOGS + "split.json")]
    links = {name: cloud.link(path, "r") for name, path in former}
    links |= stub.current_links(cloud, OUT)
    new = fixtures.pictures(6, ("点字 ブロック", "scratch"), seed=8, pattern="new_{:04d}.png")
    items = clean_run.pictures[:14] + new
    classes = ("scratch", "点字 ブロック", "dent")
    fixtures.cvat_zip(tmp_path / "b.zip", items=items, classes=classes)
    document = stub.job_document(
        cloud,
        tmp_path / "b.zip",
        job_id="job-b",
        continue_from="job-a",
        epochs=1,
        baseline=1,
        links=links,
    )
    home = stub.write_home(tmp_path / "home", document)
    assert run_python(home) == 0, report_of(home)
    manifest = json.loads(cloud.blobs["/blob/job-files/out/job-b/1/manifest.json"])
    assert (manifest["baseline"], manifest["lineage"]["parent"]) == (1, "job-a")
    assert "warm start" in (home / "state/train.log").read_text()
    before = json.loads(clean_run.published("split.json"))["images"]
    after = json.loads(cloud.blobs["/blob/job-files/out/job-b/1/split.json"])["images"]
    assert len(after) == 46
    assert all(after[sha]["side"] == entry["side"] for sha, entry in before.items())
    gate = manifest["gate"]
    assert (gate["current"], gate["images"]) == (None, 7)
    assert gate["not_comparable"].startswith("7 validation images that neither model")
    assert json.loads((home / "work/out/result.json").read_text())["warnings"] == [
        "classes that the current model of `default` does not know: `scratch`"
    ]


# --- going on after a cut ---------------------------------------------------------------------


def until_epoch(process: subprocess.Popen[bytes], home: Path, epoch: int) -> None:
    """Wait until a checkpoint of ``epoch`` or later is there."""
    index = home / "work/train/ckpt.json"
    while not index.exists() or json.loads(index.read_text())["epoch"] < epoch:
        assert process.poll() is None, report_of(home)
        time.sleep(0.01)


def test_power_cut_and_next_attempt(tmp_path: Path, cloud: Cloud) -> None:
    home, document = attempt(tmp_path, cloud, epochs=5)
    process = start_python(home)
    until_epoch(process, home, 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (home / "state/report.json").exists()
    assert OUT + "manifest.json" not in cloud.blobs
    assert run_python(home) == 0, report_of(home)
    assert "continuing after epoch" in (home / "state/train.log").read_text()
    parts = bytes(cloud.files[LOGS + "latest.pth"])
    # The same job without a cut ends with the same bytes.
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    shutil.copy(tmp_path / "a.zip", fresh / "a.zip")
    other, _ = attempt(fresh, cloud, epochs=5, job_id="job-w")
    assert run_python(other) == 0
    assert bytes(cloud.files["/file/logs/job-w/latest.pth"]) == parts
    # Another attempt on another machine begins where the share's checkpoint ends.
    again = tmp_path / "again"
    again.mkdir()
    shutil.copy(tmp_path / "a.zip", again / "a.zip")
    second, _ = attempt(again, cloud, epochs=5, attempt=2)
    assert run_python(second) == 0
    log = (second / "state/train.log").read_text()
    assert "checkpoint of epoch 5 taken from the machine before" in log
    assert "continuing after epoch 5" in log
    assert bytes(cloud.files[LOGS + "latest.pth"]) == parts


def test_stopped_from_outside(tmp_path: Path, cloud: Cloud) -> None:
    tree = scripts_with(tmp_path, "print('pid', os.getpid(), flush=True); time.sleep(600)")
    home, _ = attempt(tmp_path, cloud, trainer="puppet")
    process = subprocess.Popen(
        [sys.executable, "-m", "retrain", str(home)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tree)},
    )
    log = home / "state/train.log"
    while not (log.exists() and "pid " in log.read_text()):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert not (home / "state/report.json").exists()
    assert (home / "state/reason").read_text() == "stopped from outside in stage train"
    pid = int(log.read_text().split("pid ")[1].split()[0])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# --- trouble with the trainer -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "exit_code", "stage", "words"),
    [
        ("sys.exit(9)", 3, "train", "ended with exit code 9 and no result"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 3, "train", "killed by SIGKILL"),
        (
            "answer = {'status': 'failed', 'reason': 'no GPU'}\n"
            "write_json(out / 'result.json', answer)\nsys.exit(3)",
            3,
            "train",
            "the training failed: no GPU",
        ),
        (
            "sys.exit(tiny(path) if job['step'] == 'train' else 4)",
            4,
            "export",
            "the export ended with exit code 4",
        ),
        (
            "code = tiny(path)\nif job['step'] == 'export': (out / 'model.bin').unlink()",
            4,
            "export",
            "the export left no model.bin",
        ),
        (
            "tiny(path)\nif job['step'] == 'export': (out / 'model.xml').write_text('<net/>')",
            4,
            "verify",
            "the exported model cannot be used",
        ),
        (
            "code = tiny(path)\nif job['step'] == 'train':\n"
            "    index = read_json(out / 'ckpt.json'); index['best']['metric'] = 0.97\n"
            "    write_json(out / 'ckpt.json', index)",
            4,
            "verify",
            "where the trainer measured 0.970",
        ),
    ],
)
def test_c1_08_trainer_fails(
    tmp_path: Path, cloud: Cloud, code: str, exit_code: int, stage: str, words: str
) -> None:
    tree = scripts_with(tmp_path, code)
    home, _ = attempt(tmp_path, cloud, trainer="puppet")
    assert run_python(home, tree) == exit_code
    report = report_of(home)
    assert (report["status"], report["stage"], report["exit_code"]) == ("failed", stage, exit_code)
    assert words in report["reason"]
    assert OUT + "manifest.json" not in cloud.blobs
    result = json.loads(bytes(cloud.files[LOGS + "result.json"]))
    assert (result["status"], result["stage"]) == ("failed", stage)
    assert LOGS + "train.log" in cloud.files
    assert (LOGS + "ckpt.json" in cloud.files) == (stage != "train")


def test_a_reason_without_end_is_cut(tmp_path: Path, cloud: Cloud) -> None:
    """Libraries tell every layer that does not fit: the report stays one that is read."""
    code = """
reason = "layers do not fit:" + " backbone.weight" * 20000
write_json(out / "result.json", {"status": "failed", "reason": reason})
sys.exit(3)
"""
    home, _ = attempt(tmp_path, cloud, trainer="puppet")
    assert run_python(home, scripts_with(tmp_path, code)) == 3
    assert report_of(home)["reason"].startswith("the training failed: layers do not fit: backbone")
    assert (home / "state/report.json").stat().st_size < 128 << 10


PAST_THE_LIMIT = {"train_until_s": 1000}


def test_stuck_trainer_without_a_checkpoint(tmp_path: Path, cloud: Cloud) -> None:
    tree = scripts_with(tmp_path, "time.sleep(600)")
    home, _ = attempt(tmp_path, cloud, trainer="puppet", times=PAST_THE_LIMIT)
    assert run_python(home, tree) == 5
    report = report_of(home)
    assert (report["status"], report["stage"]) == ("timed_out", "train")
    assert report["reason"].startswith("the training time was over before there was anything")


def test_stuck_trainer_with_a_checkpoint(tmp_path: Path, cloud: Cloud) -> None:
    """The first start leaves a checkpoint of one epoch, the second hangs and is killed."""
    code = """
if job["step"] == "export":
    sys.exit(tiny(path))
if (out / "ckpt.json").exists():
    time.sleep(600)
tiny(path)
sys.exit(3)
"""
    tree = scripts_with(tmp_path, code)
    home, document = attempt(tmp_path, cloud, trainer="puppet", epochs=1)
    assert run_python(home, tree) == 3
    document["times"] |= PAST_THE_LIMIT
    document["request"]["epochs"] = 5
    assert run_python(stub.write_home(home, document), tree) == 0, report_of(home)
    manifest = json.loads(cloud.blobs[OUT + "manifest.json"])
    assert manifest["lineage"]["epochs_done"] == 1
    result = json.loads(bytes(cloud.files[LOGS + "result.json"]))
    assert any("was killed; its best epoch is exported" in text for text in result["warnings"])


def test_time_is_up_before_the_first_epoch(tmp_path: Path, cloud: Cloud) -> None:
    home, _ = attempt(tmp_path, cloud, times={"train_until_s": int(time.time()) - 1})
    assert run_python(home) == 5
    report = report_of(home)
    assert (report["status"], report["stage"], report["exit_code"]) == ("timed_out", "train", 5)


def test_unknown_trainer(tmp_path: Path, cloud: Cloud) -> None:
    home, _ = attempt(tmp_path, cloud, trainer="../evil")
    assert run_python(home) == 1
    assert report_of(home)["reason"] == "there is no trainer `../evil`"


# --- trouble with the network -----------------------------------------------------------------


def test_zip_that_changed(tmp_path: Path, cloud: Cloud) -> None:
    home, _ = attempt(tmp_path, cloud)
    cloud.etag = '"0x2"'
    assert run_python(home) == 2
    report = report_of(home)
    assert report["stage"] == "fetch"
    assert "it was changed after the job was accepted" in report["reason"]


def test_zip_that_is_gone(tmp_path: Path, cloud: Cloud) -> None:
    home, _ = attempt(tmp_path, cloud)
    del cloud.files["/file/train/a.zip"]
    assert run_python(home) == 2
    assert "no longer in share `train`" in report_of(home)["reason"]


def test_zip_with_another_sha256(tmp_path: Path, cloud: Cloud) -> None:
    home, _ = attempt(tmp_path, cloud, dataset_sha256="ab" * 32)
    assert run_python(home) == 2
    assert "its sha256 is" in report_of(home)["reason"]


def test_zip_is_continued(tmp_path: Path, cloud: Cloud) -> None:
    home, _ = attempt(tmp_path, cloud, classes=["other"])
    (home / "work").mkdir()
    data = (tmp_path / "a.zip").read_bytes()
    (home / "work/dataset.zip").write_bytes(data[:1000])
    assert run_python(home) == 2
    assert (home / "work/dataset.zip").read_bytes() == data
    pieces = [c.headers["x-ms-range"] for c in cloud.calls if c.path == "/file/train/a.zip"]
    assert pieces == [f"bytes=1000-{len(data) - 1}"]
    assert report_of(home)["stage"] == "check"


def test_trouble_on_the_way(tmp_path: Path, cloud: Cloud) -> None:
    """Heartbeat and checkpoints fail, each output fails once: it succeeds all the same."""
    failed: set[str] = set()

    def refuse(call: Call) -> int | None:
        if "/status/" in call.path or call.path.endswith(("ckpt.json", "last.0.pth")):
            return 403
        if call.method == "PUT" and call.path.startswith(OUT) and call.path not in failed:
            failed.add(call.path)
            return 503
        return None

    cloud.refuse = refuse
    home, _ = attempt(tmp_path, cloud)
    assert run_python(home) == 0, report_of(home)
    assert len(failed) == 7
    assert OUT + "manifest.json" in cloud.blobs
    result = json.loads(bytes(cloud.files[LOGS + "result.json"]))
    assert sum("could not be kept on the share" in text for text in result["warnings"]) == 1
    assert (home / "state/train.log").read_text().count("heartbeat:") == 1


def test_output_that_is_refused(tmp_path: Path, cloud: Cloud) -> None:
    cloud.refuse = lambda call: 403 if call.path == OUT + "metrics.json" else None
    home, _ = attempt(tmp_path, cloud)
    assert run_python(home) == 1
    report = report_of(home)
    assert (report["status"], report["stage"]) == ("failed", "upload")
    assert "metrics.json was answered HTTP 403" in report["reason"]
    assert "sig" not in report["reason"]
    assert OUT + "manifest.json" not in cloud.blobs


def test_what_is_only_shown_fails_no_job(tmp_path: Path, cloud: Cloud) -> None:
    """Somebody has the picture of a former attempt open on the mounted share."""
    cloud.refuse = lambda call: 409 if call.path == LOGS + "quality.png" else None
    names = stub.SHOWN.items()
    links = {key: cloud.link(LOGS + name, "rcw") for key, name in names if key != "log_benchmark"}
    home, _ = attempt(tmp_path, cloud, epochs=1, links=links)
    assert run_python(home) == 0, report_of(home)
    assert OUT + "manifest.json" in cloud.blobs
    assert LOGS + "worst_images.png" in cloud.files
    (warning,) = json.loads(bytes(cloud.files[LOGS + "result.json"]))["warnings"]
    assert warning.startswith("quality.png could not be uploaded: PUT ")


def test_manifest_is_there_already(tmp_path: Path, cloud: Cloud) -> None:
    cloud.blobs[OUT + "manifest.json"] = b"{}"
    home, _ = attempt(tmp_path, cloud)
    assert run_python(home) == 0
    assert cloud.blobs[OUT + "manifest.json"] == b"{}"


def test_a_reboot_after_the_manifest_changes_nothing_it_names(tmp_path: Path, cloud: Cloud) -> None:
    """The power goes between the manifest and the report: made anew, the files would be others."""
    home, _ = attempt(tmp_path, cloud)
    assert run_python(home) == 0
    offered = {path: data for path, data in cloud.blobs.items() if path.startswith(OUT)}
    (home / "state/report.json").unlink()
    assert run_python(home) == 0
    assert report_of(home)["status"] == "succeeded"
    manifest = json.loads(offered[OUT + "manifest.json"])
    for entry in manifest["files"]:
        data = cloud.blobs[OUT + entry["name"]]
        assert hashlib.sha256(data).hexdigest() == entry["sha256"], entry["name"]
    assert {path: cloud.blobs[path] for path in offered} == offered


def test_an_offer_that_was_cut_is_finished(tmp_path: Path, cloud: Cloud) -> None:
    """The power goes when all files are there and the manifest is not."""
    cloud.refuse = lambda call: 403 if call.path == OUT + "manifest.json" else None
    home, _ = attempt(tmp_path, cloud)
    assert run_python(home) == 1
    (home / "state/report.json").unlink()
    cloud.refuse = lambda _: None
    assert run_python(home) == 0, report_of(home)
    for entry in json.loads(cloud.blobs[OUT + "manifest.json"])["files"]:
        data = cloud.blobs[OUT + entry["name"]]
        assert hashlib.sha256(data).hexdigest() == entry["sha256"], entry["name"]


def test_former_split_that_is_damaged(tmp_path: Path, cloud: Cloud) -> None:
    cloud.files["/file/logs/old/split.json"] = bytearray(b'{"images": {"a": {"side": "x"}}}')
    links = {"parent_split": cloud.link("/file/logs/old/split.json", "r")}
    home, _ = attempt(tmp_path, cloud, links=links, continue_from="old")
    assert run_python(home) == 1
    report = report_of(home)
    assert report["stage"] == "split"
    assert "is damaged" in report["reason"]


def test_former_files_that_are_gone(tmp_path: Path, cloud: Cloud) -> None:
    names = {"parent_split": "split.json", "parent_checkpoint": "latest.pth"}
    links = {key: cloud.link(f"/file/logs/old/{name}", "r") for key, name in names.items()}
    home, _ = attempt(tmp_path, cloud, links=links, continue_from="old", epochs=1)
    assert run_python(home) == 0
    warnings = json.loads(bytes(cloud.files[LOGS + "result.json"]))["warnings"]
    assert "`old` has no latest.pth; training from scratch" in warnings
    assert any("no split.json there" in text for text in warnings)


# --- the rest ---------------------------------------------------------------------------------


def test_one_picture(tmp_path: Path, cloud: Cloud) -> None:
    fixtures.cvat_zip(tmp_path / "a.zip", 1, ("ok",))
    home, _ = attempt(tmp_path, cloud)
    assert run_python(home) == 2
    assert "1 different image(s), at least 2 are needed" in report_of(home)["reason"]


def test_large_set_is_halved(tmp_path: Path, cloud: Cloud) -> None:
    fixtures.cvat_zip(tmp_path / "a.zip", items=fixtures.pictures(210, size=(64, 48)))
    home, _ = attempt(tmp_path, cloud, epochs=1)
    assert run_python(home) == 0, report_of(home)
    metrics = json.loads(cloud.blobs[OUT + "manifest.json"])["metrics"]
    assert not metrics["small_set"]
    assert metrics["select_images"] + metrics["gate_images"] == 63
    assert metrics["images"] == metrics["gate_images"] > 15


@pytest.mark.parametrize("content", ["", "{}", "[1", '{"request": 1}'])
def test_job_that_is_not_as_agreed(tmp_path: Path, content: str) -> None:
    (tmp_path / "job.json").write_text(content)
    assert run_python(tmp_path) == 1
    assert (tmp_path / "state/reason").read_text().startswith("job.json")


def test_words_for_what_no_stage_foresaw(monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert program._as_failure(full).reason == "the disk of the VM is full"
    trainer = Failure("the training ended with exit code 1 and no result", 3)
    assert program._with_the_disk(trainer, Path("/")).reason == trainer.reason
    monkeypatch.setattr(program, "FULL_BYTES", 1 << 62)
    told = program._with_the_disk(trainer, Path("/"))
    assert told.exit_code == 3
    assert told.reason == f"the disk of the VM is full ({trainer.reason})"
    assert program._with_the_disk(told, Path("/")) is told
    assert program._as_failure(MemoryError()).reason == "the memory of the VM is full"
    other = program._as_failure(ZeroDivisionError("division by zero"))
    assert other.reason == "an error nobody foresaw: ZeroDivisionError: division by zero"
