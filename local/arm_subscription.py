"""One subscription: its groups with their VMs, and what happens to them from outside."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from local.arm_errors import Failed
from local.arm_types import ACTIVE, Deployment, Group, Machine, MachineSpec, Timing, Vm
from local.buckets import Buckets
from local.clock import Clock
from local.console import Consoles
from local.faults import Faults
from local.identity import Identity
from local.quota import Quota
from local.recorder import Recorder
from local.service import Service

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


class Subscription(Service):
    """What exists in one subscription; `Arm` serves it. The calls share `_lock` and `_groups`."""

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
        self.boot = boot
        self.consoles = consoles
        self._lock = threading.RLock()
        self._groups: dict[str, Group] = {}
        self.results: dict[str, str] = {}

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
        self.cut_power(self._groups[name.lower()])

    def simulate_eviction(self, name: str) -> None:
        """Evict the VMs of a group as Azure does: with a notice, and `timing.eviction` later.

        Raises KeyError for unknown groups.
        """
        with self._lock:
            group = self._groups[name.lower()]
            going = list(group.vms.items())
        for vm_name, vm in going:
            self.announce(group, vm_name, vm)

    def stop(self) -> None:
        """Stop serving and cut the power of all machines."""
        super().stop()
        for machine in self.machines:
            machine.kill()

    # What the calls share.

    def find(self, name: str) -> Group:
        """Return a group by name. Raises Failed."""
        group = self._groups.get(name.lower())
        if group is None:
            raise Failed(
                404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found."
            )
        return group

    @staticmethod
    def find_vm(group: Group, name: str) -> Vm:
        """Return a VM of a group by name. Raises Failed."""
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

    def identify(self, group: Group) -> str:
        """Return the resource id of a group."""
        return f"/subscriptions/{self.subscription}/resourceGroups/{group.name}"

    def _move(self, group: Group, deployment: Deployment, before: str, after: str) -> bool:
        with self._lock:
            alive = self._groups.get(group.name.lower()) is group
            if not alive or deployment.state != before:
                return False
            deployment.state = after
            return True

    def cut_power(self, group: Group) -> None:
        """End all VMs of a group at once."""
        with self._lock:
            gone, group.vms = list(group.vms.values()), {}
        for vm in gone:
            vm.machine.kill()
            self.consoles.forget(vm.vm_id)

    def announce(self, group: Group, name: str, vm: Vm) -> None:
        """Give a VM the notice of its eviction, and take it away `timing.eviction` later."""
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
        self.consoles.forget(vm.vm_id)
