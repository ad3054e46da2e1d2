"""The sink that plays Slack's incoming webhook."""

from __future__ import annotations

import threading

from local.clock import Clock
from local.faults import Faults
from local.recorder import Recorder
from local.service import Request, Response, Service


class Slack(Service):
    """Keeps the text of each message posted to a known path; trouble comes from the faults."""

    name = "slack"

    def __init__(self, clock: Clock, recorder: Recorder, faults: Faults) -> None:
        """Start without hooks; each app adds the path of its own with `hook`."""
        super().__init__(clock, recorder, faults)
        self._lock = threading.Lock()
        self._texts: dict[str, list[str]] = {}

    def hook(self, path: str) -> str:
        """Accept messages at `path`, which begins with a slash, and return its URL."""
        self._texts.setdefault(path, [])
        return self.url + path

    def texts(self, path: str) -> list[str]:
        """Return what was posted to `path`, oldest first."""
        with self._lock:
            return list(self._texts[path])

    def handle(self, request: Request) -> Response:
        """Answer as Slack does: `ok`, or a word for what is wrong."""
        if request.path not in self._texts:
            return Response(404, {"Content-Type": "text/html"}, b"no_service")
        if request.method != "POST":
            return Response(405, {"Content-Type": "text/html"}, b"invalid_method")
        try:
            value = request.json()
        except ValueError:
            return Response(400, {"Content-Type": "text/html"}, b"invalid_payload")
        text = value.get("text") if isinstance(value, dict) else None
        if not isinstance(text, str) or not text:
            return Response(400, {"Content-Type": "text/html"}, b"no_text")
        with self._lock:
            self._texts[request.path].append(text)
        return Response(200, {"Content-Type": "text/html"}, b"ok")
