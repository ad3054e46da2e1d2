"""The base of all stand-ins: an HTTP/1.1 server on a port of its own, with faults and record."""

from __future__ import annotations

import json
import socket
import socketserver
import struct
import threading
import time
import traceback
import urllib.parse
from dataclasses import dataclass, field
from email.utils import formatdate
from http.client import HTTPMessage, responses
from http.server import BaseHTTPRequestHandler

from local.clock import Clock
from local.faults import Fault, Faults
from local.recorder import Exchange, Recorder

MAX_BODY = 256 << 20
"""Larger requests are refused with 413."""

OUTSIDE = "outside"
"""Requests whose User-Agent begins so come from people or tests: faults leave them alone."""


@dataclass
class Request:
    """A request as a stand-in sees it. `target` is the raw path with its query."""

    method: str
    target: str
    headers: HTTPMessage
    body: bytes

    @property
    def path(self) -> str:
        """The path as sent, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query, decoded; the last value of a repeated name."""
        raw = self.target.partition("?")[2]
        return dict(urllib.parse.parse_qsl(raw, keep_blank_values=True))

    def segments(self) -> list[str]:
        """The pieces of the path, percent-decoded."""
        return [urllib.parse.unquote(piece) for piece in self.path.split("/") if piece]

    def json(self) -> object:
        """The body as JSON. Raises ValueError when it is none."""
        return json.loads(self.body)


@dataclass
class Response:
    """An answer; Content-Length and Date are added when it is sent."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def json(cls, status: int, value: object, headers: dict[str, str] | None = None) -> Response:
        """Make a JSON answer."""
        content = {"Content-Type": "application/json; charset=utf-8"}
        return cls(status, content | (headers or {}), json.dumps(value).encode())


class Service:
    """One stand-in. Subclasses give `name` and `handle`."""

    name = "service"

    def __init__(self, clock: Clock, recorder: Recorder, faults: Faults) -> None:
        """Listen at once on a free port of 127.0.0.1; answer after `start`."""
        self.clock = clock
        self.recorder = recorder
        self.faults = faults
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.service = self
        self.port: int = self._server.server_address[1]
        self.connections = 0
        """How many were ever opened, those of people and tests among them."""
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to answer, in threads of this process."""
        threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name=self.name, daemon=True
        ).start()

    def stop(self) -> None:
        """Stop listening; connections in use are cut."""
        self._server.shutdown()
        self._server.server_close()
        self._server.cut()

    def handle(self, request: Request) -> Response:
        """Answer one request; called from many threads at once."""
        raise NotImplementedError

    def date(self) -> str:
        """The moved clock's time in the form of HTTP headers."""
        return formatdate(self.clock.now(), usegmt=True)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    service: Service

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.open: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: socket.socket, client_address: object) -> None:
        self.open.add(request)
        self.service.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: object, client_address: object) -> None:
        """Broken connections are everyday life here; real faults are answered with 500."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing: the recorder keeps it all."""

    def _serve(self) -> None:
        service = self.server.service
        body = self._body()
        if body is None:
            return
        request = Request(self.command, self.path, self.headers, body)
        exchange = Exchange(
            service.clock.now(),
            service.name,
            request.method,
            service.url + request.target,
            list(self.headers.items()),
            body,
            began=time.monotonic(),
        )
        service.recorder.add(exchange)
        fault = None
        if not self.headers.get("User-Agent", "").startswith(OUTSIDE):
            fault = service.faults.match(service.name, request.method, exchange.url)
        if fault is None:
            self._answer(exchange, self._work(request))
            return
        exchange.fault = fault.describe()
        try:
            self._troubled(exchange, request, fault)
        finally:
            exchange.ended = exchange.ended or time.monotonic()
            fault.fired.set()

    def _troubled(self, exchange: Exchange, request: Request, fault: Fault) -> None:
        if fault.before is not None:
            fault.before()
        if fault.delay:
            time.sleep(fault.delay)
        if fault.reset == "before":
            self._reset()
            return
        response = None
        if fault.status is None or fault.work:
            response = self._work(request)
        if fault.status is not None:
            response = Response(fault.status, dict(fault.headers), fault.body)
        if fault.after is not None:
            fault.after()
        if fault.reset == "after" or response is None:
            self._reset()
            return
        self._answer(exchange, response, half=fault.reset == "half")

    def _work(self, request: Request) -> Response:
        try:
            return self.server.service.handle(request)
        except Exception:
            text = traceback.format_exc()
            self.server.service.recorder.add_line(f"{self.server.service.name} stand-in", text)
            return Response(500, {"Content-Type": "text/plain"}, text.encode())

    def _body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                continue
            return b"".join(pieces)
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            self.send_error(413)
            self.close_connection = True
            return None
        body = self.rfile.read(length)
        return body if len(body) == length else None

    def _answer(self, exchange: Exchange, response: Response, half: bool = False) -> None:
        exchange.status = response.status
        exchange.response_headers = list(response.headers.items())
        exchange.response_body = response.body[: 1 << 20]
        exchange.ended = time.monotonic()
        names = {name.lower() for name in response.headers}
        reason = responses.get(response.status, "Unknown")
        head = [f"HTTP/1.1 {response.status} {reason}"]
        head += [f"{name}: {value}" for name, value in response.headers.items()]
        if "date" not in names:
            head.append(f"Date: {self.server.service.date()}")
        bodiless = response.status in (204, 304) or response.status < 200
        if "content-length" not in names and not bodiless:
            head.append(f"Content-Length: {len(response.body)}")
        data = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1", "replace")
        if self.command != "HEAD" and not bodiless:
            data += response.body
        self.wfile.write(data[: max(1, len(data) - len(response.body) // 2 - 1)] if half else data)
        self.wfile.flush()
        if half:
            self._reset()

    def _reset(self) -> None:
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = _serve
