"""The store of boot diagnostics: serial consoles of VMs, behind links with a signature."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import urllib.parse
from collections.abc import Callable
from datetime import UTC, datetime

from local.clock import Clock
from local.faults import Faults
from local.recorder import Recorder
from local.service import Request, Response, Service

RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Consoles(Service):
    """Serves consoles by name, to whoever has a link that has not ended."""

    name = "console"

    def __init__(self, clock: Clock, recorder: Recorder, faults: Faults) -> None:
        """Start without consoles."""
        super().__init__(clock, recorder, faults)
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._read: dict[str, Callable[[], bytes]] = {}

    def link(self, vm: str, minutes: int, read: Callable[[], bytes]) -> str:
        """Return a link to the console of a VM, whose text `read` gives."""
        path = f"/bootdiagnostics-{vm[:8]}/{vm}.serialconsole.log"
        with self._lock:
            self._read[path] = read
        ends = datetime.fromtimestamp(self.clock.now() + 60 * minutes, UTC)
        se = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
        query = {"sv": "2018-03-28", "sr": "b", "sp": "r", "se": se, "sig": self._sign(path, se)}
        return f"{self.url}{path}?{urllib.parse.urlencode(query)}"

    def forget(self, vm: str) -> None:
        """Take the console of a VM away, as Azure does with the VM."""
        with self._lock:
            for path in [path for path in self._read if vm in path]:
                del self._read[path]

    def _sign(self, path: str, se: str) -> str:
        digest = hmac.new(self._key, f"{path}\n{se}".encode(), hashlib.sha256).digest()
        return digest.hex()[:44]

    def handle(self, request: Request) -> Response:
        """Answer HEAD and GET, whole or a range."""
        query = request.query
        now = datetime.fromtimestamp(self.clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        good = hmac.compare_digest(query.get("sig", ""), self._sign(request.path, query["se"]))
        if not good or query["se"] < now:
            return Response(403, {"x-ms-error-code": "AuthenticationFailed"})
        with self._lock:
            read = self._read.get(request.path)
        if read is None:
            return Response(404, {"x-ms-error-code": "BlobNotFound"})
        data = read()
        wanted = RANGE.fullmatch(request.headers.get("x-ms-range", ""))
        if wanted is None:
            return Response(200, {"Content-Type": "application/octet-stream"}, data)
        start, end = int(wanted[1]), int(wanted[2] or len(data) - 1)
        if start >= len(data):
            return Response(416, {"x-ms-error-code": "InvalidRange"})
        part = data[start : end + 1]
        where = {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(data)}"}
        return Response(206, where, part)
