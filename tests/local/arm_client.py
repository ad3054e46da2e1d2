"""A small ARM client for tests, with a template like the product's."""

from __future__ import annotations

import base64
import copy
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

KEY = "ssh-rsa " + base64.b64encode(b"k" * 300).decode() + " nobody"
NET = "Microsoft.Network"


def resource(kind: str, name: str, version: str, properties: Any, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "apiVersion": version,
        "name": name,
        "location": "[parameters('location')]",
        "properties": properties,
        **more,
    }


def body(custom_data: bytes = b"#cloud-config\n{}") -> dict[str, Any]:
    """Return a deployment that is accepted; tests break it."""
    vnet = f"{NET}/virtualNetworks"
    machine = {
        "hardwareProfile": {"vmSize": "Standard_D8s_v4"},
        "storageProfile": {
            "imageReference": {
                "publisher": "Canonical",
                "offer": "ubuntu-24_04-lts",
                "sku": "server",
                "version": "latest",
            },
            "osDisk": {"createOption": "FromImage"},
        },
        "osProfile": {
            "computerName": "train-vm",
            "adminUsername": "trainer",
            "customData": "[parameters('customData')]",
            "linuxConfiguration": {
                "disablePasswordAuthentication": True,
                "ssh": {
                    "publicKeys": [{"path": "/home/trainer/.ssh/authorized_keys", "keyData": KEY}]
                },
            },
        },
        "networkProfile": {
            "networkInterfaces": [{"id": f"[resourceId('{NET}/networkInterfaces', 'train-nic')]"}]
        },
    }
    subnet = {"id": f"[resourceId('{vnet}/subnets', 'train-vnet', 'train')]"}
    template = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/"
        "deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "parameters": {
            "location": {"type": "string", "defaultValue": "[resourceGroup().location]"},
            "customData": {"type": "securestring"},
        },
        "resources": [
            resource(
                vnet, "train-vnet", "2024-05-01", {"addressSpace": {"addressPrefixes": ["x"]}}
            ),
            resource(
                f"{NET}/publicIPAddresses",
                "train-ip",
                "2024-05-01",
                {"publicIPAllocationMethod": "Static"},
                sku={"name": "Standard"},
            ),
            resource(
                f"{NET}/networkInterfaces",
                "train-nic",
                "2024-05-01",
                {"ipConfigurations": [{"name": "c", "properties": {"subnet": subnet}}]},
                dependsOn=[f"[resourceId('{vnet}', 'train-vnet')]"],
            ),
            resource("Microsoft.Compute/virtualMachines", "train-vm", "2024-07-01", machine),
        ],
    }
    parameters = {
        "location": {"value": "japaneast"},
        "customData": {"value": base64.b64encode(custom_data).decode()},
    }
    return copy.deepcopy(
        {"properties": {"mode": "Incremental", "template": template, "parameters": parameters}}
    )


class ArmClient:
    """Asks ARM with a token of the cloud's own principal."""

    def __init__(self, cloud: Any) -> None:
        self.cloud = cloud
        self.base = f"/subscriptions/{cloud.arm.subscription}"
        self.token = self.fetch_token()[1]["access_token"]

    def fetch_token(self, **changes: str) -> tuple[int, dict[str, Any]]:
        principal = self.cloud.principal
        form = {
            "client_id": principal.client_id,
            "client_secret": principal.secret,
            "scope": f"{self.cloud.arm.url}/.default",
            "grant_type": "client_credentials",
        } | changes
        tenant = form.pop("tenant", principal.tenant)
        url = f"{self.cloud.identity.url}/{tenant}/oauth2/v2.0/token"
        status, _, value = call("POST", url, urllib.parse.urlencode(form).encode(), {})
        return status, value

    def ask(
        self, method: str, path: str, value: Any = None, version: str = "2024-03-01"
    ) -> tuple[int, dict[str, str], Any]:
        url = path if path.startswith("http") else f"{self.cloud.arm.url}{self.base}{path}"
        if "api-version" not in url and version:
            url += ("&" if "?" in url else "?") + f"api-version={version}"
        headers = {"Authorization": f"Bearer {self.token}"}
        data = None
        if value is not None:
            data = json.dumps(value).encode()
            headers["Content-Type"] = "application/json"
        return call(method, url, data, headers)

    def group(self, name: str) -> str:
        status, _, _ = self.ask("PUT", f"/resourcegroups/{name}", {"location": "japaneast"})
        assert status == 201
        return f"/resourcegroups/{name}"

    def code(self, method: str, path: str, value: Any = None, **more: str) -> tuple[int, str]:
        """Return status and innermost code of a call that fails."""
        status, _, answer = self.ask(method, path, value, **more)
        error = answer["error"]
        while error.get("details"):
            error = error["details"][0]
        return status, error["code"]


def call(
    method: str, url: str, data: bytes | None, headers: dict[str, str]
) -> tuple[int, dict[str, str], Any]:
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
            return answer.status, dict(answer.headers), json.loads(text or b"null")
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, dict(error.headers), json.loads(text or b"null")
