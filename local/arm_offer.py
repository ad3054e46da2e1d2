"""The calls that tell what a subscription is and what may be had in it."""

from __future__ import annotations

import re
from typing import Any

from local.arm_errors import Failed
from local.arm_subscription import Subscription
from local.quota import LOCATIONS
from local.service import Request, Response


def subscription(arm: Subscription) -> dict[str, Any]:
    """Return the subscription itself."""
    return {
        "id": f"/subscriptions/{arm.subscription}",
        "subscriptionId": arm.subscription,
        "displayName": "Local",
        "state": "Enabled",
    }


def locations(arm: Subscription) -> list[dict[str, Any]]:
    """Return the regions."""
    return [_location(arm, name) for name in LOCATIONS]


def _location(arm: Subscription, name: str) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{arm.subscription}/locations/{name}",
        "name": name,
        "displayName": name.title(),
        "metadata": {"regionType": "Physical"},
    }


def compute(arm: Subscription, request: Request, low: list[str]) -> Response:
    """Answer what may be had in a region: sizes, or how much of the quota is used."""
    if low == ["skus"]:
        wanted = re.fullmatch(r"location eq '([a-z0-9]+)'", request.query.get("$filter", ""))
        if wanted is None:
            raise Failed(400, "InvalidFilter", "Only location eq '...' is supported.")
        return Response.json(200, arm.quota.skus(wanted[1]))
    if len(low) == 3 and low[0] == "locations" and low[2] == "usages":
        if low[1] not in LOCATIONS:
            raise Failed(400, "NoRegisteredProviderFound", f"No location '{low[1]}'.")
        return Response.json(200, arm.quota.usages(_running(arm, low[1])))
    raise Failed(404, "InvalidResourceType", "The resource type could not be found.")


def _running(arm: Subscription, region: str) -> list[tuple[str, bool]]:
    """Size and whether it is Spot, of each machine in a region."""
    properties = [
        vm.resource["properties"] for vm in arm.vms() if vm.resource["location"] == region
    ]
    return [(p["hardwareProfile"]["vmSize"], p.get("priority") == "Spot") for p in properties]
