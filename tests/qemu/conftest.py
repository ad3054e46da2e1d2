"""Clouds whose VMs are real machines, one after the other: qemu without KVM, two cores.

Everything lives in real time while a machine is on: the cloud's clock is moved only when it is dead
or cut off, to reach what the handler waits for.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from local.cloud import App, LocalCloud
from local.image import Image, make
from local.paths import DIST
from local.qemu import QemuMachine
from tests.e2e.helpers import deliver, explain, is_closed, state
from tests.vm import fixtures

Value = TypeVar("Value")

LOOK_S = 2.0
BOOT_S = 840.0
"""A boot takes a bit over a minute on two cores that have nothing else to do. The handler waits
15 minutes for the claim."""
WORK_S = 1200.0
STATUS = "status/{job}/1.json"


@pytest.fixture(scope="session")
def image() -> Image:
    """The disk of all machines; made once and kept."""
    return make(DIST / "vm-scripts.tar.gz")


@pytest.fixture(scope="session")
def zip_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A whole small CVAT zip: 12 pictures, classes ok and dent."""
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    fixtures.cvat_zip(path, items=fixtures.pictures(12, ("ok", "dent"), 1, size=(160, 120)))
    return path.read_bytes()


class Run:
    """One job on one real machine, driven in real time."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud, self.job = cloud, ""
        self._next_look = 0.0

    @property
    def app(self) -> App:
        return self.cloud.app

    @property
    def machine(self) -> QemuMachine:
        """The only machine there ever was."""
        (machine,) = self.cloud.vms.real
        return machine

    def order(self, job: str, data: bytes, epochs: int) -> None:
        """Send the job and wait for its machine to claim it."""
        self.job = job
        self.app.put_zip(f"{job}.zip", data)
        asked = {"dataset": f"{job}.zip", "job_id": job, "epochs": epochs, "publish": "always"}
        deliver(self.app, json.dumps(asked))
        self.until(lambda: self.cloud.vms.real, 60, "a machine")
        claim = f"claim/{job}/1"
        self.until(
            lambda: self.machine.power() == "stopped" or self.app.blob("job-files", claim),
            BOOT_S,
            "the claim",
        )
        assert self.machine.power() == "running", self.explain()

    def until(self, condition: Callable[[], Value], deadline_s: float, what: str) -> Value:
        """The first true value; job-watch is fired meanwhile, as its timer would."""
        end = time.monotonic() + deadline_s
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"waited {deadline_s:g} s for {what}\n{self.explain()}")
            if time.monotonic() >= self._next_look:
                outcome = self.app.watch()
                assert outcome.error is None, outcome.error
                self._next_look = time.monotonic() + LOOK_S
            time.sleep(0.1)

    def wait_inside(self, condition: str, deadline_s: float = WORK_S) -> None:
        """Wait until a bash condition holds inside the machine."""
        loop = shlex.quote(f"until {condition}; do sleep 0.2; done")
        done = f"timeout {deadline_s:g} bash -c {loop}"
        code, said = self.machine.run(done, deadline_s + 60)
        assert code == 0, f"{condition}: {said}\n{self.explain()}"

    def status(self) -> dict[str, Any]:
        """The last sign of life."""
        name = STATUS.format(job=self.job)
        return dict(json.loads(self.app.blob("job-files", name) or b"{}"))

    def close(self, deadline_s: float = WORK_S) -> dict[str, Any]:
        """Wait for the end, in real time until the machine is off; the record."""
        self.until(lambda: self.machine.power() == "stopped", deadline_s, "the machine's end")
        return self.close_later(31.0)

    def close_later(self, step_s: float = 61.0) -> dict[str, Any]:
        """Let the cloud's time run to the end; only for a machine that is dead or cut off."""

        def turn() -> bool:
            self.cloud.clock.advance(step_s)
            self._next_look = 0.0
            return self.closed()

        self.until(turn, 300, f"the end of {self.job}")
        return self.app.record(self.job) or {}

    def closed(self) -> bool:
        return is_closed(self.app, self.job)

    def told(self) -> list[str]:
        """What people were told of the end."""
        ends = ("has succeeded", "has failed", "has run out of time", "was cancelled")
        firsts = [text.splitlines()[0] for text in self.app.slack()]
        return [text for text in firsts if any(f"`{self.job}` {end}" in text for end in ends)]

    def explain(self) -> str:
        parts = [json.dumps(state(self.app, self.job)), explain(self.app)]
        for machine in self.cloud.vms.real:
            parts += machine.lines[-25:]
            try:
                parts.append(machine.run("tail -n 40 /opt/retrain/state/train.log", 30)[1])
            except (OSError, TimeoutError) as error:
                parts.append(f"no shell: {error}")
        return "\n".join(parts)


@pytest.fixture
def run(image: Image) -> Iterator[Run]:
    """A cloud of one's own; at the end no machine and no secret is left anywhere."""
    began = time.monotonic()
    with LocalCloud(dist=DIST, image=image) as cloud:
        yield Run(cloud)
        assert cloud.recorder.leaks() == []
    left = [machine for machine in cloud.vms.real if machine.processes()]
    print(f"\n{time.monotonic() - began:.0f} s", end=" ")
    assert left == []
