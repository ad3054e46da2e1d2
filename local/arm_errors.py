"""How Azure Resource Manager refuses: its error envelope, and checks that many calls share."""

from __future__ import annotations

import json
from typing import Any

from local.arm_types import Group
from local.service import Request


class Failed(Exception):
    """An answer with ARM's error envelope."""

    def __init__(self, status: int, code: str, message: str, target: str | None = None) -> None:
        """Keep the parts of the answer; `details` may be set afterwards."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.target = target
        self.details: list[dict[str, Any]] = []

    def envelope(self) -> dict[str, Any]:
        """Return the body."""
        error: dict[str, Any] = {"code": self.code, "message": str(self)}
        if self.target:
            error["target"] = self.target
        if self.details:
            error["details"] = self.details
        return {"error": error}


def error_body(code: str, message: str = "scripted") -> bytes:
    """Return the body of a failing answer, for faults."""
    return json.dumps({"error": {"code": code, "message": message}}).encode()


def nested_failure(code: str, message: str) -> dict[str, Any]:
    """Return the `error` of a deployment whose VM failed: the cause is JSON inside a string."""
    inner = (
        '{\r\n  "status": "Failed",\r\n  "error": {\r\n    "code": "ResourceDeploymentFailure",'
        '\r\n    "message": "The resource operation completed with terminal provisioning state '
        f'\'Failed\'.",\r\n    "details": [{{"code": "{code}", "message": "{message}"}}]'
        "\r\n  }\r\n}"
    )
    return {
        "code": "DeploymentFailed",
        "message": "At least one resource deployment operation failed. Please list deployment "
        "operations for details.",
        "details": [{"code": "Conflict", "message": inner}],
    }


def only(request: Request, *methods: str) -> None:
    """Refuse all methods but these. Raises Failed."""
    if request.method not in methods:
        raise Failed(405, "MethodNotAllowed", f"{request.method} is not supported here.")


def json_body(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request carries. Raises Failed."""
    kind = request.headers.get("Content-Type", "")
    if not kind.startswith("application/json"):
        raise Failed(
            415, "UnsupportedMediaType", f"The content media type '{kind}' is not supported."
        )
    try:
        body = request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Failed(400, "InvalidRequestContent", "The request content was invalid.")
    return body


def being_deleted(group: Group) -> Failed:
    """Return the refusal of a group that is on its way out."""
    return Failed(
        409,
        "ResourceGroupBeingDeleted",
        f"The resource group '{group.name}' is in deprovisioning state and cannot perform this "
        "operation.",
    )
