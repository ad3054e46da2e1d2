"""An app root as the Functions host reads it: host.json and the functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any


@dataclass
class Function:
    """One function of the app root."""

    name: str
    trigger: dict[str, Any]
    outputs: list[dict[str, Any]]


def read_config(root: Path) -> dict[str, Any]:
    """Return host.json. Raises ValueError when a host would refuse it."""
    config = json.loads((root / "host.json").read_text(encoding="utf-8"))
    if config.get("version") != "2.0":
        raise ValueError("host.json: version must be 2.0")
    if not (config.get("customHandler") or {}).get("description", {}).get("defaultExecutablePath"):
        raise ValueError("host.json: customHandler.description.defaultExecutablePath is missing")
    queues = (config.get("extensions") or {}).get("queues") or {}
    if not 1 <= int(queues.get("batchSize", 16)) <= 32:
        raise ValueError("host.json: batchSize must be 1 to 32")
    if "extensionBundle" not in config:
        raise ValueError("host.json: without extensionBundle there is no queueTrigger")
    return dict(config)


def read_functions(root: Path) -> list[Function]:
    """Return the functions. Raises ValueError when a host would refuse them."""
    found = []
    for file in sorted(root.glob("*/function.json")):
        name = file.parent.name
        bindings = json.loads(file.read_text(encoding="utf-8")).get("bindings") or []
        triggers = [b for b in bindings if str(b.get("type", "")).endswith("Trigger")]
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,127}", name) or len(triggers) != 1:
            raise ValueError(f"{name}: a function needs a valid name and exactly one trigger")
        if triggers[0]["type"] not in ("queueTrigger", "timerTrigger"):
            raise ValueError(f"{name}: {triggers[0]['type']} is not played here")
        for binding in bindings:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,127}|\$return", binding.get("name", "")):
                raise ValueError(f"{name}: the binding name {binding.get('name')!r} is not valid")
        outputs = [b for b in bindings if b.get("direction") == "out" and b["type"] == "queue"]
        found.append(Function(name, triggers[0], outputs))
    if not found:
        raise ValueError(f"no functions in {root}")
    return found


def span(text: str) -> float:
    """Return the seconds of a time span such as 00:30:00."""
    hours, minutes, seconds = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds)).total_seconds()


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Put settings in the place of their names between percent signs."""
    return re.sub(r"%(\w+)%", lambda found: variables.get(found[1], ""), text)
