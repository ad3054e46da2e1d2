"""The VM runner does what cloud-init and systemd do."""

from __future__ import annotations

import base64
import json
import signal
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest

from local.arm import MachineSpec
from local.clock import wait_until

UNIT = """[Unit]
Description=work
[Service]
Type=exec
ExecStart=/opt/retrain/boot/start
ExecStopPost=-/opt/retrain/boot/report
RuntimeMaxSec={limit}
TimeoutStopSec=120
KillMode=mixed
[Install]
WantedBy=multi-user.target
"""
REPORT = """#!/bin/bash
home=$(dirname "$0")/..
if systemctl list-jobs | grep -q reboot.target; then exit; fi
echo "$SERVICE_RESULT $EXIT_CODE $EXIT_STATUS" >>"$home/ended"
"""


def custom_data(start: str, limit: str = "3600") -> bytes:
    def file(path: str, text: str, mode: str) -> dict[str, str]:
        content = base64.b64encode(text.encode()).decode()
        return {
            "path": path,
            "permissions": mode,
            "owner": "root:root",
            "encoding": "b64",
            "content": content,
        }

    unit = "/etc/systemd/system/retrain.service"
    config = {
        "write_files": [
            file("/opt/retrain/boot/start", "#!/bin/bash\n" + start, "0700"),
            file("/opt/retrain/boot/report", REPORT, "0700"),
            {"path": "/opt/retrain/job.json", "permissions": "0600", "content": "{}"},
            file(unit, UNIT.format(limit=limit), "0644"),
        ],
        "runcmd": [
            ["systemctl", "daemon-reload"],
            ["systemctl", "enable", "retrain.service"],
            ["systemctl", "start", "--no-block", "retrain.service"],
        ],
    }
    return b"#cloud-config\n" + json.dumps(config).encode()


@pytest.fixture
def boot(cloud):
    started = []

    def one(start: str, limit: str = "3600"):
        spec = MachineSpec(
            str(uuid.uuid4()),
            "train-vm",
            "group",
            "japaneast",
            "Standard_D8s_v4",
            {},
            custom_data(start, limit),
        )
        started.append(cloud.vms.boot(spec))
        return started[-1]

    yield one
    for machine in started:
        machine.kill()


def ended(vm) -> str:
    file = vm.home / "ended"
    return str(wait_until(lambda: file.exists() and file.read_text().strip(), what="the report"))


def test_files_have_their_modes_and_the_unit_runs(boot):
    vm = boot("echo hello from $(basename $PWD); exit 0")
    assert ended(vm) == "success exited 0"
    assert (vm.home / "job.json").stat().st_mode & 0o777 == 0o600
    assert (vm.home / "boot" / "start").stat().st_mode & 0o777 == 0o700
    wait_until(lambda: any("hello from" in line for line in vm.lines), what="the console")


@pytest.mark.parametrize(
    ("start", "says"),
    [
        ("exit 7", "exit-code exited 7"),
        ("kill -KILL $$", "signal killed KILL"),
        ("kill -SEGV $$", "signal killed SEGV"),
    ],
)
def test_what_systemd_tells_about_the_end(boot, start, says):
    assert ended(boot(start)) == says


def test_the_run_limit_follows_the_moved_clock(boot, cloud):
    vm = boot("exec sleep 600", limit="1800")
    wait_until(lambda: vm.processes("sleep 600"), what="the work")
    cloud.clock.advance(1900)
    assert ended(vm) == "timeout killed TERM"
    assert not vm.processes("sleep 600")


def test_children_are_killed_when_the_main_process_ends(boot):
    vm = boot("setsid sleep 601 & exit 0")
    ended(vm)
    assert not vm.processes("sleep 601")


def test_cutting_the_power_leaves_nothing_and_reports_nothing(boot):
    vm = boot("setsid bash -c 'trap \"\" TERM; sleep 602' & sleep 602")
    wait_until(lambda: len(vm.processes("sleep 602")) >= 2, what="the work")
    vm.kill()
    assert not vm.processes()
    assert not (vm.home / "ended").exists()


def test_a_process_can_be_killed_by_name(boot):
    vm = boot("sleep 603; exit 9")
    wait_until(lambda: vm.processes("^sleep 603"), what="the work")
    assert vm.signal("^sleep 603", signal.SIGKILL) == 1
    assert ended(vm) == "exit-code exited 9"


def test_reboot_is_silent_and_starts_again(boot):
    vm = boot("echo boot >>${0%/*}/../boots; sleep 604")
    boots = vm.home / "boots"
    wait_until(lambda: boots.exists(), what="the first boot")
    vm.reboot()
    wait_until(lambda: boots.read_text().count("boot") == 2, what="the second boot")
    assert not (vm.home / "ended").exists()
    assert vm.power() == "running"


def test_poweroff_stops_the_machine(boot):
    vm = boot("systemctl poweroff; sleep 605")
    wait_until(lambda: vm.power() == "stopped", what="the power to go")
    assert not vm.processes()


def test_imds_wants_its_header(boot):
    vm = boot(
        'curl -s --noproxy "*" -H Metadata:true "$RETRAIN_IMDS/metadata/instance/compute/'
        'vmId?api-version=2021-02-01&format=text" >${0%/*}/../id; env >${0%/*}/../env'
    )
    ended(vm)
    assert (vm.home / "id").read_text() == vm.spec.vm_id
    names = {line.partition("=")[0] for line in (vm.home / "env").read_text().splitlines()}
    assert not names & {"HOME", "USER", "AZURE_SP_PASSWORD", "VIRTUAL_ENV"}


def test_work_can_be_replaced(boot, cloud, tmp_path):
    cloud.vms.work = lambda vm: (vm.home / "claimed-by-test").write_text("x")
    vm = boot("exit 1")
    wait_until(lambda: (vm.home / "claimed-by-test").exists(), what="the function")
    script = tmp_path / "script"
    script.write_text('#!/bin/bash\necho "$1" >"$1/where"; exit 3\n')
    script.chmod(0o755)
    cloud.vms.work = script
    vm = boot("exit 1")
    assert ended(vm) == "exit-code exited 3"
    assert Path((vm.home / "where").read_text().strip()) == vm.home


def test_broken_custom_data_runs_nothing(cloud):
    spec = MachineSpec("1" * 8, "train-vm", "broken", "japaneast", "x", {}, b"#!/bin/sh\nexit 0")
    vm = cloud.vms.boot(spec)
    wait_until(lambda: any("#cloud-config" in line for line in vm.lines), what="the complaint")
    vm.kill()


def test_imds_refuses_without_header(cloud):
    from local.imds import Imds

    spec = MachineSpec("1" * 8, "train-vm", "imds", "japaneast", "x", {}, b"")
    imds = Imds(cloud.clock, cloud.recorder, cloud.faults, spec)
    imds.start()
    url = f"{imds.url}/metadata/instance/compute/vmId?api-version=2021-02-01&format=text"
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(url, timeout=5)
    assert error.value.code == 400
    imds.stop()
