"""The shipped handler for MINUTES (default 10) under everything at once, always in trouble.

24 invocations side by side: messages good, bad and repeated, questions, bells, the timer. Between
it and the cloud requests are refused (429, 500, 503), cut off and late. Every answer is judged; at
the end every job must have had one machine and one version, and nothing may be left. Memory in a
pause after warm-up is compared with that of the end. Prints one line; exit code 1 when anything was
wrong.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from local.cloud import App, LocalCloud  # noqa: E402
from local.host import Outcome  # noqa: E402
from tests.bench.bench import memory_now_mb  # noqa: E402
from tests.e2e.conftest import hasten  # noqa: E402
from tests.e2e.helpers import current, idle, line_of, turn  # noqa: E402

AT_ONCE = 24
LIVE_MAX = 24
"""Jobs under way at once; above that nobody sends a good message."""
SLOTS = 12
PACE = 4.0
"""How much faster the moved clock goes than the real one."""
DELIVERIES = 5
"""How often the host brings a message; host.json: maxDequeueCount."""
WARM = 0.3
"""The part of the time after which memory at rest must not grow any more."""
GROWTH_MB = 1.0
END_S = 240.0
"""Real seconds for what is under way at the end to come to rest."""
ZIP = "soak.zip"
HANDLER = r"^(?!.*[?&]sig=)"
"""Requests of the handler: machines come with a grant, and theirs are not troubled."""
TROUBLES: list[dict[str, Any]] = [
    {"status": 429, "headers": {"Retry-After": "1", "x-ms-retry-after-ms": "1"}, "times": 2},
    {"status": 500, "times": 2},
    {"status": 503, "headers": {"x-ms-retry-after-ms": "1"}, "times": 3},
    {"reset": "before", "times": 2},
    {"reset": "half"},
    {"reset": "after"},
    {"delay": 1.0, "times": 3},
    {"delay": 6.0},
]
SERVICES = ["blob", "blob", "blob", "arm", "arm", "files", "identity", "slack", "queue"]


@dataclass
class Sent:
    """A good message: its job, its Id and what was said to it."""

    job: str
    message: str
    text: str


@dataclass
class Soak:
    """What all threads share."""

    cloud: LocalCloud
    until: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    good: list[Sent] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    """Message Ids of refused messages, and the fault that must be told."""
    sending: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    going: threading.Event = field(default_factory=threading.Event)
    """Cleared for a pause."""
    under_way: int = 0

    @property
    def app(self) -> App:
        return self.cloud.app

    def over(self) -> bool:
        return time.monotonic() >= self.until

    def blame(self, text: str) -> None:
        with self.lock:
            self.wrong.append(text)

    def call(self, kind: str, function: str, text: str, wanted: str, message: str = "") -> None:
        """Deliver like the host does, again when it fails; judge what is said at last."""
        message = message or str(uuid.uuid4())
        for delivery in range(DELIVERIES):
            time.sleep(delivery)  # the host waits half a minute
            outcome = self._once(function, text, message)
            with self.lock:
                self.counts["calls"] += 1
                self.counts[kind] += 1
                self.counts["failed deliveries"] += outcome.error is not None
            if outcome.error is None:
                break
        else:
            self.blame(f"{kind} `{text}` failed {DELIVERIES} times: {outcome.error}")
            self.wrong += [line for line in self.app.host.lines[-200:] if "error" in line][-8:]
            return
        said = "\n".join(str(line) for line in outcome.answer.get("Logs") or [])
        if not re.fullmatch(wanted, said, re.DOTALL):
            self.blame(f"{kind} `{text}`: said `{said}`, not `{wanted}`")

    def _once(self, function: str, text: str, message: str) -> Outcome:
        host = self.app.host
        if function == "job-watch":
            return host.fire(function)
        return host._invoke(function, text.encode(), {"Id": json.dumps(message)})


def send_good(s: Soak, dice: random.Random, worker: int) -> None:
    """A new job, in the worker's own line."""
    job = f"good-{uuid.uuid4().hex[:10]}"
    asked = {"v": 1, "dataset": ZIP, "job_id": job, "line": f"line-{worker}", "force": True}
    asked["publish"] = "always"
    text = json.dumps(asked)
    sent = Sent(job, str(uuid.uuid4()), text)
    with s.lock:
        if len(s.good) - len(s.closed) + len(s.sending) >= LIVE_MAX:
            return
        s.sending.add(job)
    said = f"job {job} is (accepted|known \\(\\w+\\))"
    s.call("train", "js-queue-items", text, said, sent.message)
    with s.lock:
        s.sending.discard(job)
        s.good.append(sent)


def send_again(s: Soak, dice: random.Random, worker: int) -> None:
    """A message that was there before, twice at once now and then."""
    with s.lock:
        sent = dice.choice(s.good) if s.good else None
    if sent is None:
        return
    said = f"job {sent.job} is known \\(\\w+\\)"
    s.call("again", "js-queue-items", sent.text, said, sent.message)


def send_bad(s: Soak, dice: random.Random, worker: int) -> None:
    fault, text = dice.choice(
        [
            ("E07", f"{ZIP}:bad-{uuid.uuid4().hex[:8]}:::0"),
            ("E02", '{"v":1,"action":"train"}'),
            ("E09", f"{ZIP}:bad-{uuid.uuid4().hex[:8]}::::::nobody"),
        ]
    )
    message = str(uuid.uuid4())
    s.call("bad", "js-queue-items", text, f"refused: .*{fault}.*", message)
    with s.lock:
        s.bad[message] = fault


def ask_status(s: Soak, dice: random.Random, worker: int) -> None:
    with s.lock:
        job = dice.choice(s.good).job if s.good and dice.random() < 0.7 else ""
    text = json.dumps({"v": 1, "action": "status"} | ({"job_id": job} if job else {}))
    s.call("status", "js-queue-items", text, "status was told")


def ring_bell(s: Soak, dice: random.Random, worker: int) -> None:
    with s.lock:
        job = dice.choice(s.good).job if s.good and dice.random() < 0.7 else "nobody"
    attempt = dice.choice([1, 1, 1, 2])
    text = json.dumps({"v": 1, "job_id": job, "attempt": attempt})
    said = "no job nobody" if job == "nobody" else f"(job|looked at job) {job}.*"
    s.call("bell", "delete-resources", text, said)


def fire_timer(s: Soak, dice: random.Random, worker: int) -> None:
    said = r"\d+ live, \d+ looked at, \d+ could not be"
    s.call("timer", "job-watch", "", said)


KINDS = [(send_good, 4), (send_again, 3), (send_bad, 2), (ask_status, 2), (ring_bell, 5)]


def work(s: Soak, worker: int, seed: int) -> None:
    """One invocation after the other, of kinds that chance chooses; the first fires the timer."""
    dice = random.Random(f"{seed}-{worker}")
    while not s.over():
        s.going.wait()
        (kind,) = dice.choices([k for k, _ in KINDS], [weight for _, weight in KINDS])
        with s.lock:
            s.under_way += 1
        try:
            (kind if worker else fire_timer)(s, dice, worker)
        except Exception as error:  # a thread that ends would only make the soak easier
            s.blame(f"{kind.__name__}: {type(error).__name__}: {error}")
        finally:
            with s.lock:
                s.under_way -= 1


def at_rest_mb(s: Soak) -> float:
    """Anonymous memory while nothing is under way."""
    s.going.clear()
    end = time.monotonic() + 60
    while s.under_way and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(2.0)  # bells of machines
    found = min(memory_now_mb(s.app.host.pid)[1] for _ in range(10) if not time.sleep(0.2))
    s.going.set()
    return found


def trouble(s: Soak, seed: int) -> None:
    """One kind of trouble after the other, each with one service."""
    dice = random.Random(f"{seed}-trouble")
    while not s.over():
        fault = s.cloud.faults.add(
            url=HANDLER,
            service=dice.choice(SERVICES),
            nth=dice.randint(1, 9),
            **dice.choice(TROUBLES),
        )
        fault.fired.wait(2.0)
        time.sleep(0.2)
        s.cloud.faults.remove(fault)
        with s.lock:
            s.counts["faults"] += fault.hits


def pass_time(s: Soak) -> None:
    """Let the clock run faster, note which jobs are closed, and forget old traffic."""
    while not s.over():
        time.sleep(1.0)
        s.cloud.clock.advance(PACE - 1.0)
        live = set(s.app.markers())
        with s.lock:
            s.closed |= {sent.job for sent in s.good if sent.job not in live}
        s.counts["requests"] += s.cloud.recorder.drain()


def settle(s: Soak) -> None:
    """Without trouble and new messages, all comes to rest."""
    s.cloud.faults.clear()
    end = time.monotonic() + END_S
    while left := idle(s.cloud):
        if time.monotonic() > end:
            s.blame(f"still not at rest: {left[:9]}")
            return
        turn(s.cloud)


def judge_jobs(s: Soak) -> None:
    """Each accepted job: closed, succeeded, one machine, one version that is its own."""
    machines = Counter(vm.spec.tags["job"] for vm in s.cloud.vms.machines)
    published: Counter[str] = Counter()
    for sent in s.good:
        record = s.app.record(sent.job) or {}
        state, line = record.get("state") or {}, (record.get("request") or {}).get("line", "")
        shown = (state.get("machine"), state.get("outcome"), state.get("reason"))
        if shown != ("closed", "succeeded", "published"):
            s.blame(f"{sent.job} is {shown}: {record.get('trouble')}")
            continue
        if machines[sent.job] != 1 or state["attempt"] != 1:
            s.blame(f"{sent.job} had {machines[sent.job]} machines, attempt {state['attempt']}")
        manifest = s.app.blob("model", f"{line}/{state['version']}/manifest.json")
        if manifest is None or json.loads(manifest)["job_id"] != sent.job:
            s.blame(f"{sent.job} is not version {state['version']} of {line}")
        if record["message_id"] != sent.message:
            s.blame(f"{sent.job} is of message {record['message_id']}")
        published[line] += 1
    for line, count in published.items():
        kept = line_of(s.app, line)
        if not (kept["version"] == kept["taken"] == count == current(s.app, line)["version"]):
            s.blame(f"{line} is {kept} after {count} jobs")
    known = {sent.job for sent in s.good}
    if extra := set(machines) - known:
        s.blame(f"machines of jobs that nobody asked for: {sorted(extra)[:5]}")


def judge_refusals(s: Soak) -> None:
    """Each bad message: one record, rejected, with its fault."""
    records = [name for name in s.app.blobs("jobs", "record/") if "/good-" not in name]
    found: dict[str, list[dict[str, Any]]] = {}
    for name in records:
        record = json.loads(s.app.blob("jobs", name) or b"{}")
        found.setdefault(record["message_id"], []).append(record)
    for message, fault in s.bad.items():
        mine = found.get(message, [])
        good = [r for r in mine if r["state"]["outcome"] == "rejected" and fault in r["refused"]]
        if len(mine) != 1 or len(good) != 1:
            s.blame(f"message {message} ({fault}) has {len(mine)} records, {len(good)} right")


@contextmanager
def running(jobs: list[threading.Thread]) -> Iterator[None]:
    for job in jobs:
        job.start()
    yield
    for job in jobs:
        job.join()


def soak(cloud: LocalCloud, seconds: float, seed: int) -> tuple[Soak, float, float, float]:
    """Run it; anonymous MB at rest after warm-up and at the end, and the most resident MB."""
    s = Soak(cloud, time.monotonic() + seconds)
    threads = [threading.Thread(target=work, args=(s, n, seed)) for n in range(AT_ONCE)]
    threads += [threading.Thread(target=trouble, args=(s, seed))]
    threads += [threading.Thread(target=pass_time, args=(s,))]
    pid, starts, warm, most = cloud.app.host.pid, cloud.app.host.starts, 0.0, 0.0
    warm_at = time.monotonic() + seconds * WARM
    s.going.set()
    with running(threads):
        while not s.over():
            time.sleep(1.0)
            most = max(most, memory_now_mb(pid)[0])
            if not warm and time.monotonic() > warm_at:
                warm = at_rest_mb(s)
    settle(s)
    end = at_rest_mb(s)
    judge_jobs(s)
    judge_refusals(s)
    if cloud.app.host.starts != starts:
        s.blame(f"the handler was started {cloud.app.host.starts - starts} times more")
    s.wrong += cloud.recorder.leaks() + cloud.app.host.violations
    return s, warm, end, most


def main() -> int:
    minutes = float(os.environ.get("MINUTES") or 10)
    seed = int(os.environ.get("SEED") or time.time())
    dist = Path(os.environ.get("RETRAIN_DIST", ROOT / "dist"))
    with LocalCloud({"app": {"MAX_JOBS": str(SLOTS)}}, dist=dist) as cloud:
        hasten(cloud).app.put_zip(ZIP, b"PK\x05\x06" + bytes(18))
        s, warm, end, resident = soak(cloud, minutes * 60, seed)
    if end - warm > GROWTH_MB:
        s.wrong.append(f"anonymous memory went from {warm:.1f} to {end:.1f} MB")
    for text in s.wrong[:40]:
        print(f"WRONG {text}")
    count = s.counts
    print(
        f"soak: {minutes:g} min, seed {seed}: {count['calls']} calls"
        f" ({count['failed deliveries']} delivered again), {count['requests']} requests,"
        f" {count['faults']} faults, {len(s.good)} jobs, {len(s.bad)} refused;"
        f" anonymous at rest {warm:.1f} -> {end:.1f} MB, resident at most {resident:.1f} MB;"
        f" {len(s.wrong)} wrong"
    )
    return 1 if s.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
