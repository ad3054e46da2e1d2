"""One job from its message to its end in a cloud that moves in lock step, and what it must leave.

Nothing polls: the drill fetches the messages, fires the timer and moves the clock, so that the same
job makes the same requests each time. Every drill has a storage account of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local.arm import Timing
from local.clock import wait_until
from local.cloud import App, LocalCloud
from local.faults import Fault
from local.host import Options
from local.paths import DIST
from local.recorder import Exchange
from local.service import OUTSIDE
from local.vm import VirtualMachine
from tests.e2e.helpers import arm_calls, current, line_of, machine, result_text, slots
from tests.e2e.quick import FILES, QuickVm

JOB, ZIP = "drill", "drill.zip"
MESSAGE = {"v": 1, "action": "train", "dataset": ZIP, "job_id": JOB, "line": JOB}
WHOLE_ZIP = b"PK\x05\x06" + bytes(18)
"""To the handler, which looks from outside, a whole zip."""
TURN_S = 31.0
DEADLINE_S = 900.0
"""Moved seconds from the message to the end. The longest wait is for an order that may be late."""
DELETED_S = 180.0
"""Moved seconds from the report to the deletion's request, when the handler was killed."""
REAL_S = 60.0
"""Real seconds for anything that is under way; a busy machine gets plenty."""


@contextmanager
def slim_root(dist: Path | None = None) -> Iterator[Path]:
    """The function app root that ships, with a small archive of scripts: no VM here unpacks it."""
    dist = dist or Path(os.environ.get("RETRAIN_DIST", DIST)).resolve()
    root = Path(tempfile.mkdtemp(prefix="drill-root-"))
    try:
        for part in dist.iterdir():
            (root / part.name).symlink_to(part)
        scripts = b"scripts that nobody unpacks"
        for name, data in (
            ("vm-scripts.tar.gz", scripts),
            ("vm-scripts.sha256", hashlib.sha256(scripts).hexdigest().encode()),
        ):
            (root / name).unlink()
            (root / name).write_bytes(data)
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def quiet_cloud(root: Path, names: Sequence[str]) -> Iterator[LocalCloud]:
    """A cloud with an app (and an account) for each drill; no host runs yet."""
    apps: dict[str, dict[str, str]] = {name: {} for name in names}
    with LocalCloud(apps, dist=root, hosts=False, in_memory=True) as cloud:
        cloud.arm.timing = Timing(accepted=0.01, running=0.01, delete=0.02)
        yield cloud


def from_handler(e: Exchange) -> bool:
    """Not a person's request, and not a machine's, which comes with a grant."""
    agent = next((value for name, value in e.request_headers if name.lower() == "user-agent"), "")
    return e.service not in ("vm", "imds") and OUTSIDE not in agent and "sig=" not in e.url


@dataclass
class Work:
    """What the machines of one drill do: the quick work, held until the job has been seen at it."""

    quick: QuickVm = field(default_factory=lambda: QuickVm(hold=threading.Event()))
    booted: list[VirtualMachine] = field(default_factory=list)
    ended: int = 0

    def __call__(self, vm: VirtualMachine) -> None:
        self.quick(vm)
        self.ended += 1

    def settled(self) -> bool:
        """Each machine has claimed and is held, or has ended."""
        held = 0 if self.released() else len(self.quick.jobs)
        return self.ended + held >= len(self.booted)

    def released(self) -> bool:
        """The held machines were let go."""
        return self.quick.hold is not None and self.quick.hold.is_set()

    def release(self) -> None:
        """Let them finish."""
        assert self.quick.hold is not None
        self.quick.hold.set()


class Story:
    """One drill: `live` goes through the job, `judge` looks at what it left."""

    def __init__(self, cloud: LocalCloud, app: App) -> None:
        """Nothing happens yet."""
        self.cloud, self.app = cloud, app
        self.work = Work()
        self.began_s = self.ended_s = self.reported_s = 0.0
        self._machines = len(cloud.vms.machines)
        self._starts = 0
        self._lines: list[str] = []

    def live(self, fault: Fault | None = None) -> None:
        """Send the message and go on until the job is closed; after each kill a bell is rung."""
        cloud, app = self.cloud, self.app
        cloud.recorder.exchanges.clear()
        cloud.vms.work = self.work
        app.put_zip(ZIP, WHOLE_ZIP)
        host = app.start_host(Options(queues=False))
        self._starts, self._lines = host.starts, host.lines
        self.began_s = cloud.clock.now()
        app.send(json.dumps(MESSAGE))
        at_work = 0
        try:
            while True:
                self._carry()
                at_work += machine(app, JOB) == "running"
                if at_work == 2 and not self.work.released():
                    self.reported_s = cloud.clock.now()
                    self.work.release()
                    continue
                if self._over():
                    break
                waited = cloud.clock.now() - self.began_s
                assert waited < DEADLINE_S, f"not closed after {waited:.0f} s: {self._left()}"
                cloud.clock.advance(TURN_S)
                app.watch()
            self.ended_s = cloud.clock.now()
        finally:
            host.stop()
            app.hosts.clear()
            cloud.faults.clear()
        assert not host.violations, host.violations
        assert fault is None or fault.hits == 1, "nobody was killed: the drill drills nothing"

    def _carry(self) -> None:
        """Carry every message that is to be had, until nothing is under way any more."""
        while True:
            if self._killed():
                self.app.host.restarted(self._starts)
                self._starts = self.app.host.starts
                self.app.send(json.dumps({"v": 1, "job_id": JOB, "attempt": 1}), False, BELLS)
            self._calm()
            if not self.app.host.pump() and not self._killed():
                return

    def _killed(self) -> bool:
        """The handler was killed and its successor has not been greeted yet."""
        return self.app.host.dead() or self.app.host.starts > self._starts

    def _calm(self) -> None:
        """Wait for the machines and for ARM, whose work takes real time."""

        def calm() -> bool:
            self.work.booted = self.cloud.vms.machines[self._machines :]
            return not self.cloud.arm.busy() and self.work.settled()

        wait_until(calm, REAL_S, "ARM and the machines")

    def _over(self) -> bool:
        queues = self.app.queues
        return (
            machine(self.app, JOB) == "closed"
            and JOB not in self.app.markers()
            and queues.count("js-queue-items") + queues.count(BELLS) == 0
        )

    def _left(self) -> str:
        record = self.app.record(JOB)
        return "\n".join(
            [f"{record}, markers {self.app.markers()}, {self.app.slack()}", *self._lines[-30:]]
        )

    def judge(self) -> None:
        """One outcome, one machine, one version, people told, nothing left."""
        cloud, app = self.cloud, self.app
        record = app.record(JOB)
        assert record is not None
        state = record["state"]
        assert (state["outcome"], state["reason"]) == ("succeeded", "published"), self._left()
        assert (state["version"], state["attempt"]) == (1, 1), state
        self._judge_machine()
        held = slots(app)
        assert held.get("holders", []) + held.get("waiting", []) == [], held
        line, shown = line_of(app, JOB), current(app, JOB)
        assert (line["version"], line["job_id"]) == (1, ""), line
        assert (shown["version"], shown["job_id"]) == (1, JOB), shown
        assert {name.split("/")[1] for name in app.blobs("model", f"{JOB}/")} == {
            "1",
            "current.json",
        }
        for file in FILES:
            assert app.blob("model", f"{JOB}/1/{file}") == f"{file} of {JOB}".encode(), file
        for queue in ("js-queue-items", BELLS):
            assert app.queues.count(f"{queue}-poison") == 0, f"{queue}-poison"
        assert cloud.arm.groups() == []
        self._judge_notices(state)

    def _judge_machine(self) -> None:
        """One order that ARM carried out, one machine, one at work; it went in time."""
        puts = arm_calls(self.cloud, "PUT", "/deployments/train")
        done = [e for e in puts if 200 <= e.status < 300 or e.fault == "after"]
        assert len(done) == 1, f"{len(done)} machines were ordered"
        assert len(self.work.booted) == 1, f"{len(self.work.booted)} machines booted"
        assert len(self.work.quick.jobs) == 1, f"{len(self.work.quick.jobs)} machines were at work"
        asked = [e for e in arm_calls(self.cloud, "DELETE", "") if e.status == 202 or e.fault]
        assert asked, "no deletion was asked for"
        late = asked[0].time - self.reported_s
        assert 0 <= late <= DELETED_S, f"deletion was asked for {late:.0f} s after the report"

    def _judge_notices(self, state: dict[str, int]) -> None:
        """What was due was told; after one kill nothing is told more than twice."""
        assert state["due"] & ~state["told"] == 0, state
        assert state["untold"] == 0, state
        texts = self.app.slack()
        for words in (f"Job `{JOB}` is accepted", "training has started", "has succeeded"):
            told = sum(words in text for text in texts)
            assert 1 <= told <= 2, f"{words}: told {told} times"
        assert "has succeeded" in result_text(self.app, ZIP)


BELLS = "delete-resources"
