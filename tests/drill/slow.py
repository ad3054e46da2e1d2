"""Fifty live jobs and an ARM that answers every call after a minute.

In real time that would be eight minutes of drill, so the handler under test lives SPEED times
faster: its monotonic clock, by which it keeps its budget and its time-outs, its sleeps and its
polls (quick_clock.c). The wall clock of the whole cloud runs as fast, and ARM's minute is 6 real
seconds. Its own work and that of the stand-ins is not any quicker: the drill is harder than life.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.arm import Timing
from local.clock import COMPILE, Clock, wait_until
from local.cloud import App, LocalCloud
from local.host import FunctionsHost, Options
from local.vm import VirtualMachine
from tests.drill.story import WHOLE_ZIP, slim_root
from tests.e2e.helpers import arm_calls
from tests.e2e.quick import QuickVm

SPEED = 10
JOBS, FINISHED = 50, 10
ANSWER_S = 60.0
ROUNDS = 6
UNSEEN_MAX = 3
"""So many rounds in a row may pass without a look at a job: some 24 fit into one, and those who
have waited longest come first."""
BUDGET_S, GRACE_S = 120.0, 10.0
"""The handler's budget, and what a busy machine adds to it: a second, SPEED times."""
REAL_S = 120.0
TICK_S = 0.05
DONE = re.compile(r"job-watch: done in (\d+) ms")


@contextmanager
def hastened(clock: Clock) -> Iterator[None]:
    """Let the wall clock run SPEED times faster."""
    over, began, offset = threading.Event(), time.monotonic(), clock.now() - time.time()

    def tick() -> None:
        while not over.wait(TICK_S):
            wanted = offset + (time.monotonic() - began) * (SPEED - 1)
            clock.advance(max(0.0, wanted - (clock.now() - time.time())))

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        over.set()
        ticker.join()


class Jobs:
    """The jobs of the drill: all at work, and some of them finished when ARM becomes slow."""

    def __init__(self, cloud: LocalCloud) -> None:
        """Machines are held from the beginning."""
        self.cloud, self.app = cloud, cloud.app
        self.names = [f"job-{at}" for at in range(JOBS)]
        self.held = QuickVm(hold=threading.Event(), bell=False)
        self.soon = QuickVm(hold=threading.Event(), bell=False)
        cloud.vms.work = self._work

    def _work(self, vm: VirtualMachine) -> None:
        soon = vm.spec.tags["job"] in self.names[:FINISHED]
        (self.soon if soon else self.held)(vm)

    def begin(self) -> None:
        """Bring all to work while ARM is quick."""
        self.app.put_zip("slow.zip", WHOLE_ZIP)
        host = self.app.start_host(Options(queues=False))
        for name in self.names:
            message = {"v": 1, "dataset": "slow.zip", "job_id": name, "line": name}
            self.app.send(json.dumps(message))

        def all_at_work() -> bool:
            while host.pump():
                continue
            wait_until(lambda: not self.cloud.arm.busy(), REAL_S, "ARM")
            self.cloud.clock.advance(31)
            self.app.watch()
            found = [(self.app.record(name) or {})["state"]["machine"] for name in self.names]
            return found == ["running"] * JOBS

        wait_until(all_at_work, REAL_S, "all jobs at work")
        host.stop()
        self.app.hosts.clear()

    def finish_some(self) -> None:
        """Let some machines finish; nobody rings."""
        assert self.soon.hold is not None
        self.soon.hold.set()
        reports = [f"out/{name}/1/report.json" for name in self.names[:FINISHED]]
        wait_until(
            lambda: all(self.app.blob("job-files", report) for report in reports), REAL_S, "reports"
        )

    def next_looks(self) -> dict[str, int]:
        """The next look of every job: it moves each time that somebody has looked."""
        return {name: (self.app.record(name) or {})["next_look_s"] for name in self.names}


def quick_host(cloud: LocalCloud, app: App, folder: Path) -> FunctionsHost:
    """A host whose handler lives SPEED times faster."""
    library = folder / "quick_clock.so"
    source = Path(__file__).with_name("quick_clock.c")
    subprocess.run([*COMPILE, "-o", library, source], check=True)
    usual = cloud.clock.environment
    quick = {"LD_PRELOAD": f"{library}:{usual()['LD_PRELOAD']}", "QUICK_CLOCK": str(SPEED)}
    cloud.clock.environment = lambda: usual() | quick  # type: ignore[method-assign]
    try:
        return app.start_host(Options(queues=False))
    finally:
        cloud.clock.environment = usual  # type: ignore[method-assign]


def run(seed: int | None) -> str:
    """Run the drill; the summary."""
    with (
        slim_root() as root,
        LocalCloud(
            {"slow": {"MAX_JOBS": str(JOBS)}}, dist=root, hosts=False, in_memory=True
        ) as cloud,
    ):
        cloud.arm.timing = Timing(accepted=0.01, running=0.01, delete=0.02)
        jobs = Jobs(cloud)
        jobs.begin()
        jobs.finish_some()
        cloud.faults.add(service="arm", delay=ANSWER_S / SPEED, times=None)
        host = quick_host(cloud, cloud.app, root)
        asked = len(cloud.recorder.select("arm"))
        looks, unseen, longest = jobs.next_looks(), dict.fromkeys(jobs.names, 0), 0
        with hastened(cloud.clock):
            for _ in range(ROUNDS):
                outcome = host.fire("job-watch")
                assert outcome.error is None, outcome.error
                fresh = jobs.next_looks()
                for name in jobs.names:
                    unseen[name] = 0 if fresh[name] != looks[name] else unseen[name] + 1
                looks, longest = fresh, max(longest, *unseen.values())
                text = "\n".join([f"unseen for {longest} rounds: {unseen}", *host.lines[-12:]])
                assert longest <= UNSEEN_MAX, text
        took = [int(ms) / 1000 for line in host.lines for ms in DONE.findall(line)]
        assert len(took) == ROUNDS, took
        assert max(took) <= BUDGET_S + GRACE_S, f"an invocation took {max(took):.0f} s"
        states = [(cloud.app.record(name) or {})["state"] for name in jobs.names]
        assert all(state["outcome"] in ("none", "succeeded") for state in states), states
        ended = [state for state in states if state["machine"] == "deleting"]
        assert len(ended) == FINISHED, f"{len(ended)} of {FINISHED} results were seen"
        calls = len(cloud.recorder.select("arm")) - asked
        deletions = len(arm_calls(cloud, "DELETE", ""))
        return (
            f"{JOBS} live jobs, ARM answers after {ANSWER_S:.0f} s: {ROUNDS} job-watch rounds of "
            f"at most {max(took):.0f} s, nobody unseen for more than {longest} of them, {calls} "
            f"calls to ARM, {FINISHED} results seen, {deletions} deletions asked for"
        )
