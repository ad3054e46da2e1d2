"""The process: where it listens, how it starts, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from local.clock import wait_until
from tests.protocol.conftest import ROOT, TRAIN, Caller, body_of, command, lines_of, run_handler


def listening(pid: int) -> set[str]:
    """Return the local addresses (hex, as the kernel shows them) that a process listens on."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry))
        if found:
            inodes.add(found[1])
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            field = line.split()
            if field[3] == "0A" and field[9] in inodes:
                addresses.add(field[1])
    return addresses


def own_addresses() -> list[str]:
    """Return IPv4 addresses of this machine that are not 127.0.0.1; 127.0.0.2 is always one."""
    words = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout
    return ["127.0.0.2", *(word for word in words.split() if ":" not in word)]


def test_only_loopback_is_listened_on(host):
    assert listening(host.pid) == {f"0100007F:{host.port:04X}"}
    for address in own_addresses():
        with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
            socket.create_connection((address, host.port), timeout=2).close()


def test_the_same_port_serves_at_once_after_a_kill(start_host):
    host = start_host()
    callers = [Caller(host.port) for _ in range(4)]
    for caller in callers:
        assert caller.call(TRAIN, body_of("{broken"))[0] == 200
    first = host.pid
    host.kill()
    wait_until(lambda: host.starts == 2, what="the restart")
    host.wait_ready()
    assert Caller(host.port).call(TRAIN, body_of("{broken"))[0] == 200
    assert host.pid != first


def test_the_end_of_the_thread_that_started_it_is_not_the_end_of_the_host(start_host):
    """Linux tells of the death of a parent thread; the real host starts processes from a pool."""
    host = start_host()
    for turn in (2, 3, 4):
        host.kill()  # the next handler is started from a thread that ends right after
        wait_until(lambda turn=turn: host.starts == turn, what="the restart")
        host.wait_ready()
    os.kill(host.pid, signal.SIGUSR1)  # what such an end looks like
    assert Caller(host.port).call(TRAIN, body_of("{broken"))[0] == 200
    assert host.starts == 4
    assert host.signal(signal.SIGTERM) == 143, "138 would mean: ended by the other signal"


def test_a_host_that_dies_hard_takes_the_handler_with_it(cloud, tmp_path):
    port = free_port()
    settings = {**cloud.app.settings(), **start_variables(port)}
    note = tmp_path / "pid"
    program = (
        "import os,subprocess,sys,time\n"
        "p=subprocess.Popen(sys.argv[3:],cwd=sys.argv[1])\n"
        "open(sys.argv[2],'w').write(str(p.pid))\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, ROOT, note, *command()],
        env={"PATH": os.environ["PATH"], **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: note.exists() and note.read_text(), what="the handler's id")
        wait_until(lambda: answers(port), what="the handler")
        parent.kill()
        parent.wait()
        wait_until(lambda: not answers(port), what="the handler's end")
    finally:
        parent.kill()
        parent.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_a_running_call_end(start_host, cloud, number):
    host = start_host()
    job = f"signal-{uuid.uuid4().hex[:8]}"
    arrived, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        arrived.set()
        assert go_on.wait(30)

    cloud.faults.add(service="blob", method="GET", url=f"/record/{job}.json", before=hold)
    answers: list[tuple[int, dict[str, str], bytes]] = []
    text = json.dumps({"v": 1, "action": "status", "job_id": job})

    def ask() -> None:
        answers.append(Caller(host.port).call(TRAIN, body_of(text)))

    other = Caller(host.port)
    caller = threading.Thread(target=ask)
    caller.start()
    assert arrived.wait(20)
    codes: list[int] = []
    stopper = threading.Thread(target=lambda: codes.append(host.signal(number)))
    stopper.start()
    wait_until(lambda: refuses(other), what="a refusal of new calls")
    go_on.set()
    caller.join(20)
    stopper.join(20)
    assert [status for status, _, _ in answers] == [200]
    assert codes == [128 + number], "0 would mean: stay down"


def refuses(caller: Caller) -> bool:
    """Say whether a connection that was open before is told to go elsewhere by now."""
    status, headers, _ = caller.call(TRAIN, body_of("{broken"))
    assert status in (200, 503)
    return headers.get("Connection") == "close"


def test_a_signal_ends_an_idle_handler(start_host):
    host = start_host()
    kept = Caller(host.port)
    assert kept.call(TRAIN, body_of("{broken"))[0] == 200
    assert host.signal(signal.SIGTERM) == 143
    assert lines_of(host, "stdout", "signal 15")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_variables(port: int) -> dict[str, str]:
    return {"FUNCTIONS_CUSTOMHANDLER_PORT": str(port), "FUNCTIONS_APP_ROOT_PATH": str(ROOT)}


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_a_taken_port_ends_the_handler_with_a_reason(cloud):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run_handler({**cloud.app.settings(), **start_variables(port)})
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr


def test_an_app_root_without_scripts_ends_the_handler_with_a_reason(cloud, tmp_path):
    settings = {**cloud.app.settings(), **start_variables(free_port())}
    ended = run_handler({**settings, "FUNCTIONS_APP_ROOT_PATH": str(tmp_path)})
    assert ended.returncode == 1
    assert "vm-scripts" in ended.stderr


def test_all_faults_of_the_settings_are_told_at_once_and_no_secret(cloud):
    hidden = {name: f"{secrets.token_urlsafe(24)}-{name}" for name in ("key", "password", "hook")}
    wrong = {
        "AzureWebJobsStorage": f"AccountName=a;AccountKey={hidden['key']};BlobEndpoint=ftp://x",
        "AZURE_STORAGE_CONNECTION_STRING": f"AccountKey={hidden['key']}",
        "TRAIN_VM_RESOURCE_GROUP": "a group",
        "AZURE_SP_APP_ID": "",
        "AZURE_SP_PASSWORD": hidden["password"],
        "AZURE_SP_TENANT": f"tenant/{hidden['password']}",
        "AZURE_ARM_ENDPOINT": "http://example.com",
        "AZURE_AUTHORITY_HOST": f"https://user:{hidden['password']}@example.com",
        "SLACK_URL": f"http://hooks.example.com/{hidden['hook']}",
        "VM_SIZE": "small",
        "MAX_JOBS": "0",
        "MAX_HOURS": "99",
        "MAX_JOB_HOURS": "lots",
        "EPOCHS": "1.5",
        "EPOCHS_MAX": "-1",
        "WAIT_FOR_UPLOAD": "",
        "TRAINER": "other",
        "FUNCTIONS_CUSTOMHANDLER_PORT": "http",
    }
    ended = run_handler(wrong)
    assert ended.returncode == 1
    said = ended.stderr
    for name in wrong.keys() - {"AZURE_SP_PASSWORD", "WAIT_FOR_UPLOAD"}:
        if name == "AZURE_STORAGE_CONNECTION_STRING":
            continue  # judged against AzureWebJobsStorage, which is no better here
        assert re.search(rf"^error: .*{name}: ", said, re.M), f"{name} is not in:\n{said}"
    for value in hidden.values():
        assert value not in ended.stdout + said


def test_nothing_set_at_all(cloud):
    """In App Service, where an app without a managed identity has nothing to sign in with."""
    ended = run_handler({"WEBSITE_INSTANCE_ID": "x"})
    assert ended.returncode == 1
    for name in (
        "AzureWebJobsStorage",
        "TRAIN_VM_RESOURCE_GROUP",
        "AZURE_SP_APP_ID",
        "FUNCTIONS_CUSTOMHANDLER_PORT",
    ):
        assert f"{name}: is not set" in ended.stderr
    assert "or set AZURE_SP_APP_ID, AZURE_SP_PASSWORD and AZURE_SP_TENANT" in ended.stderr


def test_half_a_service_principal(cloud):
    ended = run_handler({"AZURE_SP_APP_ID": "app", "AZURE_CLIENT_SECRET": ""})
    assert ended.returncode == 1
    for name in ("AZURE_SP_PASSWORD", "AZURE_SP_TENANT"):
        assert f"{name}: is not set" in ended.stderr
    assert "AZURE_SP_APP_ID" not in ended.stderr


def test_replaced_settings_are_answered_and_do_no_harm(cloud):
    host_settings = {**cloud.app.settings(), "ACI_RESOURCE_GROUP": "old", "GITHUB_REPO_URL": "x"}
    ended = run_handler(host_settings)  # no port: ends at once
    assert ended.returncode == 1
    assert "ACI_RESOURCE_GROUP is set: " in ended.stdout
    assert "GITHUB_REPO_URL is set: " in ended.stdout
    assert ended.stderr.count("\n") == 2, ended.stderr
