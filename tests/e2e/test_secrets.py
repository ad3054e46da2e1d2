"""Planted secrets and signed links are looked for in everything that a run leaves anywhere.

Where they must be: the password and the identity header in the sign-in, a token in ARM's
Authorization header, links in customData and in the addresses of requests to storage, Slack's
address in requests to Slack.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from azure.core.exceptions import ResourceExistsError

from local.cloud import MANAGED, LocalCloud
from tests.e2e.check import run_check
from tests.e2e.conftest import hasten
from tests.e2e.helpers import (
    deliver,
    is_closed,
    rest,
    run_until_closed,
    turn,
    turn_until,
    wait_for,
)
from tests.e2e.quick import QuickVm

SIGNED = re.compile(rb"sig=[A-Za-z0-9%+/]{20,}")
SAMPLE_S = 0.01
SERVICES = ("slack", "identity", "arm", "blob", "files")


def spellings(value: str) -> set[bytes]:
    data = value.encode()
    encoded = {base64.b64encode(b"\0" * n + data)[4 * bool(n) : -4] for n in range(3)}
    return {data, quote(value, safe="").encode(), json.dumps(value)[1:-1].encode(), *encoded}


class Sampler:
    """Looks at the command lines of all processes of this machine, again and again."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        self.seen.add((entry / "cmdline").read_bytes())
                    except OSError:
                        continue
            time.sleep(SAMPLE_S)


class Run:
    """Jobs of several ends, lived through, and all that they left."""

    def __init__(self, cloud: LocalCloud, argv: set[bytes]) -> None:
        self.cloud = cloud
        self.argv = argv
        self.secrets = dict(cloud.recorder.secrets)

    def found_in(self, data: bytes) -> list[str]:
        """The names of the secrets in some bytes; signed links count."""
        names = [n for n, v in self.secrets.items() if any(s in data for s in spellings(v))]
        return names + (["a signed link"] if SIGNED.search(data) else [])


@pytest.fixture(scope="module")
def run(dist, zip_bytes) -> Iterator[Run]:
    apps = {"app": {"MAX_JOBS": "9"}, "managed": MANAGED}
    with LocalCloud(apps, dist=dist) as cloud, Sampler() as sampler:
        app = hasten(cloud).app
        app.put_zip("a.zip", zip_bytes)
        cloud.vms.work = None
        deliver(app, "a.zip:real")
        turn_until(cloud, lambda: cloud.vms.machines, what="a machine")
        turn_until(cloud, lambda: is_closed(app, "real"), 120, what="the real run")
        cloud.vms.work = QuickVm(status="failed", reason="it went wrong")
        deliver(app, again("failed"))
        run_until_closed(cloud, "failed")
        deliver(app, "{broken")
        deliver(app, "none.zip:no job")
        deliver(app, '{"v":1,"action":"status"}')
        managed(cloud, zip_bytes)
        trouble(cloud)
        yield Run(cloud, sampler.seen)


def again(job: str) -> str:
    """A message for the same data, which would be asked about without `force`."""
    message = {"v": 1, "action": "train", "dataset": "a.zip", "job_id": job, "force": True}
    return json.dumps(message)


def managed(cloud: LocalCloud, zip_bytes: bytes) -> None:
    """A job of an app with a managed identity, whose endpoint fails, refuses and then answers."""
    app = cloud.apps["managed"]
    cloud.vms.work = QuickVm()
    app.put_zip("a.zip", zip_bytes)
    cloud.faults.add(service="identity", url="/msi/token", reset="before", times=None)
    app.send("a.zip:managed")
    wait_for(lambda: app.record("managed"), what="managed")
    turn(cloud, app)
    cloud.faults.clear()
    run_until_closed(cloud, "managed", app)
    run_check(cloud, app)
    cloud.identity.revoke()
    cloud.identity.system = False
    run_check(cloud, app)
    cloud.identity.system = True


def trouble(cloud: LocalCloud) -> None:
    """Jobs in a cloud where calls fail in every way that writes an error text with an address."""
    cloud.vms.work = QuickVm()
    xml = b"<Error><Code>AuthenticationFailed</Code></Error>"
    ways = (
        {"reset": "before"},
        {"reset": "half"},
        {"status": 404, "body": b"{}", "times": None},
        {"status": 403, "body": xml, "times": None},
        {"status": 500, "headers": {"Retry-After": "0"}, "times": None},
    )
    for number, way in enumerate(ways):
        for service in SERVICES:
            fault = {**way, "nth": 2 if number < 2 else 1}
            job = f"trouble-{number}-{service}"
            cloud.app.send(again(job))
            wait_for(lambda job=job: cloud.app.record(job), what=job)
            cloud.identity.revoke()
            cloud.faults.add(service=service, **fault)
            for _ in range(3):  # the timer may be in trouble itself
                cloud.clock.advance(61)
                cloud.app.watch()
            cloud.faults.clear()
    turn_until(cloud, lambda: not cloud.app.markers(), what="the end of all")


def test_the_run_was_worth_looking_at(run):
    """Otherwise everything below would pass for nothing."""
    app = run.cloud.app
    ends = {job: app.record(job)["state"]["outcome"] for job in ("real", "failed")}
    assert ends == {"real": "succeeded", "failed": "failed"}
    argv = b"\n".join(run.argv)
    for program in (b"handler", b"curl", b"retrain", b"trainers.tiny"):
        assert program in argv
    names = {name.split("#")[0] for name in run.secrets}
    assert names == {
        "account key",
        "identity header",
        "service principal password",
        "slack url",
        "token",
    }
    shown = run.cloud.recorder.select("identity", "GET", "/msi/token")
    header = run.cloud.identity.header
    assert any(dict(e.request_headers).get("X-IDENTITY-HEADER") == header for e in shown)
    assert run.cloud.apps["managed"].record("managed")["state"]["outcome"] == "succeeded"
    errors = [line for _, line in run.cloud.recorder.lines if "warn: " in line or "error: " in line]
    for service in SERVICES:
        address = getattr(run.cloud, service).url
        assert any(address in line for line in errors), f"no error text about {service}"
    rest(run.cloud)


def test_c1_20_no_secret_is_printed_or_sent_where_it_does_not_belong(run):
    """All exchanges (records, deployments read back, Slack's texts, files) and printed lines."""
    assert run.cloud.recorder.leaks() == []


def test_c1_20_no_secret_in_any_blob_file_or_message(run):
    app = run.cloud.app
    looked = 0
    for container in ("jobs", "job-files", "model"):
        for name in app.blobs(container):
            data = app.blob(container, name) or b""
            assert run.found_in(data) == [], f"{container}/{name}"
            assert run.found_in(name.encode()) == []
            looked += 1
    for share, folder in (("train", ""), ("logs", ""), ("logs", "real"), ("logs", "failed")):
        for name in app.files(share, folder):
            with contextlib.suppress(ResourceExistsError):  # a folder
                data = app.file(share, f"{folder}/{name}" if folder else name)
                assert data is not None
                assert run.found_in(data) == [], f"{share}/{folder}/{name}"
                looked += 1
    for queue in ("js-queue-items", "delete-resources"):
        for text in app.queues.peek(queue) + app.queues.peek(f"{queue}-poison"):
            assert run.found_in(text.encode()) == []
    assert looked > 30


def test_c1_20_no_secret_in_what_people_read(run):
    texts = run.cloud.app.slack()
    assert len(texts) > 5
    for text in texts:
        assert run.found_in(text.encode()) == []
        assert "hooks" not in text


def test_c1_20_no_secret_in_a_command_line(run):
    for line in list(run.argv):  # looking goes on
        assert run.found_in(line) == [], line.split(b"\0")[0]


def test_c1_20_custom_data_comes_back_from_nowhere(run):
    """It is sent once, as a secure parameter; no GET of a deployment or machine shows it."""
    sent = run.cloud.recorder.select("arm", "PUT", "/deployments/train")
    assert sent
    for exchange in sent:
        properties = json.loads(exchange.request_body)["properties"]
        kinds = {
            k.lower(): v["type"].lower() for k, v in properties["template"]["parameters"].items()
        }
        assert kinds["customdata"] == "securestring"
        data = properties["parameters"]["customData"]["value"]
        assert run.found_in(base64.b64decode(data)) == ["a signed link"], "links, and nothing else"
        for other in run.cloud.recorder.select("arm"):
            assert data[:200].encode() not in other.response_body


def test_only_the_machine_itself_can_read_its_links(dist, zip_bytes):
    """On the machine they are in files of root alone, and in no environment."""
    with LocalCloud(dist=dist) as cloud:
        hasten(cloud)
        looked: list[str] = []

        def look(_quick: QuickVm, vm) -> None:
            for file in [*vm.home.rglob("*"), *(vm.root / "etc").rglob("*")]:
                if file.is_file() and SIGNED.search(file.read_bytes()):
                    looked.append(f"{file.name} {file.stat().st_mode & 0o777:o}")

        cloud.vms.work = QuickVm(uploaded=look)
        cloud.app.put_zip("a.zip", zip_bytes)
        deliver(cloud.app, "a.zip:mode")
        run_until_closed(cloud, "mode")
    assert sorted(looked) == [
        "bell_url 600",
        "claim_url 600",
        "job.json 600",
        "report_url 600",
        "scripts_url 600",
    ]


def test_a_machine_that_tells_its_links_is_not_passed_on(cloud, zip_bytes):
    """A reason or a log line with a link in it: people, record and text file get it without."""
    link = "https://x.blob.core.windows.net/a/b?sv=1&sp=r&sig=" + "A1b2C3d4%2F" * 4 + "&se=2"

    class Telling(QuickVm):
        def send_report(self, job) -> None:
            self.reason = f"GET {link} failed"
            super().send_report(job)

    cloud.vms.work = Telling(status="failed")
    job = f"telling-{uuid.uuid4().hex[:6]}"
    cloud.app.put_zip(f"{job}.zip", zip_bytes)
    deliver(cloud.app, f"{job}.zip:{job}")
    run_until_closed(cloud, job)
    told = [text for text in cloud.app.slack() if f"`{job}` has" in text][0]
    assert "https://x.blob.core.windows.net/a/b" in told
    for text in (told, json.dumps(cloud.app.record(job)), *cloud.app.host.lines):
        assert not SIGNED.search(text.encode())
    assert not SIGNED.search(cloud.app.file("train", f"{job}.zip.RESULT.txt") or b"")


def test_the_search_finds_what_it_looks_for(run):
    """The proof that a leak would be seen: in a command line, a blob, a line, base64."""
    key = next(v for n, v in run.secrets.items() if n.startswith("account key"))
    program = [sys.executable, "-c", "import time; time.sleep(20)", key]
    leaking = subprocess.Popen(program)
    try:
        with Sampler() as sampler:
            end = time.monotonic() + 10
            while not any(key.encode() in line for line in list(sampler.seen)):
                assert time.monotonic() < end
                time.sleep(SAMPLE_S)
    finally:
        leaking.kill()
        leaking.wait()
    assert run.found_in(b"x=" + key.encode()) != []
    for head in ("", "a", "ab"):
        assert run.found_in(base64.b64encode(f"{head}{key}tail".encode())) != []
    assert run.found_in(b"https://a/b?sv=1&sig=abcdefghijklmnopqrstuvwxyz") == ["a signed link"]
    run.cloud.recorder.add_line("this test", f"oh no {key}")
    assert run.cloud.recorder.leaks() != []
    run.cloud.recorder.lines.pop()
