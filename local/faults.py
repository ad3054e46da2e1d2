"""Scripted trouble for every server of the local cloud."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Reset = Literal["before", "half", "after"]


@dataclass
class Fault:
    """What happens to the requests that match; made by Faults.add, which explains the fields."""

    service: str | None
    method: re.Pattern[str]
    url: re.Pattern[str]
    nth: int
    times: int | None
    status: int | None
    headers: dict[str, str]
    body: bytes
    work: bool
    delay: float
    reset: Reset | None
    before: Callable[[], None] | None
    after: Callable[[], None] | None
    seen: int = 0
    hits: int = 0
    fired: threading.Event = field(default_factory=threading.Event)

    def describe(self) -> str:
        """Return one word or two for the record."""
        return self.reset or (str(self.status) if self.status else "delay or call")


class Faults:
    """The faults in force. The first one that matches a request and is due is applied."""

    def __init__(self) -> None:
        """Start without faults."""
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(
        self,
        *,
        url: str = "",
        method: str = "",
        service: str | None = None,
        nth: int = 1,
        times: int | None = 1,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        work: bool = False,
        delay: float = 0.0,
        reset: Reset | None = None,
        before: Callable[[], None] | None = None,
        after: Callable[[], None] | None = None,
    ) -> Fault:
        """Script a fault and return it; its `hits` and `fired` tell what became of it.

        url, method -- regular expressions: `url` is searched in the whole URL, `method` matches all
        service     -- "arm", "identity", "blob", "queue", "files", "slack", "prices", "console";
                       None is any
        nth, times  -- from the n-th matching request on, so many times (None: for ever)
        status      -- answer this instead, with `headers` and `body`; the work is not done unless
                       `work` says so
        delay       -- real seconds to wait first
        reset       -- "before" the work; "half" way through the answer; "after" the work, with the
                       reply lost
        before, after -- called before the work, and between the work and the reply
        """
        fault = Fault(
            service,
            re.compile(method or ".*"),
            re.compile(url),
            nth,
            times,
            status,
            headers or {},
            body,
            work,
            delay,
            reset,
            before,
            after,
        )
        with self._lock:
            self._faults.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Take a fault out of force; unknown ones are ignored."""
        with self._lock:
            if fault in self._faults:
                self._faults.remove(fault)

    def clear(self) -> None:
        """Take all faults out of force."""
        with self._lock:
            self._faults.clear()

    def match(self, service: str, method: str, url: str) -> Fault | None:
        """Count a request and return the fault that it meets, if any."""
        with self._lock:
            chosen = None
            for fault in self._faults:
                if fault.service not in (None, service) or not fault.url.search(url):
                    continue
                if not fault.method.fullmatch(method):
                    continue
                fault.seen += 1
                due = fault.seen >= fault.nth
                left = fault.times is None or fault.hits < fault.times
                if chosen is None and due and left:
                    fault.hits += 1
                    chosen = fault
            return chosen
