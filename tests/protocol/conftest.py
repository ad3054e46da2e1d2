"""The shipped handler against the host stand-in; one cloud for all, one host per test that asks."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local import payload
from local.cloud import App, LocalCloud
from local.host import FunctionsHost, Options
from local.paths import DIST

ROOT = Path(os.environ.get("RETRAIN_DIST", DIST))
TRAIN = "js-queue-items"
IDLE_S = 62.0
"""The real host keeps idle connections for 60 s; the next call on one must still be answered."""

StartHost = Callable[..., FunctionsHost]


@pytest.fixture(scope="session")
def shared_cloud() -> Iterator[LocalCloud]:
    with LocalCloud(dist=ROOT, hosts=False) as started:
        yield started


@pytest.fixture
def cloud(shared_cloud: LocalCloud) -> Iterator[LocalCloud]:
    yield shared_cloud
    shared_cloud.faults.clear()


@pytest.fixture
def app(cloud: LocalCloud) -> App:
    return cloud.app


@pytest.fixture(scope="session")
def host(shared_cloud: LocalCloud) -> FunctionsHost:
    """One host for the tests that leave its handler as it is; LocalCloud stops it."""
    return shared_cloud.app.start_host(Options(queues=False))


@pytest.fixture
def start_host(cloud: LocalCloud) -> Iterator[StartHost]:
    started: list[FunctionsHost] = []

    def start(**options: Any) -> FunctionsHost:
        one = cloud.app.start_host(Options(queues=False, **options))
        started.append(one)
        return one

    yield start
    for one in started:
        one.stop()


class Idle:
    """A kept connection that does nothing for IDLE_S real seconds, then carries a call."""

    def __init__(self, app: App) -> None:
        self._host = app.start_host(Options(queues=False))
        self._caller = Caller(self._host.port)
        self.first = self._caller.call(TRAIN, body_of("{not a message"))
        self._since = time.monotonic()

    def second(self) -> tuple[int, dict[str, str], bytes]:
        """Wait until the time is over, and call over the same connection."""
        socket_before = self._caller.connection.sock
        time.sleep(max(0.0, self._since + IDLE_S - time.monotonic()))
        answer = self._caller.call(TRAIN, body_of("{not a message"))
        assert self._caller.connection.sock is socket_before
        return answer


@pytest.fixture(scope="session", autouse=True)
def idle(shared_cloud: LocalCloud) -> Idle:
    """Begun before the first test, so that the wait runs beside the others."""
    return Idle(shared_cloud.app)


class Caller:
    """A client that decides about every byte of the body's framing."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(
        self, function: str, body: bytes, piece: int = 0, invocation: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        """POST in chunks of `piece` bytes, each in a segment of its own; 0: Content-Length."""
        link = self.connection
        link.putrequest("POST", f"/{function}", skip_accept_encoding=True)
        link.putheader("X-Azure-Functions-InvocationId", invocation or str(uuid.uuid4()))
        link.putheader("Content-Type", "application/json; charset=utf-8")
        if not piece:
            link.putheader("Content-Length", str(len(body)))
            link.endheaders(body)
        else:
            link.putheader("Transfer-Encoding", "chunked")
            link.endheaders()
            for at in range(0, len(body), piece):
                part = body[at : at + piece]
                link.send(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            link.send(b"0\r\n\r\n")
        response = link.getresponse()
        return response.status, dict(response.getheaders()), response.read()


def body_of(text: str | bytes, kind: str | None = "binary", message_id: str = "") -> bytes:
    """Return the body of a call with a message, by the host's own rules for a dataType."""
    data = text.encode() if isinstance(text, str) else text
    trigger = {"name": "message", "dataType": kind}
    known = {"Id": json.dumps(message_id)} if message_id else {}
    return payload.body(trigger, TRAIN, data, time.time(), None, known)


def lines_of(host: FunctionsHost, source: str, *words: str) -> list[str]:
    """Return the printed lines of a stream that hold all the words; waits for the first."""
    end = time.monotonic() + 10
    while True:
        head = f"{source}: "
        found = [x for x in host.lines if x.startswith(head) and all(w in x for w in words)]
        if found or time.monotonic() > end:
            return found
        time.sleep(0.02)


def command() -> list[str]:
    """Return the command line that host.json gives the host; its folder is the app root."""
    config = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    description = config["customHandler"]["description"]
    return [str(ROOT / description["defaultExecutablePath"]), *description.get("arguments", [])]


def run_handler(settings: dict[str, str], seconds: float = 20) -> subprocess.CompletedProcess[str]:
    """Run the handler alone to its end, as a host would start it."""
    return subprocess.run(
        command(),
        env={"PATH": "/usr/bin:/bin", "FUNCTIONS_APP_ROOT_PATH": str(ROOT), **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Run `work` in so many threads and return what each gave back."""
    results: list[Any] = [None] * count

    def one(index: int) -> None:
        results[index] = work(index)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
