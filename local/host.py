"""The Functions host, played: it starts the handler, brings it work and judges its answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from azure.storage.queue import QueueMessage

from local import payload
from local.clock import Clock
from local.host_app import Function, expand, span
from local.host_calls import Caller, Outcome
from local.host_process import Options
from local.queues import Queues
from local.recorder import Recorder

__all__ = ["FunctionsHost", "Options", "Outcome"]

LEASE_S = 600
RENEW_S = 300
POLL_S = 0.1
QUEUE_NAME_MAX = 63


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


class FunctionsHost(Caller):
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
        super().__init__(root, settings, clock, recorder, queues, name, options or Options())
        self.given_up: list[str] = []
        """The text of each message that went to a poison queue."""
        self._batch = int(self._queues_config.get("batchSize", 16))
        self._threshold = int(self._queues_config.get("newBatchThreshold", self._batch // 2))
        self._visibility_s = span(self._queues_config.get("visibilityTimeout", "00:00:00"))
        self._max_dequeue = int(self._queues_config.get("maxDequeueCount", 5))
        self._flights: list[Flight] = []

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
        return expand(function.trigger["queueName"], self._settings).lower()

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


def _has_poison(queue: str) -> bool:
    """A poison queue has none of its own, nor has one whose name would get too long."""
    return not queue.endswith("-poison") and len(queue) + len("-poison") <= QUEUE_NAME_MAX
