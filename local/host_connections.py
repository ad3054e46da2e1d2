"""The connections of the Functions host to its handler."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Mapping

from local.clock import Clock

CONNECTIONS = 24
IDLE_S = 60
"""Moved seconds for which an idle connection is kept."""
HOST_VERSION = "4.1037.0.0"


class Connections:
    """Sends invocations to a port, over connections that are kept."""

    def __init__(self, clock: Clock, timeout_s: float, piece: int | None) -> None:
        """Choose a free port. `piece` is the least size of a chunk, or None for no chunks."""
        self.port = _free_port()
        self._clock = clock
        self._timeout_s = timeout_s
        self._piece = piece
        self._lock = threading.Lock()
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []
        self._gate = threading.Semaphore(CONNECTIONS)

    def open(self, timeout_s: float | None = None) -> http.client.HTTPConnection:
        """Return a new connection, which is not kept."""
        return http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=timeout_s or self._timeout_s
        )

    def drop(self) -> None:
        """Close what is kept."""
        with self._lock:
            for _, connection in self._idle:
                connection.close()
            self._idle.clear()

    def post(
        self, name: str, invocation: str, body: bytes
    ) -> tuple[int, str, Mapping[str, str], bytes]:
        """Send one invocation over a kept connection. Raises OSError or HTTPException."""
        with self._gate:
            connection = self._kept() or self.open()
            try:
                connection.putrequest("POST", f"/{name}", skip_accept_encoding=True)
                connection.putheader("X-Azure-Functions-HostVersion", HOST_VERSION)
                connection.putheader("X-Azure-Functions-InvocationId", invocation)
                connection.putheader("User-Agent", f"Azure-Functions-Host/{HOST_VERSION}")
                connection.putheader("Content-Type", "application/json; charset=utf-8")
                self._send(connection, body)
                response = connection.getresponse()
                answer = response.read()
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
        if self._piece is None:
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        size = max(self._piece, len(body) // 200)
        for at in range(0, len(body), size):
            piece = body[at : at + size]
            connection.send(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        connection.send(b"0\r\n\r\n")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
