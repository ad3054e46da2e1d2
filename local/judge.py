"""Judges what the handler answers to an invocation, as the real host does."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 256


class InvocationFailed(Exception):
    """The host would log this invocation as failed."""


class Hang(InvocationFailed):
    """The real host would never finish this invocation and kill the handler at functionTimeout."""


def judge(status: int, reason: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return the answer's JSON object. Raises Hang or InvocationFailed."""
    if not 200 <= status <= 299:
        raise InvocationFailed(
            f"Response status code does not indicate success: {status} ({reason})."
        )
    if not body or status == 204:
        raise Hang("an empty answer would hang until functionTimeout")
    kind = (headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "text/json"):
        raise InvocationFailed(f"Invalid HttpResponseMessage: media type '{kind}'")
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise InvocationFailed("Invalid HttpResponseMessage: not JSON in UTF-8") from None
    if value is None:
        raise Hang("the answer null would hang until functionTimeout")
    if not isinstance(value, dict) or _depth(value) > MAX_DEPTH:
        raise InvocationFailed("Invalid HttpResponseMessage: not a JSON object")
    names = {"outputs": "Outputs", "logs": "Logs", "returnvalue": "ReturnValue"}
    answer = {names.get(key.lower(), key): item for key, item in value.items()}
    if not isinstance(answer.get("Outputs") or {}, dict):
        raise InvocationFailed("Invalid HttpResponseMessage: Outputs is not an object")
    logs = answer.get("Logs") or []
    if not isinstance(logs, list) or any(isinstance(line, dict | list) for line in logs):
        raise InvocationFailed("Invalid HttpResponseMessage: Logs is not a list of texts")
    return answer


def messages(value: object, binary: bool = False) -> list[bytes]:
    """Return the messages that an output value of a queue binding becomes.

    Raises InvocationFailed for a text that looks like JSON and is none.
    """
    if value is None:
        return []
    if isinstance(value, list):
        return [_text(item).encode() for item in value]
    if not isinstance(value, str):
        return [_text(value).encode()]
    if not binary:
        decoded = _base64(value)
        if decoded is not None:
            return [decoded]
    stripped = value.strip()
    if stripped[:1] + stripped[-1:] in ("{}", "[]"):
        try:
            parsed = json.loads(stripped)
        except ValueError:
            raise InvocationFailed("an output looks like JSON and is none") from None
        return messages(parsed)
    return [value.encode()]


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=2 if isinstance(value, dict) else None, ensure_ascii=False)


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        children: list[object] = []
        for item in level:
            if isinstance(item, dict):
                children += item.values()
            elif isinstance(item, list):
                children += item
        level = children
    return depth
