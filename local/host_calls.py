"""Invocations as the Functions host makes and judges them."""

from __future__ import annotations

import http.client
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.storage.queue import QueueMessage

from local import judge, payload
from local.clock import Clock
from local.host_app import read_functions
from local.host_process import HandlerProcess, Options
from local.judge import Hang, InvocationFailed
from local.queues import Queues
from local.recorder import Recorder


@dataclass
class Outcome:
    """What became of one invocation."""

    function: str
    invocation: str
    error: Exception | None
    message_id: str | None = None
    answer: dict[str, Any] = field(default_factory=dict)


class Caller(HandlerProcess):
    """Brings the handler one invocation at a time and judges the answer."""

    def __init__(
        self,
        root: Path,
        settings: Mapping[str, str],
        clock: Clock,
        recorder: Recorder,
        queues: Queues,
        name: str,
        options: Options,
    ) -> None:
        """Read the functions. Raises ValueError when a host would refuse them."""
        super().__init__(root, settings, clock, recorder, name, options)
        self.outcomes: list[Outcome] = []
        self.functions = {f.name: f for f in read_functions(root)}
        self._queues = queues
        self._queues_config = (self._config.get("extensions") or {}).get("queues") or {}
        self._encoding = self._queues_config.get("messageEncoding", "base64")
        self._lock = threading.Lock()

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
        """Send one invocation; one that takes too long ends the handler, as on Azure."""
        try:
            return self._connections.post(name, invocation, body)
        except TimeoutError:
            self.violations.append(f"{name}: ran into functionTimeout, all of the app is killed")
            self.kill()
            raise InvocationFailed(f"Timeout value of {self.timeout_s:g} s exceeded") from None
