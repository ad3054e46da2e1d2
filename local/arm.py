"""The part of Azure Resource Manager that training jobs use: groups, deployments, one VM each."""

from __future__ import annotations

import base64
import json
import math
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from local import template
from local.buckets import KINDS, Buckets
from local.clock import Clock
from local.console import Consoles
from local.faults import Faults
from local.identity import Identity
from local.quota import SKUS_VERSION, Quota
from local.recorder import Recorder
from local.service import Request, Response, Service

LOCATIONS = ("japaneast", "japanwest", "eastus", "eastus2", "westeurope", "koreacentral")
RESOURCE_VERSIONS = {"2021-04-01", "2022-09-01", "2022-12-01", "2024-03-01", "2025-04-01"}
COMPUTE_VERSIONS = {"2024-03-01", "2024-07-01"}
AUTHORIZATION_VERSIONS = {"2022-04-01"}
CONTRIBUTOR = {
    "actions": ["*"],
    "notActions": [
        "Microsoft.Authorization/*/Delete",
        "Microsoft.Authorization/*/Write",
        "Microsoft.Authorization/elevateAccess/Action",
    ],
    "dataActions": [],
    "notDataActions": [],
}
"""What the role Contributor may do; the shape is that of the permissions call."""
GROUP_NAME = re.compile(r"[-\w.()]{0,89}[-\w()]")
DEPLOYMENT_NAME = re.compile(r"[-\w.()]{1,64}", re.ASCII)
TAG_NAME = re.compile(r"[^<>%&\\?/]{1,512}")
ACTIVE = ("Accepted", "Running")


@dataclass
class Timing:
    """How long things take, in real seconds."""

    accepted: float = 0.1
    running: float = 0.4
    delete: float = 1.0
    eviction: float = 6.0
    """From the notice to the end of a Spot VM: Azure gives 30 s."""


@dataclass(frozen=True)
class MachineSpec:
    """What a deployment asks of a VM."""

    vm_id: str
    name: str
    group: str
    location: str
    size: str
    tags: dict[str, str]
    custom_data: bytes


class Machine(Protocol):
    """A running VM."""

    def kill(self) -> None:
        """End it at once, as if the power were cut."""

    def announce_eviction(self, at: float) -> None:
        """Tell it that it is taken away at a time of the moved clock."""

    def power(self) -> str:
        """Return "running" or "stopped"."""

    def console(self) -> bytes:
        """Return what it has printed on its serial console."""


@dataclass
class Deployment:
    """One deployment and how far it is."""

    name: str
    body: dict[str, Any]
    resources: list[dict[str, Any]]
    parameters: dict[str, Any]
    operation: str
    correlation: str
    started: float
    state: str = "Accepted"
    error: dict[str, Any] | None = None
    made: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Vm:
    """A virtual machine as ARM knows it."""

    resource: dict[str, Any]
    vm_id: str
    machine: Machine
    state: str = "Creating"


@dataclass
class Group:
    """A resource group."""

    name: str
    location: str
    tags: dict[str, str]
    deleting: bool = False
    locked: bool = False
    deployments: dict[str, Deployment] = field(default_factory=dict)
    vms: dict[str, Vm] = field(default_factory=dict)
    others: dict[str, dict[str, Any]] = field(default_factory=dict)


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


class Arm(Service):
    """ARM for one subscription. Faults of single calls are scripted in `faults`."""

    name = "arm"

    def __init__(
        self,
        clock: Clock,
        recorder: Recorder,
        faults: Faults,
        identity: Identity,
        subscription: str,
        boot: Callable[[MachineSpec], Machine],
        consoles: Consoles,
    ) -> None:
        """Serve `subscription`; `boot` makes the machines.

        timing          -- how long deployments and deletions take
        fail_next       -- an `error` with which the next deployment ends (see nested_failure)
        capacity        -- asked with vmSize, location and priority of each deployment: the `error`
                           with which it ends, or None
        permissions     -- what the caller may do: one entry per role; told, not enforced
        quota           -- sizes that are offered, and limits
        comes_back      -- a group deleted while its deployment runs appears again with its VM
        buckets         -- when given, calls beyond these limits are refused with 429
        most_vms        -- the most VMs that ever existed at once
        """
        super().__init__(clock, recorder, faults)
        self.identity = identity
        identity.scopes.add(self.url + "/.default")
        self.subscription = subscription
        self.timing = Timing()
        self.fail_next: dict[str, Any] | None = None
        self.capacity: Callable[[str, str, str], dict[str, Any] | None] | None = None
        self.quota = Quota()
        self.comes_back = False
        self.permissions: list[dict[str, Any]] = [CONTRIBUTOR]
        self.buckets: Buckets | None = None
        self.most_vms = 0
        self.machines: list[Machine] = []
        self._boot = boot
        self._consoles = consoles
        self._lock = threading.RLock()
        self._groups: dict[str, Group] = {}
        self._results: dict[str, str] = {}

    # What tests and the demo ask and do from outside.

    def groups(self) -> list[str]:
        """Return the names of the groups that exist, those being deleted too."""
        with self._lock:
            return sorted(group.name for group in self._groups.values())

    def vms(self) -> list[Vm]:
        """Return all VMs of all groups."""
        with self._lock:
            return [vm for group in self._groups.values() for vm in group.vms.values()]

    def busy(self) -> bool:
        """Say whether a deployment or a deletion is on its way."""
        with self._lock:
            return any(
                group.deleting or any(d.state in ACTIVE for d in group.deployments.values())
                for group in self._groups.values()
            )

    def make_group(self, name: str, tags: dict[str, str] | None = None) -> None:
        """Make a group as somebody else would."""
        with self._lock:
            self._groups[name.lower()] = Group(name, "japaneast", dict(tags or {}))

    def lock(self, name: str, locked: bool = True) -> None:
        """Put a delete lock on a group, or take it off. Raises KeyError for unknown groups."""
        with self._lock:
            self._groups[name.lower()].locked = locked

    def evict(self, name: str) -> None:
        """Take the VMs of a group away and leave the rest, as a Spot eviction does."""
        self._cut_power(self._groups[name.lower()])

    def simulate_eviction(self, name: str) -> None:
        """Evict the VMs of a group as Azure does: with a notice, and `timing.eviction` later.

        Raises KeyError for unknown groups.
        """
        with self._lock:
            group = self._groups[name.lower()]
            going = list(group.vms.items())
        for vm_name, vm in going:
            self._announce(group, vm_name, vm)

    def stop(self) -> None:
        """Stop serving and cut the power of all machines."""
        super().stop()
        for machine in self.machines:
            machine.kill()

    # The REST side.

    def handle(self, request: Request) -> Response:
        """Check token and version, then route; all errors have ARM's envelope."""
        common = {
            "x-ms-request-id": str(uuid.uuid4()),
            "x-ms-correlation-request-id": request.headers.get("x-ms-correlation-request-id")
            or str(uuid.uuid4()),
            "x-ms-ratelimit-remaining-subscription-writes": "199",
            "Cache-Control": "no-cache",
        }
        try:
            self._authorize(request)
            self._throttle(request, common)
            response = self._route(request)
        except Failed as error:
            response = Response.json(error.status, error.envelope())
            if error.status == 401:
                response.headers["WWW-Authenticate"] = (
                    f'Bearer authorization_uri="{self.identity.url}/", error="invalid_token", '
                    'error_description="The access token is missing or has expired."'
                )
        response.headers |= common
        return response

    def _authorize(self, request: Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise Failed(
                401,
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            )
        if not self.identity.valid(token):
            raise Failed(
                401, "ExpiredAuthenticationToken", "The access token has expired or is not valid."
            )

    def _throttle(self, request: Request, common: dict[str, str]) -> None:
        if self.buckets is None:
            return
        wait = self.buckets.take(request.method, self.clock.now())
        kind = KINDS.get(request.method, "writes")
        left = str(self.buckets.left(request.method))
        common[f"x-ms-ratelimit-remaining-subscription-{kind}"] = left
        if wait:
            common["Retry-After"] = str(math.ceil(wait))
            raise Failed(
                429,
                "SubscriptionRequestsThrottled",
                f"Number of {kind} for the subscription exceeded the limit. Please try again "
                f"after '{math.ceil(wait)}' seconds.",
            )

    def _route(self, request: Request) -> Response:
        version = request.query.get("api-version")
        if not version:
            raise Failed(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        pieces = request.segments()
        lower = [piece.lower() for piece in pieces]
        versions = RESOURCE_VERSIONS
        if "microsoft.compute" in lower:
            versions = {SKUS_VERSION} if lower[-1] == "skus" else COMPUTE_VERSIONS
        elif "microsoft.authorization" in lower:
            versions = AUTHORIZATION_VERSIONS
        if version not in versions:
            raise Failed(
                400, "InvalidApiVersionParameter", f"The api-version '{version}' is invalid."
            )
        if not lower or lower[0] != "subscriptions":
            raise Failed(404, "InvalidResourceType", "The resource type could not be found.")
        if len(lower) == 1:
            self._only(request, "GET")
            return Response.json(200, {"value": [self._subscription()], "nextLink": ""})
        if lower[1] != self.subscription.lower():
            raise Failed(
                404, "SubscriptionNotFound", f"The subscription '{pieces[1]}' could not be found."
            )
        rest, low = pieces[2:], lower[2:]
        if not rest:
            self._only(request, "GET")
            return Response.json(200, self._subscription())
        if low[0] == "operationresults" and len(low) == 2:
            return self._operation_result(rest[1])
        if low == ["providers", "microsoft.authorization", "permissions"]:
            self._only(request, "GET")
            return Response.json(200, {"value": self.permissions})
        if low == ["locations"]:
            self._only(request, "GET")
            return Response.json(200, {"value": [self._location(name) for name in LOCATIONS]})
        if low[:2] == ["providers", "microsoft.compute"]:
            self._only(request, "GET")
            return self._offer(request, low[2:])
        if low[0] != "resourcegroups":
            raise Failed(404, "InvalidResourceType", "The resource type could not be found.")
        if len(low) == 1:
            self._only(request, "GET")
            return self._list_groups(request)
        if len(low) == 2:
            return self._group(request, rest[1])
        if low[2] == "resources" and len(low) == 3:
            self._only(request, "GET")
            return self._list_resources(rest[1])
        if low[2:5] == ["providers", "microsoft.resources", "deployments"] and len(low) > 5:
            return self._deployment(request, rest[1], rest[5], low[6:])
        if low[2:5] == ["providers", "microsoft.compute", "virtualmachines"] and (
            low[6:] == ["retrievebootdiagnosticsdata"]
        ):
            return self._diagnostics(request, rest[1], rest[5])
        if low[2:5] == ["providers", "microsoft.compute", "virtualmachines"] and len(low) == 6:
            return self._vm(request, rest[1], rest[5])
        if low[2:5] == ["providers", "microsoft.compute", "virtualmachines"] and low[6:] == [
            "simulateeviction"
        ]:
            return self._simulate_eviction(request, rest[1], rest[5])
        raise Failed(404, "InvalidResourceType", "The resource type could not be found.")

    def _offer(self, request: Request, low: list[str]) -> Response:
        """Answer what may be had in a region: sizes, or how much of the quota is used."""
        if low == ["skus"]:
            wanted = re.fullmatch(r"location eq '([a-z0-9]+)'", request.query.get("$filter", ""))
            if wanted is None:
                raise Failed(400, "InvalidFilter", "Only location eq '...' is supported.")
            return Response.json(200, self.quota.skus(wanted[1]))
        if len(low) == 3 and low[0] == "locations" and low[2] == "usages":
            if low[1] not in LOCATIONS:
                raise Failed(400, "NoRegisteredProviderFound", f"No location '{low[1]}'.")
            return Response.json(200, self.quota.usages(self._running(low[1])))
        raise Failed(404, "InvalidResourceType", "The resource type could not be found.")

    def _running(self, region: str) -> list[tuple[str, bool]]:
        """Size and whether it is Spot, of each machine in a region."""
        properties = [
            vm.resource["properties"] for vm in self.vms() if vm.resource["location"] == region
        ]
        return [(p["hardwareProfile"]["vmSize"], p.get("priority") == "Spot") for p in properties]

    @staticmethod
    def _only(request: Request, *methods: str) -> None:
        if request.method not in methods:
            raise Failed(405, "MethodNotAllowed", f"{request.method} is not supported here.")

    def _subscription(self) -> dict[str, Any]:
        return {
            "id": f"/subscriptions/{self.subscription}",
            "subscriptionId": self.subscription,
            "displayName": "Local",
            "state": "Enabled",
        }

    def _location(self, name: str) -> dict[str, Any]:
        return {
            "id": f"/subscriptions/{self.subscription}/locations/{name}",
            "name": name,
            "displayName": name.title(),
            "metadata": {"regionType": "Physical"},
        }

    def _find(self, name: str) -> Group:
        group = self._groups.get(name.lower())
        if group is None:
            raise Failed(
                404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found."
            )
        return group

    def _id(self, group: Group) -> str:
        return f"/subscriptions/{self.subscription}/resourceGroups/{group.name}"

    def _show(self, group: Group) -> dict[str, Any]:
        return {
            "id": self._id(group),
            "name": group.name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": group.location,
            "tags": dict(group.tags),
            "properties": {"provisioningState": "Deleting" if group.deleting else "Succeeded"},
        }

    def _list_groups(self, request: Request) -> Response:
        wanted = request.query.get("$filter", "")
        found = re.fullmatch(r"tagName eq '([^']+)' and tagValue eq '([^']*)'", wanted)
        if wanted and not found:
            raise Failed(400, "InvalidFilterInQueryString", f"Invalid $filter '{wanted}'.")
        with self._lock:
            shown = [
                self._show(group)
                for group in self._groups.values()
                if not found or group.tags.get(found[1]) == found[2]
            ]
        return Response.json(200, {"value": shown})

    def _list_resources(self, name: str) -> Response:
        with self._lock:
            group = self._find(name)
            every = list(group.others.values()) + [vm.resource for vm in group.vms.values()]
            value = [
                {k: resource[k] for k in ("id", "name", "type", "location")} for resource in every
            ]
        return Response.json(200, {"value": value})

    def _group(self, request: Request, name: str) -> Response:
        self._only(request, "GET", "HEAD", "PUT", "DELETE")
        with self._lock:
            if request.method == "PUT":
                return self._put_group(request, name)
            group = self._find(name)
            if request.method == "GET":
                return Response.json(200, self._show(group))
            if request.method == "HEAD":
                return Response(204)
            return self._delete_group(request, group)

    def _put_group(self, request: Request, name: str) -> Response:
        if not GROUP_NAME.fullmatch(name):
            raise Failed(
                400, "InvalidResourceGroupName", f"The resource group name '{name}' is invalid."
            )
        body = self._body(request)
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
        tags = self._tags(body.get("tags"))
        group = self._groups.get(name.lower())
        if group is None:
            group = self._groups[name.lower()] = Group(name, location, tags)
            return Response.json(201, self._show(group))
        if group.deleting:
            raise self._being_deleted(group)
        if group.location != location:
            raise Failed(
                409,
                "InvalidResourceGroupLocation",
                f"Invalid resource group location '{location}'. The Resource group already exists "
                f"in location '{group.location}'.",
            )
        group.tags = tags
        return Response.json(200, self._show(group))

    @staticmethod
    def _body(request: Request) -> dict[str, Any]:
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

    @staticmethod
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

    @staticmethod
    def _being_deleted(group: Group) -> Failed:
        return Failed(
            409,
            "ResourceGroupBeingDeleted",
            f"The resource group '{group.name}' is in deprovisioning state and cannot perform this "
            "operation.",
        )

    def _delete_group(self, request: Request, group: Group) -> Response:
        forced = request.query.get("forceDeletionTypes")
        if forced is not None:
            for kind in forced.split(","):
                if not kind.lower().startswith("microsoft.compute/virtualmachine"):
                    raise Failed(
                        400, "InvalidForceDeletionTypes", f"'{kind}' cannot be force-deleted."
                    )
        if group.locked:
            raise Failed(
                409,
                "ScopeLocked",
                f"The scope '{self._id(group)}' cannot perform delete operation because following "
                f"scope(s) are locked: '{self._id(group)}'. Please remove the lock and try again.",
            )
        job = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._results[job] = group.name.lower()
        if not group.deleting:
            group.deleting = True
            threading.Thread(target=self._delete, args=(group,), daemon=True).start()
        return Response(202, self._poll(job))

    def _poll(self, job: str) -> dict[str, str]:
        base = f"{self.url}/subscriptions/{self.subscription}/operationresults/{job}"
        return {"Location": f"{base}?api-version=2024-03-01", "Retry-After": "15"}

    def _operation_result(self, job: str) -> Response:
        with self._lock:
            name = self._results.get(job)
            if name is None:
                raise Failed(404, "OperationNotFound", "The operation was not found.")
            group = self._groups.get(name)
            if group is not None and group.deleting:
                return Response(202, self._poll(job))
            return Response(200)

    def _delete(self, group: Group) -> None:
        """Take a group down: first the power of its machines, in the end its name."""
        time.sleep(self.timing.delete / 2)
        self._cut_power(group)
        time.sleep(self.timing.delete / 2)
        with self._lock:
            group.others.clear()
            active = [d for d in group.deployments.values() if d.state in ACTIVE]
            self._groups.pop(group.name.lower(), None)
        self._cut_power(group)
        if active and self.comes_back:
            self._come_back(group, active[0])

    def _cut_power(self, group: Group) -> None:
        with self._lock:
            gone, group.vms = list(group.vms.values()), {}
        for vm in gone:
            vm.machine.kill()
            self._consoles.forget(vm.vm_id)

    def _come_back(self, group: Group, deployment: Deployment) -> None:
        """Let the running deployment of a deleted group restore it, as seen on Azure."""
        again = Group(group.name, group.location, dict(group.tags))
        with self._lock:
            self._groups[group.name.lower()] = again
            again.deployments[deployment.name.lower()] = deployment
            deployment.state = "Running"
        self._create(again, deployment)
        with self._lock:
            deployment.state = "Succeeded"

    def _deployment(
        self, request: Request, group_name: str, name: str, tail: list[str]
    ) -> Response:
        with self._lock:
            group = self._find(group_name)
            if request.method == "PUT" and not tail:
                return self._put_deployment(request, group, name)
            deployment = group.deployments.get(name.lower())
            if deployment is None:
                raise Failed(404, "DeploymentNotFound", f"Deployment '{name}' could not be found.")
            if not tail:
                self._only(request, "GET", "DELETE")
                if request.method == "GET":
                    return Response.json(200, self._show_deployment(group, deployment))
                if deployment.state in ACTIVE:
                    raise self._active(deployment)
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
                return Response.json(200, {"value": self._operations(group, deployment)})
            if tail[0] == "operationstatuses" and len(tail) == 2 and request.method == "GET":
                if tail[1] != deployment.operation:
                    raise Failed(404, "OperationNotFound", "The operation was not found.")
                status: dict[str, Any] = {"status": deployment.state}
                if deployment.error:
                    status["error"] = deployment.error
                wait = {"Retry-After": "5"} if deployment.state in ACTIVE else {}
                return Response.json(200, status, wait)
        raise Failed(404, "InvalidResourceType", "The resource type could not be found.")

    @staticmethod
    def _active(deployment: Deployment) -> Failed:
        stamp = datetime.fromtimestamp(deployment.started, UTC).isoformat()
        return Failed(
            409,
            "DeploymentActive",
            f"Unable to edit or replace deployment '{deployment.name}': previous deployment from "
            f"'{stamp}' is still active. Please see https://aka.ms/arm-deploy for usage details.",
        )

    def _put_deployment(self, request: Request, group: Group, name: str) -> Response:
        if not DEPLOYMENT_NAME.fullmatch(name):
            raise Failed(400, "InvalidDeploymentName", f"The deployment name '{name}' is invalid.")
        if group.deleting:
            raise self._being_deleted(group)
        before = group.deployments.get(name.lower())
        if before is not None and before.state in ACTIVE:
            raise self._active(before)
        body = self._body(request)
        try:
            resources, public = template.check(body, self._id(group), group.location)
        except template.Invalid as error:
            raise self._preflight(name, error) from None
        deployment = Deployment(
            name,
            body,
            resources,
            public,
            str(8584000000000000000 + len(self._results)),
            request.headers.get("x-ms-correlation-request-id") or str(uuid.uuid4()),
            self.clock.now(),
        )
        group.deployments[name.lower()] = deployment
        failure, self.fail_next = self.fail_next, None
        if failure is None and self.capacity is not None:
            asked = [public.get(n, {}).get("value") for n in ("vmSize", "location", "priority")]
            failure = self.capacity(*asked)
        threading.Thread(target=self._run, args=(group, deployment, failure), daemon=True).start()
        follow = (
            f"{self.url}{self._id(group)}/providers/Microsoft.Resources/deployments/{name}"
            f"/operationStatuses/{deployment.operation}?api-version=2024-03-01"
        )
        shown = self._show_deployment(group, deployment)
        headers = {"Azure-AsyncOperation": follow}
        return Response.json(200 if before else 201, shown, headers)

    @staticmethod
    def _preflight(name: str, error: template.Invalid) -> Failed:
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

    def _run(self, group: Group, deployment: Deployment, failure: dict[str, Any] | None) -> None:
        """Carry a deployment through its states, unless it is cancelled or its group goes."""
        time.sleep(self.timing.accepted)
        if not self._move(group, deployment, "Accepted", "Running"):
            return
        self._create(group, deployment, half=failure is not None)
        time.sleep(self.timing.running)
        deployment.error = failure
        if self._move(group, deployment, "Running", "Failed" if failure else "Succeeded"):
            with self._lock:
                for vm in group.vms.values():
                    vm.state = "Failed" if failure else "Succeeded"

    def _move(self, group: Group, deployment: Deployment, before: str, after: str) -> bool:
        with self._lock:
            alive = self._groups.get(group.name.lower()) is group
            if not alive or deployment.state != before:
                return False
            deployment.state = after
            return True

    def _create(self, group: Group, deployment: Deployment, half: bool = False) -> None:
        """Make the resources; with `half`, all but the machine, which is what failed."""
        for resource in deployment.resources:
            kind, name = resource["type"], resource["name"]
            namespace, _, rest = kind.partition("/")
            shown = {k: v for k, v in resource.items() if k not in ("apiVersion", "dependsOn")}
            shown["id"] = f"{self._id(group)}/providers/{namespace}/{rest}/{name}"
            with self._lock:
                alive = self._groups.get(group.name.lower()) is group
                if not alive or deployment.state not in ACTIVE:
                    return
                deployment.made.append(shown)
                if not kind.endswith("/virtualMachines"):
                    group.others[f"{kind}/{name}".lower()] = shown
                    continue
                if half or name.lower() in group.vms:
                    continue
                self._create_vm(group, resource, shown)

    def _create_vm(self, group: Group, resource: dict[str, Any], shown: dict[str, Any]) -> None:
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
        machine = self._boot(spec)
        self.machines.append(machine)
        profile = {k: v for k, v in properties["osProfile"].items() if k != "customData"}
        shown["properties"] = {**properties, "osProfile": profile}
        group.vms[resource["name"].lower()] = Vm(shown, spec.vm_id, machine)
        self.most_vms = max(self.most_vms, sum(len(g.vms) for g in self._groups.values()))

    def _show_deployment(self, group: Group, deployment: Deployment) -> dict[str, Any]:
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
            "id": f"{self._id(group)}/providers/Microsoft.Resources/deployments/{deployment.name}",
            "name": deployment.name,
            "type": "Microsoft.Resources/deployments",
            "tags": deployment.body.get("tags") or {},
            "properties": properties,
        }

    def _operations(self, group: Group, deployment: Deployment) -> list[dict[str, Any]]:
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
            identifier = f"{self._id(group)}/deployments/{deployment.name}/operations/{index}"
            operations.append(
                {"id": identifier, "operationId": str(index), "properties": properties}
            )
        return operations

    @staticmethod
    def _find_vm(group: Group, name: str) -> Vm:
        vm = group.vms.get(name.lower())
        if vm is None:
            raise Failed(
                404,
                "ResourceNotFound",
                f"The Resource 'Microsoft.Compute/virtualMachines/{name}' under resource group "
                f"'{group.name}' was not found. For more details please go to "
                "https://aka.ms/ARMResourceNotFoundFix",
            )
        return vm

    def _simulate_eviction(self, request: Request, group_name: str, name: str) -> Response:
        self._only(request, "POST")
        with self._lock:
            group = self._find(group_name)
            vm = self._find_vm(group, name)
            properties = vm.resource["properties"]
            if properties.get("priority") != "Spot" or properties.get("evictionPolicy") != "Delete":
                raise Failed(
                    409,
                    "OperationNotAllowed",
                    f"VM '{name}' is not an Azure Spot virtual machine with evictionPolicy Delete.",
                )
        self._announce(group, name.lower(), vm)
        return Response(204)

    def _announce(self, group: Group, name: str, vm: Vm) -> None:
        vm.machine.announce_eviction(self.clock.now() + self.timing.eviction)
        timer = threading.Timer(self.timing.eviction, self._take_away, (group, name, vm))
        timer.daemon = True
        timer.start()

    def _take_away(self, group: Group, name: str, vm: Vm) -> None:
        """End an announced VM: its power first, then its name; the rest of the group stays."""
        vm.machine.kill()
        with self._lock:
            if group.vms.get(name) is vm:
                del group.vms[name]
        self._consoles.forget(vm.vm_id)

    def _diagnostics(self, request: Request, group_name: str, name: str) -> Response:
        """Answer with a link to the VM's console, where boot diagnostics are on."""
        self._only(request, "POST")
        minutes = int(request.query.get("sasUriExpirationTimeInMinutes", "120"))
        if not 1 <= minutes <= 1440:
            raise Failed(400, "InvalidParameter", "The value must be from 1 to 1440.")
        with self._lock:
            vm = self._find_vm(self._find(group_name), name)
            profile = vm.resource["properties"].get("diagnosticsProfile") or {}
            if not (profile.get("bootDiagnostics") or {}).get("enabled"):
                raise Failed(409, "OperationNotAllowed", "Boot diagnostics are not enabled.")
            link = self._consoles.link(vm.vm_id, minutes, vm.machine.console)
        return Response.json(200, {"serialConsoleLogBlobUri": link})

    def _vm(self, request: Request, group_name: str, name: str) -> Response:
        self._only(request, "GET")
        with self._lock:
            group = self._find(group_name)
            vm = self._find_vm(group, name)
            shown = {k: v for k, v in vm.resource.items() if k != "properties"}
            state = "Deleting" if group.deleting else vm.state
            shown["properties"] = {
                **vm.resource["properties"],
                "vmId": vm.vm_id,
                "provisioningState": state,
            }
            if request.query.get("$expand", "").lower() == "instanceview":
                power = vm.machine.power()
                shown["properties"]["instanceView"] = {
                    "statuses": [
                        {
                            "code": f"ProvisioningState/{state.lower()}",
                            "level": "Info",
                            "displayStatus": f"Provisioning {state.lower()}",
                        },
                        {
                            "code": f"PowerState/{power}",
                            "level": "Info",
                            "displayStatus": f"VM {power}",
                        },
                    ]
                }
        return Response.json(200, shown)
