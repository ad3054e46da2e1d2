"""A folder that plays `/` for a VM, and the processes that run in it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path

from local.clock import Clock
from local.paths import UV_CACHE
from local.recorder import Recorder

STEP_S = 0.02
POST_CAP_S = 60.0
"""ExecStopPost gets at most this many real seconds."""
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NETWORK_VARIABLES = re.compile(
    r"(?i)(https?|no|all)_proxy|SSL_CERT_(FILE|DIR)|UV_[A-Z_]*(INDEX|CERT|TLS)\w*"
)
"""What the operator of this machine needs to reach a package index goes into the VM too."""


class Sandbox:
    """What a VM is made of: its files, its processes, and what they print."""

    def __init__(self, name: str, root: Path, imds: str, clock: Clock, recorder: Recorder) -> None:
        """Use the folder `root`; `imds` is the address of the metadata service."""
        self.root = root
        self.lines: list[str] = []
        self._name = name
        self._imds_url = imds
        self._clock = clock
        self._recorder = recorder
        self._marker = f"SANDBOX={uuid.uuid4()}"
        self._dead = threading.Event()

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

    def _say(self, line: str) -> None:
        self.lines.append(line)
        self._recorder.add_line(self._name, line)

    def _environment(self, extra: dict[str, str] | None = None) -> dict[str, str]:
        name, _, value = self._marker.partition("=")
        passed = {k: v for k, v in os.environ.items() if NETWORK_VARIABLES.fullmatch(k)}
        return {
            **passed,
            "PATH": f"{self.root / 'shim'}:{SYSTEM_PATH}",
            "LANG": "C.UTF-8",
            "RETRAIN_IMDS": self._imds_url,
            "RETRAIN_SPARE_GIB": "0",  # the disk of this machine is not the VM's
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

    def _kill_all(self) -> None:
        """SIGKILL everything that belongs to this VM until nothing is left."""
        while self.signal("", signal.SIGKILL):
            time.sleep(STEP_S / 2)
