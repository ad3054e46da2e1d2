"""The calls of resource groups: make, list, delete, and what is in them."""

from __future__ import annotations

import base64
import re
import threading
import time
import uuid
from typing import Any

from local import arm_deployments
from local.arm_errors import Failed, being_deleted, json_body, only
from local.arm_subscription import Subscription
from local.arm_types import ACTIVE, Deployment, Group
from local.quota import LOCATIONS
from local.service import Request, Response

GROUP_NAME = re.compile(r"[-\w.()]{0,89}[-\w()]")
TAG_NAME = re.compile(r"[^<>%&\\?/]{1,512}")


def list_groups(arm: Subscription, request: Request) -> Response:
    """List the groups, or those with one tag."""
    wanted = request.query.get("$filter", "")
    found = re.fullmatch(r"tagName eq '([^']+)' and tagValue eq '([^']*)'", wanted)
    if wanted and not found:
        raise Failed(400, "InvalidFilterInQueryString", f"Invalid $filter '{wanted}'.")
    with arm._lock:
        shown = [
            _show(arm, group)
            for group in arm._groups.values()
            if not found or group.tags.get(found[1]) == found[2]
        ]
    return Response.json(200, {"value": shown})


def list_resources(arm: Subscription, name: str) -> Response:
    """List what is in a group."""
    with arm._lock:
        group = arm.find(name)
        every = list(group.others.values()) + [vm.resource for vm in group.vms.values()]
        value = [{k: resource[k] for k in ("id", "name", "type", "location")} for resource in every]
    return Response.json(200, {"value": value})


def answer(arm: Subscription, request: Request, name: str) -> Response:
    """Answer what is asked of one group."""
    only(request, "GET", "HEAD", "PUT", "DELETE")
    with arm._lock:
        if request.method == "PUT":
            return _put(arm, request, name)
        group = arm.find(name)
        if request.method == "GET":
            return Response.json(200, _show(arm, group))
        if request.method == "HEAD":
            return Response(204)
        return _delete(arm, request, group)


def operation_result(arm: Subscription, job: str) -> Response:
    """Tell whether a deletion has ended."""
    with arm._lock:
        name = arm.results.get(job)
        if name is None:
            raise Failed(404, "OperationNotFound", "The operation was not found.")
        group = arm._groups.get(name)
        if group is not None and group.deleting:
            return Response(202, _poll(arm, job))
        return Response(200)


def _show(arm: Subscription, group: Group) -> dict[str, Any]:
    return {
        "id": arm.identify(group),
        "name": group.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": group.location,
        "tags": dict(group.tags),
        "properties": {"provisioningState": "Deleting" if group.deleting else "Succeeded"},
    }


def _put(arm: Subscription, request: Request, name: str) -> Response:
    if not GROUP_NAME.fullmatch(name):
        raise Failed(
            400, "InvalidResourceGroupName", f"The resource group name '{name}' is invalid."
        )
    body = json_body(request)
    unknown = set(body) - {"location", "tags", "managedBy", "properties"}
    if unknown:
        raise Failed(
            400,
            "InvalidRequestContent",
            f"Could not find member '{sorted(unknown)[0]}' on object of type 'ResourceGroup'.",
        )
    location = str(body.get("location") or "").lower().replace(" ", "")
    if not location:
        raise Failed(400, "LocationRequired", "The location property is required.")
    if location not in LOCATIONS:
        raise Failed(
            400,
            "LocationNotAvailableForResourceGroup",
            f"The provided location '{location}' is not available for resource group.",
        )
    tags = _tags(body.get("tags"))
    group = arm._groups.get(name.lower())
    if group is None:
        group = arm._groups[name.lower()] = Group(name, location, tags)
        return Response.json(201, _show(arm, group))
    if group.deleting:
        raise being_deleted(group)
    if group.location != location:
        raise Failed(
            409,
            "InvalidResourceGroupLocation",
            f"Invalid resource group location '{location}'. The Resource group already exists "
            f"in location '{group.location}'.",
        )
    group.tags = tags
    return Response.json(200, _show(arm, group))


def _tags(tags: object) -> dict[str, str]:
    if tags is None:
        return {}
    if not isinstance(tags, dict) or len(tags) > 50:
        raise Failed(400, "InvalidTags", "The tags must be an object of at most 50 members.")
    for name, value in tags.items():
        if not TAG_NAME.fullmatch(name):
            raise Failed(400, "InvalidTagNameCharacters", f"The tag name '{name}' is invalid.")
        if not isinstance(value, str) or len(value) > 256:
            raise Failed(400, "InvalidTagValueLength", f"The value of tag '{name}' is invalid.")
    return dict(tags)


def _delete(arm: Subscription, request: Request, group: Group) -> Response:
    forced = request.query.get("forceDeletionTypes")
    if forced is not None:
        for kind in forced.split(","):
            if not kind.lower().startswith("microsoft.compute/virtualmachine"):
                raise Failed(400, "InvalidForceDeletionTypes", f"'{kind}' cannot be force-deleted.")
    if group.locked:
        raise Failed(
            409,
            "ScopeLocked",
            f"The scope '{arm.identify(group)}' cannot perform delete operation because following "
            f"scope(s) are locked: '{arm.identify(group)}'. Please remove the lock and try again.",
        )
    job = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    arm.results[job] = group.name.lower()
    if not group.deleting:
        group.deleting = True
        threading.Thread(
            target=_take_down,
            args=(
                arm,
                group,
            ),
            daemon=True,
        ).start()
    return Response(202, _poll(arm, job))


def _poll(arm: Subscription, job: str) -> dict[str, str]:
    base = f"{arm.url}/subscriptions/{arm.subscription}/operationresults/{job}"
    return {"Location": f"{base}?api-version=2024-03-01", "Retry-After": "15"}


def _take_down(arm: Subscription, group: Group) -> None:
    """Take a group down: first the power of its machines, in the end its name."""
    time.sleep(arm.timing.delete / 2)
    arm.cut_power(group)
    time.sleep(arm.timing.delete / 2)
    with arm._lock:
        group.others.clear()
        active = [d for d in group.deployments.values() if d.state in ACTIVE]
        arm._groups.pop(group.name.lower(), None)
    arm.cut_power(group)
    if active and arm.comes_back:
        _come_back(arm, group, active[0])


def _come_back(arm: Subscription, group: Group, deployment: Deployment) -> None:
    """Let the running deployment of a deleted group restore it, as seen on Azure."""
    again = Group(group.name, group.location, dict(group.tags))
    with arm._lock:
        arm._groups[group.name.lower()] = again
        again.deployments[deployment.name.lower()] = deployment
        deployment.state = "Running"
    arm_deployments.create(arm, again, deployment)
    with arm._lock:
        deployment.state = "Succeeded"
