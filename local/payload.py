"""Builds the body of an invocation, with the host's encodings and its habits."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from azure.storage.queue import QueueMessage

LEASE_S = 600.0
WEEK_S = 604800.0


def body(
    trigger: dict[str, Any],
    function: str,
    data: bytes | dict[str, Any],
    now: float,
    message: QueueMessage | None = None,
    metadata: dict[str, Any] | None = None,
) -> bytes:
    """Return the JSON to post: Data by the trigger's dataType, then Metadata.

    data     -- a message's bytes, or the object of a timer
    message  -- the queue message, for its metadata; made up when absent
    metadata -- replaces built-in metadata by name

    Raises ValueError when the host would fail to bind `data` (no dataType, and not UTF-8).
    """
    system = {
        "MethodName": function,
        "UtcNow": _iso(now).replace("+00:00", ".2205399Z"),
        "RandGuid": str(uuid.uuid4()),
    }
    if isinstance(data, dict):
        return _dump({"Data": {trigger["name"]: data}, "Metadata": {"sys": system}})
    known = _queue_metadata(now, message)
    if trigger.get("dataType") == "binary":
        value = base64.b64encode(data).decode()
    else:
        text = data.decode("utf-8")
        value = json.dumps(text, ensure_ascii=False)
        known |= _merged(text, known)
    known |= metadata or {}
    return _dump({"Data": {trigger["name"]: value}, "Metadata": known | {"sys": system}})


def timer(now: float) -> dict[str, Any]:
    """Return the object that a timer function gets."""
    return {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": {
            "Last": _iso(now - 60),
            "LastUpdated": _iso(now - 60),
            "Next": _iso(now + 60),
        },
        "IsPastDue": False,
    }


def decode(content: str, encoding: str) -> bytes | None:
    """Return the bytes of a message by the host's messageEncoding; None when it is not base64."""
    if encoding == "none":
        return content.encode()
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return None


def _queue_metadata(now: float, message: QueueMessage | None) -> dict[str, Any]:
    if message is None:
        return {
            "DequeueCount": "1",
            "ExpirationTime": _iso(now + WEEK_S),
            "Id": json.dumps(str(uuid.uuid4())),
            "InsertionTime": _iso(now),
            "NextVisibleTime": _iso(now + LEASE_S),
            "PopReceipt": json.dumps("AgAAAAMAAAAAAAAAAgtnj8x+1QE="),
        }
    return {
        "DequeueCount": str(message.dequeue_count),
        "ExpirationTime": _iso(message.expires_on.timestamp()),
        "Id": json.dumps(message.id),
        "InsertionTime": _iso(message.inserted_on.timestamp()),
        "NextVisibleTime": _iso(now + LEASE_S),
        "PopReceipt": json.dumps(message.pop_receipt),
    }


def _merged(text: str, known: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a JSON message that the host mixes into the metadata."""
    stripped = text.strip()
    if stripped[:1] + stripped[-1:] != "{}":
        return {}
    try:
        value = json.loads(stripped)
    except ValueError:
        return {}
    names = {name.lower(): name for name in known}
    merged = {}
    for name, item in value.items():
        if isinstance(item, list) or item is None or name.lower().endswith("trigger"):
            continue
        scalar = str(item) if not isinstance(item, dict) else item
        target = names.get(name.lower(), name)
        merged[target] = scalar if isinstance(item, dict) else json.dumps(scalar)
    return merged


def _iso(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat()
    except (OverflowError, ValueError):
        return "9999-12-31T23:59:59+00:00"


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
