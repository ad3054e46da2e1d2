"""The boot scripts, run for real against the stub, with a fake systemctl and a fake uv."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.vm import fixtures, stub
from tests.vm.conftest import SCRIPTS
from tests.vm.stub import SENTINEL, Call, Cloud

BELL = "<QueueMessage><MessageText>eyJ2IjoxfQ==</MessageText></QueueMessage>"
CLAIM = "/blob/job-files/claim/job-a/1"
REPORT = "/blob/job-files/out/job-a/1/report.json"
MANIFEST = "/blob/job-files/out/job-a/1/manifest.json"

FAKE_UV = f"""#!/bin/bash
set -eu
if [[ $1 == venv ]]; then
    for last; do :; done
    mkdir -p "$last/bin"
    printf '#!/bin/bash\\nexec {sys.executable} "$@"\\n' >"$last/bin/python"
    chmod 755 "$last/bin/python"
fi
echo "uv $*" >>"$UV_LOG"
"""

STATUS = "/blob/job-files/status/job-a/1.json"

# A trainer that does what its test wants, named by the file `mode` beside the train job's folder.
PUPPET = """
import os, signal, sys, time
mode = "MODE"
print("puppet:", mode, flush=True)
if mode == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if mode == "runner-killed":
    os.kill(os.getppid(), signal.SIGKILL)
if mode == "stuck":
    time.sleep(600)
if mode == "fails after the notice":
    while not os.path.exists("../state/evicted"):
        time.sleep(0.05)
sys.exit(3)
"""


class Machine:
    """A VM's folder as customData would make it."""

    def __init__(self, folder: Path, cloud: Cloud, puppet: str = "", uv: str = FAKE_UV) -> None:
        self.folder, self.cloud = folder, cloud
        self.home = folder / "home"
        data = folder / "a.zip"
        fixtures.cvat_zip(data, 12)
        document = stub.job_document(cloud, data, epochs=3, trainer="puppet" if puppet else "tiny")
        stub.write_home(self.home, document)
        shutil.copytree(SCRIPTS / "boot", self.home / "boot")
        archive = self._archive(puppet, uv)
        cloud.blobs["/blob/job-files/scripts/x.tar.gz"] = archive
        links = document["links"]
        self.values = {
            "claim_url": links["claim"],
            "scripts_url": links["scripts"],
            "scripts_sha256": hashlib.sha256(archive).hexdigest(),
            "report_url": links["out_report"],
            "bell_url": links["bell"],
            "bell_body": BELL,
            "hard_stop_s": str(document["times"]["hard_stop_s"]),
            "job_id": "job-a",
            "attempt": "1",
        }
        (self.home / "values").mkdir()
        self.write_values()
        self.shims = folder / "shims"
        self.shims.mkdir()
        self.jobs = folder / "list-jobs"
        self.jobs.write_text("")
        shim = self.shims / "systemctl"
        shim.write_text(
            f'#!/bin/bash\necho "$*" >>{folder}/systemctl.log\n'
            f"[[ $1 != list-jobs ]] || cat {self.jobs}\n"
        )
        shim.chmod(0o755)

    def write_values(self) -> None:
        for name, value in self.values.items():
            (self.home / "values" / name).write_text(value)

    def _archive(self, puppet: str, uv: str) -> bytes:
        tree = self.folder / "scripts"
        shutil.copytree(SCRIPTS, tree, ignore=shutil.ignore_patterns("__pycache__"))
        (self.folder / "uv").write_text(uv)
        if puppet:
            (tree / "trainers/puppet").mkdir()
            (tree / "trainers/puppet/__init__.py").write_text("")
            text = PUPPET.replace("MODE", puppet)
            (tree / "trainers/puppet/__main__.py").write_text(text)
        target = self.folder / "x.tar.gz"
        subprocess.run([sys.executable, tree / "pack", self.folder / "uv", target], check=True)
        return target.read_bytes()

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": f"{self.shims}:{os.environ['PATH']}",
            "RETRAIN_IMDS": self.cloud.url,
            "RETRAIN_SPARE_GIB": "0",
            "UV_LOG": str(self.folder / "uv.log"),
            **more,
        }

    def start(self) -> int:
        """ExecStart; the exit code (negative: killed by that signal)."""
        return subprocess.run(
            [self.home / "boot/start"], env=self.environment(), check=False, timeout=120
        ).returncode

    def report(self, code: int = 0, result: str = "exit-code") -> int:
        """ExecStopPost with what systemd would say of ``code``."""
        killed = code < 0
        variables = {
            "SERVICE_RESULT": result,
            "EXIT_CODE": "killed" if killed else "exited",
            "EXIT_STATUS": signal.Signals(-code).name.removeprefix("SIG") if killed else str(code),
        }
        command = [self.home / "boot/report"]
        environment = self.environment(**variables)
        return subprocess.run(command, env=environment, check=False, timeout=120).returncode

    def sent(self) -> dict[str, object]:
        return dict(json.loads(self.cloud.blobs[REPORT]))

    def log(self) -> str:
        path = self.home / "state/train.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def asked(self) -> str:
        path = self.folder / "systemctl.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with stub.Server() as cloud:
        yield cloud
        assert cloud.faults == []


class Watch:
    """Collects the command lines of all processes while it is open."""

    def __enter__(self) -> Watch:
        self.lines: set[bytes] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(0.002):
            for entry in os.scandir("/proc"):
                if entry.name.isdigit():
                    try:
                        self.lines.add(Path(entry.path, "cmdline").read_bytes())
                    except OSError:
                        continue


def no_secret(*texts: bytes | str) -> None:
    for text in texts:
        raw = text if isinstance(text, bytes) else text.encode()
        assert SENTINEL.encode() not in raw
        assert SENTINEL.split("%")[0].encode() not in raw


def test_clean_run_and_reboot(tmp_path: Path, cloud: Cloud) -> None:
    machine = Machine(tmp_path, cloud)
    with Watch() as seen:
        code = machine.start()
        assert (code, machine.report(code, "success")) == (0, 0), machine.log()
    assert cloud.blobs[CLAIM] == stub.MACHINE.encode()
    assert MANIFEST in cloud.blobs
    sent = machine.sent()
    assert (sent["status"], sent["stage"], sent["exit_code"]) == ("succeeded", "upload", 0)
    assert cloud.bells == [BELL.encode()]
    assert any(b"curl" in line for line in seen.lines)
    result = json.loads(bytes(cloud.files["/file/logs/job-a/result.json"]))
    names = ["claim", "scripts", "environment", "fetch", "check", "split", "train", "export"]
    assert [step["stage"] for step in result["steps"]] == [*names, "verify", "upload"]
    before = sum(step["seconds"] for step in result["steps"][:6])
    assert before <= result["to_first_step_s"] <= before + result["steps"][6]["seconds"]
    no_secret(machine.log(), cloud.blobs[REPORT], *seen.lines)
    # A reboot after the end: nothing is done again, the report is there already, the bell rings.
    calls = len(cloud.calls)
    assert machine.start() == 0
    assert len(cloud.calls) == calls
    assert machine.report(0, "success") == 0
    assert len(cloud.bells) == 2


def test_reboot_before_the_end_goes_on(tmp_path: Path, cloud: Cloud) -> None:
    machine = Machine(tmp_path, cloud, puppet="runner-killed")
    code = machine.start()
    machine.jobs.write_text("1 reboot.target start waiting\n")
    assert machine.report(code) == 0
    assert REPORT not in cloud.blobs
    assert cloud.bells == []
    machine.jobs.write_text("")
    assert machine.start() == code
    assert cloud.paths("GET").count("/blob/job-files/scripts/x.tar.gz") == 1
    assert (tmp_path / "uv.log").read_text().count("uv venv") == 1
    assert CLAIM in cloud.paths("GET"), "the claim was found to be our own"
    assert machine.report(code) == 0
    assert machine.sent()["status"] == "failed"


@pytest.mark.parametrize(
    ("puppet", "words"),
    [("killed", "killed by SIGKILL"), ("fails", "exit code 3"), ("runner-killed", "was killed")],
)
def test_death_is_told(tmp_path: Path, cloud: Cloud, puppet: str, words: str) -> None:
    machine = Machine(tmp_path, cloud, puppet=puppet)
    code = machine.start()
    assert code != 0
    assert machine.report(code) == 0
    sent = machine.sent()
    assert (sent["status"], sent["stage"]) == ("failed", "train")
    assert words in str(sent["reason"])
    assert f"puppet: {puppet}" in json.dumps(sent["log"])
    assert MANIFEST not in cloud.blobs
    assert len(cloud.bells) == 1
    no_secret(cloud.blobs[REPORT], machine.log())


def until(there: Callable[[], bool], machine: Machine) -> None:
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end, machine.log()
        time.sleep(0.02)


def test_a_machine_that_is_taken_away_tells_no_end(tmp_path: Path, cloud: Cloud) -> None:
    """Azure gives notice, then the machine goes down: another one goes on with the attempt."""
    machine = Machine(tmp_path, cloud, puppet="stuck")
    unit = subprocess.Popen([machine.home / "boot/start"], env=machine.environment())
    until(lambda: "puppet: stuck" in machine.log(), machine)
    cloud.events = stub.PREEMPT
    until((machine.home / "state/evicted").exists, machine)
    until(lambda: b'"evicted"' in cloud.blobs[STATUS], machine)
    machine.jobs.write_text("1 poweroff.target start waiting\n")
    unit.terminate()
    code = unit.wait(60)
    assert machine.report(code, "success") == 0
    assert REPORT not in cloud.blobs
    assert cloud.bells == []
    status = json.loads(cloud.blobs[STATUS])
    assert (status["stage"], status["attempt"]) == ("evicted", 1)
    # It came back all the same, and then fails by itself: that is told.
    machine.jobs.write_text("")
    cloud.events = b'{"DocumentIncarnation":3,"Events":[]}'
    machine.values["hard_stop_s"] = "1"
    machine.write_values()
    assert machine.report(machine.start()) == 0
    assert machine.sent()["status"] == "timed_out"


def test_what_breaks_after_the_notice_is_no_failure(tmp_path: Path, cloud: Cloud) -> None:
    machine = Machine(tmp_path, cloud, puppet="fails after the notice")
    cloud.events = stub.PREEMPT
    code = machine.start()
    assert code == 3, machine.log()
    assert machine.report(code) == 0
    assert (REPORT in cloud.blobs, cloud.bells) == (False, [])
    assert "ended with exit code 3" in machine.log()
    assert not (machine.home / "state/report.json").exists()


def test_who_is_done_before_the_machine_goes_says_so(tmp_path: Path, cloud: Cloud) -> None:
    machine = Machine(tmp_path, cloud)
    cloud.events = stub.PREEMPT
    code = machine.start()
    assert (code, machine.report(code, "success")) == (0, 0), machine.log()
    assert (machine.home / "state/evicted").exists()
    assert machine.sent()["status"] == "succeeded"
    assert MANIFEST in cloud.blobs
    assert len(cloud.bells) == 1


@pytest.mark.parametrize("target", ["poweroff.target", "shutdown.target"])
def test_a_notice_that_came_too_late_for_the_work(
    tmp_path: Path, cloud: Cloud, target: str
) -> None:
    """The machine goes down and nobody had time to see why: it is asked once more."""
    machine = Machine(tmp_path, cloud)
    (machine.home / "state").mkdir()
    (machine.home / "state/claimed").write_text(stub.MACHINE)
    machine.jobs.write_text(f"1 {target} start waiting\n")
    cloud.events = stub.PREEMPT
    assert machine.report(143, "success") == 0
    assert REPORT not in cloud.blobs
    # Somebody who switches the machine off is no notice.
    cloud.events = b'{"DocumentIncarnation":1,"Events":[]}'
    assert machine.report(143, "success") == 0
    assert machine.sent()["status"] == "failed"


def test_hard_stop_is_a_timeout(tmp_path: Path, cloud: Cloud) -> None:
    machine = Machine(tmp_path, cloud, puppet="stuck")
    process = subprocess.Popen([machine.home / "boot/start"], env=machine.environment())
    log = machine.home / "state/train.log"
    while not (log.exists() and b"puppet: stuck" in log.read_bytes()):
        assert process.poll() is None, machine.log()
    process.send_signal(signal.SIGTERM)
    code = process.wait(60)
    assert not (machine.home / "state/report.json").exists()
    assert machine.report(code, "timeout") == 0
    sent = machine.sent()
    assert (sent["status"], sent["stage"]) == ("timed_out", "train")
    assert "stopped" in str(sent["reason"])


def test_hard_stop_in_the_past(tmp_path: Path, cloud: Cloud) -> None:
    machine = Machine(tmp_path, cloud)
    machine.values["hard_stop_s"] = "1000"
    machine.write_values()
    code = machine.start()
    assert (code, machine.report(code)) == (124, 0)
    sent = machine.sent()
    assert (sent["status"], sent["stage"], sent["exit_code"]) == ("timed_out", "environment", 124)


def test_claim_of_another_machine(tmp_path: Path, cloud: Cloud) -> None:
    machine = Machine(tmp_path, cloud)
    cloud.blobs[CLAIM] = b"handler"
    assert machine.start() == 0
    assert "poweroff" in machine.asked()
    assert machine.report(0, "success") == 0
    assert REPORT not in cloud.blobs
    assert cloud.bells == []
    assert cloud.blobs[CLAIM] == b"handler"


def test_claim_lost_after_a_reboot(tmp_path: Path, cloud: Cloud) -> None:
    machine = Machine(tmp_path, cloud, puppet="runner-killed")
    code = machine.start()
    cloud.blobs[CLAIM] = b"handler"
    assert code != 0
    assert machine.start() == 0
    assert "poweroff" in machine.asked()
    machine.report(0, "success")
    assert REPORT not in cloud.blobs
    assert cloud.bells == []


def test_claim_whose_answer_was_lost(tmp_path: Path, cloud: Cloud) -> None:
    machine = Machine(tmp_path, cloud, puppet="fails")

    def lose_first_answer(call: Call) -> int | None:
        if call.method == "PUT" and call.path == CLAIM and CLAIM not in cloud.blobs:
            cloud.blobs[CLAIM] = call.body
            return 503
        return None

    cloud.refuse = lose_first_answer
    machine.start()
    assert (machine.home / "state/claimed").read_text() == stub.MACHINE
    assert "poweroff" not in machine.asked()


def test_report_is_repeated(tmp_path: Path, cloud: Cloud) -> None:
    machine = Machine(tmp_path, cloud)
    (machine.home / "state").mkdir()
    (machine.home / "state/claimed").write_text(stub.MACHINE)
    left = {"PUT": 1, "POST": 1}

    def fail_at_first(call: Call) -> int | None:
        if left.get(call.method, 0) > 0:
            left[call.method] -= 1
            return 500
        return None

    cloud.refuse = fail_at_first
    assert machine.report(7) == 0
    assert cloud.paths("PUT") == [REPORT, REPORT]
    assert len(cloud.bells) == 1
    assert machine.sent()["exit_code"] == 7


def test_report_without_python_escapes_everything(tmp_path: Path, cloud: Cloud) -> None:
    machine = Machine(tmp_path, cloud)
    state = machine.home / "state"
    state.mkdir()
    (state / "claimed").write_text(stub.MACHINE)
    (state / "stage").write_text("environment")
    secret = cloud.link("/blob/x", "r")
    lines = [b"line %d" % number for number in range(30)]
    lines += [
        b'quotes " and \\ back\\\\slashes \\n',
        b"control \x00\x01\x1b[31m\x7f tab\there",
        b"invalid \xff\xfe \xed\xa0\x80 utf-8 \xe5\x86",
        "日本語の行".encode(),
        b"progress 1%\rprogress 2%\rprogress 3%",
        b"GET " + secret.encode() + b" failed",
        b"x" * 5000,
        b"a line without an end",
    ]
    (state / "train.log").write_bytes(b"\n".join(lines))
    (state / "reason").write_bytes(b'the "environment" \\ failed: ' + secret.encode() + b"\n")
    assert machine.report(1) == 0
    sent = machine.sent()
    log = sent["log"]
    assert isinstance(log, list)
    assert len(log) == 20
    assert log[-1] == "a line without an end"
    assert log[-2] == "x" * 300
    assert log[-3].startswith("GET http://127.0.0.1")
    assert log[-3].endswith("?... failed")
    assert log[-6:-3] == ["progress 1%", "progress 2%", "progress 3%"]
    assert log[-7] == "日本語の行"
    assert log[-10] == 'quotes " and \\ back\\\\slashes \\n'
    assert str(sent["reason"]).startswith('the "environment" \\ failed: http://127.0.0.1')
    assert (sent["stage"], sent["status"], sent["exit_code"]) == ("environment", "failed", 1)
    no_secret(cloud.blobs[REPORT])


@pytest.mark.parametrize(
    ("result", "code", "status", "words"),
    [
        ("timeout", -15, "timed_out", "the time was up"),
        ("oom-kill", -9, "failed", "memory"),
        ("signal", -9, "failed", "killed"),
        ("exit-code", 124, "timed_out", "the time was up"),
        ("success", 0, "failed", "no report"),
    ],
)
def test_what_systemd_says(
    tmp_path: Path, cloud: Cloud, result: str, code: int, status: str, words: str
) -> None:
    machine = Machine(tmp_path, cloud)
    (machine.home / "state").mkdir()
    (machine.home / "state/claimed").write_text(stub.MACHINE)
    assert machine.report(code, result) == 0
    sent = machine.sent()
    assert sent["status"] == status
    assert words in str(sent["reason"])
    assert sent["stage"] == "start"
    assert sent["log"] == []


def test_memory_is_the_reason_and_not_the_stop_that_follows(tmp_path: Path, cloud: Cloud) -> None:
    """When the kernel kills the trainer, systemd stops the rest of the work."""
    machine = Machine(tmp_path, cloud)
    (machine.home / "state").mkdir()
    (machine.home / "state/claimed").write_text(stub.MACHINE)
    (machine.home / "state/stage").write_text("train")
    (machine.home / "state/reason").write_text("stopped from outside in stage train")
    assert machine.report(143, "oom-kill") == 0
    assert machine.sent()["reason"] == "the memory of the VM was full in stage train"


def test_what_cannot_be_kept_is_told_all_the_same(tmp_path: Path, cloud: Cloud) -> None:
    """As on a full disk: the report finds no place beside the work."""
    machine = Machine(tmp_path, cloud)
    (machine.home / "state/report.made.json.new").mkdir(parents=True)
    (machine.home / "state/train.log").mkdir()
    (machine.home / "state/claimed").write_text(stub.MACHINE)
    assert machine.report(1) == 0
    assert machine.sent()["status"] == "failed"
    assert len(cloud.bells) == 1


def test_scripts_with_another_sha256(tmp_path: Path, cloud: Cloud) -> None:
    machine = Machine(tmp_path, cloud)
    cloud.blobs["/blob/job-files/scripts/x.tar.gz"] += b"x"
    code = machine.start()
    assert (code, machine.report(code)) == (1, 0)
    sent = machine.sent()
    assert sent["stage"] == "fetch"
    assert "sha256" in str(sent["reason"])
    assert not (machine.home / "scripts").exists()


def test_environment_that_cannot_be_made(tmp_path: Path, cloud: Cloud) -> None:
    machine = Machine(tmp_path, cloud, uv="#!/bin/bash\necho 'uv: no network' >&2\nexit 2\n")
    code = machine.start()
    assert code == 2
    assert machine.report(code) == 0
    sent = machine.sent()
    assert sent["stage"] == "environment"
    assert sent["reason"] == "the Python environment could not be made"
    assert "uv: no network" in json.dumps(sent["log"])
