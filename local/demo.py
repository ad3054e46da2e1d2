"""`make demo`: one job from the message to the model, told as a story and checked at the end."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from azure.storage.fileshare import ShareClient
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from local import dataset
from local.cloud import TRAIN_QUEUE, TRAIN_SHARE, App, LocalCloud
from local.model_check import Score, apart, sample_picture, with_model_api, with_openvino

ZIP = "annotated.zip"
JOB_NAME = "Demo-1"
JOB = JOB_NAME.lower()
LINE = "default"
PICTURES = 60
LIMIT_S = 240.0
TURN_S = 0.5
GOOD = 0.8
"""At least this share of the boxes on validation images must be right."""

Check = tuple[str, Callable[[], bool]]


class Story:
    """Prints one line per step and remembers every line, so that it can be searched."""

    def __init__(self, cloud: LocalCloud) -> None:
        """Begin now."""
        self._cloud = cloud
        self._began = time.monotonic()

    def tell(self, text: str) -> None:
        """Print `text` with the seconds since the beginning and the moved clock's time."""
        moved = datetime.fromtimestamp(self._cloud.clock.now()).strftime("%H:%M:%S")
        for line in text.splitlines() or [""]:
            self._cloud.recorder.add_line("demo", line)
            print(f"{self.seconds():6.1f} s  {moved}  {line}", flush=True)

    def seconds(self) -> float:
        """Return real seconds since the beginning."""
        return time.monotonic() - self._began


class Observer:
    """Watches everything from outside and tells what has changed."""

    def __init__(self, cloud: LocalCloud, story: Story) -> None:
        """Watch the first app."""
        self._cloud = cloud
        self._app = cloud.app
        self._story = story
        self._texts = 0
        self._groups: list[str] = []
        self._stages: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._commands: set[str] = set()

    def look(self) -> None:
        """Tell what is new since the last look."""
        groups = self._cloud.arm.groups()
        for name in sorted(set(groups) - set(self._groups)):
            self._story.tell(f"Azure: resource group {name} is there")
        for name in sorted(set(self._groups) - set(groups)):
            self._story.tell(f"Azure: resource group {name} is gone, and all that was in it")
        self._groups = groups
        for machine in self._cloud.vms.machines:
            for line in set(machine.processes().values()) - self._commands:
                self._commands.add(line)
                self._cloud.recorder.add_line("process list", line)
        for name in self._app.blobs("job-files", "status/"):
            stage = json.loads(self._app.blob("job-files", name) or b"{}").get("stage", "")
            if stage and self._stages.get(name) != stage:
                self._stages[name] = stage
                self._story.tell(f"VM of {name.split('/')[1]}: {stage}")
        for job in self._app.markers() + list(self._states):
            state = _state(self._app, job)
            shown = f"machine {state.get('machine')}, model {state.get('model')}"
            if state and self._states.get(job) != shown:
                self._states[job] = shown
                self._story.tell(f"record of {job}: {shown}")
        texts = self._app.slack()
        for text in texts[self._texts :]:
            self._story.tell("\n".join(f"Slack: {line}" for line in text.splitlines()))
        self._texts = len(texts)


def main(keep: bool) -> int:
    """Run the demo and return the exit code: 0 only if every promise was kept."""
    print("Starting a cloud on this machine: Azurite, ARM, Files, Slack and the Functions host.")
    print(
        "Each line has the real seconds so far and the time on the clock that the cloud lives by."
    )
    with LocalCloud() as cloud:
        story = Story(cloud)
        observer = Observer(cloud, story)
        pictures = dataset.make_pictures(PICTURES, seed=7)
        _order(cloud, story, pictures)
        closed = _drive(cloud, story, observer)
        failed = _judge(cloud, story, pictures) if closed else ["the job ended in time"]
        if failed:
            _explain(cloud, story, failed)
        else:
            story.tell(f"All promises were kept, in {story.seconds():.0f} s.")
        if keep:
            _keep(cloud, observer)
        return 1 if failed else 0


def _order(cloud: LocalCloud, story: Story, pictures: list[dataset.Picture]) -> None:
    """Do what an annotator does, with the official SDKs."""
    app = cloud.app
    story.tell(f"the function app runs: {', '.join(sorted(app.host.functions))}")
    data = dataset.make_zip(pictures)
    share = ShareClient.from_connection_string(app.direct, TRAIN_SHARE)
    share.get_file_client(ZIP).upload_file(data)
    story.tell(
        f"annotator: put {ZIP} ({len(pictures)} pictures, {len(data) // 1024} KiB) into share "
        f"{TRAIN_SHARE}"
    )
    queue = QueueClient.from_connection_string(
        app.direct, TRAIN_QUEUE, message_encode_policy=TextBase64EncodePolicy()
    )
    message = f"{ZIP}:{JOB_NAME}"
    queue.send_message(message)
    story.tell(f"annotator: put the message {message} on queue {TRAIN_QUEUE}, and leaves")


def _drive(cloud: LocalCloud, story: Story, observer: Observer) -> bool:
    """Fire the timer while the clock moves until the job is closed; False when that takes long."""
    while story.seconds() < LIMIT_S:
        _turn(cloud)
        observer.look()
        if _state(cloud.app, JOB).get("machine") == "closed" and not cloud.app.markers():
            return True
        time.sleep(TURN_S)
    return False


def _turn(cloud: LocalCloud) -> None:
    """Move the clock and fire the timer. A VM at work lives in real time: then it moves slowly."""
    states = [_state(cloud.app, job).get("machine") for job in cloud.app.markers()]
    cloud.clock.advance(2.0 if "running" in states else 31.0)
    cloud.app.watch()


def _state(app: App, job: str) -> dict[str, Any]:
    return dict((app.record(job) or {}).get("state") or {})


def _judge(cloud: LocalCloud, story: Story, pictures: list[dataset.Picture]) -> list[str]:
    """Check every promise from outside, tell the result of each and return those that failed."""
    app = cloud.app
    state = _state(app, JOB)
    checks: list[Check] = [
        ("the record says closed and succeeded", lambda: _succeeded(state)),
        ("no live/ marker is left", lambda: not app.markers()),
        ("Azure has no resource group left", lambda: not cloud.arm.groups()),
        ("no process of a VM is left", lambda: not any(m.processes() for m in cloud.vms.machines)),
        ("Slack was told of acceptance, start and result", lambda: len(app.slack()) >= 3),
        (f"the checkpoint is in logs/{JOB_NAME}/", lambda: _checkpoint(app)),
        ("no message was given up", lambda: not app.host.given_up),
        ("the handler kept the host's rules", lambda: not app.host.violations),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = _download(app, folder)
        known = {hashlib.sha256(picture.png).hexdigest(): picture for picture in pictures}
        images = json.loads((folder / "split.json").read_bytes())["images"] if manifest else {}
        unseen = [known[key] for key, entry in images.items() if entry["side"] == "val"]
        checks += [
            (f"the model is in model/{LINE}/, as its manifest says", lambda: bool(manifest)),
            (
                f"Model API is right on {len(unseen)} images it was not trained on",
                lambda: _good(story, "Model API", apart(with_model_api, folder, unseen)),
            ),
            (
                "the sample published with it gets its expected answer",
                lambda: _good(
                    story,
                    "sample",
                    apart(with_model_api, folder, [sample_picture(folder, manifest)]),
                ),
            ),
            (
                "plain OpenVINO is right on them too",
                lambda: _good(story, "OpenVINO", apart(with_openvino, folder, unseen, manifest)),
            ),
        ]
        failed = [text for text, check in checks if not _holds(story, text, check)]
    clean = "no secret in anything printed, recorded or sent"
    if not _holds(story, clean, lambda: _no_leaks(cloud, story)):
        failed.append(clean)
    if manifest:
        metrics = manifest["metrics"]
        story.tell(
            f"model: container model, {LINE}/{manifest['version']}/; {metrics['primary']} "
            f"{metrics['value']:.3f} on {metrics['images']} images"
        )
    seconds = state.get("outcome_s", 0) - state.get("started_s", 0)
    story.tell(f"job: {state.get('outcome')}, {seconds} s by the moved clock, machine deleted")
    return failed


def _holds(story: Story, text: str, check: Callable[[], bool]) -> bool:
    try:
        kept = check()
    except Exception as error:
        story.tell(f"  ({type(error).__name__}: {error})")
        kept = False
    story.tell(f"{'kept  ' if kept else 'BROKEN'}  {text}")
    return kept


def _succeeded(state: dict[str, Any]) -> bool:
    return state.get("machine") == "closed" and state.get("outcome") == "succeeded"


def _checkpoint(app: App) -> bool:
    data = app.file("logs", f"{JOB_NAME}/latest.pth")
    result = json.loads(app.file("logs", f"{JOB_NAME}/result.json") or b"{}")
    if not data or not result:
        return False
    return bool(result["checkpoint"]["sha256"] == hashlib.sha256(data).hexdigest())


def _download(app: App, folder: Path) -> dict[str, Any]:
    """Fetch the current model into `folder`; return its manifest, {} when it is not whole."""
    current = json.loads(app.blob("model", f"{LINE}/current.json") or b"{}")
    if not current:
        return {}
    base = f"{LINE}/{current['version']}"
    raw = app.blob("model", f"{base}/manifest.json") or b"{}"
    if hashlib.sha256(raw).hexdigest() != current["manifest_sha256"]:
        return {}
    manifest = dict(json.loads(raw))
    for entry in manifest["files"]:
        data = app.blob("model", f"{base}/{entry['name']}")
        if data is None or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            return {}
        (folder / entry["name"]).write_bytes(data)
    return manifest | {"version": current["version"]}


def _good(story: Story, name: str, score: Score) -> bool:
    story.tell(
        f"  {name}: {score.found} of {score.there} boxes found, {score.named - score.found} false"
    )
    return score.there > 0 and score.recall >= GOOD and score.precision >= GOOD


def _no_leaks(cloud: LocalCloud, story: Story) -> bool:
    leaks = cloud.recorder.leaks()
    for leak in sorted(set(leaks))[:20]:
        story.tell(f"  {leak}")
    return not leaks


def _explain(cloud: LocalCloud, story: Story, failed: list[str]) -> None:
    """Tell what failed and print the last lines of handler and VM."""
    story.tell(f"{len(failed)} promises were broken: {'; '.join(failed)}")
    for line in cloud.app.host.lines[-30:]:
        print(f"          handler {line}")
    for machine in cloud.vms.machines:
        for line in machine.lines[-30:]:
            print(f"          vm {line}")


def _keep(cloud: LocalCloud, observer: Observer) -> None:
    """Leave the cloud on for people until they press Ctrl-C."""
    app = cloud.app
    print(
        f"""
The cloud stays on; end it with Ctrl-C. Its storage account (a throw-away key):

{app.direct}

Storage Explorer: Connect, Storage account, Connection string, paste the line above. Upload a zip to
file share {TRAIN_SHARE}, then add a message such as

    {ZIP}:second-job

to queue {TRAIN_QUEUE} (with or without "Encode message body in Base64"). Or in Python:

    from azure.storage.queue import QueueClient
    QueueClient.from_connection_string(CONNECTION, "{TRAIN_QUEUE}").send_message("{ZIP}:second-job")

with {Path(".venv/bin/python")} and the line above as CONNECTION.
"""
    )
    try:
        while True:
            if app.markers():
                _turn(cloud)
            observer.look()
            time.sleep(TURN_S)
    except KeyboardInterrupt:
        print("The cloud goes off.", flush=True)
