"""Azure takes a Spot machine away, and the job goes on with what it kept."""

from __future__ import annotations

import json
import re
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local.cloud import App, LocalCloud
from local.vm import VirtualMachine
from tests.e2e.helpers import (
    current,
    deliver,
    group_of,
    rest,
    run_until_closed,
    state,
    turn_until,
    wait_for,
)
from tests.e2e.quick import QuickVm

EPOCHS = 60
REAL_S = 240.0
"""Real seconds for real machines on a busy computer."""


def order(cloud: LocalCloud, zip_bytes: bytes, head: str, **more: Any) -> str:
    """Deliver a message for a Spot job of its own, in a line of its own; its job_id."""
    job = f"{head}-{uuid.uuid4().hex[:6]}"
    cloud.app.put_zip(f"{job}.zip", zip_bytes)
    message = {"v": 1, "action": "train", "dataset": f"{job}.zip", "job_id": job, "line": job}
    deliver(cloud.app, json.dumps(message | {"spot": "prefer"} | more))
    return job


def machines(cloud: LocalCloud, job: str) -> list[VirtualMachine]:
    """All machines that a job ever had, in order."""
    return [m for m in cloud.vms.machines if m.spec.tags["job"] == job]


def kept(app: App, job: str, run: str = "") -> dict[str, Any]:
    """The index of the checkpoint on the share; {} when there is none."""
    data = app.file("logs", f"{job}/{run}ckpt.json")
    return dict(json.loads(data)) if data else {}


def job_of(vm: VirtualMachine) -> dict[str, Any]:
    return dict(json.loads((vm.home / "job.json").read_bytes()))


def epochs_of(vm: VirtualMachine) -> list[int]:
    """The epochs that a machine trained, by the trainer's own words."""
    log = vm.home / "state/train.log"
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    return [int(number) for number in re.findall(r"^epoch (\d+):", text, re.M)]


@contextmanager
def frozen_at_work(cloud: LocalCloud, job: str) -> Iterator[None]:
    """Meanwhile the job's first machine comes up, and its trainer is frozen after two epochs.

    Of this a thread of its own takes care: between two turns of job-watch all epochs may pass.
    """
    over = threading.Event()

    def freeze() -> None:
        while not over.wait(0.005):
            for vm in machines(cloud, job)[:1]:
                if len(epochs_of(vm)) >= 2 and vm.signal(r"trainers\.tiny", signal.SIGSTOP):
                    return

    watcher = threading.Thread(target=freeze)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def test_c1_17_evicted_in_epoch_k_goes_on_with_the_epochs_left(cloud, zip_bytes, monkeypatch):
    """Real machines. The first is frozen after some epochs, so that the cut is where it is."""
    monkeypatch.setattr(cloud.arm.timing, "eviction", 8.0)
    cloud.vms.work = None
    job = order(cloud, zip_bytes, "evicted", epochs=EPOCHS)
    with frozen_at_work(cloud, job):
        turn_until(cloud, lambda: kept(cloud.app, job), REAL_S, what="a checkpoint on the share")
    (first,) = machines(cloud, job)
    cloud.arm.simulate_eviction(group_of(cloud.app.record(job)))
    status = f"status/{job}/1.json"
    wait_for(
        lambda: json.loads(cloud.app.blob("job-files", status))["stage"] == "evicted",
        what="the machine to say that it goes",
    )
    turn_until(cloud, lambda: len(machines(cloud, job)) == 2, REAL_S, what="another machine")
    done = json.loads((first.home / "work/train/ckpt.json").read_text())["epoch"]
    assert 1 <= done < EPOCHS, "the trainer was faster than this test"
    assert kept(cloud.app, job)["epoch"] == done, "not the newest was kept"
    assert cloud.app.blob("job-files", f"out/{job}/1/report.json") is None, "it did not fail"
    record = run_until_closed(cloud, job, deadline_s=REAL_S)
    second = machines(cloud, job)[1]
    assert (record["state"]["outcome"], record["state"]["attempt"]) == ("succeeded", 2)
    assert epochs_of(first)[:done] == list(range(1, done + 1))
    assert epochs_of(second) == list(range(done + 1, EPOCHS + 1))
    assert kept(cloud.app, job)["epoch"] == done, "what the first kept is left as it is"
    assert kept(cloud.app, job, "run-2.")["epoch"] == EPOCHS
    manifest = json.loads(cloud.app.blob("model", f"{job}/1/manifest.json"))
    assert (manifest["attempt"], manifest["lineage"]["epochs_done"]) == (2, EPOCHS)
    assert [job_of(vm)["times"] for vm in (first, second)] == [job_of(first)["times"]] * 2
    rest(cloud)


def test_c1_17_a_notice_and_then_no_machine_is_no_failure(cloud, zip_bytes, monkeypatch):
    """The whole way of the notice for a machine that has kept nothing yet."""
    monkeypatch.setattr(cloud.arm.timing, "eviction", 0.2)
    work = cloud.vms.work = Waiting()
    job = order(cloud, zip_bytes, "nothing")
    turn_until(cloud, lambda: state(cloud.app, job).get("machine") == "running", what="running")
    cloud.vms.work = QuickVm(jobs=work.jobs)
    cloud.arm.simulate_eviction(group_of(cloud.app.record(job)))
    record = run_until_closed(cloud, job)
    assert (record["state"]["outcome"], record["state"]["attempt"]) == ("succeeded", 2)
    assert record["state"]["evictions"] == 1
    assert current(cloud.app, job)["job_id"] == job
    first, second = work.jobs
    assert not [name for name in first["links"] if name.startswith("former")]
    names = {"ckpt", "last_0", "last_1", "best_0", "best_1"}
    assert {n for n in second["links"] if n.startswith("former")} == {
        f"former_1_{n}" for n in names
    }
    for name in names:
        before, now = first["links"][f"log_{name}"], second["links"][f"log_{name}"]
        assert path_of(second["links"][f"former_1_{name}"]) == path_of(before) != path_of(now)
    rest(cloud)


def path_of(link: str) -> str:
    return link.partition("?")[0]


class Waiting(QuickVm):
    """Claims, beats once, and waits for its end."""

    def __init__(self) -> None:
        super().__init__(hold=threading.Event())
