"""What Azure Resource Manager keeps: groups, deployments and VMs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

ACTIVE = ("Accepted", "Running")
"""States of a deployment that is on its way."""


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
