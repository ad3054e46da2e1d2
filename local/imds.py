"""The instance metadata service that a VM asks about itself."""

from __future__ import annotations

import uuid
from email.utils import formatdate
from typing import Any

from local.arm_types import MachineSpec
from local.clock import Clock
from local.faults import Faults
from local.recorder import Recorder
from local.service import Request, Response, Service


class Imds(Service):
    """The instance metadata service of one VM."""

    name = "imds"

    def __init__(self, clock: Clock, recorder: Recorder, faults: Faults, spec: MachineSpec) -> None:
        """Serve the metadata of `spec`."""
        super().__init__(clock, recorder, faults)
        self._compute = {
            "vmId": spec.vm_id,
            "name": spec.name,
            "resourceGroupName": spec.group,
            "location": spec.location,
            "vmSize": spec.size,
        }
        self._name = spec.name
        self._events: list[dict[str, Any]] = []

    def preempt(self, at: float) -> None:
        """Announce from now on that the VM is taken away at a time of the moved clock."""
        self._events = [
            {
                "EventId": str(uuid.uuid4()),
                "EventType": "Preempt",
                "ResourceType": "VirtualMachine",
                "Resources": [self._name],
                "EventStatus": "Scheduled",
                "NotBefore": formatdate(at, usegmt=True),
                "Description": "",
                "EventSource": "Platform",
                "DurationInSeconds": -1,
            }
        ]

    def handle(self, request: Request) -> Response:
        """Answer as IMDS does: only to requests with `Metadata: true` and a known version."""
        if request.headers.get("Metadata", "").lower() != "true":
            return Response.json(400, {"error": "Bad request. Required metadata header missing"})
        if request.query.get("api-version") not in ("2020-07-01", "2021-02-01"):
            return Response.json(400, {"error": "Bad request. api-version was not specified"})
        pieces = request.segments()
        if pieces == ["metadata", "scheduledevents"]:
            events = self._events
            return Response.json(200, {"DocumentIncarnation": 1 + len(events), "Events": events})
        if pieces == ["metadata", "instance", "compute"]:
            return Response.json(200, self._compute)
        if pieces[:3] == ["metadata", "instance", "compute"] and pieces[-1] in self._compute:
            if request.query.get("format") != "text":
                return Response.json(400, {"error": "Bad request. Leaves need format=text"})
            return Response(200, {"Content-Type": "text/plain"}, self._compute[pieces[-1]].encode())
        return Response.json(404, {"error": "Not found"})
