"""A job on a VM that really boots: cloud-init, systemd, the kernel, a network card and a disk.

Each case ends in one outcome and a deleted group: by message, by manifest, or because the handler
says that it is over.
"""

from __future__ import annotations

import json
import re
from typing import Any

from local.qemu import HOST
from tests.e2e.helpers import state
from tests.qemu.conftest import BOOT_S, Run

LONG = 1000
"""Epochs that outlast every case."""
HOME = "/opt/retrain"
AT_WORK = f"[[ -s {HOME}/work/train/ckpt.json ]]"
"""The trainer has finished an epoch at least."""
FILL = (
    "for size in 1G 100M 10M 1M 100K 4K; do "
    "while fallocate -l $size /ballast.$((n += 1)) 2>/dev/null; do :; done; "
    "done; ! echo 0123456789 >/ballast.last"
)
"""Allocates what is free on the disk, root's reserve too."""


def result_of(run: Run) -> dict[str, Any]:
    return dict(json.loads(run.app.file("logs", f"{run.job}/result.json") or b"{}"))


def report_of(run: Run) -> dict[str, Any]:
    return dict(json.loads(run.app.blob("job-files", f"out/{run.job}/1/report.json") or b"{}"))


def one_end(run: Run, record: dict[str, Any], outcome: str, *words: str) -> None:
    """One outcome, told once, by one machine, and nothing left of it."""
    assert record["state"]["outcome"] == outcome, run.explain()
    assert record["state"]["attempt"] == 1
    assert len(run.cloud.vms.real) == 1
    assert run.cloud.arm.groups() == []
    assert run.machine.power() == "stopped"
    told = run.told()
    assert len(told) == 1, told
    for word in words:
        assert word in "\n".join(run.app.slack()), run.app.slack()


def test_a_clean_run(run: Run, zip_bytes: bytes) -> None:
    """cloud-init is content with the customData, and nothing is made that the image has."""
    run.order("clean", zip_bytes, 4)
    code, said = run.machine.run("cloud-init status --wait --long", 300)
    assert (code, "status: done" in said) == (0, True), said
    assert run.machine.run("systemctl is-enabled retrain", 60)[0] == 0
    record = run.close()
    one_end(run, record, "succeeded")
    assert record["state"]["model"] == "current"
    assert run.app.blob("model", "default/1/model.xml")
    result = result_of(run)
    done = {step["stage"]: step["seconds"] for step in result["steps"]}
    assert {"claim", "scripts", "environment", "train", "upload"} <= set(done)
    assert result["to_first_step_s"] > 0
    print("; ".join(f"{stage} {seconds:.1f} s" for stage, seconds in done.items()))


def test_reboot_in_the_middle(run: Run, zip_bytes: bytes) -> None:
    """The same attempt goes on, by the same claim, with its checkpoint.

    On the way: scripts and environment are those of the image, neither fetched nor made.
    """
    run.order("reboot", zip_bytes, 6)
    run.wait_inside(AT_WORK)
    before = run.until(run.status, 120, "a sign of life")["boot_id"]
    code, said = run.machine.run(f"ls {HOME}; cat {HOME}/venv-runner/.lock", 60)
    assert (code, "uv-cache" in said) == (0, False), said
    fetched = run.cloud.recorder.select("blob", "GET", r"/job-files/scripts/")
    assert [e for e in fetched if HOST in dict(e.request_headers).get("Host", "")] == []
    run.machine.run("systemctl reboot --no-block", 60)
    run.until(lambda: run.status()["boot_id"] != before, BOOT_S, "life after the reboot")
    assert report_of(run) == {}, "a reboot is no end"
    assert run.told() == []
    record = run.close()
    one_end(run, record, "succeeded")
    log = (run.app.file("logs", "reboot/train.log") or b"").decode()
    assert re.search(r"continuing after epoch [1-9]", log), log[-2000:]
    assert log.count("claim: taken") == 2, "each boot looks whose the attempt is"


def test_power_off_in_the_middle(run: Run, zip_bytes: bytes) -> None:
    """Somebody switches the machine off properly: it still says so."""
    run.order("off", zip_bytes, LONG)
    run.wait_inside(AT_WORK)
    run.machine.run("systemctl poweroff --no-block", 60)
    record = run.close()
    one_end(run, record, "failed", "stopped from outside in stage train")
    assert report_of(run)["status"] == "failed"


def test_power_cut_in_the_middle(run: Run, zip_bytes: bytes) -> None:
    """Nothing can be said any more: that the machine is off is seen from outside."""
    run.order("cut", zip_bytes, LONG)
    run.wait_inside(AT_WORK)
    run.until(lambda: state(run.app, "cut")["machine"] == "running", 180, "the handler to see it")
    run.machine.kill()
    record = run.close_later()
    one_end(run, record, "failed")
    assert record["state"]["reason"] == "gone"
    assert report_of(run) == {}


def test_memory_is_full(run: Run, zip_bytes: bytes) -> None:
    """The kernel kills the trainer; systemd and the report say why."""
    run.order("oom", zip_bytes, LONG)
    run.wait_inside(AT_WORK)
    run.machine.run("systemctl set-property --runtime retrain.service MemoryMax=40M", 120)
    record = run.close()
    one_end(run, record, "failed", "memory")
    assert report_of(run)["stage"] == "train"


def test_disk_is_full(run: Run, zip_bytes: bytes) -> None:
    """The next checkpoint finds no place, nor does the report, which is told all the same."""
    run.order("disk", zip_bytes, LONG)
    run.wait_inside(AT_WORK)
    code, said = run.machine.run(FILL, 300)
    assert code == 0, said
    record = run.close()
    one_end(run, record, "failed", "disk of the VM")
    assert report_of(run)["stage"] == "train"


def test_network_is_gone_at_the_end(run: Run, zip_bytes: bytes) -> None:
    """Neither model nor report comes: the machine has fallen silent, and goes with its group."""
    run.order("mute", zip_bytes, 4)
    run.wait_inside(f"grep -qE 'export|verify' {HOME}/state/stage")
    run.machine.unplug()
    run.until(lambda: state(run.app, "mute")["machine"] == "running", 180, "the handler to see it")
    assert run.machine.power() == "running"
    record = run.close_later()
    one_end(run, record, "failed", "silent")
    assert report_of(run) == {}
    assert run.app.blob("model", "default/current.json") is None
