"""The Functions host, played: it starts the handler, brings it work and judges its answers."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from azure.storage.queue import QueueMessage

from local import judge, payload
from local.clock import Clock, wait_until
from local.judge import Hang, InvocationFailed
from local.queues import Queues
from local.recorder import Recorder

CONNECTIONS = 24
IDLE_S = 60
"""Moved seconds for which an idle connection is kept."""
PROBE_S = 0.025
LEASE_S = 600
RENEW_S = 300
POLL_S = 0.1
CRASH_WINDOW_S = 1800.0
CRASHES = 3
QUEUE_NAME_MAX = 63
HOST_VERSION = "4.1037.0.0"


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


@dataclass
class Function:
    """One function of the app root."""

    name: str
    trigger: dict[str, Any]
    outputs: list[dict[str, Any]]


@dataclass
class Flight:
    """A message being worked on."""

    queue: str
    id: str
    receipt: str
    leased: float
    over: bool = False
    """The lease was lost, or the message is dealt with."""
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Outcome:
    """What became of one invocation."""

    function: str
    invocation: str
    error: Exception | None
    message_id: str | None = None
    answer: dict[str, Any] = field(default_factory=dict)


class FunctionsHost:
    """One host instance with one handler process, for an app root such as dist/."""

    def __init__(
        self,
        root: Path,
        settings: Mapping[str, str],
        clock: Clock,
        recorder: Recorder,
        queues: Queues,
        name: str = "app",
        options: Options | None = None,
    ) -> None:
        """Read host.json and the functions. Raises ValueError when a host would refuse them."""
        self.options = options or Options()
        self.lines: list[str] = []
        self.violations: list[str] = []
        self.outcomes: list[Outcome] = []
        self.given_up: list[str] = []
        """The text of each message that went to a poison queue."""
        self.starts = 0
        self.down = False
        """The host has given up after too many crashes."""
        self._root = root
        self._settings = dict(settings)
        self._clock = clock
        self._recorder = recorder
        self._queues = queues
        self._name = name
        self._config = _host_json(root)
        self.functions = {f.name: f for f in _functions(root)}
        self.timeout_s = _span(self._config.get("functionTimeout", "00:30:00"))
        options_of_queues = (self._config.get("extensions") or {}).get("queues") or {}
        self._batch = int(options_of_queues.get("batchSize", 16))
        self._threshold = int(options_of_queues.get("newBatchThreshold", self._batch // 2))
        self._visibility_s = _span(options_of_queues.get("visibilityTimeout", "00:00:00"))
        self._max_dequeue = int(options_of_queues.get("maxDequeueCount", 5))
        self._encoding = options_of_queues.get("messageEncoding", "base64")
        self.port = _free_port()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._killed: set[int] = set()
        self._crashes: list[float] = []
        self._flights: list[Flight] = []
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []
        self._gate = threading.Semaphore(CONNECTIONS)
        self._threads: list[threading.Thread] = []

    # Life

    def start(self) -> FunctionsHost:
        """Start the handler and, when it is ready, the triggers. Raises TimeoutError, OSError."""
        self._spawn()
        try:
            self._probe()
        except TimeoutError as error:
            raise TimeoutError(f"{error} The last lines: {self.lines[-6:]}") from None
        jobs = [self._renew]
        if self.options.timers:
            jobs.append(self._tick)
        for job in jobs:
            self._background(job)
        if self.options.queues:
            for function in self.functions.values():
                if function.trigger["type"] == "queueTrigger":
                    self._background(self._listen, function)
        return self

    def stop(self) -> None:
        """Stop fetching, let running invocations end (10 real seconds), SIGKILL the handler."""
        self._stopping.set()
        end = time.monotonic() + 10
        for thread in self._threads:
            thread.join(max(0.1, end - time.monotonic()))
        self.kill()

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

    # Invocations

    def fire(self, function: str) -> Outcome:
        """Fire a timer function now and return what became of it; failures do not raise."""
        return self._invoke(function, payload.timer(self._clock.now()), None)

    def invoke(self, function: str, text: str | bytes, **metadata: Any) -> Outcome:
        """Call a queue function directly with a message's text; `metadata` replaces built-ins.

        Raises Hang or InvocationFailed, which a real host would log.
        """
        data = text.encode() if isinstance(text, str) else text
        outcome = self._invoke(function, data, metadata)
        if outcome.error is not None:
            raise outcome.error
        return outcome

    def request(self, method: str, path: str, body: bytes = b"") -> http.client.HTTPResponse:
        """Send a raw request to the handler, as a stray client would."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body or None)
        return connection.getresponse()

    def _invoke(
        self,
        name: str,
        data: bytes | dict[str, Any],
        metadata: dict[str, Any] | None,
        message: QueueMessage | None = None,
    ) -> Outcome:
        function = self.functions[name]
        invocation = str(uuid.uuid4())
        outcome = Outcome(name, invocation, None, message.id if message else None)
        try:
            body = payload.body(function.trigger, name, data, self._clock.now(), message, metadata)
            status, reason, headers, answer = self._post(name, invocation, body)
            outcome.answer = judge.judge(status, reason, headers, answer)
            for line in outcome.answer.get("Logs") or []:
                self._note("log", str(line))
            for binding in function.outputs:
                value = (outcome.answer.get("Outputs") or {}).get(binding["name"])
                for out in judge.messages(value, binding.get("dataType") == "binary"):
                    self._queues.send(binding["queueName"], out, self._encoding)
        except Hang as error:
            self.violations.append(f"{name}: {error}")
            outcome.error = error
        except (InvocationFailed, OSError, http.client.HTTPException) as error:
            outcome.error = error
        if outcome.error is not None:
            self._note(
                "host", f"Executed 'Functions.{name}' (Failed, Id={invocation}): {outcome.error}"
            )
        if message is None:
            self._keep(outcome)
        return outcome

    def _keep(self, outcome: Outcome) -> None:
        """Remember what became of an invocation; of a message, once it is dealt with."""
        with self._lock:
            self.outcomes.append(outcome)

    def _post(
        self, name: str, invocation: str, body: bytes
    ) -> tuple[int, str, Mapping[str, str], bytes]:
        """Send one invocation over a kept connection. Raises OSError or HTTPException."""
        with self._gate:
            connection = self._kept() or http.client.HTTPConnection("127.0.0.1", self.port)
            connection.timeout = self.timeout_s
            try:
                connection.putrequest("POST", f"/{name}", skip_accept_encoding=True)
                connection.putheader("X-Azure-Functions-HostVersion", HOST_VERSION)
                connection.putheader("X-Azure-Functions-InvocationId", invocation)
                connection.putheader("User-Agent", f"Azure-Functions-Host/{HOST_VERSION}")
                connection.putheader("Content-Type", "application/json; charset=utf-8")
                self._send(connection, body)
                response = connection.getresponse()
                answer = response.read()
            except TimeoutError:
                connection.close()
                self.violations.append(
                    f"{name}: ran into functionTimeout, all of the app is killed"
                )
                self.kill()
                raise InvocationFailed(f"Timeout value of {self.timeout_s:g} s exceeded") from None
            except BaseException:
                connection.close()
                raise
            if connection.sock is not None:
                with self._lock:
                    self._idle.append((self._clock.now(), connection))
            return response.status, response.reason, response.headers, answer

    def _kept(self) -> http.client.HTTPConnection | None:
        """Return the connection that was used last; those that were idle too long are closed."""
        with self._lock:
            while self._idle:
                since, connection = self._idle.pop()
                if self._clock.now() - since < IDLE_S:
                    return connection
                connection.close()
        return None

    def _send(self, connection: http.client.HTTPConnection, body: bytes) -> None:
        if not self.options.chunked:
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        size = max(self.options.piece, len(body) // 200)
        for at in range(0, len(body), size):
            piece = body[at : at + size]
            connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        connection.send(b"0\r\n\r\n")

    def pump(self) -> int:
        """Fetch what the queues hold now, carry it to its end, and return how many messages it was.

        For tests that set the pace themselves, with `options.queues` off.
        """
        carried = []
        for function in self.functions.values():
            if function.trigger["type"] != "queueTrigger":
                continue
            queue = self._queue_of(function)
            for message in self._queues.fetch(queue, self._batch, LEASE_S):
                carry = threading.Thread(target=self._carry, args=(function, queue, message))
                carry.start()
                carried.append(carry)
        for carry in carried:
            carry.join()
        return len(carried)

    def restarted(self, starts: int) -> None:
        """Wait until a handler runs that is not one of the first `starts`. Raises TimeoutError."""
        wait_until(lambda: self.starts > starts, self.options.start_s, "the new handler")
        self.wait_ready()

    # The process

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
        program = _expand(description["defaultExecutablePath"], environment)
        base = self._root / description.get("workerDirectory", "")
        if (base / program).is_file():
            program = str(base / program)
        line = " ".join(_expand(word, environment) for word in description.get("arguments") or [])
        with self._lock:
            for _, connection in self._idle:
                connection.close()
            self._idle.clear()
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
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout_s)
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

    # Queues and timers

    def _listen(self, function: Function) -> None:
        """Fetch messages in batches and run each in a thread of its own."""
        queue = self._queue_of(function)
        running: list[threading.Thread] = []
        while not self._stopping.wait(POLL_S):
            running = [thread for thread in running if thread.is_alive()]
            if len(running) > self._threshold or self.down:
                continue
            for message in self._queues.fetch(queue, self._batch, LEASE_S):
                thread = threading.Thread(target=self._carry, args=(function, queue, message))
                thread.start()
                running.append(thread)
        for thread in running:
            thread.join(10)

    def _queue_of(self, function: Function) -> str:
        return _expand(function.trigger["queueName"], self._settings).lower()

    def _carry(self, function: Function, queue: str, message: QueueMessage) -> None:
        """Run one message and delete, release or poison it."""
        flight = Flight(queue, message.id, message.pop_receipt, self._clock.now())
        with self._lock:
            self._flights.append(flight)
        try:
            if message.dequeue_count > self._max_dequeue and _has_poison(queue):
                self._poison(queue, message, flight.receipt)
                return
            data = payload.decode(message.content, self._encoding)
            if data is None:
                self._note("host", "a message that is not base64 went to the poison queue at once")
                self._poison(queue, message, flight.receipt)
                return
            outcome = self._invoke(function.name, data, None, message)
            with flight.lock:
                if not flight.over:
                    self._settle(outcome, queue, message, flight.receipt)
                flight.over = True
            self._keep(outcome)
        finally:
            with self._lock:
                self._flights.remove(flight)

    def _settle(self, outcome: Outcome, queue: str, message: QueueMessage, receipt: str) -> None:
        """Delete a message that went well; release a failed one, or give it up."""
        if outcome.error is None:
            self._queues.delete(queue, message.id, receipt)
        elif not _has_poison(queue):
            return  # it comes again when its lease is over, as often as it fails
        elif message.dequeue_count >= self._max_dequeue:
            self._note("host", f"Message has reached MaxDequeueCount of {self._max_dequeue}.")
            self._poison(queue, message, receipt)
        else:
            self._queues.release(queue, message.id, receipt, self._visibility_s)

    def _poison(self, queue: str, message: QueueMessage, receipt: str) -> None:
        self.given_up.append(message.content)
        self._queues.poison(queue, message, receipt)

    def _renew(self) -> None:
        """Prolong the lease of messages that have been worked on for 5 minutes of moved time."""
        while not self._stopping.wait(0.1):
            with self._lock:
                flights = list(self._flights)
            for flight in flights:
                with flight.lock:
                    if self._clock.now() - flight.leased < RENEW_S or flight.over:
                        continue
                    receipt = self._queues.renew(flight.queue, flight.id, flight.receipt, LEASE_S)
                    flight.over = receipt is None
                    flight.receipt = receipt or flight.receipt
                    flight.leased = self._clock.now()

    def _prolong(self, flight: Flight) -> None:
        if self._clock.now() - flight.leased < RENEW_S or flight.lost or flight.done:
            return
        receipt = self._queues.renew(flight.queue, flight.id, flight.receipt, LEASE_S)
        flight.lost = receipt is None
        flight.receipt = receipt or flight.receipt
        flight.leased = self._clock.now()

    def _tick(self) -> None:
        """Fire every timer when the moved clock enters another minute."""
        minute = int(self._clock.now() // 60)
        timers = [f.name for f in self.functions.values() if f.trigger["type"] == "timerTrigger"]
        while not self._stopping.wait(0.05):
            if int(self._clock.now() // 60) == minute:
                continue
            minute = int(self._clock.now() // 60)
            for name in timers:
                self.fire(name)


def _host_json(root: Path) -> dict[str, Any]:
    config = json.loads((root / "host.json").read_text(encoding="utf-8"))
    if config.get("version") != "2.0":
        raise ValueError("host.json: version must be 2.0")
    if not (config.get("customHandler") or {}).get("description", {}).get("defaultExecutablePath"):
        raise ValueError("host.json: customHandler.description.defaultExecutablePath is missing")
    queues = (config.get("extensions") or {}).get("queues") or {}
    if not 1 <= int(queues.get("batchSize", 16)) <= 32:
        raise ValueError("host.json: batchSize must be 1 to 32")
    if "extensionBundle" not in config:
        raise ValueError("host.json: without extensionBundle there is no queueTrigger")
    return dict(config)


def _functions(root: Path) -> list[Function]:
    found = []
    for file in sorted(root.glob("*/function.json")):
        name = file.parent.name
        bindings = json.loads(file.read_text(encoding="utf-8")).get("bindings") or []
        triggers = [b for b in bindings if str(b.get("type", "")).endswith("Trigger")]
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,127}", name) or len(triggers) != 1:
            raise ValueError(f"{name}: a function needs a valid name and exactly one trigger")
        if triggers[0]["type"] not in ("queueTrigger", "timerTrigger"):
            raise ValueError(f"{name}: {triggers[0]['type']} is not played here")
        for binding in bindings:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,127}|\$return", binding.get("name", "")):
                raise ValueError(f"{name}: the binding name {binding.get('name')!r} is not valid")
        outputs = [b for b in bindings if b.get("direction") == "out" and b["type"] == "queue"]
        found.append(Function(name, triggers[0], outputs))
    if not found:
        raise ValueError(f"no functions in {root}")
    return found


def _has_poison(queue: str) -> bool:
    """A poison queue has none of its own, nor has one whose name would get too long."""
    return not queue.endswith("-poison") and len(queue) + len("-poison") <= QUEUE_NAME_MAX


def _span(text: str) -> float:
    hours, minutes, seconds = text.split(":")
    span = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    return span.total_seconds()


def _expand(text: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"%(\w+)%", lambda found: variables.get(found[1], ""), text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
