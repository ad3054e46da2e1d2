"""The token endpoint of the identity service: client credentials, version 2."""

from __future__ import annotations

import secrets
import threading
import urllib.parse
from dataclasses import dataclass
from datetime import UTC, datetime

from local.clock import Clock
from local.faults import Faults
from local.recorder import Recorder
from local.service import Request, Response, Service


@dataclass(frozen=True)
class Principal:
    """A service principal that may ask for tokens."""

    tenant: str
    client_id: str
    secret: str


class Identity(Service):
    """Hands out tokens and knows which of them are valid."""

    name = "identity"

    def __init__(self, clock: Clock, recorder: Recorder, faults: Faults) -> None:
        """Start without principals; `expires_in` is the life of new tokens in seconds."""
        super().__init__(clock, recorder, faults)
        self.principals: list[Principal] = []
        self.scopes: set[str] = set()
        self.expires_in = 3599
        self._lock = threading.Lock()
        self._tokens: dict[str, float] = {}

    def valid(self, token: str) -> bool:
        """Say whether ARM should take this token now."""
        with self._lock:
            return self.clock.now() < self._tokens.get(token, 0.0)

    def revoke(self) -> None:
        """Make all tokens handed out so far worthless."""
        with self._lock:
            self._tokens.clear()

    def handle(self, request: Request) -> Response:
        """Answer a request for a token."""
        segments = request.segments()
        if request.method != "POST" or segments[1:] != ["oauth2", "v2.0", "token"]:
            return Response.json(404, {"error": "not_found"})
        form = dict(urllib.parse.parse_qsl(request.body.decode("utf-8", "replace")))
        tenant = segments[0]
        if all(p.tenant != tenant for p in self.principals):
            return self._refuse(
                400, "invalid_request", 90002, f"Tenant '{tenant}' not found. Check the tenant id."
            )
        if form.get("grant_type") != "client_credentials":
            return self._refuse(
                400, "unsupported_grant_type", 70003, "The grant type is not supported."
            )
        client = form.get("client_id", "")
        known = [p for p in self.principals if (p.tenant, p.client_id) == (tenant, client)]
        if not known:
            return self._refuse(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client}' was not found in the directory.",
            )
        if all(p.secret != form.get("client_secret") for p in known):
            return self._refuse(
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is "
                f"the client secret value, not the client secret ID, for '{client}'.",
            )
        if form.get("scope") not in self.scopes:
            return self._refuse(
                400, "invalid_scope", 70011, "The provided value for 'scope' is not valid."
            )
        token = "eyJ" + secrets.token_urlsafe(48)
        with self._lock:
            self._tokens[token] = self.clock.now() + self.expires_in
            self.recorder.plant(f"token#{len(self._tokens)}-{token[3:7]}", token)
        answer = {
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "ext_expires_in": self.expires_in,
            "access_token": token,
        }
        return Response.json(200, answer, {"Cache-Control": "no-store, no-cache"})

    def _refuse(self, status: int, error: str, code: int, text: str) -> Response:
        stamp = datetime.fromtimestamp(self.clock.now(), UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        trace = "00000000-0000-0000-0000-0000000000aa"
        body = {
            "error": error,
            "error_description": f"AADSTS{code}: {text}\r\nTrace ID: {trace}\r\n"
            f"Correlation ID: {trace}\r\nTimestamp: {stamp}",
            "error_codes": [code],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": trace,
        }
        return Response.json(status, body)
