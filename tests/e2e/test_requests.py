"""The HTTP requests of the happy path, in their order, as tests/golden/requests.txt keeps them.

A new round trip shows in the diff of that file. UPDATE_GOLDEN=1 writes it anew. Requests that run
side by side, a round, stand in braces and in alphabetical order.
"""

from __future__ import annotations

import os
import re
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local.cloud import LocalCloud
from local.host import Options
from local.paths import ROOT
from local.recorder import Exchange, rounds
from local.service import OUTSIDE
from tests.e2e.conftest import hasten
from tests.e2e.helpers import deliver, group_of, machine, ring, state, wait_for
from tests.e2e.quick import QuickVm

GOLDEN = ROOT / "tests" / "golden" / "requests.txt"
LATENCY_S = 0.2
"""How long every request is held up while a job is accepted, so that rounds can be told apart."""
ROUND_TRIPS = 5
"""At most so many in sequence from the message to the accepted deployment, in steady state."""
TELLING = {"comp", "restype", "prefix", "$expand"}
"""Parameters that say which operation a request is."""


@dataclass
class Part:
    """One invocation of the handler: what it was for, and its requests in order."""

    title: str
    requests: list[Exchange] = field(default_factory=list)


def from_handler(e: Exchange) -> bool:
    """Not a person's request, and not a machine's, which come with a grant."""
    agent = next((value for name, value in e.request_headers if name.lower() == "user-agent"), "")
    return e.service not in ("vm", "imds") and OUTSIDE not in agent and "sig=" not in e.url


def happy_path(cloud: LocalCloud, zip_bytes: bytes, job: str) -> list[Part]:
    """Take one job from the message to its end, one invocation after the other."""
    app, parts, seen = cloud.app, [], len(cloud.recorder.exchanges)
    vm = cloud.vms.work = QuickVm(hold=threading.Event(), bell=False)
    app.put_zip(f"{job}.zip", zip_bytes)

    def note(title: str) -> None:
        nonlocal seen
        fresh, seen = cloud.recorder.exchanges[seen:], len(cloud.recorder.exchanges)
        parts.append(Part(title, [e for e in fresh if from_handler(e)]))

    def deployed() -> bool:
        mine = [vm for vm in cloud.arm.vms() if slug in str(vm.resource["id"])]
        return bool(mine) and mine[0].state == "Succeeded"

    late = cloud.faults.add(times=None, delay=LATENCY_S)
    deliver(app, f"{job}.zip:{job}")
    cloud.faults.remove(late)
    note("js-queue-items: the message, until the machine is ordered and people are told")
    record = app.record(job)
    assert record is not None
    slug = record["slug"]
    wait_for(lambda: vm.jobs and deployed(), what="the machine is at work")
    cloud.clock.advance(60)
    app.watch()
    note("job-watch: the machine has begun")
    assert machine(app, job) == "running"
    cloud.clock.advance(60)
    app.watch()
    note("job-watch: it works, and nothing is new")
    assert vm.hold is not None
    vm.hold.set()
    report = f"out/{job}/1/report.json"
    wait_for(lambda: app.blob("job-files", report), what="the report")
    ring(app, f'{{"v":1,"job_id":"{job}","attempt":1}}')
    note("delete-resources: it is done; deletion, publishing, people are told")
    assert state(app, job)["outcome"] == "succeeded"
    wait_for(lambda: group_of(record) not in cloud.arm.groups(), what="the group is gone")
    cloud.clock.advance(60)
    app.watch()
    note("job-watch: the group is gone, seen for the first time")
    cloud.clock.advance(60)
    app.watch()
    note("job-watch: the group is gone, seen again; the job is closed")
    assert machine(app, job) == "closed"
    assert app.markers() == []
    return parts


def until_ordered(requests: list[Exchange]) -> list[Exchange]:
    """The requests of a part up to the one that orders the machine."""
    ordered = [e.method == "PUT" and "/deployments/" in e.url for e in requests]
    return requests[: ordered.index(True) + 1]


def word(cloud: LocalCloud, job: str, slug: str, e: Exchange) -> str:
    """A request as one line, with words in the place of ids."""
    address = urllib.parse.urlsplit(e.url)
    path = urllib.parse.unquote(address.path)
    if e.service == "slack":
        path = "/HOOK"
    for value, name in (
        (cloud.app.account, "ACCOUNT"),
        (cloud.arm.subscription, "SUBSCRIPTION"),
        (cloud.principal.tenant, "TENANT"),
        (f"train-rg-{slug}-1", "GROUP"),
        (job, "JOB"),
    ):
        path = path.replace(value, name)
    path = re.sub(r"[0-9a-f]{64}", "SHA256", path)
    path = re.sub(r"JOB-[0-9a-f]{8}\b", "DEFAULT_JOB", path)
    query = urllib.parse.parse_qsl(address.query, keep_blank_values=True)
    telling = "&".join(f"{name}={value}" for name, value in query if name in TELLING)
    return f"{e.service:8} {e.method:6} {path}{'?' if telling else ''}{telling}"


def words(cloud: LocalCloud, job: str, slug: str, requests: list[Exchange]) -> list[str]:
    """Requests as lines, round by round."""
    lines = []
    for one in rounds(requests):
        found = sorted(word(cloud, job, slug, e) for e in one)
        lines += ["{", *found, "}"] if len(found) > 1 else found
    return lines


@pytest.fixture(scope="module")
def own(dist: Path) -> Iterator[LocalCloud]:
    """A cloud whose host fetches no messages: nothing runs but what the test starts."""
    with LocalCloud(dist=dist, options=Options(queues=False)) as cloud:
        yield hasten(cloud)


def test_a_later_job_opens_no_connection(dist: Path, zip_bytes: bytes) -> None:
    """Each TLS handshake costs more than the request that it is for."""
    options = Options(queues=False)
    with LocalCloud({"app": {"MAX_JOBS": "9"}}, dist=dist, options=options) as cloud:
        hasten(cloud).vms.work = lambda vm: None
        jobs, opened = [f"again-{n}" for n in range(3)], []
        for job in jobs:
            cloud.app.put_zip(f"{job}.zip", zip_bytes)
        cloud.faults.add(times=None, delay=LATENCY_S)  # as many side by side in each job
        for job in jobs:
            deliver(cloud.app, f"{job}.zip:{job}")
            opened.append(cloud.connections())
    assert opened[2] == opened[1]
    assert sum(opened[1].values()) > 5, "nothing was counted"


def test_the_requests_of_the_happy_path_are_those_that_were_kept(
    own: LocalCloud, zip_bytes: bytes
) -> None:
    lines = ["# Rewritten by UPDATE_GOLDEN=1: tests/e2e/test_requests.py", ""]
    for job, which in (("happy-1", "the first job of a process"), ("happy-2", "a later job")):
        parts = happy_path(own, zip_bytes, job)
        record = own.app.record(job)
        assert record is not None
        for part in parts[:1] if job == "happy-1" else parts:
            count, trips = len(part.requests), len(rounds(part.requests))
            side_by_side = f", {trips} in sequence" if trips < count else ""
            lines += [f"## {which}; {part.title} ({count} requests{side_by_side})"]
            lines += [*words(own, job, record["slug"], part.requests), ""]
        trips = len(rounds(until_ordered(parts[0].requests)))
        assert job == "happy-1" or trips <= ROUND_TRIPS
    text = "\n".join(lines)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()
