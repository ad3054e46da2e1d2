"""The calls of deployments, which go on by themselves and make VMs."""

from __future__ import annotations

import base64
import re
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from local import template
from local.arm_errors import Failed, being_deleted, json_body, only
from local.arm_subscription import Subscription
from local.arm_types import ACTIVE, Deployment, Group, MachineSpec, Vm
from local.service import Request, Response
from local.template_expressions import Invalid

DEPLOYMENT_NAME = re.compile(r"[-\w.()]{1,64}", re.ASCII)


def answer(
    arm: Subscription, request: Request, group_name: str, name: str, tail: list[str]
) -> Response:
    """Answer what is asked of one deployment; `tail` is what follows its name."""
    with arm._lock:
        group = arm.find(group_name)
        if request.method == "PUT" and not tail:
            return _put(arm, request, group, name)
        deployment = group.deployments.get(name.lower())
        if deployment is None:
            raise Failed(404, "DeploymentNotFound", f"Deployment '{name}' could not be found.")
        if not tail:
            only(request, "GET", "DELETE")
            if request.method == "GET":
                return Response.json(200, _show(arm, group, deployment))
            if deployment.state in ACTIVE:
                raise _active(deployment)
            del group.deployments[name.lower()]
            return Response(204)
        if tail == ["cancel"] and request.method == "POST":
            if deployment.state not in ACTIVE:
                raise Failed(
                    409,
                    "DeploymentCannotBeCancelled",
                    f"The deployment '{name}' cannot be canceled because its provisioning "
                    f"state is '{deployment.state}'.",
                )
            deployment.state = "Canceled"
            deployment.error = {
                "code": "DeploymentCanceled",
                "message": "The deployment was canceled.",
            }
            return Response(204)
        if tail == ["operations"] and request.method == "GET":
            return Response.json(200, {"value": _operations(arm, group, deployment)})
        if tail[0] == "operationstatuses" and len(tail) == 2 and request.method == "GET":
            if tail[1] != deployment.operation:
                raise Failed(404, "OperationNotFound", "The operation was not found.")
            status: dict[str, Any] = {"status": deployment.state}
            if deployment.error:
                status["error"] = deployment.error
            wait = {"Retry-After": "5"} if deployment.state in ACTIVE else {}
            return Response.json(200, status, wait)
    raise Failed(404, "InvalidResourceType", "The resource type could not be found.")


def _active(deployment: Deployment) -> Failed:
    stamp = datetime.fromtimestamp(deployment.started, UTC).isoformat()
    return Failed(
        409,
        "DeploymentActive",
        f"Unable to edit or replace deployment '{deployment.name}': previous deployment from "
        f"'{stamp}' is still active. Please see https://aka.ms/arm-deploy for usage details.",
    )


def _put(arm: Subscription, request: Request, group: Group, name: str) -> Response:
    if not DEPLOYMENT_NAME.fullmatch(name):
        raise Failed(400, "InvalidDeploymentName", f"The deployment name '{name}' is invalid.")
    if group.deleting:
        raise being_deleted(group)
    before = group.deployments.get(name.lower())
    if before is not None and before.state in ACTIVE:
        raise _active(before)
    body = json_body(request)
    try:
        resources, public = template.check(body, arm.identify(group), group.location)
    except Invalid as error:
        raise _preflight(name, error) from None
    deployment = Deployment(
        name,
        body,
        resources,
        public,
        str(8584000000000000000 + len(arm.results)),
        request.headers.get("x-ms-correlation-request-id") or str(uuid.uuid4()),
        arm.clock.now(),
    )
    group.deployments[name.lower()] = deployment
    failure, arm.fail_next = arm.fail_next, None
    if failure is None and arm.capacity is not None:
        asked = [public.get(n, {}).get("value") for n in ("vmSize", "location", "priority")]
        failure = arm.capacity(*asked)
    threading.Thread(target=_run, args=(arm, group, deployment, failure), daemon=True).start()
    follow = (
        f"{arm.url}{arm.identify(group)}/providers/Microsoft.Resources/deployments/{name}"
        f"/operationStatuses/{deployment.operation}?api-version=2024-03-01"
    )
    shown = _show(arm, group, deployment)
    headers = {"Azure-AsyncOperation": follow}
    return Response.json(200 if before else 201, shown, headers)


def _preflight(name: str, error: Invalid) -> Failed:
    if error.code in ("InvalidTemplate", "InvalidRequestContent", "InvalidDeployment"):
        text = f"Deployment template validation failed: '{error}'"
        return Failed(400, error.code, text)
    failed = Failed(
        400,
        "InvalidTemplateDeployment",
        f"The template deployment '{name}' is not valid according to the validation procedure. "
        f"The tracking id is '{uuid.uuid4()}'. See inner errors for details.",
    )
    failed.details = [{"code": error.code, "message": str(error)}]
    if error.target:
        failed.details[0]["target"] = error.target
    return failed


def _run(
    arm: Subscription, group: Group, deployment: Deployment, failure: dict[str, Any] | None
) -> None:
    """Carry a deployment through its states, unless it is cancelled or its group goes."""
    time.sleep(arm.timing.accepted)
    if not arm._move(group, deployment, "Accepted", "Running"):
        return
    create(arm, group, deployment, half=failure is not None)
    time.sleep(arm.timing.running)
    deployment.error = failure
    if arm._move(group, deployment, "Running", "Failed" if failure else "Succeeded"):
        with arm._lock:
            for vm in group.vms.values():
                vm.state = "Failed" if failure else "Succeeded"


def create(arm: Subscription, group: Group, deployment: Deployment, half: bool = False) -> None:
    """Make the resources; with `half`, all but the machine, which is what failed."""
    for resource in deployment.resources:
        kind, name = resource["type"], resource["name"]
        namespace, _, rest = kind.partition("/")
        shown = {k: v for k, v in resource.items() if k not in ("apiVersion", "dependsOn")}
        shown["id"] = f"{arm.identify(group)}/providers/{namespace}/{rest}/{name}"
        with arm._lock:
            alive = arm._groups.get(group.name.lower()) is group
            if not alive or deployment.state not in ACTIVE:
                return
            deployment.made.append(shown)
            if not kind.endswith("/virtualMachines"):
                group.others[f"{kind}/{name}".lower()] = shown
                continue
            if half or name.lower() in group.vms:
                continue
            _create_vm(arm, group, resource, shown)


def _create_vm(
    arm: Subscription, group: Group, resource: dict[str, Any], shown: dict[str, Any]
) -> None:
    properties = resource["properties"]
    spec = MachineSpec(
        str(uuid.uuid4()),
        resource["name"],
        group.name,
        resource["location"],
        properties["hardwareProfile"]["vmSize"],
        dict(resource.get("tags") or {}),
        base64.b64decode(properties["osProfile"]["customData"]),
    )
    machine = arm.boot(spec)
    arm.machines.append(machine)
    profile = {k: v for k, v in properties["osProfile"].items() if k != "customData"}
    shown["properties"] = {**properties, "osProfile": profile}
    group.vms[resource["name"].lower()] = Vm(shown, spec.vm_id, machine)
    arm.most_vms = max(arm.most_vms, sum(len(g.vms) for g in arm._groups.values()))


def _show(arm: Subscription, group: Group, deployment: Deployment) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "mode": "Incremental",
        "provisioningState": deployment.state,
        "correlationId": deployment.correlation,
        "timestamp": datetime.fromtimestamp(deployment.started, UTC).isoformat(),
        "parameters": deployment.parameters,
    }
    if deployment.state == "Succeeded":
        properties["outputResources"] = [{"id": made["id"]} for made in deployment.made]
    if deployment.error:
        properties["error"] = deployment.error
    return {
        "id": f"{arm.identify(group)}/providers/Microsoft.Resources/deployments/{deployment.name}",
        "name": deployment.name,
        "type": "Microsoft.Resources/deployments",
        "tags": deployment.body.get("tags") or {},
        "properties": properties,
    }


def _operations(arm: Subscription, group: Group, deployment: Deployment) -> list[dict[str, Any]]:
    operations = []
    for index, made in enumerate(deployment.made):
        broken = deployment.state == "Failed" and made["type"].endswith("/virtualMachines")
        properties: dict[str, Any] = {
            "provisioningOperation": "Create",
            "provisioningState": "Failed" if broken else "Succeeded",
            "statusCode": "Conflict" if broken else "OK",
            "targetResource": {
                "id": made["id"],
                "resourceType": made["type"],
                "resourceName": made["name"],
            },
        }
        if broken:
            properties["statusMessage"] = {"status": "Failed", "error": deployment.error}
        identifier = f"{arm.identify(group)}/deployments/{deployment.name}/operations/{index}"
        operations.append({"id": identifier, "operationId": str(index), "properties": properties})
    return operations
