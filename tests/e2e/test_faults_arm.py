"""ARM in trouble: every call of a job's life refused, once and for good; and what is told of it.

The table below runs as one crowd of jobs in one cloud, each with a fault of its own; then each case
is judged for itself. What needs a story of its own stands at the end.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from local.arm import Timing, nested_failure
from local.cloud import App, LocalCloud
from local.faults import Fault
from local.vm import VirtualMachine
from tests.e2e.conftest import hasten
from tests.e2e.helpers import (
    accepted,
    arm_calls,
    deliver,
    group_of,
    is_closed,
    machine,
    records,
    rest,
    result_told,
    run_until_closed,
    state,
    turn,
    turn_until,
    wait_for,
)
from tests.e2e.quick import QuickVm

VECTORS = Path(__file__).parents[1] / "vectors" / "arm_errors.json"
BODIES = {case["id"]: case["body"] for case in json.loads(VECTORS.read_text(encoding="utf-8"))}
ZIP = "crowd.zip"
CROWD_S = 240.0


def error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


# The calls of a job's life: (method, what follows the group's URL, which of these requests).
CREATING = {
    "group-get": ("GET", r"\?", 1),
    "group-put": ("PUT", r"\?", 1),
    "deploy-get": ("GET", r"/providers/Microsoft.Resources/deployments/train\?", 1),
    "deploy-put": ("PUT", r"/providers/Microsoft.Resources/deployments/train\?", 1),
}
LATER = {
    "watch-get": ("GET", r"/providers/Microsoft.Resources/deployments/train\?", 1),
    "over-get": ("GET", r"/providers/Microsoft.Resources/deployments/train\?", 2),
    "vm-get": ("GET", r"/providers/Microsoft.Compute/virtualMachines/train-vm\?", 1),
    "gone-get": ("GET", r"\?", 1),
    "cancel": ("POST", r"/providers/Microsoft.Resources/deployments/train/cancel\?", 1),
    "delete": ("DELETE", r"\?", 1),
}
CALLS = CREATING | LATER
STATUSES = (400, 401, 403, 404, 409, 429, 500)

USUAL: dict[int, dict[str, Any]] = {
    400: error("InvalidRequestContent", "The request content was invalid."),
    401: BODIES["ExpiredAuthenticationToken"],
    403: BODIES["AuthorizationFailed"],
    404: BODIES["SubscriptionNotFound"],
    409: error("AnotherOperationInProgress", "Another operation is in progress on this group."),
    429: BODIES["SubscriptionRequestsThrottled"],
    500: BODIES["InternalServerError"],
}
SPECIAL: dict[tuple[str, int], dict[str, Any]] = {
    ("group-put", 409): BODIES["ResourceGroupBeingDeleted"],
    ("deploy-put", 404): BODIES["PlatformImageNotFound"],
    ("deploy-put", 409): BODIES["RetryableErrorDueToAnotherOperation"],
    ("cancel", 409): error("DeploymentCannotBeCancelled", "It cannot be canceled."),
    ("delete", 409): BODIES["ScopeLocked"],
}


@dataclass
class Case:
    """A job, the call of its life that is refused, and how often."""

    call: str
    status: int
    always: bool
    job: str = ""
    told_while_refused: bool = False
    closed_while_refused: bool = False
    groups_while_refused: list[str] = field(default_factory=list)
    fault: Fault | None = None

    def __post_init__(self) -> None:
        self.job = f"{self.call}-{self.status}-{'always' if self.always else 'once'}"

    @property
    def body(self) -> dict[str, Any]:
        return SPECIAL.get((self.call, self.status), USUAL[self.status])

    @property
    def waits(self) -> bool:
        """Whether the refusal means `later`; 401 means `another token`, which helps once."""
        return self.status in (409, 429, 500) or (self.status == 401 and not self.always)

    @property
    def outcome(self) -> tuple[str, str]:
        """How the job must end: outcome and reason."""
        if self.call in LATER or (self.waits and not self.always):
            return "succeeded", "published"
        if self.waits and self.call == "deploy-get":
            return "timed_out", "deadline"  # nobody could see that there is no deployment
        return "failed", "create_wait" if self.waits else "refused"

    @property
    def cannot_be_deleted(self) -> bool:
        """Whether the refusal keeps the handler from deleting, or from proving it."""
        return self.always and self.call in ("group-get", "gone-get", "delete")

    @property
    def words(self) -> list[str]:
        """What the reason must say."""
        if self.outcome[0] == "succeeded":
            return ["Published"]
        if self.outcome[0] == "timed_out":
            return ["not done within 0.5 hours"]
        if self.status == 403:
            return ["could not be ordered", "AuthorizationFailed", "Contributor"]
        code, message = self.body["error"]["code"], self.body["error"]["message"][:40]
        again = self.outcome[1] == "create_wait" and self.status != 409
        said = f"HTTP {self.status} again and again" if again else message
        return ["could not be ordered", code, said]

    def make_group(self, cloud: LocalCloud) -> None:
        """Let the job's group be there, as after a handler that was killed behind its PUT."""
        former = next(iter(records(cloud.app).values()))  # of the same app
        mark = hashlib.sha256(f"{former['owner']}/{self.job}".encode()).hexdigest()[:6]
        name = f"{former['group_prefix']}-{self.job}-{mark}-1"
        tags = {"app": "retrain", "owner": former["owner"], "job": self.job, "attempt": "1"}
        if name not in cloud.arm.groups():
            cloud.arm.make_group(name, tags)

    def script(self, cloud: LocalCloud) -> None:
        """Put the fault into force. A wait of 0 s keeps the crowd quick."""
        method, tail, nth = CALLS[self.call]
        group = rf"(?i)/resourceGroups/train-rg-{self.job}-[0-9a-f]{{6}}-1"
        if self.call == "deploy-get":  # asked only when the group is older than this order
            cloud.faults.add(
                service="arm",
                method="GET",
                url=rf"{group}\?",
                before=lambda: self.make_group(cloud),
            )
        if self.call in ("watch-get", "over-get", "gone-get"):  # counted from the order on
            put = CALLS["deploy-put"][1]
            order = partial(self._refuse, cloud, method, group + tail, nth)
            cloud.faults.add(service="arm", method="PUT", url=group + put, after=order)
            return
        self._refuse(cloud, method, group + tail, nth)

    def _refuse(self, cloud: LocalCloud, method: str, url: str, nth: int) -> None:
        self.fault = cloud.faults.add(
            service="arm",
            method=method,
            url=url,
            nth=nth,
            times=None if self.always else 1,
            status=self.status,
            headers={"Content-Type": "application/json", "Retry-After": "0"},
            body=json.dumps(self.body).encode(),
        )


CASES = [
    Case(call, status, always) for call in CALLS for status in STATUSES for always in (False, True)
]


class Work:
    """Quick VMs; those whose machine must be looked at work until somebody has looked."""

    def __init__(self, cases: list[Case]) -> None:
        self._faults = {case.job: case.fault for case in cases if case.call == "vm-get"}

    def __call__(self, vm: VirtualMachine) -> None:
        fault = self._faults.get(vm.spec.tags["job"])
        QuickVm(hold=fault.fired if fault else None)(vm)


def start(cloud: LocalCloud, cases: list[Case]) -> None:
    """Order the jobs, each in a line of its own, by the queue."""
    for case in cases:
        cloud.app.send(message_of(case))
    wait_for(lambda: all(cloud.app.record(case.job) for case in cases), CROWD_S, "acceptance")


def message_of(case: Case) -> str:
    message = {"v": 1, "action": "train", "dataset": ZIP, "job_id": case.job, "line": case.job}
    if case.outcome[0] == "timed_out":
        message["max_hours"] = 0.5
    return json.dumps(message)


def rounds_until_settled(cloud: LocalCloud, cases: list[Case], seconds: float) -> None:
    """Fire job-watch until each job is closed, or stuck because its deletion is refused."""
    app, end, left = cloud.app, time.monotonic() + CROWD_S, cases
    while left := [case for case in left if not settled(app, case, set(app.markers()))]:
        assert time.monotonic() < end, {case.job: state(app, case.job) for case in left}
        turn(cloud, seconds=seconds)


def settled(app: App, case: Case, markers: set[str]) -> bool:
    if case.job not in markers:
        return True
    return case.cannot_be_deleted and state(app, case.job)["outcome"] != "none"


@pytest.fixture(scope="module")
def crowd(dist: Path, zip_bytes: bytes) -> Iterator[LocalCloud]:
    """All cases, lived through to their end; what was seen on the way is in the cases."""
    with LocalCloud({"app": {"MAX_JOBS": "100"}}, dist=dist) as cloud:
        app = hasten(cloud).app
        app.put_zip(ZIP, zip_bytes)
        for case in CASES:
            case.script(cloud)
        cloud.vms.work = Work(CASES)
        long_running = [case for case in CASES if case.call == "cancel"]
        others = [case for case in CASES if case.call != "cancel"]
        cloud.arm.timing = Timing(accepted=0.02, running=600.0, delete=0.1)
        start(cloud, long_running)
        rounds_until_settled(cloud, long_running, 61.0)
        cloud.arm.timing = Timing(accepted=0.02, running=0.05, delete=0.1)
        # One by one: of several at once some would wait for a slot. Its group would be swept then,
        # or has been asked for already, and the refusal been spent on an answer nobody took.
        alone = ("deploy-get", "group-get")
        for case in others:
            if case.call in alone:
                deliver(app, message_of(case))
        start(cloud, [case for case in others if case.call not in alone])
        rounds_until_settled(cloud, others, 200.0)
        groups = cloud.arm.groups()
        for case in CASES:
            case.told_while_refused = any(f"`{case.job}` has" in text for text in app.slack())
            case.closed_while_refused = is_closed(app, case.job)
            case.groups_while_refused = [g for g in groups if f"-{case.job}-" in g]
        cloud.faults.clear()
        end = time.monotonic() + CROWD_S
        while app.markers():
            assert time.monotonic() < end, app.markers()
            turn(cloud, seconds=61)
        yield cloud


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.job)
def test_a_refused_call(crowd, case):
    app = crowd.app
    record = app.record(case.job)
    shown = record["state"]
    assert case.fault is not None
    assert case.fault.hits >= 1, "the fault never struck: the test tests nothing"
    assert (shown["outcome"], shown["reason"]) == case.outcome, record.get("trouble")
    text = result_told(app, case.job)
    for word in case.words:
        assert word in text
    assert case.told_while_refused, "people are told even while the group cannot be deleted"
    assert case.closed_while_refused == (not case.cannot_be_deleted)
    if case.call == "delete" and case.always:
        assert case.groups_while_refused, "it said deleted while the group was there"
    puts = arm_calls(crowd, "PUT", rf"(?i)/{re.escape(group_of(record))}/.*deployments/train")
    orders = [e for e in accepted(puts) if e.fault in (None, "delay or call")]
    assert len(orders) == (1 if case.outcome[0] == "succeeded" else 0)
    published = app.blob("model", f"{case.job}/current.json")
    assert (published is not None) == (case.outcome[0] == "succeeded")


def test_nothing_is_left_of_the_crowd(crowd):
    rest(crowd)


# Stories of their own.


def order(cloud: LocalCloud, zip_bytes: bytes, head: str, **more: Any) -> str:
    """Deliver a message for a job of its own; its job_id."""
    job = f"{head}-{uuid.uuid4().hex[:6]}"
    cloud.app.put_zip(f"{job}.zip", zip_bytes)
    message = {"v": 1, "action": "train", "dataset": f"{job}.zip", "job_id": job, "line": job}
    deliver(cloud.app, json.dumps(message | more))
    return job


def test_retry_after_is_honoured(cloud, zip_bytes):
    """At least so long nothing is asked; the clock is not moved meanwhile."""
    cloud.app.put_zip("after.zip", zip_bytes)
    fault = cloud.faults.add(
        service="arm",
        method="PUT",
        url="(?i)/resourceGroups/train-rg-after-",
        status=429,
        headers={"Content-Type": "application/json", "Retry-After": "2"},
        body=json.dumps(USUAL[429]).encode(),
    )
    deliver(cloud.app, "after.zip:after")
    assert fault.hits == 1
    first, second = arm_calls(cloud, "PUT", r"(?i)/resourceGroups/train-rg-after-\w+-1\?")
    assert (first.status, second.status) == (429, 201)
    assert second.time - first.time >= 2.0
    assert run_until_closed(cloud, "after")["state"]["outcome"] == "succeeded"


def test_401_brings_one_new_token(make_cloud, zip_bytes):
    cloud = make_cloud()
    deliver(cloud.app, '{"v":1,"action":"status"}')
    cloud.faults.add(
        service="arm",
        method="PUT",
        url="/deployments/",
        before=cloud.identity.revoke,
    )
    job = order(cloud, zip_bytes, "token")
    tokens = cloud.recorder.select("identity", "POST")
    assert [e.status for e in tokens] == [200, 200]
    assert run_until_closed(cloud, job)["state"]["outcome"] == "succeeded"
    assert len(cloud.recorder.select("identity", "POST")) == 2
    refused = [e for e in cloud.recorder.select("arm") if e.status == 401]
    assert len(refused) == 1


EXPIRED = {
    "error": "invalid_client",
    "error_description": "AADSTS7000222: The provided client secret keys are expired.\r\nTrace",
}


def shut(cloud: LocalCloud, status: int = 401) -> Fault:
    """Nobody signs in any more; tokens that were given out end."""
    cloud.identity.revoke()
    return cloud.faults.add(
        service="identity",
        times=None,
        status=status,
        headers={"Content-Type": "application/json"},
        body=json.dumps(EXPIRED).encode(),
    )


def sign_in_texts(app: App) -> list[str]:
    return [t for t in app.slack() if t.startswith("The app cannot sign in")]


@pytest.mark.parametrize("status", [400, 401])
def test_c1_28_nobody_signs_in_and_after_the_fix_the_same_job_runs(make_cloud, zip_bytes, status):
    """People are told once, the job waits without a limit, and nothing has to be sent again."""
    cloud = make_cloud()
    app = cloud.app
    refusal = shut(cloud, status)
    job = order(cloud, zip_bytes, "secret")
    other = order(cloud, zip_bytes, "other")
    for _ in range(4):
        turn(cloud, seconds=3 * 3600)
    assert refusal.hits >= 4
    assert machine(app, job) == machine(app, other) == "queued"
    (text,) = sign_in_texts(app)
    for word in ("cannot sign in as app", "AADSTS7000222", "AZURE_SP_PASSWORD", "jobs wait"):
        assert word in text
    assert "Trace" not in text
    (text,) = (t for t in app.slack() if f"`{job}` is accepted" in t)
    assert "It waits: the app is not let in to Azure: cannot sign in" in text
    assert arm_calls(cloud, "", "") == [], "asked without a token"
    cloud.faults.remove(refusal)
    for each in (job, other):
        record = run_until_closed(cloud, each)
        assert record["state"]["outcome"] == "succeeded"
        assert record["state"]["attempt"] == 1
    refusal = shut(cloud, status)
    third = order(cloud, zip_bytes, "third")
    assert len(sign_in_texts(app)) == 2, "it is another outage"
    cloud.faults.remove(refusal)
    run_until_closed(cloud, third)


def test_c1_28_nobody_signs_in_while_a_machine_runs(make_cloud, zip_bytes):
    """It cannot be deleted, which people are told; when the secret is renewed it is."""
    cloud = make_cloud()
    cloud.vms.work = QuickVm(hold=threading.Event())
    job = order(cloud, zip_bytes, "stays")
    turn_until(cloud, lambda: machine(cloud.app, job) == "running", what="running")
    refusal = shut(cloud)
    cloud.vms.work.hold.set()
    turn_until(cloud, lambda: state(cloud.app, job)["outcome"] == "succeeded", what="the model")
    turn(cloud)
    assert len(cloud.arm.groups()) == 1
    (text,) = sign_in_texts(cloud.app)
    assert "cost money" in text
    cloud.faults.remove(refusal)
    assert run_until_closed(cloud, job)["state"]["outcome"] == "succeeded"
    rest(cloud)


AGAIN = {
    "AllocationFailed-async": ["waits for a machine", "AllocationFailed", "no free machine"],
    "OverconstrainedAllocationRequest-async": ["waits for", "OverconstrainedAllocationRequest"],
    "OSProvisioningTimedOut-async": ["did not come up"],
}


@pytest.mark.parametrize("name", AGAIN)
def test_a_deployment_that_fails_later_is_tried_again(cloud, zip_bytes, name):
    cloud.arm.fail_next = BODIES[name]["error"]
    job = order(cloud, zip_bytes, "async")
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["attempt"]) == ("succeeded", 2)
    text = next(t for t in cloud.app.slack() if job in t and AGAIN[name][0] in t)
    for word in AGAIN[name]:
        assert word in text
    rest(cloud)


def test_a_deployment_that_fails_later_for_good(cloud, zip_bytes):
    cloud.arm.fail_next = BODIES["VMExtensionProvisioningError-async"]["error"]
    job = order(cloud, zip_bytes, "async")
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "refused")
    text = result_told(cloud.app, job)
    for word in ("VMExtensionProvisioningError", "could not make the machine"):
        assert word in text
    assert "{" not in text.split("To try again")[0], "no raw JSON for people"
    rest(cloud)


def test_the_failure_of_the_stand_in_is_nested_like_the_real_one(cloud, zip_bytes):
    cloud.arm.fail_next = nested_failure("NoSuchThing", "Operation could not be completed.")
    job = order(cloud, zip_bytes, "nested")
    run_until_closed(cloud, job)
    assert "NoSuchThing: Operation could not be completed." in result_told(cloud.app, job)


def test_a_running_deployment_is_cancelled_before_its_group_is_deleted(cloud, zip_bytes):
    cloud.arm.timing = Timing(accepted=0.02, running=600.0, delete=0.1)
    cloud.arm.comes_back = True  # as seen on Azure: what is not cancelled may return
    job = order(cloud, zip_bytes, "order")
    try:
        record = run_until_closed(cloud, job)
    finally:
        cloud.arm.comes_back = False
    group = re.escape(group_of(record))
    calls = [
        e.method
        for e in accepted(cloud.recorder.select("arm", None, f"(?i)/{group}(/.*/cancel)?\\?"))
        if e.method in ("POST", "DELETE")
    ]
    assert calls[:2] == ["POST", "DELETE"]
    assert record["state"]["outcome"] == "succeeded"
    rest(cloud)


def test_c1_05_deleted_is_said_only_when_the_group_answers_404(cloud, zip_bytes):
    """202 is a promise, not the end."""
    cloud.arm.timing = Timing(accepted=0.02, running=0.05, delete=2.0)
    cloud.vms.work = QuickVm(status="failed", bell=False)  # one drive, from the end to the deletion
    job = order(cloud, zip_bytes, "slow")
    deleted = f"train-rg-{job}"
    turn_until(cloud, lambda: accepted(arm_calls(cloud, "DELETE", deleted)), what="a deletion")
    while cloud.arm.groups():
        turn(cloud, seconds=61)
        shown = machine(cloud.app, job)
        assert shown == "deleting" or not cloud.arm.groups(), "closed, and the group is there"
    run_until_closed(cloud, job)
    last = arm_calls(cloud, "GET", rf"(?i)/{deleted}-\w+-1\?")[-1]
    assert last.status == 404


def test_a_group_that_comes_back_is_deleted_again(cloud, zip_bytes):
    """A refused cancellation holds the deletion up, but not for ever; then the group returns."""
    cloud.arm.timing = Timing(accepted=0.02, running=600.0, delete=0.1)
    cloud.arm.comes_back = True
    cloud.faults.add(
        service="arm",
        method="POST",
        url="/cancel",
        times=None,
        status=403,
        headers={"Content-Type": "application/json"},
        body=json.dumps(USUAL[403]).encode(),
    )
    job = order(cloud, zip_bytes, "back")
    try:
        while not accepted(arm_calls(cloud, "DELETE", f"train-rg-{job}")):
            turn(cloud, seconds=61)
        since = state(cloud.app, job)["machine_since_s"]
        assert cloud.clock.now() - since <= 180, "no later than 2 minutes and a look"
    finally:
        cloud.arm.comes_back = False
    record = run_until_closed(cloud, job)
    assert record["state"]["outcome"] == "succeeded"


@pytest.mark.parametrize("code", ["NotFound", "ResourceNotFound", "DeploymentNotFound", ""])
def test_only_one_kind_of_404_says_that_a_group_is_gone(cloud, zip_bytes, code):
    """A 404 of a gateway, or about something else, is no proof."""
    hold = threading.Event()
    cloud.vms.work = QuickVm(hold=hold)
    job = order(cloud, zip_bytes, "proof")
    fault = cloud.faults.add(
        service="arm",
        method="GET",
        url=rf"(?i)/resourceGroups/train-rg-{job}-[0-9a-f]+-1\?",
        times=None,
        status=404,
        headers={"Content-Type": "application/json"},
        body=json.dumps(error(code, "Something was not found.")).encode() if code else b"<html>",
    )
    hold.set()
    turn_until(cloud, lambda: state(cloud.app, job)["outcome"] == "succeeded")
    for _ in range(3):
        turn(cloud)
    assert fault.hits > 3
    assert machine(cloud.app, job) == "deleting"
    cloud.faults.remove(fault)
    run_until_closed(cloud, job)
    assert cloud.arm.groups() == []


def test_a_404_proves_nothing_until_a_late_creation_would_be_seen(cloud, zip_bytes):
    """ARM refuses the deployment; what it did with our last PUT may show up a minute later."""
    cloud.faults.add(
        service="arm",
        method="PUT",
        url="/deployments/",
        status=403,
        headers={"Content-Type": "application/json"},
        body=json.dumps(USUAL[403]).encode(),
    )
    job = order(cloud, zip_bytes, "late")
    name = group_of(cloud.app.record(job))
    wait_for(lambda: cloud.arm.groups() == [], what="the first deletion")
    tags = json.loads(arm_calls(cloud, "PUT", rf"(?i)/{name}\?")[0].request_body)["tags"]
    turn(cloud, seconds=61)
    until = state(cloud.app, job)["create_until_s"]
    assert until > 0
    assert cloud.clock.now() < until + 60
    assert machine(cloud.app, job) == "deleting", "a 404 was believed too early"
    cloud.arm.make_group(name, tags)
    run_until_closed(cloud, job)
    assert cloud.clock.now() >= until + 60
    assert cloud.arm.groups() == []
