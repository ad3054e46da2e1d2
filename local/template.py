"""Checks a deployment as ARM's preflight does and works out its resources."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from local.template_expressions import Invalid, Scope

API_VERSIONS = {
    "Microsoft.Network/networkSecurityGroups": {"2024-01-01", "2024-05-01"},
    "Microsoft.Network/publicIPAddresses": {"2024-01-01", "2024-05-01"},
    "Microsoft.Network/natGateways": {"2024-01-01", "2024-05-01"},
    "Microsoft.Network/virtualNetworks": {"2024-01-01", "2024-05-01"},
    "Microsoft.Network/networkInterfaces": {"2024-01-01", "2024-05-01"},
    "Microsoft.Compute/virtualMachines": {"2024-03-01", "2024-07-01"},
}
"""The resource types this stand-in can deploy, with the versions it knows."""

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
RESERVED_USERS = {"admin", "administrator", "root", "user", "test", "guest", "backup", "sys"}
MAX_CUSTOM_DATA = 65535
PARAMETER_TYPES = {"string", "securestring", "int", "bool", "object", "secureobject", "array"}


def check(
    body: object, group_id: str, location: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the resources of a deployment body and its public parameters. Raises Invalid."""
    if not isinstance(body, dict):
        raise Invalid("InvalidRequestContent", "The request content was invalid.")
    if "location" in body:
        raise Invalid("InvalidDeployment", "The 'location' property is not allowed at this scope.")
    _known(body, {"properties", "tags"}, "deployment")
    properties = body.get("properties")
    if not isinstance(properties, dict) or properties.get("mode") != "Incremental":
        raise Invalid("InvalidRequestContent", "Deployment mode must be 'Incremental'.")
    _known(properties, {"mode", "template", "parameters", "debugSetting"}, "deployment properties")
    template = properties.get("template")
    if not isinstance(template, dict):
        raise Invalid("InvalidTemplate", "The deployment has no template.")
    for member in ("$schema", "contentVersion", "resources"):
        if member not in template:
            raise Invalid("InvalidTemplate", f"Required property '{member}' not found.")
    _known(
        template,
        {"$schema", "contentVersion", "parameters", "variables", "resources", "outputs"},
        "template",
    )
    if template["$schema"] != SCHEMA:
        raise Invalid("InvalidTemplate", f"The template schema must be '{SCHEMA}'.")
    values, public = _parameters(
        template.get("parameters") or {}, properties.get("parameters") or {}
    )
    scope = Scope(group_id, location, values, template.get("variables") or {})
    if not isinstance(template["resources"], list) or not template["resources"]:
        raise Invalid("InvalidTemplate", "The template has no resources.")
    resources = [_resource(raw, scope, template) for raw in template["resources"]]
    _references(resources, group_id)
    scope.resolve(template.get("outputs") or {})
    return resources, public


def _known(value: Mapping[str, Any], names: set[str], what: str) -> None:
    for name in value:
        if name not in names:
            raise Invalid("InvalidRequestContent", f"Could not find member '{name}' on {what}.")


def _parameters(
    declared: dict[str, Any], given: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values by name, and what a GET may show of them."""
    for name in given:
        if name not in declared:
            raise Invalid(
                "InvalidTemplate",
                f"The template parameters '{name}' in the parameters file are not valid.",
            )
    values, public = {}, {}
    for name, description in declared.items():
        kind = str(description.get("type", "")).lower()
        if kind not in PARAMETER_TYPES:
            raise Invalid("InvalidTemplate", f"The type of parameter '{name}' is not valid.")
        if name in given:
            if not isinstance(given[name], dict) or "value" not in given[name]:
                raise Invalid("InvalidTemplate", f"The value of parameter '{name}' is missing.")
            values[name] = given[name]["value"]
        elif "defaultValue" in description:
            values[name] = description["defaultValue"]
        else:
            raise Invalid(
                "InvalidTemplate",
                f"The value for the template parameter '{name}' is not provided.",
            )
        wanted = {"int": int, "bool": bool, "array": list}.get(kind, str)
        if kind in ("object", "secureobject"):
            wanted = dict
        if not isinstance(values[name], wanted):
            raise Invalid("InvalidTemplate", f"The value of parameter '{name}' is not a {kind}.")
        secure = kind.startswith("secure")
        public[name] = {"type": "SecureString"} if secure else {"type": kind, "value": values[name]}
    return values, public


def _resource(raw: Any, scope: Scope, template: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise Invalid("InvalidTemplate", "A resource is not an object.")
    for member in ("type", "apiVersion", "name", "location"):
        if not raw.get(member):
            code = "LocationRequired" if member == "location" else "InvalidTemplate"
            raise Invalid(code, f"The resource definition has no '{member}' property.")
    kind = raw["type"]
    if kind not in API_VERSIONS:
        raise Invalid("InvalidResourceType", f"The resource type '{kind}' could not be found.")
    if raw["apiVersion"] not in API_VERSIONS[kind]:
        raise Invalid(
            "NoRegisteredProviderFound",
            f"No registered resource provider found for API version '{raw['apiVersion']}' and type "
            f"'{kind}'. The supported api-versions are '{', '.join(sorted(API_VERSIONS[kind]))}'.",
        )
    _known(
        raw,
        {
            "type",
            "apiVersion",
            "name",
            "location",
            "tags",
            "dependsOn",
            "sku",
            "properties",
            "zones",
        }
        | {"identity", "comments"},
        f"resource '{raw['name']}'",
    )
    resource = scope.resolve(raw)
    if kind.endswith("/virtualMachines"):
        _secret_custom_data(raw, template)
        _machine(resource)
    elif kind.endswith("/publicIPAddresses"):
        _address(resource)
    elif kind.endswith("/networkSecurityGroups"):
        _rules(resource)
    elif kind.endswith("/networkInterfaces"):
        configurations = _member(resource, "properties.ipConfigurations")
        for configuration in configurations:
            _member(configuration, "properties.subnet.id")
    elif kind.endswith("/virtualNetworks"):
        _member(resource, "properties.addressSpace.addressPrefixes")
    return resource


def _member(value: Any, path: str) -> Any:
    """Return a nested member. Raises Invalid naming the path when it is missing or empty."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if value in (None, "", [], {}):
        tail = path.removeprefix("properties.")
        raise Invalid("InvalidParameter", f"Required parameter '{tail}' is missing (null).", tail)
    return value


def _secret_custom_data(raw: dict[str, Any], template: dict[str, Any]) -> None:
    """Refuse customData that the deployment's history would show (stricter than ARM itself)."""
    profile = (raw.get("properties") or {}).get("osProfile") or {}
    found = re.fullmatch(r"\[parameters\('(\w+)'\)\]", str(profile.get("customData", "")))
    declared = (template.get("parameters") or {}).get(found[1], {}) if found else {}
    if str(declared.get("type", "")).lower() != "securestring":
        raise Invalid("InvalidTemplate", "customData must be a parameter of type securestring.")


def _machine(resource: dict[str, Any]) -> None:
    name = resource["name"]
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?", name):
        raise Invalid("InvalidParameter", "The name of the VM is not valid.", "vmName")
    size = _member(resource, "properties.hardwareProfile.vmSize")
    if not re.fullmatch(r"(Standard|Basic)_[A-Za-z0-9_-]+", size):
        raise Invalid("InvalidParameter", f"The value {size} is not a valid VM size.", "vmSize")
    for path in ("publisher", "offer", "sku", "version"):
        image = _member(resource, "properties.storageProfile.imageReference")
        if "id" not in image:
            _member(resource, f"properties.storageProfile.imageReference.{path}")
    if _member(resource, "properties.storageProfile.osDisk.createOption") != "FromImage":
        raise Invalid("InvalidParameter", "osDisk.createOption must be FromImage.", "osDisk")
    _member(resource, "properties.osProfile.computerName")
    _login(_member(resource, "properties.osProfile"))
    data = resource["properties"]["osProfile"]["customData"]
    try:
        size_of_data = len(base64.b64decode(data, validate=True))
    except ValueError:
        size_of_data = MAX_CUSTOM_DATA + 1
    if size_of_data > MAX_CUSTOM_DATA:
        raise Invalid(
            "InvalidParameter",
            "Custom data in OSProfile must be in Base64 encoding and with a maximum length of "
            "87380 characters.",
            "customData",
        )
    for interface in _member(resource, "properties.networkProfile.networkInterfaces"):
        _member(interface, "id")
    properties = resource["properties"]
    if properties.get("priority", "Regular") == "Regular":
        if properties.get("evictionPolicy") is not None:
            raise Invalid(
                "EvictionPolicyCanBeSetOnlyOnAzureSpotVirtualMachines",
                "Eviction policy can be set only on Azure Spot Virtual Machines.",
            )
        if properties.get("billingProfile") is not None:
            raise Invalid(
                "MaxPriceIsSupportedOnlyForAzureSpotVirtualMachines",
                "Max price is supported only for Azure Spot Virtual Machines.",
            )


def _login(profile: dict[str, Any]) -> None:
    user = _member(profile, "adminUsername")
    if user.lower() in RESERVED_USERS:
        raise Invalid("InvalidParameter", "The Admin Username specified is not allowed.", user)
    linux = profile.get("linuxConfiguration") or {}
    keys = (linux.get("ssh") or {}).get("publicKeys") or []
    if not linux.get("disablePasswordAuthentication"):
        _member(profile, "adminPassword")
        return
    if not keys:
        raise Invalid(
            "InvalidParameter",
            "Authentication using SSH is required when password authentication is disabled.",
            "linuxConfiguration.ssh.publicKeys",
        )
    for key in keys:
        if key.get("path") != f"/home/{user}/.ssh/authorized_keys":
            raise Invalid(
                "InvalidParameter", "Destination path for SSH public keys is wrong.", "path"
            )
        pieces = str(key.get("keyData", "")).split()
        if len(pieces) < 2 or pieces[0] not in ("ssh-rsa", "ssh-ed25519"):
            raise Invalid(
                "InvalidParameter", "The value of parameter keyData is invalid.", "keyData"
            )
        if pieces[0] == "ssh-rsa" and len(pieces[1]) < 360:
            raise Invalid("InvalidParameter", "The RSA key must have 2048 bits or more.", "keyData")


def _address(resource: dict[str, Any]) -> None:
    sku = (resource.get("sku") or {}).get("name", "Basic")
    if sku != "Standard":
        raise Invalid(
            "IPv4BasicSkuPublicIpCountLimitReached",
            "Cannot create more than 0 IPv4 Basic SKU public IP addresses for this subscription.",
        )
    if (resource.get("properties") or {}).get("publicIPAllocationMethod") != "Static":
        raise Invalid(
            "StandardSkuPublicIPAddressesMustHaveStaticAllocation",
            "Standard sku publicIp must have AllocationMethod set to Static.",
        )


def _rules(resource: dict[str, Any]) -> None:
    for rule in (resource.get("properties") or {}).get("securityRules") or []:
        for name in ("access", "direction", "priority", "protocol"):
            _member(rule, f"properties.{name}")
        if not 100 <= rule["properties"]["priority"] <= 4096:
            raise Invalid("SecurityRuleInvalidPriority", "The priority must be 100 to 4096.")


def _references(resources: list[dict[str, Any]], group_id: str) -> None:
    """Check that what resources name in their own group is in the template."""
    made = {f"{group_id}/providers/{_path(r['type'], r['name'])}".lower() for r in resources}
    names = {resource["name"].lower() for resource in resources}
    prefix = f"{group_id}/providers/".lower()
    for resource in resources:
        for needed in resource.get("dependsOn") or []:
            if needed.lower() not in made and needed.lower() not in names:
                raise Invalid("InvalidTemplate", f"The resource '{needed}' is not defined.")
        for target in _ids(resource.get("properties")):
            lower = target.lower()
            if lower.startswith(prefix) and not any(
                lower == one or lower.startswith(one + "/") for one in made
            ):
                raise Invalid("InvalidResourceReference", f"'{target}' was not found.")


def _path(kind: str, name: str) -> str:
    namespace, _, kind = kind.partition("/")
    return f"{namespace}/{kind}/{name}"


def _ids(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["id"]] if isinstance(value.get("id"), str) else []
        return own + [found for item in value.values() for found in _ids(item)]
    if isinstance(value, list):
        return [found for item in value for found in _ids(item)]
    return []
