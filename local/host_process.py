"""The handler's process, as the Functions host keeps it running."""

from __future__ import annotations

import http.client
import shlex
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.clock import Clock, wait_until
from local.host_app import expand, read_config, span
from local.host_connections import Connections
from local.recorder import Recorder

PROBE_S = 0.025
CRASH_WINDOW_S = 1800.0
CRASHES = 3


@dataclass
class Options:
    """How the host behaves where the real one differs by version, plan or chance."""

    chunked: bool = True
    piece: int = 7
    """Bytes per chunk: small and odd, so that UTF-8 sequences and escapes are split."""
    newer_exit: bool = False
    """Exit code 0 restarts the handler (hosts since 2026) instead of leaving it dead."""
    start_s: float = 30.0
    timers: bool = False
    """Fire timers by themselves when a minute of the moved clock has passed."""
    queues: bool = True
    """Fetch messages from the queues."""


class HandlerProcess:
    """One handler process: its port, what it prints, and its successors."""

    def __init__(
        self,
        root: Path,
        settings: Mapping[str, str],
        clock: Clock,
        recorder: Recorder,
        name: str,
        options: Options,
    ) -> None:
        """Read host.json and choose a port. Raises ValueError when a host would refuse it."""
        self.options = options
        self.lines: list[str] = []
        self.violations: list[str] = []
        self.starts = 0
        self.down = False
        """The host has given up after too many crashes."""
        self._root = root
        self._settings = dict(settings)
        self._clock = clock
        self._recorder = recorder
        self._name = name
        self._config = read_config(root)
        self.timeout_s = span(self._config.get("functionTimeout", "00:30:00"))
        piece = options.piece if options.chunked else None
        self._connections = Connections(clock, self.timeout_s, piece)
        self.port = self._connections.port
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._killed: set[int] = set()
        self._crashes: list[float] = []
        self._threads: list[threading.Thread] = []

    def kill(self) -> None:
        """SIGKILL the handler; while the host runs it starts a new one at once, uncounted."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        self._killed.add(process.pid)
        process.kill()
        process.wait()

    def signal(self, number: int) -> int:
        """Send a signal to the handler and return its exit code (10 real seconds at most)."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(10)

    def dead(self) -> bool:
        """The handler has ended and its successor has not been started yet."""
        return self._process is None or self._process.poll() is not None

    @property
    def pid(self) -> int:
        """The process id of the handler that runs now."""
        assert self._process is not None
        return self._process.pid

    def wait_ready(self) -> None:
        """Wait until the handler takes connections, e.g. after a kill. Raises TimeoutError."""
        self._probe()

    def restarted(self, starts: int) -> None:
        """Wait until a handler runs that is not one of the first `starts`. Raises TimeoutError."""
        wait_until(lambda: self.starts > starts, self.options.start_s, "the new handler")
        self.wait_ready()

    def request(self, method: str, path: str, body: bytes = b"") -> http.client.HTTPResponse:
        """Send a raw request to the handler, as a stray client would."""
        connection = self._connections.open(timeout_s=30)
        connection.request(method, path, body or None)
        return connection.getresponse()

    def _spawn(self) -> None:
        description = self._config["customHandler"]["description"]
        port, worker = str(self.port), str(uuid.uuid4())
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": "/tmp",
            "LANG": "C.UTF-8",
            "FUNCTIONS_WORKER_RUNTIME": "custom",
            **self._settings,
            "FUNCTIONS_CUSTOMHANDLER_PORT": port,
            "FUNCTIONS_HTTPWORKER_PORT": port,
            "FUNCTIONS_CUSTOMHANDLER_WORKER_ID": worker,
            "FUNCTIONS_HTTPWORKER_ID": worker,
            "FUNCTIONS_APP_ROOT_PATH": str(self._root),
            **self._clock.environment(),
        }
        program = expand(description["defaultExecutablePath"], environment)
        base = self._root / description.get("workerDirectory", "")
        if (base / program).is_file():
            program = str(base / program)
        line = " ".join(expand(word, environment) for word in description.get("arguments") or [])
        self._connections.drop()
        process = subprocess.Popen(
            [program, *shlex.split(line)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._root / (description.get("workingDirectory") or ""),
            env=environment,
            start_new_session=True,
        )
        self._process = process
        self.starts += 1
        for stream, source in ((process.stdout, "stdout"), (process.stderr, "stderr")):
            threading.Thread(target=self._read, args=(stream, source), daemon=True).start()
        self._background(self._watch, process)

    def _probe(self) -> None:
        """Ask GET / every 25 ms until anything answers, as the host does."""
        end = time.monotonic() + self.options.start_s
        while time.monotonic() < end and not self.down:
            connection = self._connections.open()
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
                return
            except ConnectionRefusedError:
                time.sleep(PROBE_S)
            except (OSError, http.client.HTTPException):
                return
            finally:
                connection.close()
        raise TimeoutError("Initializing HttpWorker timed out.")

    def _read(self, stream: Any, source: str) -> None:
        for raw in stream:
            self._note(source, raw.decode("utf-8", "replace").rstrip("\r\n"))
        stream.close()

    def _note(self, source: str, line: str) -> None:
        self.lines.append(f"{source}: {line}")
        self._recorder.add_line(f"{self._name} {source}", line)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Restart the handler by the host's rules when it ends."""
        while process.poll() is None:
            if self._stopping.wait(0.02):
                return
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        if self._stopping.is_set():
            return
        self._note("host", f"the handler exited with code {code}")
        if process.pid in self._killed or code == 200 or (code == 0 and self.options.newer_exit):
            self._restart()
        elif code == 0:
            self.violations.append("the handler exited with 0: older hosts never start it again")
        else:
            now = time.monotonic()
            if self._crashes and now - self._crashes[-1] > CRASH_WINDOW_S:
                self._crashes.clear()
            self._crashes.append(now)
            if len(self._crashes) >= CRASHES:
                self.down = True
                self._note("host", "Exceeded http worker restart retry count. Shutting down.")
                return
            self._restart()

    def _restart(self) -> None:
        try:
            self._spawn()
            self._probe()
        except (OSError, TimeoutError) as error:
            self._note("host", f"Failed to start: {error}")

    def _background(self, job: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=job, args=arguments, daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()] + [thread]
        thread.start()
