"""The part of Azure Resource Manager that training jobs use: groups, deployments, one VM each."""

from __future__ import annotations

import math
import uuid

from local import arm_deployments, arm_groups, arm_offer, arm_vms
from local.arm_errors import Failed, error_body, nested_failure, only
from local.arm_subscription import CONTRIBUTOR, Subscription
from local.arm_types import MachineSpec, Timing
from local.buckets import KINDS
from local.quota import SKUS_VERSION
from local.service import Request, Response

__all__ = ["CONTRIBUTOR", "Arm", "MachineSpec", "Timing", "error_body", "nested_failure"]

RESOURCE_VERSIONS = {"2021-04-01", "2022-09-01", "2022-12-01", "2024-03-01", "2025-04-01"}
COMPUTE_VERSIONS = {"2024-03-01", "2024-07-01"}
AUTHORIZATION_VERSIONS = {"2022-04-01"}


class Arm(Subscription):
    """ARM for one subscription. Faults of single calls are scripted in `faults`."""

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
            only(request, "GET")
            return Response.json(200, {"value": [arm_offer.subscription(self)], "nextLink": ""})
        if lower[1] != self.subscription.lower():
            raise Failed(
                404, "SubscriptionNotFound", f"The subscription '{pieces[1]}' could not be found."
            )
        rest, low = pieces[2:], lower[2:]
        if not rest:
            only(request, "GET")
            return Response.json(200, arm_offer.subscription(self))
        if low[0] == "operationresults" and len(low) == 2:
            return arm_groups.operation_result(self, rest[1])
        if low == ["providers", "microsoft.authorization", "permissions"]:
            only(request, "GET")
            return Response.json(200, {"value": self.permissions})
        if low == ["locations"]:
            only(request, "GET")
            return Response.json(200, {"value": arm_offer.locations(self)})
        if low[:2] == ["providers", "microsoft.compute"]:
            only(request, "GET")
            return arm_offer.compute(self, request, low[2:])
        if low[0] != "resourcegroups":
            raise Failed(404, "InvalidResourceType", "The resource type could not be found.")
        if len(low) == 1:
            only(request, "GET")
            return arm_groups.list_groups(self, request)
        if len(low) == 2:
            return arm_groups.answer(self, request, rest[1])
        if low[2] == "resources" and len(low) == 3:
            only(request, "GET")
            return arm_groups.list_resources(self, rest[1])
        if low[2:5] == ["providers", "microsoft.resources", "deployments"] and len(low) > 5:
            return arm_deployments.answer(self, request, rest[1], rest[5], low[6:])
        if low[2:5] == ["providers", "microsoft.compute", "virtualmachines"] and (
            low[6:] == ["retrievebootdiagnosticsdata"]
        ):
            return arm_vms.diagnostics(self, request, rest[1], rest[5])
        if low[2:5] == ["providers", "microsoft.compute", "virtualmachines"] and len(low) == 6:
            return arm_vms.answer(self, request, rest[1], rest[5])
        if low[2:5] == ["providers", "microsoft.compute", "virtualmachines"] and low[6:] == [
            "simulateeviction"
        ]:
            return arm_vms.simulate_eviction(self, request, rest[1], rest[5])
        raise Failed(404, "InvalidResourceType", "The resource type could not be found.")
