"""A transparent proxy in front of one Azurite service, so that its traffic is seen and troubled."""

from __future__ import annotations

import http.client
import urllib.parse

from local.clock import Clock
from local.faults import Faults
from local.recorder import Recorder
from local.service import Request, Response, Service

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "date", "content-length"}
ANSWER_S = 60.0


class Proxy(Service):
    """Passes each request on as it came: path, headers and Host stay, so signatures hold."""

    def __init__(
        self, name: str, target: str, clock: Clock, recorder: Recorder, faults: Faults
    ) -> None:
        """Stand before `target`, a URL without a path; `name` is "blob" or "queue"."""
        self.name = name
        super().__init__(clock, recorder, faults)
        parts = urllib.parse.urlsplit(target)
        self._address = (parts.hostname or "", parts.port or 80)

    def handle(self, request: Request) -> Response:
        """Ask Azurite over a connection of its own (Azurite closes idle ones early)."""
        upstream = http.client.HTTPConnection(*self._address, timeout=ANSWER_S)
        try:
            upstream.putrequest(
                request.method, request.target, skip_host=True, skip_accept_encoding=True
            )
            for name, value in request.headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "expect"):
                    upstream.putheader(name, value)
            if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
                upstream.putheader("Content-Length", str(len(request.body)))
            upstream.putheader("Connection", "close")
            upstream.endheaders(request.body or None)
            answer = upstream.getresponse()
            body = answer.read()
            headers = {k: v for k, v in answer.getheaders() if k.lower() not in HOP_BY_HOP}
            if request.method == "HEAD" and answer.getheader("Content-Length") is not None:
                headers["Content-Length"] = answer.getheader("Content-Length", "")
            headers["Date"] = answer.getheader("Date") or self.date()
            return Response(answer.status, headers, body)
        finally:
            upstream.close()
