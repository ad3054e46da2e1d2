"""What Azure's own descriptions say of what the handler sends to Resource Manager.

The descriptions lie beside the project, in ../shared/specs, and are never copied into it: a check
is skipped where its tool or the descriptions are absent, and only there.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.arm import Timing, nested_failure
from local.cloud import LocalCloud
from local.paths import ROOT
from local.recorder import Exchange
from tests.e2e.check import run_check
from tests.e2e.conftest import hasten
from tests.e2e.helpers import accepted, deliver, machine, run_until_closed, turn_until
from tests.e2e.quick import QuickVm

SPECS = ROOT.parent / "shared" / "specs"
OPENAPI = SPECS / "azure-rest-api-specs@a977c730"
with_specs = pytest.mark.skipif(
    not OPENAPI.is_dir(), reason="Azure's API descriptions (../shared/specs) are not here"
)
with_cloud_init = pytest.mark.skipif(
    shutil.which("cloud-init") is None, reason="cloud-init is not installed"
)


@dataclass
class Traffic:
    """All that went between the handler and Resource Manager in three jobs."""

    exchanges: list[Exchange]

    def deployments(self) -> list[dict[str, Any]]:
        """The bodies of the deployments that were ordered, each different one once."""
        put = [e.request_body for e in self.exchanges if e.method == "PUT"]
        bodies = [json.loads(body) for body in dict.fromkeys(put)]
        return [body["properties"] for body in bodies if "template" in body.get("properties", {})]


def once_more(job: str) -> str:
    """A message for the same data, which would be asked about without `force`."""
    message = {"v": 1, "action": "train", "dataset": "a.zip", "job_id": job, "force": True}
    return json.dumps(message)


@pytest.fixture(scope="module")
def traffic(dist: Path, zip_bytes: bytes) -> Iterator[Traffic]:
    """A job that ends well, one whose deployment fails, one whose deployment is cancelled."""
    with LocalCloud(dist=dist) as cloud:
        app = hasten(cloud).app
        app.put_zip("a.zip", zip_bytes)

        hold = threading.Event()
        cloud.vms.work = QuickVm(hold=hold)
        deliver(app, "a.zip:well")
        turn_until(cloud, lambda: machine(app, "well") == "running")
        for _ in range(2):
            app.watch()
            cloud.clock.advance(61)
        hold.set()
        record = run_until_closed(cloud, "well")
        assert record["state"]["outcome"] == "succeeded"

        cloud.arm.fail_next = nested_failure("RequestDisallowedByPolicy", "Not here.")
        deliver(app, once_more("failed"))
        record = run_until_closed(cloud, "failed")
        assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "refused")

        cloud.vms.work = QuickVm(status="failed")
        cloud.arm.timing = Timing(accepted=0.02, running=60.0, delete=0.1)
        deliver(app, once_more("cancelled"))
        record = run_until_closed(cloud, "cancelled")
        assert (record["state"]["outcome"], record["state"]["reason"]) == ("failed", "report")

        yield Traffic(cloud.recorder.select("arm"))


def test_the_traffic_has_every_kind_of_call(traffic: Traffic) -> None:
    """What is not in the traffic is not checked by the others."""
    kinds = {
        (
            e.method,
            re.sub(r"^[-0-9a-f]{36}$", "subscription", e.url.split("?")[0].split("/")[-2]).lower(),
        )
        for e in traffic.exchanges
    }
    assert kinds == {
        ("GET", "resourcegroups"),
        ("PUT", "resourcegroups"),
        ("DELETE", "resourcegroups"),
        ("GET", "deployments"),
        ("PUT", "deployments"),
        ("POST", "train"),  # .../deployments/train/cancel
        ("POST", "train-vm"),  # .../retrieveBootDiagnosticsData
        ("GET", "virtualmachines"),
        ("GET", "subscription"),  # .../resourcegroups
        ("GET", "microsoft.compute"),  # .../skus
        ("GET", "japaneast"),  # .../usages
    }
    cancelled = [e for e in accepted(traffic.exchanges) if "/cancel?" in e.url]
    assert len(cancelled) == 1
    assert len(traffic.deployments()) == 3
    assert {e.status for e in traffic.exchanges} >= {200, 201, 202, 204, 404}


def pair(e: Exchange) -> str:
    """One line for oav_live.js."""

    def side(headers: list[tuple[str, str]], body: bytes) -> dict[str, Any]:
        content = {"body": json.loads(body)} if body else {}
        return {"headers": {name.lower(): value for name, value in headers}, **content}

    request = side(e.request_headers, e.request_body)
    response = side(e.response_headers, e.response_body)
    request["headers"].pop("authorization", None)
    return json.dumps(
        {
            "liveRequest": {"method": e.method, "url": e.url, **request},
            "liveResponse": {"statusCode": str(e.status), **response},
        }
    )


def oav(exchanges: list[Exchange]) -> subprocess.CompletedProcess[str]:
    """Run the check; exit code 1 when it finds something, which its output then names."""
    return subprocess.run(
        ["node", str(SPECS / "tools" / "oav_live.js"), str(OPENAPI)],
        input="\n".join(pair(e) for e in exchanges),
        env={**os.environ, "NODE_PATH": str(ROOT / "node_modules")},
        capture_output=True,
        text=True,
        timeout=300,
    )


@with_specs
def test_every_call_and_answer_is_as_the_openapi_files_say(traffic: Traffic) -> None:
    found = oav(traffic.exchanges)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@with_specs
def test_what_check_asks_is_as_the_openapi_files_say(dist: Path) -> None:
    """The list of rights is described for groups alone; the real service answers for subscriptions
    too, with the same body, which is therefore looked at as that of a group."""
    with LocalCloud(dist=dist, hosts=False) as cloud:
        for subscription in (cloud.arm.subscription, ""):
            app = {**cloud.app.settings(), "AZURE_SUBSCRIPTION_ID": subscription}
            assert run_check(cloud, settings=app).code == 0
        exchanges = cloud.recorder.select("arm")
    rights = "/providers/Microsoft.Authorization/permissions?"
    checked = []
    for e in exchanges:
        url = e.url.replace(rights, f"/resourcegroups/any{rights}")
        checked.append(Exchange(**{**vars(e), "url": url}))
    kinds = "subscription, the list of them, rights, regions, sizes"
    assert len({e.url for e in checked}) == 5, kinds
    found = oav(checked)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def other(e: Exchange, part: str, change: Callable[[dict[str, Any]], None]) -> Exchange:
    """The same exchange with one of its bodies changed."""
    body = json.loads(getattr(e, part))
    change(body)
    return Exchange(**{**vars(e), part: json.dumps(body).encode()})


@with_specs
def test_the_check_sees_what_is_wrong(traffic: Traffic) -> None:
    """A request and an answer: neither is waved through because nobody looked."""

    def first(method: str, url: str) -> Exchange:
        return next(e for e in accepted(traffic.exchanges) if e.method == method and url in e.url)

    order = first("PUT", "/deployments/")
    wrong = other(order, "request_body", lambda b: b["properties"].update(mode="Sideways"))
    found = oav([wrong])
    assert (found.returncode, found.stderr) == (1, "")
    assert " req " in found.stdout
    assert "mode" in found.stdout

    vm = first("GET", "/virtualMachines/")
    wrong = other(vm, "response_body", lambda b: b["properties"].update(vmId=7))
    found = oav([wrong])
    assert (found.returncode, found.stderr) == (1, "")
    assert " res " in found.stdout
    assert "vmId" in found.stdout


@with_specs
def test_every_template_has_only_what_azure_knows(traffic: Traffic, tmp_path: Path) -> None:
    files = []
    for number, ordered in enumerate(traffic.deployments()):
        files.append(tmp_path / f"template-{number}.json")
        files[-1].write_text(json.dumps(ordered["template"]), encoding="utf-8")
    found = subprocess.run(
        [sys.executable, str(SPECS / "tools" / "check_props.py"), *map(str, files)],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    lines = found.stdout.splitlines()
    assert len(lines) >= 5 * len(files), "group, network, address, card, machine"
    assert [line for line in lines if not line.endswith(" ok")] == []


@with_cloud_init
def test_every_custom_data_is_good_cloud_config(traffic: Traffic, tmp_path: Path) -> None:
    for number, ordered in enumerate(traffic.deployments()):
        secret = [
            p["value"] for name, p in ordered["parameters"].items() if name.lower() == "customdata"
        ]
        assert len(secret) == 1
        file = tmp_path / f"custom-data-{number}"
        file.write_bytes(base64.b64decode(secret[0], validate=True))
        found = subprocess.run(
            ["cloud-init", "schema", "--config-file", str(file)], capture_output=True, text=True
        )
        said = found.stdout + found.stderr
        assert found.returncode == 0, said
        assert "deprecat" not in said.lower(), said
