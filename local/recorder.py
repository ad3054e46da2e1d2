"""Keeps all traffic and all printed lines, and looks for secrets in them."""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

KEEP_BYTES = 1 << 20
"""A body is kept up to this many bytes."""

SAS = re.compile(rb"sig=[A-Za-z0-9%+/]{20,}")
"""The signature of a SAS, as it stands in a URL."""


@dataclass(repr=False)
class Exchange:
    """One request and its answer. `status` is 0 when no answer was given.

    began, ended -- real seconds of `time.monotonic`: the request was whole, the answer was begun
    """

    time: float
    service: str
    method: str
    url: str
    request_headers: list[tuple[str, str]]
    request_body: bytes
    status: int = 0
    response_headers: list[tuple[str, str]] = field(default_factory=list)
    response_body: bytes = b""
    fault: str | None = None
    began: float = 0.0
    ended: float = 0.0

    def __repr__(self) -> str:
        """What was asked and answered, short enough for the message of a failed assertion."""
        trouble = f", {self.fault}" if self.fault else ""
        return f"<{self.method} {self.url.partition('?')[0]}: {self.status}{trouble}>"

    def parts(self) -> dict[str, bytes]:
        """Return the searchable pieces by name."""
        return {
            "url": self.url.encode(),
            "request headers": "\n".join(f"{k}: {v}" for k, v in self.request_headers).encode(),
            "request body": self.request_body,
            "response headers": "\n".join(f"{k}: {v}" for k, v in self.response_headers).encode(),
            "response body": self.response_body,
        }

    def line(self) -> str:
        """Return the exchange as one line of JSON."""
        return json.dumps(
            {
                "time": round(self.time, 3),
                "service": self.service,
                "method": self.method,
                "url": self.url,
                "request_headers": self.request_headers,
                "request_body": self.request_body.decode("utf-8", "backslashreplace"),
                "status": self.status,
                "response_headers": self.response_headers,
                "response_body": self.response_body.decode("utf-8", "backslashreplace"),
                "fault": self.fault,
            },
            ensure_ascii=False,
        )


# Where a secret belongs: (name of the secret, service, part). Anywhere else it is a leak.
BELONGS: frozenset[tuple[str, str, str]] = frozenset(
    {
        ("service principal password", "identity", "request body"),
        ("identity header", "identity", "request headers"),
        ("token", "identity", "response body"),
        ("token", "arm", "request headers"),
        ("slack url", "slack", "url"),
        ("sas", "blob", "url"),
        ("sas", "queue", "url"),
        ("sas", "files", "url"),
        ("sas", "console", "url"),
        ("sas", "console", "response body"),
        ("sas", "arm", "request body"),
        ("sas", "vm", "request body"),
    }
)

GIVES_LINK = "/retrievebootdiagnosticsdata"
"""How the path of the one call ends whose answer is a link with a signature."""


class Recorder:
    """A list of exchanges and of printed lines, safe to use from many threads."""

    def __init__(self) -> None:
        """Start with nothing recorded."""
        self._lock = threading.Lock()
        self.exchanges: list[Exchange] = []
        self.lines: list[tuple[str, str]] = []
        self.secrets: dict[str, str] = {}

    def add(self, exchange: Exchange) -> None:
        """Keep one exchange, its bodies cut at KEEP_BYTES."""
        exchange.request_body = exchange.request_body[:KEEP_BYTES]
        exchange.response_body = exchange.response_body[:KEEP_BYTES]
        with self._lock:
            self.exchanges.append(exchange)

    def drain(self) -> int:
        """Forget all exchanges that are over; how many these were."""
        with self._lock:
            before = len(self.exchanges)
            self.exchanges = [e for e in self.exchanges if not e.ended]
            return before - len(self.exchanges)

    def add_line(self, source: str, line: str) -> None:
        """Keep one printed line of `source`, e.g. "handler stderr"."""
        with self._lock:
            self.lines.append((source, line))

    def plant(self, name: str, value: str) -> str:
        """Remember `value` as the secret `name` (several values: end the name with #n)."""
        self.secrets[name] = value
        return value

    def select(
        self, service: str | None = None, method: str | None = None, url: str = ""
    ) -> list[Exchange]:
        """Return the exchanges of a service and method whose URL matches a regular expression."""
        with self._lock:
            every = list(self.exchanges)
        pattern = re.compile(url)
        return [
            e
            for e in every
            if (service is None or e.service == service)
            and (method is None or e.method == method)
            and pattern.search(e.url)
        ]

    def save(self, path: Path) -> None:
        """Write everything as JSON lines."""
        with self._lock, path.open("w", encoding="utf-8") as out:
            for exchange in self.exchanges:
                out.write(exchange.line() + "\n")
            for source, line in self.lines:
                out.write(json.dumps({"source": source, "line": line}, ensure_ascii=False) + "\n")

    def leaks(self) -> list[str]:
        """Return where planted secrets or SAS signatures stand that do not belong there.

        Looks at plain, percent-encoded and base64 forms; an empty list is the promise kept. The
        text names the place and the secret, never its value.
        """
        forms = {name: _forms(value) for name, value in self.secrets.items()}
        with self._lock:
            exchanges, lines = list(self.exchanges), list(self.lines)
        found = []
        for exchange in exchanges:
            path = urllib.parse.urlsplit(exchange.url).path
            for part, data in exchange.parts().items():
                for name in _names_in(data, forms):
                    if part == "response body" and path.lower().endswith(GIVES_LINK):
                        continue
                    if (name.split("#")[0], exchange.service, part) not in BELONGS:
                        place = "" if exchange.service == "slack" else path
                        found.append(
                            f"{name} in {exchange.service} {exchange.method} {place} {part}"
                        )
        for source, line in lines:
            found += [f"{name} printed by {source}" for name in _names_in(line.encode(), forms)]
        return found


def rounds(exchanges: Iterable[Exchange]) -> list[list[Exchange]]:
    """Split requests into rounds, each of requests that ran side by side.

    Their number is the largest number of requests of which no two were under way at once: the round
    trips in sequence. Begin and end tell when every request is held up for a while.
    """
    found: list[list[Exchange]] = []
    until = 0.0
    for e in sorted(exchanges, key=lambda e: e.began):
        if not found or e.began >= until:
            found.append([])
            until = e.ended
        found[-1].append(e)
        until = min(until, e.ended)
    return found


def _forms(value: str) -> list[bytes]:
    """Return the spellings of a secret to look for: plain, percent-encoded, base64."""
    data = value.encode()
    forms = {data, urllib.parse.quote(value, safe="").encode()}
    forms.add(value.replace("/", "\\/").encode())
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + data)
        keep = (len(data) + shift) // 3 * 4
        forms.add(text[4 if shift else 0 : keep])
    return [form for form in forms if len(form) >= 8]


def _names_in(data: bytes, forms: dict[str, list[bytes]]) -> list[str]:
    names = [name for name, spellings in forms.items() if any(form in data for form in spellings)]
    if SAS.search(data):
        names.append("sas")
    return names
