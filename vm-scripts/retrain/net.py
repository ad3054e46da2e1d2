"""The one module that opens sockets: Blob and Files REST by SAS links, with retries and deadlines.

A call is repeated on connection errors, cut answers and HTTP 408, 429 and 5xx, with growing pauses
(``Retry-After`` is heeded), until its tries or its time are used up. Errors carry scheme, host,
path, status and the service's error code, never a query.
"""

from __future__ import annotations

import email.utils
import http.client
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from .link import Link, redact

VERSION = "2025-07-05"
FILE_PIECE = 4 << 20
CONNECT_S = 20.0
PAUSE_MOST_S = 30.0
AGAIN = frozenset({408, 429, 500, 502, 503, 504})
THERE = "UnauthorizedBlobOverwrite"
"""What a link that may only create is answered (403) when the blob is there."""


class NetFailure(Exception):
    """A call that did not succeed. ``status`` 0: no answer at all; ``code``: the service's own."""

    def __init__(self, text: str, status: int, code: str = "") -> None:
        super().__init__(redact(text))
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Reply:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def _pause(headers: Mapping[str, str], turn: int) -> float:
    wanted = headers.get("retry-after", "")
    if wanted.isdigit():
        return min(float(wanted), PAUSE_MOST_S)
    date = email.utils.parsedate_tz(wanted)
    if date:
        return min(max(email.utils.mktime_tz(date) - time.time(), 0.0), PAUSE_MOST_S)
    return min(0.5 * 2.0**turn, PAUSE_MOST_S) * random.uniform(0.75, 1.25)


class Net:
    """Calls by link. ``tries`` and ``budget_s`` bound each call, its repetitions included."""

    def __init__(
        self,
        tries: int = 7,
        budget_s: float = 300.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._tries = tries
        self._budget_s = budget_s
        self._sleep = sleep
        self._tls = ssl.create_default_context()

    def _once(
        self,
        method: str,
        link: Link,
        query: str,
        headers: Mapping[str, str],
        body: bytes,
        left_s: float,
    ) -> Reply:
        parts = urlsplit(link.reveal())
        wait = max(1.0, min(CONNECT_S, left_s))
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(parts.netloc, timeout=wait, context=self._tls)
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=wait)
        try:
            connection.connect()
            if connection.sock:
                connection.sock.settimeout(max(1.0, min(60.0, left_s)))
            target = f"{parts.path}?{query}{'&' if query and parts.query else ''}{parts.query}"
            connection.request(method, target, body=body, headers=dict(headers))
            reply = connection.getresponse()
            names = {name.lower(): value for name, value in reply.getheaders()}
            return Reply(reply.status, names, reply.read())
        finally:
            connection.close()

    def call(
        self,
        method: str,
        link: Link,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        query: str = "",
        accept: frozenset[int] = frozenset({200, 201, 206}),
    ) -> Reply:
        """One call until it is answered with a status in ``accept``; raises ``NetFailure``."""
        sent = {"x-ms-version": VERSION, "Content-Length": str(len(body)), **(headers or {})}
        if method == "GET":
            del sent["Content-Length"]
        until = time.monotonic() + self._budget_s
        for turn in range(self._tries):
            seen: Mapping[str, str] = {}
            try:
                reply = self._once(method, link, query, sent, body, until - time.monotonic())
                if reply.status in accept:
                    return reply
                code = reply.headers.get("x-ms-error-code", "")
                problem = NetFailure(
                    f"{method} {link!r} was answered HTTP {reply.status} {code}".rstrip(),
                    reply.status,
                    code,
                )
                if reply.status not in AGAIN:
                    raise problem
                seen = reply.headers
            except (OSError, http.client.HTTPException) as error:
                problem = NetFailure(f"{method} {link!r} got no answer ({type(error).__name__})", 0)
            pause = _pause(seen, turn)
            if turn == self._tries - 1 or time.monotonic() + pause > until:
                break
            self._sleep(pause)
        raise problem

    def read(self, link: Link) -> bytes | None:
        """The whole of a small blob or file, None when it is not there."""
        reply = self.call("GET", link, accept=frozenset({200, 206, 404}))
        return None if reply.status == 404 else reply.body

    def read_piece(self, link: Link, first: int, last: int) -> Reply:
        """Bytes ``first`` to ``last`` (inclusive); exactly that many, else ``NetFailure``."""
        reply = self.call("GET", link, {"x-ms-range": f"bytes={first}-{last}"})
        if reply.status != 206 and first == 0 and len(reply.body) > last + 1:
            raise NetFailure(f"GET {link!r} ignored the range asked for", reply.status)
        return reply

    def put_blob(self, link: Link, data: bytes, kind: str, once: bool = False) -> bool:
        """Write a block blob. ``once``: never overwrite; False when it was there already."""
        headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": kind}
        if once:
            headers["If-None-Match"] = "*"
        accept = frozenset({201, 409}) if once else frozenset({201})
        try:
            return self.call("PUT", link, headers, data, accept=accept).status == 201
        except NetFailure as problem:
            if once and problem.code == THERE:
                return False
            raise

    def put_file(self, link: Link, data: bytes) -> None:
        """Write a file on a share: create it at its size, then its bytes in pieces of 4 MiB."""
        self.call("PUT", link, {"x-ms-type": "file", "x-ms-content-length": str(len(data))})
        self.write_file(link, data)

    def write_file(self, link: Link, data: bytes) -> None:
        """Write over a file that is there, of the same size; at most 4 MiB at once change as one.

        A cut leaves the old content, where ``put_file`` would leave zeros.
        """
        for first in range(0, len(data), FILE_PIECE):
            piece = data[first : first + FILE_PIECE]
            headers = {
                "x-ms-write": "update",
                "x-ms-range": f"bytes={first}-{first + len(piece) - 1}",
            }
            self.call("PUT", link, headers, piece, query="comp=range")
