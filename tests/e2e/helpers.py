"""What end-to-end tests share: waiting by condition, driving a job to its end, reading traces."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from local.cloud import App, LocalCloud
from local.host import Outcome
from local.recorder import Exchange

Value = TypeVar("Value")

POLL_S = 0.02
TURN_S = 31.0
"""How far the clock moves in one turn while nobody works in real time."""
WORK_TURN_S = 2.0
"""How far it moves in one turn while a real VM works."""
WORK_PACE_S = 0.25
"""Real seconds of such a turn: its sign of life, one a real minute, must not look 15 min old."""
DEADLINE_S = 60.0
"""Real seconds; a busy machine gets plenty. No test depends on being fast."""


def wait_for(
    condition: Callable[[], Value], deadline_s: float = DEADLINE_S, what: str = ""
) -> Value:
    """The first true value of `condition`; AssertionError after `deadline_s` real seconds."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s:g} s for {what or condition}: {value!r}")
        time.sleep(POLL_S)


def machine(app: App, job: str) -> str:
    """The machine column of a job's record; "" without a record."""
    return str(state(app, job).get("machine", ""))


def state(app: App, job: str) -> dict[str, Any]:
    """The state in a job's record; {} without a record."""
    return dict((app.record(job) or {}).get("state") or {})


def is_closed(app: App, job: str) -> bool:
    """The record says closed and the marker is gone."""
    return machine(app, job) == "closed" and job not in app.markers()


def turn(cloud: LocalCloud, app: App | None = None, seconds: float | None = None) -> Outcome:
    """Move the clock and fire job-watch once, for the first app or another."""
    if seconds is None:
        seconds = TURN_S
        if cloud.vms.work is None and any(m.processes() for m in cloud.vms.machines):
            seconds = WORK_TURN_S
            time.sleep(WORK_PACE_S)
    cloud.clock.advance(seconds)
    outcome = (app or cloud.app).watch()
    assert outcome.error is None, outcome.error
    return outcome


def turn_until(
    cloud: LocalCloud,
    condition: Callable[[], Value],
    deadline_s: float = DEADLINE_S,
    app: App | None = None,
    what: str = "",
) -> Value:
    """Fire job-watch and move the clock until `condition`; its first true value."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what or condition}: {value!r}\n{explain(app or cloud.app)}")
        turn(cloud, app)
        time.sleep(POLL_S)


def run_until_closed(
    cloud: LocalCloud, job: str, app: App | None = None, deadline_s: float = DEADLINE_S
) -> dict[str, Any]:
    """Drive a job until its record says closed and its marker is gone; its record."""
    app = app or cloud.app
    turn_until(cloud, lambda: is_closed(app, job), deadline_s, app, f"{job} closes")
    record = app.record(job)
    assert record is not None
    return record


def explain(app: App) -> str:
    """What is live, and the handler's last lines: for messages of failed assertions."""
    live = {job: state(app, job) for job in app.markers()}
    lines = app.host.lines if app.hosts else []
    return "\n".join([json.dumps(live), *lines[-25:]])


def deliver(app: App, text: str | bytes, message_id: str | None = None) -> str:
    """Bring a message to js-queue-items like the host does; its message Id. 200 is demanded."""
    message_id = message_id or str(uuid.uuid4())
    app.host.invoke("js-queue-items", text, Id=json.dumps(message_id))
    return message_id


def ring(app: App, text: str | bytes) -> Outcome:
    """Bring a message to delete-resources. 200 is demanded."""
    return app.host.invoke("delete-resources", text)


def records(app: App) -> dict[str, dict[str, Any]]:
    """All records by job_id."""
    names = [name[len("record/") : -len(".json")] for name in app.blobs("jobs", "record/")]
    return {name: record for name in names if (record := app.record(name)) is not None}


def slots(app: App) -> dict[str, Any]:
    """slots.json."""
    return dict(json.loads(app.blob("jobs", "slots.json") or b"{}"))


def line_of(app: App, line: str = "default") -> dict[str, Any]:
    """lines/<line>.json, {} when absent."""
    return dict(json.loads(app.blob("jobs", f"lines/{line}.json") or b"{}"))


def current(app: App, line: str = "default") -> dict[str, Any]:
    """current.json of a line, {} when absent."""
    return dict(json.loads(app.blob("model", f"{line}/current.json") or b"{}"))


def result_text(app: App, zip_name: str) -> str:
    """The text beside a zip, "" when there is none."""
    return (app.file("train", f"{zip_name}.RESULT.txt") or b"").decode("utf-8")


def arm_calls(cloud: LocalCloud, method: str, url: str) -> list[Exchange]:
    """ARM requests whose URL matches, oldest first."""
    return cloud.recorder.select("arm", method, url)


def accepted(exchanges: Iterable[Exchange]) -> list[Exchange]:
    """Those that were answered with success."""
    return [e for e in exchanges if 200 <= e.status < 300]


def deployments(cloud: LocalCloud, slug: str) -> list[Exchange]:
    """The deployment PUTs for a job's slug that ARM accepted."""
    return accepted(arm_calls(cloud, "PUT", f"(?i)/resourcegroups/[^/]*{slug}-.*/deployments/"))


def group_of(record: dict[str, Any], attempt: int = 1) -> str:
    """The name of an attempt's resource group."""
    return f"{record['group_prefix']}-{record['slug']}-{attempt}"


_EMPTY: WeakKeyDictionary[LocalCloud, set[str]] = WeakKeyDictionary()
"""The ids of VMs that were switched off and had no process left."""


def idle(cloud: LocalCloud) -> list[str]:
    """What is not at rest: markers, groups, slots, lines, processes, messages; [] is all quiet."""
    left = [f"group {name}" for name in cloud.arm.groups()]
    for name, app in cloud.apps.items():
        left += [f"{name}: marker {job}" for job in app.markers()]
        held = slots(app)
        left += [f"{name}: slot of {job}" for job in held.get("holders", [])]
        left += [f"{name}: {job} waits" for job in held.get("waiting", [])]
        for line in app.blobs("jobs", "lines/"):
            if json.loads(app.blob("jobs", line) or b"{}").get("job_id"):
                left.append(f"{name}: {line} is held")
        for queue in ("js-queue-items", "delete-resources"):
            left += [f"{name}: message in {queue}" for _ in range(app.queues.count(queue))]
            poison = app.queues.count(f"{queue}-poison")
            left += [f"{name}: {poison} messages in {queue}-poison"] if poison else []
    if left:
        return left
    for vm in cloud.vms.machines:  # asked last and once: that reads all of /proc
        if vm.spec.vm_id in _EMPTY.setdefault(cloud, set()):
            continue
        if vm.processes():
            left.append(f"processes of {vm.spec.group}")
        else:
            _EMPTY[cloud].add(vm.spec.vm_id)
    return left


def settle(cloud: LocalCloud, deadline_s: float = 15.0) -> None:
    """Wait until everything is at rest, or raise AssertionError with what is not."""
    end = time.monotonic() + deadline_s
    while left := idle(cloud):
        assert time.monotonic() < end, left
        time.sleep(POLL_S)


def rest(cloud: LocalCloud) -> None:
    """Go on until everything is at rest: a bell that failed comes again after 30 moved seconds."""
    turn_until(cloud, lambda: idle(cloud) == [], what="everything is at rest")


def refusal(app: App, message_id: str) -> tuple[str, dict[str, Any]]:
    """The id and the record that a refused message got: the default one, of its Id."""
    mark = hashlib.sha256(message_id.encode()).hexdigest()[:8]
    found = [(job, record) for job, record in records(app).items() if job.endswith(f"-{mark}")]
    assert len(found) == 1, [job for job, _ in found]
    return found[0]


def corrected_line(text: str) -> str:
    """The line to paste in a Slack text or RESULT.txt."""
    lines = text.splitlines()
    heads = ("Send this instead:", "To try again, send:")
    return next(lines[at + 1] for at, line in enumerate(lines) if line in heads)


def texts_about(app: App, job_name: str) -> list[str]:
    """The Slack texts of a job, in order; one may come twice when two look at once."""
    return list(dict.fromkeys(t for t in app.slack() if t.startswith(f"Job `{job_name}`")))


def told_by_kind(app: App, job_name: str) -> list[str]:
    """The Slack texts of a job, the last of each kind, in the order in which the kinds first came.

    When two look at once a kind may come twice, with the minutes and the price of each look.
    """
    kinds = {text.split("`", 2)[2][:14]: text for text in texts_about(app, job_name)}
    return list(kinds.values())


def result_told(app: App, job: str) -> str:
    """What people were told of a job's end.

    It may come twice when timer and bell meet: the clock moves so fast that the second no longer
    waits for the first. Then the slower one, which has kept the evidence, says more.
    """
    found = [text for text in app.slack() if f"`{job}` has" in text]
    assert len(found) in (1, 2), found
    assert len({text.splitlines()[0] for text in found}) == 1, found
    return max(found, key=len)
