"""Runs a VM as a process tree: what cloud-init and systemd do with its customData."""

from __future__ import annotations

import base64
import configparser
import gzip
import json
import shlex
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.arm_types import Machine, MachineSpec
from local.clock import Clock
from local.faults import Faults
from local.image import Image
from local.imds import Imds
from local.paths import UV_CACHE
from local.qemu import QemuMachine
from local.recorder import Exchange, Recorder
from local.vm_sandbox import STEP_S, Sandbox
from local.vm_unit import Unit

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


class VmRunner:
    """Boots VMs. `work` takes the place of what they would run, for tests.

    With an `image` they are real machines (`qemu` mode), else process trees (`process` mode).
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        recorder: Recorder,
        faults: Faults,
        image: Image | None = None,
    ) -> None:
        """Keep the sandboxes below `folder`."""
        self.work: Work | None = None
        self.machines: list[VirtualMachine] = []
        self.brought: Path | None = None
        """What an image would bring: all in this folder is found in the home of process trees,
        `state` as a copy."""
        self.real: list[QemuMachine] = []
        """Those of `qemu` mode."""
        self._image = image
        self._folder = folder
        self._clock = clock
        self._recorder = recorder
        self._faults = faults

    def boot(self, spec: MachineSpec) -> Machine:
        """Start a VM and return at once; it goes through its boot by itself."""
        root = self._folder / f"{spec.group}-{spec.vm_id[:8]}"
        imds = Imds(self._clock, self._recorder, self._faults, spec)
        if self._image is not None:
            real = QemuMachine(spec, root, imds, self._clock, self._recorder, self._image)
            real.start()
            self.real.append(real)
            return real
        machine = VirtualMachine(spec, root, imds, self._clock, self._recorder, self.work)
        if self.brought is not None:
            shutil.copytree(self.brought / "state", machine.home / "state")
            for path in set(self.brought.iterdir()) - {self.brought / "state"}:
                (machine.home / path.name).symlink_to(path)
        self.machines.append(machine)
        machine.start()
        return machine


class VirtualMachine(Sandbox):
    """One VM: a sandbox, and a thread that plays systemd in it."""

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
        super().__init__(f"vm {spec.group}", root, imds.url, clock, recorder)
        self.spec = spec
        self.home = root / "opt" / "retrain"
        self.results: list[str] = []
        self._imds = imds
        self._work = work
        self._box = root / "run" / "systemctl"
        self._enabled: list[str] = []
        self._units: dict[str, Unit] = {}
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
