"""The calls of VMs: how one is, what it has printed, and a Spot VM's eviction."""

from __future__ import annotations

from local.arm_errors import Failed, only
from local.arm_subscription import Subscription
from local.service import Request, Response


def answer(arm: Subscription, request: Request, group_name: str, name: str) -> Response:
    """Show one VM, with `$expand=instanceView` its power too."""
    only(request, "GET")
    with arm._lock:
        group = arm.find(group_name)
        vm = arm.find_vm(group, name)
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


def diagnostics(arm: Subscription, request: Request, group_name: str, name: str) -> Response:
    """Answer with a link to the VM's console, where boot diagnostics are on."""
    only(request, "POST")
    minutes = int(request.query.get("sasUriExpirationTimeInMinutes", "120"))
    if not 1 <= minutes <= 1440:
        raise Failed(400, "InvalidParameter", "The value must be from 1 to 1440.")
    with arm._lock:
        vm = arm.find_vm(arm.find(group_name), name)
        profile = vm.resource["properties"].get("diagnosticsProfile") or {}
        if not (profile.get("bootDiagnostics") or {}).get("enabled"):
            raise Failed(409, "OperationNotAllowed", "Boot diagnostics are not enabled.")
        link = arm.consoles.link(vm.vm_id, minutes, vm.machine.console)
    return Response.json(200, {"serialConsoleLogBlobUri": link})


def simulate_eviction(arm: Subscription, request: Request, group_name: str, name: str) -> Response:
    """Evict a Spot VM, with a notice first."""
    only(request, "POST")
    with arm._lock:
        group = arm.find(group_name)
        vm = arm.find_vm(group, name)
        properties = vm.resource["properties"]
        if properties.get("priority") != "Spot" or properties.get("evictionPolicy") != "Delete":
            raise Failed(
                409,
                "OperationNotAllowed",
                f"VM '{name}' is not an Azure Spot virtual machine with evictionPolicy Delete.",
            )
    arm.announce(group, name.lower(), vm)
    return Response(204)
