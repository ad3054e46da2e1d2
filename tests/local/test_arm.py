"""The ARM stand-in behaves like ARM where it hurts."""

from __future__ import annotations

import base64
import json
import urllib.request
from email.utils import parsedate_to_datetime

import pytest

from local.arm import nested_failure
from local.clock import wait_until
from tests.local.arm_client import ArmClient, body

DEPLOY = "/providers/Microsoft.Resources/deployments/train"
VM = "/providers/Microsoft.Compute/virtualMachines/train-vm?$expand=instanceView"


@pytest.fixture
def arm(cloud):
    cloud.vms.work = lambda vm: None
    return ArmClient(cloud)


def state(arm, group):
    return arm.ask("GET", group + DEPLOY)[2]["properties"]["provisioningState"]


def finish(arm, group, wanted):
    wait_until(lambda: state(arm, group) == wanted, what=f"a deployment to be {wanted}")


def test_tokens(cloud, arm):
    status, answer = arm.fetch_token(client_secret="wrong")
    assert (status, answer["error"], answer["error_codes"]) == (401, "invalid_client", [7000215])
    assert answer["error_description"].startswith("AADSTS7000215: ")
    assert arm.fetch_token(tenant="nobody")[1]["error_codes"] == [90002]
    assert arm.fetch_token(client_id="nobody")[1]["error_codes"] == [700016]
    assert arm.fetch_token(scope="nothing")[1]["error_codes"] == [70011]
    status, answer = arm.fetch_token()
    assert status == 200
    assert isinstance(answer["expires_in"], int)


def test_a_token_is_needed_and_ends_by_the_moved_clock(cloud, arm):
    good, arm.token = arm.token, "nonsense"
    status, headers, answer = arm.ask("GET", "/resourcegroups/x")
    assert status == 401
    assert headers["WWW-Authenticate"].startswith("Bearer ")
    assert answer["error"]["code"] == "ExpiredAuthenticationToken"
    arm.token = good
    assert arm.code("GET", "/resourcegroups/x") == (404, "ResourceGroupNotFound")
    cloud.clock.advance(3600)
    assert arm.ask("GET", "/resourcegroups/x")[0] == 401


def test_versions_and_paths(arm):
    assert arm.code("GET", "", version="") == (400, "MissingApiVersionParameter")
    assert arm.code("GET", "", version="2099-01-01") == (400, "InvalidApiVersionParameter")
    assert arm.ask("GET", "")[2]["state"] == "Enabled"
    assert arm.ask("GET", f"{arm.cloud.arm.url}/subscriptions")[2]["value"]
    other = f"{arm.cloud.arm.url}/subscriptions/other"
    assert arm.code("GET", other) == (404, "SubscriptionNotFound")


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("ends.", {"location": "japaneast"}, "InvalidResourceGroupName"),
        ("a" * 91, {"location": "japaneast"}, "InvalidResourceGroupName"),
        ("ok", {}, "LocationRequired"),
        ("ok", {"location": "moon"}, "LocationNotAvailableForResourceGroup"),
        ("ok", {"location": "japaneast", "tags": {"a?": "1"}}, "InvalidTagNameCharacters"),
        ("ok", {"location": "japaneast", "tags": {"a": 1}}, "InvalidTagValueLength"),
        ("ok", {"location": "japaneast", "colour": 1}, "InvalidRequestContent"),
    ],
)
def test_groups_are_checked(arm, name, value, code):
    assert arm.code("PUT", f"/resourcegroups/{name}", value) == (400, code)


def test_groups_by_tag_and_by_name_in_any_case(cloud, arm):
    cloud.arm.make_group("Somebody", {"app": "else"})
    tags = {"location": "Japan East", "tags": {"app": "retrain"}}
    assert arm.ask("PUT", "/resourcegroups/tagged", tags)[0] == 201
    assert arm.ask("PUT", "/resourceGroups/TAGGED", tags)[0] == 200
    assert arm.ask("GET", "/resourcegroups/somebody")[2]["tags"] == {"app": "else"}
    found = arm.ask(
        "GET", "/resourcegroups?$filter=tagName%20eq%20%27app%27%20and%20tagValue%20eq%20%27else%27"
    )
    assert [group["name"] for group in found[2]["value"]] == ["Somebody"]
    moved = {"location": "eastus"}
    assert arm.code("PUT", "/resourcegroups/tagged", moved) == (409, "InvalidResourceGroupLocation")


def test_a_deployment_runs_and_secrets_stay_inside(cloud, arm):
    group = arm.group("runs")
    secret = base64.b64encode(b"#cloud-config\n{}").decode()
    status, headers, answer = arm.ask("PUT", group + DEPLOY, body())
    assert (status, answer["properties"]["provisioningState"]) == (201, "Accepted")
    assert arm.code("PUT", group + DEPLOY, body()) == (409, "DeploymentActive")
    follow = headers["Azure-AsyncOperation"]
    assert arm.ask("GET", follow)[2]["status"] in ("Accepted", "Running")
    finish(arm, group, "Succeeded")
    assert arm.ask("GET", follow)[2]["status"] == "Succeeded"
    shown = arm.ask("GET", group + DEPLOY)[2]
    machine = arm.ask("GET", group + VM)[2]
    operations = arm.ask("GET", group + DEPLOY + "/operations")[2]
    assert len(operations["value"]) == 4
    assert secret not in json.dumps([shown, machine, operations])
    codes = [s["code"] for s in machine["properties"]["instanceView"]["statuses"]]
    assert codes == ["ProvisioningState/succeeded", "PowerState/running"]
    assert arm.ask("POST", group + DEPLOY + "/cancel")[0] == 409
    assert arm.ask("PUT", group + DEPLOY, body())[0] == 200
    finish(arm, group, "Succeeded")
    assert arm.ask("GET", group + VM)[2]["properties"]["vmId"] == machine["properties"]["vmId"]
    cloud.arm.evict("runs")
    assert arm.code("GET", group + VM) == (404, "ResourceNotFound")
    assert arm.ask("GET", group)[0] == 200


def test_deleting_a_group_takes_time_and_then_it_is_unknown(cloud, arm):
    group = arm.group("gone")
    arm.ask("PUT", group + DEPLOY, body())
    finish(arm, group, "Succeeded")
    forced = group + "?forceDeletionTypes=Microsoft.Compute/virtualMachines"
    status, headers, _ = arm.ask("DELETE", forced)
    assert (status, headers["Retry-After"]) == (202, "15")
    assert arm.ask("GET", group)[2]["properties"]["provisioningState"] == "Deleting"
    put = arm.code("PUT", group, {"location": "japaneast"})
    assert put == (409, "ResourceGroupBeingDeleted")
    assert arm.code("PUT", group + DEPLOY, body()) == (409, "ResourceGroupBeingDeleted")
    assert arm.ask("GET", headers["Location"])[0] == 202
    assert arm.ask("DELETE", group)[0] == 202
    wait_until(lambda: arm.ask("GET", group)[0] == 404, what="the group to go")
    assert arm.code("DELETE", group) == (404, "ResourceGroupNotFound")
    assert arm.ask("GET", headers["Location"])[0] == 200


def test_cancel_a_running_deployment(arm):
    group = arm.group("cancelled")
    arm.ask("PUT", group + DEPLOY, body())
    assert arm.ask("POST", group + DEPLOY + "/cancel")[0] == 204
    assert state(arm, group) == "Canceled"
    assert arm.code("POST", group + DEPLOY + "/cancel")[0] == 409


def test_a_group_deleted_while_it_deploys_can_come_back(cloud, arm):
    cloud.arm.comes_back = True
    cloud.arm.timing.running = 3.0
    group = arm.group("undead")
    arm.ask("PUT", group + DEPLOY, body())
    finish(arm, group, "Running")
    arm.ask("DELETE", group)
    wait_until(lambda: state(arm, group) == "Succeeded", what="the group's return")
    cloud.arm.timing.running = 0.4
    assert arm.ask("GET", group + VM)[0] == 200


def test_locks_and_failures(cloud, arm):
    group = arm.group("locked")
    cloud.arm.lock("locked")
    assert arm.code("DELETE", group) == (409, "ScopeLocked")
    cloud.arm.lock("locked", False)
    cloud.arm.fail_next = nested_failure("AllocationFailed", "Allocation failed. No capacity.")
    arm.ask("PUT", group + DEPLOY, body())
    finish(arm, group, "Failed")
    error = arm.ask("GET", group + DEPLOY)[2]["properties"]["error"]
    inner = json.loads(error["details"][0]["message"])
    assert inner["error"]["details"][0]["code"] == "AllocationFailed"
    operations = arm.ask("GET", group + DEPLOY + "/operations")[2]["value"]
    assert operations[-1]["properties"]["statusMessage"]["error"] == error


def spot(value):
    machine = machine_of(value)
    machine |= {"priority": "Spot", "evictionPolicy": "Delete", "billingProfile": {"maxPrice": -1}}
    return value


def test_a_spot_vm_is_evicted(cloud, arm, monkeypatch):
    """A notice first, then the VM is gone and its group is not."""
    monkeypatch.setattr(cloud.arm.timing, "eviction", 0.5)
    group = arm.group("spot")
    arm.ask("PUT", group + DEPLOY, spot(body()))
    finish(arm, group, "Succeeded")
    machine = cloud.arm.vms()[-1].machine
    path, query = VM.split("?")
    assert arm.code("POST", group + path.replace("train-vm", "other") + "/simulateEviction") == (
        404,
        "ResourceNotFound",
    )
    before = cloud.clock.now()
    status, _, answer = arm.ask("POST", f"{group}{path}/simulateEviction")
    assert (status, answer) == (204, None)
    (event,) = scheduled(machine)
    assert (event["EventType"], event["Resources"]) == ("Preempt", ["train-vm"])
    assert parsedate_to_datetime(event["NotBefore"]).timestamp() >= int(before)
    wait_until(
        lambda: arm.ask("GET", f"{group}{path}?{query}")[0] == 404, what="the VM to be taken away"
    )
    assert arm.code("GET", f"{group}{path}") == (404, "ResourceNotFound")
    assert not machine.processes()
    assert arm.ask("GET", group)[2]["properties"]["provisioningState"] == "Succeeded"
    left = [r["name"] for r in arm.ask("GET", group + "/resources")[2]["value"]]
    assert "train-vm" not in left
    assert "train-nic" in left


def test_only_a_spot_vm_is_evicted(cloud, arm):
    group = arm.group("regular")
    arm.ask("PUT", group + DEPLOY, body())
    finish(arm, group, "Succeeded")
    evict = group + VM.split("?")[0] + "/simulateEviction"
    assert arm.code("POST", evict) == (409, "OperationNotAllowed")
    assert arm.code("GET", evict) == (405, "MethodNotAllowed")
    assert scheduled(cloud.arm.vms()[-1].machine) == []


def test_a_group_that_is_deleted_before_its_vm_is_evicted(cloud, arm, monkeypatch):
    monkeypatch.setattr(cloud.arm.timing, "eviction", 1.5)
    group = arm.group("both")
    arm.ask("PUT", group + DEPLOY, spot(body()))
    finish(arm, group, "Succeeded")
    cloud.arm.simulate_eviction("both")
    arm.ask("DELETE", group)
    wait_until(lambda: arm.ask("GET", group)[0] == 404, what="the group to be gone")


def scheduled(machine):
    url = machine._imds.url + "/metadata/scheduledevents?api-version=2020-07-01"
    request = urllib.request.Request(url, headers={"Metadata": "true"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.loads(answer.read())["Events"]


def machine_of(value):
    return value["properties"]["template"]["resources"][3]["properties"]


def break_it(value, how):
    template, machine = value["properties"]["template"], machine_of(value)
    match how:
        case "mode":
            value["properties"]["mode"] = "Complete"
        case "location":
            value["location"] = "japaneast"
        case "schema":
            del template["$schema"]
        case "missing parameter":
            del value["properties"]["parameters"]["customData"]
        case "unknown parameter":
            value["properties"]["parameters"]["x"] = {"value": 1}
        case "plain custom data":
            template["parameters"]["customData"]["type"] = "string"
        case "literal custom data":
            machine["osProfile"]["customData"] = "eA=="
        case "not base64":
            value["properties"]["parameters"]["customData"]["value"] = "***"
        case "too long":
            value["properties"]["parameters"]["customData"]["value"] = "AAAA" * 22000
        case "resource location":
            del template["resources"][0]["location"]
        case "api version":
            template["resources"][0]["apiVersion"] = "2031-01-01"
        case "type":
            template["resources"][0]["type"] = "Microsoft.Fun/things"
        case "basic ip":
            template["resources"][1]["sku"]["name"] = "Basic"
        case "eviction":
            machine["evictionPolicy"] = "Delete"
        case "user":
            machine["osProfile"]["adminUsername"] = "admin"
        case "no key":
            machine["osProfile"]["linuxConfiguration"]["ssh"]["publicKeys"] = []
        case "no image":
            del machine["storageProfile"]["imageReference"]
        case "reference":
            del template["resources"][2]
        case "expression":
            machine["hardwareProfile"]["vmSize"] = "[uniqueString(1)]"


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("mode", "InvalidRequestContent"),
        ("location", "InvalidDeployment"),
        ("schema", "InvalidTemplate"),
        ("missing parameter", "InvalidTemplate"),
        ("unknown parameter", "InvalidTemplate"),
        ("plain custom data", "InvalidTemplate"),
        ("literal custom data", "InvalidTemplate"),
        ("not base64", "InvalidParameter"),
        ("too long", "InvalidParameter"),
        ("resource location", "LocationRequired"),
        ("api version", "NoRegisteredProviderFound"),
        ("type", "InvalidResourceType"),
        ("basic ip", "IPv4BasicSkuPublicIpCountLimitReached"),
        ("eviction", "EvictionPolicyCanBeSetOnlyOnAzureSpotVirtualMachines"),
        ("user", "InvalidParameter"),
        ("no key", "InvalidParameter"),
        ("no image", "InvalidParameter"),
        ("reference", "InvalidResourceReference"),
        ("expression", "InvalidTemplate"),
    ],
)
def test_deployments_are_checked(cloud, arm, how, code):
    if "checked" not in cloud.arm.groups():
        arm.group("checked")
    value = body()
    break_it(value, how)
    assert arm.code("PUT", "/resourcegroups/checked" + DEPLOY, value) == (400, code)
    assert arm.code("GET", "/resourcegroups/checked" + DEPLOY) == (404, "DeploymentNotFound")
