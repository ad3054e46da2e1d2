"""Runs a VM as a process tree: what cloud-init and systemd do with its customData, and IMDS."""

from __future__ import annotations

import base64
import configparser
import gzip
import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

from local.arm_types import MachineSpec
from local.clock import Clock
from local.faults import Faults
from local.paths import UV_CACHE
from local.recorder import Exchange, Recorder
from local.service import Request, Response, Service

STEP_S = 0.02
STOP_CAP_S = 3.0
"""A unit gets at most this many real seconds to stop, whatever TimeoutStopSec allows."""
POST_CAP_S = 60.0
"""ExecStopPost gets at most this many real seconds."""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NETWORK_VARIABLES = re.compile(
    r"(?i)(https?|no|all)_proxy|SSL_CERT_(FILE|DIR)|UV_[A-Z_]*(INDEX|CERT|TLS)\w*"
)
"""What the operator of this machine needs to reach a package index goes into the VM too."""

SYSTEMCTL = """#!/bin/bash
# Plays systemctl: leaves each request where the runner of this VM finds it.
box='@BOX@'
if [[ ${1-} == list-jobs ]]; then
    exec cat "$box/jobs"
fi
fresh=$(mktemp "$box/new.XXXXXX")
printf '%s\\n' "$*" >"$fresh"
exec mv "$fresh" "$box/$EPOCHREALTIME.$$.request"
"""

Work = Callable[["VirtualMachine"], None] | Path
"""What may take the place of a unit's ExecStart: a function, or a program given the home folder."""


class Imds(Service):
    """The instance metadata service of one VM."""

    name = "imds"

    def __init__(self, clock: Clock, recorder: Recorder, faults: Faults, spec: MachineSpec) -> None:
        """Serve the metadata of `spec`."""
        super().__init__(clock, recorder, faults)
        self._compute = {
            "vmId": spec.vm_id,
            "name": spec.name,
            "resourceGroupName": spec.group,
            "location": spec.location,
            "vmSize": spec.size,
        }
        self._name = spec.name
        self._events: list[dict[str, Any]] = []

    def preempt(self, at: float) -> None:
        """Announce from now on that the VM is taken away at a time of the moved clock."""
        self._events = [
            {
                "EventId": str(uuid.uuid4()),
                "EventType": "Preempt",
                "ResourceType": "VirtualMachine",
                "Resources": [self._name],
                "EventStatus": "Scheduled",
                "NotBefore": formatdate(at, usegmt=True),
                "Description": "",
                "EventSource": "Platform",
                "DurationInSeconds": -1,
            }
        ]

    def handle(self, request: Request) -> Response:
        """Answer as IMDS does: only to requests with `Metadata: true` and a known version."""
        if request.headers.get("Metadata", "").lower() != "true":
            return Response.json(400, {"error": "Bad request. Required metadata header missing"})
        if request.query.get("api-version") not in ("2020-07-01", "2021-02-01"):
            return Response.json(400, {"error": "Bad request. api-version was not specified"})
        pieces = request.segments()
        if pieces == ["metadata", "scheduledevents"]:
            events = self._events
            return Response.json(200, {"DocumentIncarnation": 1 + len(events), "Events": events})
        if pieces == ["metadata", "instance", "compute"]:
            return Response.json(200, self._compute)
        if pieces[:3] == ["metadata", "instance", "compute"] and pieces[-1] in self._compute:
            if request.query.get("format") != "text":
                return Response.json(400, {"error": "Bad request. Leaves need format=text"})
            return Response(200, {"Content-Type": "text/plain"}, self._compute[pieces[-1]].encode())
        return Response.json(404, {"error": "Not found"})


class VmRunner:
    """Boots VMs. `work` takes the place of what they would run, for tests."""

    def __init__(self, folder: Path, clock: Clock, recorder: Recorder, faults: Faults) -> None:
        """Keep the sandboxes below `folder`."""
        self.work: Work | None = None
        self.machines: list[VirtualMachine] = []
        self._folder = folder
        self._clock = clock
        self._recorder = recorder
        self._faults = faults

    def boot(self, spec: MachineSpec) -> VirtualMachine:
        """Start a VM and return at once; it goes through its boot in a thread."""
        root = self._folder / f"{spec.group}-{spec.vm_id[:8]}"
        imds = Imds(self._clock, self._recorder, self._faults, spec)
        machine = VirtualMachine(spec, root, imds, self._clock, self._recorder, self.work)
        self.machines.append(machine)
        machine.start()
        return machine


class Unit:
    """A systemd service: what its file says, and its main process."""

    def __init__(self, name: str, file: Path) -> None:
        """Read a unit file. Raises configparser.Error when it is none."""
        parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(file.read_text(encoding="utf-8"))
        service = parser["Service"]
        self.name = name
        self.start = service["ExecStart"]
        self.stop_post = service.get("ExecStopPost")
        self.limit_s = _seconds(service.get("RuntimeMaxSec", "infinity"))
        self.stop_s = min(_seconds(service.get("TimeoutStopSec", "90")), STOP_CAP_S)
        self.environment = dict(
            item.partition("=")[::2] for item in shlex.split(service.get("Environment", ""))
        )
        self.process: subprocess.Popen[bytes] | None = None
        self.since = 0.0


class VirtualMachine:
    """One VM: a sandbox folder that plays `/`, its processes, and a thread that plays systemd."""

    def __init__(
        self,
        spec: MachineSpec,
        root: Path,
        imds: Imds,
        clock: Clock,
        recorder: Recorder,
        work: Work | None,
    ) -> None:
        """Prepare the sandbox; `start` switches the VM on."""
        self.spec = spec
        self.root = root
        self.home = root / "opt" / "retrain"
        self.lines: list[str] = []
        self.results: list[str] = []
        self._imds = imds
        self._clock = clock
        self._recorder = recorder
        self._work = work
        self._marker = f"SANDBOX={uuid.uuid4()}"
        self._box = root / "run" / "systemctl"
        self._enabled: list[str] = []
        self._units: dict[str, Unit] = {}
        self._dead = threading.Event()
        self._off = threading.Event()
        self._thread = threading.Thread(target=self._life, name=f"vm {spec.group}", daemon=True)

    def start(self) -> None:
        """Switch the VM on."""
        self._box.mkdir(parents=True)
        (self._box / "jobs").write_text("No jobs running.\n", encoding="ascii")
        shim = self.root / "shim" / "systemctl"
        shim.parent.mkdir()
        shim.write_text(SYSTEMCTL.replace("@BOX@", str(self._box)), encoding="utf-8")
        shim.chmod(0o755)
        UV_CACHE.mkdir(parents=True, exist_ok=True)
        self._imds.start()
        self._thread.start()

    def kill(self) -> None:
        """Cut the power: every process of the VM gets SIGKILL. Doing it again does nothing."""
        first = not self._dead.is_set()
        self._dead.set()
        self._kill_all()
        if first:
            self._collect_logs()
        if threading.current_thread() is not self._thread:
            self._thread.join(10)
        self._kill_all()

    def announce_eviction(self, at: float) -> None:
        """Tell the VM by its scheduled events that it is taken away."""
        self._imds.preempt(at)

    def _collect_logs(self) -> None:
        """Add the log files of the work to the console, so that they are searched too."""
        for file in sorted(self.home.glob("state/*.log")):
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                self._say(line)

    def power(self) -> str:
        """Return "running" or "stopped"."""
        return "stopped" if self._off.is_set() else "running"

    def console(self) -> bytes:
        """Return what has been printed so far."""
        return "".join(f"{line}\r\n" for line in list(self.lines)).encode()

    def reboot(self) -> None:
        """Ask for a reboot, as somebody on the machine would."""
        self._ask("reboot")

    def processes(self, command: str = "") -> dict[int, str]:
        """Return the VM's processes, id and command line, that match a regular expression."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if self._marker.encode() not in (entry / "environ").read_bytes().split(b"\0"):
                    continue
                line = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                )
            except OSError:
                continue
            if re.search(command, line):
                found[int(entry.name)] = line
        return found

    def signal(self, command: str, number: signal.Signals) -> int:
        """Send a signal to all matching processes and return how many got it."""
        count = 0
        for process in self.processes(command):
            try:
                os.kill(process, number)
            except ProcessLookupError:
                continue
            count += 1
        return count

    # The life of the machine, in its own thread.

    def _life(self) -> None:
        try:
            self._cloud_init()
            while not self._dead.is_set() and not self._off.is_set():
                self._requests()
                for unit in list(self._units.values()):
                    self._watch(unit)
                time.sleep(STEP_S)
        except (ValueError, KeyError, OSError, configparser.Error) as error:
            self._say(f"cloud-init or systemd: {type(error).__name__}: {error}")
        finally:
            self._imds.stop()

    def _say(self, line: str) -> None:
        self.lines.append(line)
        self._recorder.add_line(f"vm {self.spec.group}", line)

    def _cloud_init(self) -> None:
        data = self.spec.custom_data
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        text = data.decode("utf-8")
        first, _, rest = text.partition("\n")
        if first.rstrip() != "#cloud-config":
            raise ValueError("customData does not begin with #cloud-config")
        config = json.loads(rest)
        for entry in config.get("write_files", []):
            self._write_file(entry)
        for command in config.get("runcmd", []):
            words = ["/bin/sh", "-c", command] if isinstance(command, str) else command
            self._run(self._inside(words))
            self._requests()

    def _write_file(self, entry: dict[str, Any]) -> None:
        unknown = set(entry) - {"path", "permissions", "owner", "content", "encoding"}
        if unknown or entry.get("owner", "root:root") != "root:root":
            raise ValueError(f"write_files: {sorted(unknown) or entry['owner']} is not supported")
        content = entry.get("content", "")
        encoding = entry.get("encoding", "text/plain")
        if encoding in ("b64", "base64"):
            data = base64.b64decode(content, validate=True)
        elif encoding == "text/plain":
            data = content.encode()
        else:
            raise ValueError(f"write_files: encoding {encoding} is not supported")
        if not entry["path"].startswith("/"):
            raise ValueError("write_files: the path is not absolute")
        written = Exchange(self._clock.now(), "vm", "WRITE", entry["path"], [], data)
        self._recorder.add(written)
        target = Path(f"{self.root}{entry['path']}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(int(entry.get("permissions", "0644"), 8))

    def _environment(self, extra: dict[str, str] | None = None) -> dict[str, str]:
        name, _, value = self._marker.partition("=")
        passed = {k: v for k, v in os.environ.items() if NETWORK_VARIABLES.fullmatch(k)}
        return {
            **passed,
            "PATH": f"{self.root / 'shim'}:{SYSTEM_PATH}",
            "LANG": "C.UTF-8",
            "RETRAIN_IMDS": self._imds.url,
            "UV_CACHE_DIR": str(UV_CACHE),
            name: value,
            **self._clock.environment(),
            **(extra or {}),
        }

    def _inside(self, words: list[str]) -> list[str]:
        """Return a command line with the paths that exist in the sandbox pointing there."""
        return [
            f"{self.root}{word}"
            if word.startswith("/") and Path(f"{self.root}{word}").exists()
            else word
            for word in words
        ]

    def _spawn(self, words: list[str], extra: dict[str, str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.root,
            env=self._environment(extra),
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        return process

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._say(line.decode("utf-8", "replace").rstrip())
        process.stdout.close()

    def _run(self, words: list[str], extra: dict[str, str] | None = None) -> None:
        """Run a command to its end, at most POST_CAP_S real seconds."""
        process = self._spawn(words, extra or {})
        end = time.monotonic() + POST_CAP_S
        while process.poll() is None and not self._dead.is_set():
            if time.monotonic() > end:
                self._say(f"{words[0]} took longer than {POST_CAP_S:g} s and was killed")
                process.kill()
            time.sleep(STEP_S)
        if self._dead.is_set():
            process.kill()
        process.wait()

    # systemd

    def _ask(self, request: str) -> None:
        fresh = self._box / f"new.{uuid.uuid4()}"
        fresh.write_text(request + "\n", encoding="utf-8")
        fresh.rename(self._box / f"{time.time():.6f}.0.request")

    def _requests(self) -> None:
        for file in sorted(self._box.glob("*.request")):
            words = file.read_text(encoding="utf-8").split()
            file.unlink()
            verb, names = words[0], [word for word in words[1:] if not word.startswith("-")]
            if verb == "enable":
                self._enabled += names
            elif verb == "start":
                for name in names:
                    self._start_unit(name)
            elif verb == "stop":
                for name in names:
                    self._stop_unit(name)
            elif verb in ("poweroff", "reboot"):
                self._shut_down(verb)
            elif verb != "daemon-reload":
                self._say(f"systemctl {' '.join(words)}: not played here")

    def _shut_down(self, verb: str) -> None:
        jobs = f"1 {verb}.target start waiting\n\n1 jobs listed.\n"
        (self._box / "jobs").write_text(jobs, encoding="ascii")
        for name in list(self._units):
            self._stop_unit(name)
        self._kill_all()
        (self._box / "jobs").write_text("No jobs running.\n", encoding="ascii")
        if verb == "poweroff":
            self._off.set()
        elif not self._dead.is_set():
            for name in self._enabled:
                self._start_unit(name)

    def _start_unit(self, name: str) -> None:
        if name in self._units:
            return
        unit = self._units[name] = Unit(name, self.root / "etc" / "systemd" / "system" / name)
        unit.since = self._clock.now()
        if callable(self._work):
            threading.Thread(target=self._work, args=(self,), daemon=True).start()
            return
        words = self._inside(shlex.split(unit.start))
        if self._work is not None:
            words = [str(self._work), str(self.home)]
        unit.process = self._spawn(words, unit.environment)

    def _watch(self, unit: Unit) -> None:
        """End a unit whose main process has ended or whose run limit is over."""
        if unit.process is None:
            return
        if unit.process.poll() is not None:
            self._finish(unit, "")
        elif self._clock.now() - unit.since >= unit.limit_s:
            self._say(f"{unit.name}: run limit of {unit.limit_s:g} s reached")
            self._terminate(unit)
            self._finish(unit, "timeout")

    def _stop_unit(self, name: str) -> None:
        unit = self._units.get(name)
        if unit is None or unit.process is None:
            self._units.pop(name, None)
            return
        self._terminate(unit)
        self._finish(unit, "success")

    def _terminate(self, unit: Unit) -> None:
        """KillMode=mixed: SIGTERM to the main process, SIGKILL to what is left after the limit."""
        assert unit.process is not None
        unit.process.terminate()
        try:
            unit.process.wait(unit.stop_s)
        except subprocess.TimeoutExpired:
            self._kill_all()
            unit.process.wait()

    def _finish(self, unit: Unit, result: str) -> None:
        """Kill what the unit left, then run ExecStopPost with systemd's three variables."""
        assert unit.process is not None
        code = unit.process.returncode
        self._kill_all()
        if code >= 0:
            how, status = "exited", str(code)
            result = result or ("success" if code == 0 else "exit-code")
        else:
            how, status = "killed", signal.Signals(-code).name.removeprefix("SIG")
            clean = -code in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE)
            result = result or ("success" if clean else "signal")
        self.results.append(result)
        self._units.pop(unit.name, None)
        if unit.stop_post and not self._dead.is_set():
            words = self._inside(shlex.split(unit.stop_post.lstrip("-+!@:")))
            ended = {"SERVICE_RESULT": result, "EXIT_CODE": how, "EXIT_STATUS": status}
            self._run(words, unit.environment | ended)
            self._kill_all()

    def _kill_all(self) -> None:
        """SIGKILL everything that belongs to this VM until nothing is left."""
        while self.signal("", signal.SIGKILL):
            time.sleep(STEP_S / 2)


def _seconds(text: str) -> float:
    """Return systemd's time span `text` (plain seconds, "5min", "1h 30s", "infinity")."""
    if text.strip() in ("", "infinity"):
        return float("inf")
    units = {"": 1, "s": 1, "sec": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
    total = 0.0
    for number, unit in re.findall(r"([\d.]+)\s*([a-z]*)", text):
        total += float(number) * units[unit]
    return total
