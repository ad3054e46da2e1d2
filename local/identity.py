"""The three that hand out tokens: the authority, App Service's endpoint, a VM's metadata service.

The authority takes client credentials (version 2); the other two serve managed identities.
"""

from __future__ import annotations

import secrets
import threading
import urllib.parse
import uuid
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


APP_PATH = "/msi/token"
VM_PATH = "/metadata/identity/oauth2/token"


class Identity(Service):
    """Hands out tokens and knows which of them are valid."""

    name = "identity"

    def __init__(self, clock: Clock, recorder: Recorder, faults: Faults) -> None:
        """Start without principals; `expires_in` is the life of new tokens in seconds.

        header     -- what an app must show, as in its IDENTITY_HEADER
        identities -- the client ids of user-assigned managed identities
        system     -- whether there is a system-assigned one, which is asked for without client id
        """
        super().__init__(clock, recorder, faults)
        self.principals: list[Principal] = []
        self.header = secrets.token_hex(16).upper()
        self.identities: set[str] = set()
        self.system = True
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
        if request.path == APP_PATH:
            return self._app(request)
        if request.path == VM_PATH:
            return self._vm(request)
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
        answer = {
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "ext_expires_in": self.expires_in,
            "access_token": self._token(),
        }
        return Response.json(200, answer, {"Cache-Control": "no-store, no-cache"})

    def _token(self) -> str:
        token = "eyJ" + secrets.token_urlsafe(48)
        with self._lock:
            self._tokens[token] = self.clock.now() + self.expires_in
            self.recorder.plant(f"token#{len(self._tokens)}-{token[3:7]}", token)
        return token

    def _app(self, request: Request) -> Response:
        """The endpoint of App Service and Functions. Its `expires_on` is text."""
        query = request.query

        def refuse(status: int, message: str) -> Response:
            body = {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}
            return Response.json(status, body)

        if request.method != "GET":
            return refuse(405, "The requested resource does not support this http method.")
        if query.get("api-version") != "2019-08-01":
            return refuse(400, "The api-version is missing or not supported.")
        shown = request.headers.get("X-IDENTITY-HEADER")
        if shown is None:
            return refuse(401, "The X-IDENTITY-HEADER header is missing.")
        if shown != self.header:
            return refuse(403, "The X-IDENTITY-HEADER header is not the one of this app.")
        if not self._knows(query):
            return refuse(400, "Unable to load requested managed identity.")
        if not self._serves(query):
            return refuse(400, "The resource is unknown.")
        answer = {
            "access_token": self._token(),
            "expires_on": str(int(self.clock.now()) + self.expires_in),
            "resource": query["resource"],
            "token_type": "Bearer",
            "client_id": query.get("client_id", ""),
        }
        return Response.json(200, answer)

    def _vm(self, request: Request) -> Response:
        """A VM's metadata service. All its values are text."""
        query = request.query

        def refuse(status: int, error: str, text: str) -> Response:
            return Response.json(status, {"error": error, "error_description": text})

        if request.method != "GET":
            return refuse(405, "method_not_allowed", "The method is not allowed.")
        if request.headers.get("Metadata") != "true":
            return refuse(400, "bad_request_102", "Required metadata header not specified")
        if query.get("api-version") != "2018-02-01":
            return refuse(
                400, "invalid_request", "Required query variable 'api-version' is missing"
            )
        if not self._knows(query):
            return refuse(400, "invalid_request", "Identity not found")
        if not self._serves(query):
            return refuse(400, "invalid_resource", "AADSTS500011: The resource is unknown.")
        now = int(self.clock.now())
        answer = {
            "access_token": self._token(),
            "client_id": query.get("client_id", ""),
            "expires_in": str(self.expires_in),
            "expires_on": str(now + self.expires_in),
            "not_before": str(now - 300),
            "resource": query["resource"],
            "token_type": "Bearer",
        }
        return Response.json(200, answer)

    def _knows(self, query: dict[str, str]) -> bool:
        client = query.get("client_id")
        return self.system if client is None else client in self.identities

    def _serves(self, query: dict[str, str]) -> bool:
        return query.get("resource", "").rstrip("/") + "/.default" in self.scopes

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
