"""A thousand train messages at once over four handler processes, with real Azurite.

Named jobs, jobs named by their message, and repeats of both kinds: the same content in another
message, and the same message again. ARM refuses what is beyond its token buckets. A machine lives
as long as it takes to upload a model. The drill goes on for ROUNDS_S real seconds, ROUNDS_MIN
rounds at least: by then a job has ended well, is under way, or stands in the queue, in order, with
its receipt told.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local.arm import Timing
from local.buckets import Buckets
from local.clock import wait_until
from local.cloud import LocalCloud
from local.host import FunctionsHost, Options
from local.vm import VirtualMachine
from tests.drill.story import BELLS, WHOLE_ZIP, slim_root
from tests.e2e.helpers import arm_calls, slots
from tests.e2e.quick import QuickVm

MESSAGES, UNNAMED, REPEATED, REDELIVERED = 1000, 200, 50, 20
NAMED = MESSAGES - UNNAMED - REPEATED - REDELIVERED
ZIPS, LINES, HANDLERS = 20, 50, 4
MAX_JOBS = 50
ROUNDS_S, ROUNDS_MIN = 150.0, 5
REAL_S = 120.0
TURN_S = 31.0
ACCEPTED = 1
"""The bit of the receipt among a record's notices."""


class Burst:
    """The cloud of the drill and what was seen of it."""

    def __init__(self, cloud: LocalCloud, seed: int) -> None:
        """Start the handlers; they go to Azurite themselves, without a proxy in between."""
        self.cloud, self.app = cloud, cloud.app
        self.chance = random.Random(seed)
        self.ended = 0
        self.queues: list[tuple[list[str], list[str]]] = []
        """Who held a slot and who waited, after each round."""
        cloud.arm.timing = Timing(accepted=0.01, running=0.01, delete=0.02)
        cloud.arm.buckets = Buckets()
        cloud.vms.work = self._work
        self.app.connection = self.app.direct
        options = Options(queues=False)
        self.hosts = [self.app.start_host(options) for _ in range(HANDLERS)]

    def _work(self, vm: VirtualMachine) -> None:
        QuickVm()(vm)
        self.ended += 1

    def send(self) -> None:
        """Upload the zips and put the messages, in any order; repeats come after the first."""
        for at in range(ZIPS):
            self.app.put_zip(f"burst-{at}.zip", WHOLE_ZIP, settle_s=0)
        self.cloud.clock.advance(30)
        first = [named(at) for at in range(NAMED)]
        first += [unnamed(at) for at in range(UNNAMED)]
        self.chance.shuffle(first)
        again = [named(self.chance.randrange(NAMED)) for _ in range(REPEATED)]
        with ThreadPoolExecutor(HANDLERS) as pool:
            list(pool.map(self.app.send, first + again))

    def accept(self) -> None:
        """Let all handlers fetch at once until no message is left; some come a second time."""
        self.pump()
        jobs = self.chance.sample(range(NAMED), REDELIVERED)
        with ThreadPoolExecutor(HANDLERS) as pool:
            list(pool.map(self._again, jobs))

    def _again(self, at: int) -> None:
        record = self.app.record(f"job-{at}")
        assert record is not None, f"job-{at} was not accepted"
        host = self.hosts[at % HANDLERS]
        host.invoke("js-queue-items", named(at), Id=json.dumps(record["message_id"]))

    def pump(self) -> None:
        """Empty the queues, all handlers side by side; failed messages come again later."""

        def empty(host: FunctionsHost) -> None:
            while host.pump():
                continue

        def drained() -> bool:
            side_by_side(empty, self.hosts)
            return not self.app.queues.peek("js-queue-items") + self.app.queues.peek(BELLS)

        wait_until(drained, REAL_S, "empty queues")

    def go_on(self, began: float) -> None:
        """Fire the timer, on another handler each time, and carry the bells, for a while."""
        turn = 0
        while turn < ROUNDS_MIN or time.monotonic() < began + ROUNDS_S:
            if not self.app.markers():
                return
            self.cloud.clock.advance(TURN_S)
            outcome = self.hosts[turn % HANDLERS].fire("job-watch")
            assert outcome.error is None, outcome.error
            wait_until(self._calm, REAL_S, "ARM and the machines")
            self.pump()
            held = slots(self.app)
            assert len(held["holders"]) <= MAX_JOBS, held["holders"]
            self.queues.append((held["holders"], held["waiting"]))
            turn += 1

    def _calm(self) -> bool:
        return not self.cloud.arm.busy() and self.ended >= len(self.cloud.vms.machines)

    def judge(self) -> str:
        """Each job once, never too many machines, ARM's limits kept, the queue in order."""
        names = self.app.blobs("jobs", "record/")
        with ThreadPoolExecutor(HANDLERS) as pool:
            found = list(pool.map(lambda name: self._record(name), names))
        records = {record["job_id"]: record for record in found}
        assert len(records) == NAMED + UNNAMED, f"{len(records)} jobs"
        self._judge_machines(records)
        queued = self._judge_states(records)
        self._judge_order(queued)
        text = self._judge_limits()
        done = sum(r["state"]["outcome"] == "succeeded" for r in records.values())
        return (
            f"{MESSAGES} messages over {HANDLERS} handlers: {len(records)} jobs once each, "
            f"{done} succeeded, {len(records) - done - len(queued)} under way, {len(queued)} "
            f"queued in order; at most {self.cloud.arm.most_vms} machines at once "
            f"(MAX_JOBS {MAX_JOBS}), {len(self.queues)} rounds of job-watch; {text}"
        )

    def _record(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.app.blob("jobs", name) or b"{}"))

    def _judge_machines(self, records: dict[str, dict[str, Any]]) -> None:
        machines = Counter(vm.spec.tags["job"] for vm in self.cloud.vms.machines)
        twice = [job for job, count in machines.items() if count > 1]
        assert not twice, f"more than one machine: {twice}"
        puts = arm_calls(self.cloud, "PUT", "/deployments/train")
        orders = Counter(e.url for e in puts if 200 <= e.status < 300)
        assert len(orders) == orders.total(), "a machine was ordered twice"
        assert self.cloud.arm.most_vms <= MAX_JOBS, f"{self.cloud.arm.most_vms} machines at once"
        assert len(machines) > MAX_JOBS, f"only {len(machines)} machines: no slot was used twice"
        late = [j for j, r in records.items() if r["state"]["attempt"] > 1]
        assert not late, f"attempted again: {late}"

    def _judge_states(self, records: dict[str, dict[str, Any]]) -> list[str]:
        """The jobs in the queue."""
        wrong = {
            job: (r["state"]["outcome"], r["state"]["reason"])
            for job, r in records.items()
            if r["state"]["outcome"] not in ("none", "succeeded")
        }
        assert not wrong, wrong
        versions: Counter[tuple[str, int]] = Counter()
        for record in records.values():
            if record["state"]["version"]:
                versions[record["request"]["line"], record["state"]["version"]] += 1
        assert len(versions) == versions.total(), "a version was given out twice"
        queued = [job for job, r in records.items() if r["state"]["machine"] == "queued"]
        silent = [job for job in records if not records[job]["state"]["told"] & ACCEPTED]
        assert not silent, f"without a receipt: {silent}"
        told = Counter(text.split("`")[1] for text in self.app.slack() if "` is accepted" in text)
        assert not set(records) - set(told), "a receipt is in the record and not in Slack"
        often = {job: count for job, count in told.items() if count > 1}
        assert not often, f"receipts that came more than once: {often}"
        return queued

    def _judge_order(self, queued: Sequence[str]) -> None:
        """From round to round nobody is passed by whom no free slot is left for."""
        for (_, before), (holders, after) in zip(self.queues, self.queues[1:], strict=False):
            stays = set(after)
            stayed = [job for job in before if job in stays]
            assert after[: len(stayed)] == stayed, "the queue was put into another order"
            last = max((at for at, job in enumerate(before) if job not in stays), default=0)
            passed = sum(job in stays for job in before[:last])
            free = MAX_JOBS - len(holders)
            assert passed <= free, f"{passed} were passed, and {free} slots are free"
        held = slots(self.app)
        waiting = set(held["waiting"])
        assert len(held["waiting"]) == len(waiting), "somebody stands in the queue twice"
        assert waiting <= set(queued), f"in the queue and not waiting: {waiting - set(queued)}"
        lost = set(queued) - waiting - set(held["holders"])
        assert not lost, f"waits and stands in no queue: {lost}"

    def _judge_limits(self) -> str:
        """ARM refused no write and no deletion; the record, counted anew, says the same."""
        refused = self.cloud.arm.buckets.refused
        assert not refused["writes"] + refused["deletes"], f"ARM refused {dict(refused)}"
        counted = Buckets()
        for e in sorted(self.cloud.recorder.select("arm"), key=lambda e: e.time):
            counted.take(e.method, e.time)
        assert not counted.refused["writes"] + counted.refused["deletes"], counted.refused
        lowest = {kind: int(left) for kind, left in counted.lowest.items()}
        return (
            f"ARM: {counted.used['writes']} writes, {counted.used['deletes']} deletions, none "
            f"refused (never fewer than {lowest['writes']} and {lowest['deletes']} left of 200), "
            f"{counted.used['reads']} reads, {refused['reads']} refused"
        )


def unnamed(at: int) -> str:
    """A message that leaves the job_id out. Several ask for the same: all are to be trained."""
    return json.dumps({"v": 1, "dataset": f"burst-{at % ZIPS}.zip", "force": True})


def named(at: int) -> str:
    """The message of a named job."""
    message = json.loads(unnamed(at)) | {"job_id": f"job-{at}"}
    return json.dumps({**message, "line": f"line-{at % LINES}"})


def side_by_side(work: Callable[[FunctionsHost], None], hosts: Sequence[FunctionsHost]) -> None:
    """Run `work` for all hosts at once."""
    threads = [threading.Thread(target=work, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run(seed: int | None) -> str:
    """Run the drill; the summary."""
    settings = {"burst": {"MAX_JOBS": str(MAX_JOBS)}}
    with slim_root() as root, LocalCloud(settings, dist=root, hosts=False, in_memory=True) as cloud:
        burst = Burst(cloud, seed or 0)
        began = time.monotonic()
        burst.send()
        burst.accept()
        accepted = time.monotonic() - began
        burst.go_on(began)
        return f"{burst.judge()}; accepted within {accepted:.0f} s"
