"""`--check`: all is well, or what is missing is named; and nothing is changed by asking."""

from __future__ import annotations

import base64
import copy
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.arm import CONTRIBUTOR
from local.cloud import MANAGED, ON_A_VM, LocalCloud
from local.paths import ROOT
from local.recorder import Exchange
from tests.e2e.check import run_check

QUESTIONS = [
    "settings",
    "sign-in",
    "subscription",
    "rights",
    "regions",
    "sizes",
    "blobs",
    "queues",
    "files",
    "Slack",
    "prices",
]
SERVICES = ("identity", "arm", "blob", "queue", "files")
USER_ASSIGNED = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def shared(dist: Path) -> Iterator[LocalCloud]:
    """A cloud without hosts: nobody but the check talks to it."""
    named = {**MANAGED, "AZURE_CLIENT_ID": USER_ASSIGNED}
    apps = {"app": {}, "managed": MANAGED, "named": named, "vm": ON_A_VM}
    with LocalCloud(apps, dist=dist, hosts=False) as cloud:
        cloud.identity.identities.add(USER_ASSIGNED)
        yield cloud


@pytest.fixture
def cloud(shared: LocalCloud) -> Iterator[LocalCloud]:
    """The same, whole again after each test, and no secret was printed."""
    yield shared
    shared.faults.clear()
    shared.arm.permissions = [CONTRIBUTOR]
    shared.identity.system = True
    assert shared.recorder.leaks() == []


def new_traffic(cloud: LocalCloud, before: int) -> list[Exchange]:
    """What the check sent, without what the tests themselves did through no proxy."""
    return [
        e
        for e in cloud.recorder.exchanges[before:]
        if not dict(e.request_headers).get("User-Agent", "").startswith("outside")
    ]


@pytest.mark.parametrize("name", ["app", "managed", "named", "vm"])
def test_all_is_well(cloud, name):
    before = len(cloud.recorder.exchanges)
    done = run_check(cloud, cloud.apps[name])
    assert (done.code, done.failed()) == (0, {}), done.lines
    good = done.good()
    assert list(good) == QUESTIONS
    assert done.lines[-1] == "All is well."
    who = {
        "app": f"as app {cloud.principal.client_id}",
        "managed": "with the managed identity of this app",
        "named": f"with the managed identity {USER_ASSIGNED} of this app",
        "vm": "with the managed identity of this machine",
    }
    assert good["sign-in"] == who[name]
    assert cloud.arm.subscription in good["subscription"]
    assert "there: none; made on first use: jobs, job-files, model" in good["blobs"]
    assert "there: js-queue-items; made on first use: delete-resources" in good["queues"]
    assert "there: train; made on first use: logs" in good["files"]
    asked = new_traffic(cloud, before)
    assert {e.service for e in asked} == {*SERVICES, "slack", "prices"}


def test_it_changes_nothing_and_tells_nobody(cloud):
    """Only GETs, but for the sign-in; and what was there before is what is there afterwards."""
    before = len(cloud.recorder.exchanges)
    assert run_check(cloud).code == 0
    asked = new_traffic(cloud, before)
    other = {(e.service, e.method) for e in asked if e.method not in ("GET", "HEAD")}
    assert other == {("identity", "POST")}
    assert cloud.app.slack() == []
    assert [e.url.split("/", 3)[-1] for e in asked if e.service == "slack"] == [""]
    assert cloud.arm.groups() == []
    containers = [c.name for c in cloud.app.blobs_client.list_containers()]
    assert containers == []
    assert [s.name for s in cloud.app.shares_client.list_shares()] == ["train"]


def test_all_faults_of_the_settings_at_once_and_no_question_then(cloud):
    before = len(cloud.recorder.exchanges)
    wrong = {
        "AzureWebJobsStorage": "",
        "TRAIN_VM_RESOURCE_GROUP": "a/b",
        "MAX_JOBS": "none",
        "AZURE_SP_PASSWORD": "",
    }
    done = run_check(cloud, settings={**cloud.app.settings(), **wrong})
    assert done.code == 1
    told = [line for line in done.lines if line.startswith("FAIL setting: ")]
    for name in wrong:
        assert any(line.startswith(f"FAIL setting: {name}: ") for line in told), name
    assert len(told) == len(wrong)
    assert new_traffic(cloud, before) == []


def test_it_needs_no_functions_host(cloud):
    """FUNCTIONS_CUSTOMHANDLER_PORT is the host's; its absence is no fault of the operator."""
    assert "FUNCTIONS_CUSTOMHANDLER_PORT" not in cloud.app.settings()
    assert run_check(cloud).code == 0


def test_the_lines_of_the_readme(cloud, tmp_path):
    """In an app root with a filled-in local.settings.json, as an operator types them."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    script = next(b for b in re.findall(r"```sh\n(.*?)```", readme, re.S) if "--check" in b)
    for entry in cloud.dist.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    settings = {"IsEncrypted": False, "Values": {**cloud.app.settings(), "CLASSES": "ok, it's"}}
    (tmp_path / "local.settings.json").write_text(json.dumps(settings))
    done = subprocess.run(
        ["bash", "-ec", script],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", **cloud.clock.environment()},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "All is well."


def test_a_wrong_secret(cloud):
    secret = "a-secret-that-is-not-the-one"
    cloud.recorder.plant("a wrong password", secret)
    settings = {**cloud.app.settings(), "AZURE_SP_PASSWORD": secret}
    try:
        before = len(cloud.recorder.exchanges)
        done = run_check(cloud, settings=settings)
        del cloud.recorder.exchanges[before:]  # the sign-in is where it belongs
        assert done.code == 1
        failed = done.failed()
        assert list(failed) == ["sign-in", "subscription", "rights", "regions", "sizes"]
        assert "AADSTS7000215" in failed["sign-in"]
        assert "AZURE_SP_PASSWORD" in failed["sign-in"]
        assert failed["rights"] == "not asked: the sign-in comes first"
        assert list(done.good()) == ["settings", "blobs", "queues", "files", "Slack", "prices"]
        assert cloud.recorder.leaks() == []
    finally:
        del cloud.recorder.secrets["a wrong password"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("managed", "Unable to load requested managed identity"),
        ("vm", "Identity not found"),
    ],
)
def test_an_identity_that_is_not_there(cloud, name, says):
    cloud.identity.system = False
    done = run_check(cloud, cloud.apps[name])
    assert done.code == 1
    assert says in done.failed()["sign-in"]


def test_an_app_without_any_identity(cloud):
    settings = {**cloud.apps["vm"].settings(), "WEBSITE_INSTANCE_ID": "x"}
    done = run_check(cloud, settings=settings)
    assert done.code == 1
    assert "this app has no managed identity" in done.failed()["setting"]


def test_a_subscription_that_is_not_seen(cloud):
    settings = {**cloud.app.settings(), "AZURE_SUBSCRIPTION_ID": USER_ASSIGNED}
    done = run_check(cloud, settings=settings)
    assert done.code == 1
    failed = done.failed()
    assert "AZURE_SUBSCRIPTION_ID" in failed["subscription"]
    assert "role Contributor" in failed["subscription"]
    assert failed["rights"] == "not asked: the subscription comes first"
    settings["AZURE_SUBSCRIPTION_ID"] = ""
    done = run_check(cloud, settings=settings)
    assert done.code == 0, "the only one that it sees"
    assert cloud.arm.subscription in done.good()["subscription"]


READER = {"actions": ["*/read"], "notActions": [], "dataActions": [], "notDataActions": []}


def test_a_missing_role_is_named(cloud):
    cloud.arm.permissions = [READER]
    done = run_check(cloud)
    assert done.code == 1
    assert list(done.failed()) == ["rights"]
    text = done.failed()["rights"]
    assert text.startswith("give the app's identity the role Contributor on subscription")
    for action in (
        "Microsoft.Resources/subscriptions/resourceGroups/write (role Contributor)",
        "Microsoft.Resources/subscriptions/resourceGroups/delete (role Contributor)",
        "Microsoft.Resources/deployments/write (role Contributor)",
        "Microsoft.Compute/virtualMachines/write (role Virtual Machine Contributor)",
        "Microsoft.Network/networkInterfaces/write (role Network Contributor)",
    ):
        assert action in text
    assert "/read" not in text
    cloud.arm.permissions = []
    assert "resourceGroups/read" in run_check(cloud).failed()["rights"]


def test_what_a_role_takes_away_is_missing(cloud):
    role = copy.deepcopy(CONTRIBUTOR)
    role["notActions"].append("Microsoft.Resources/subscriptions/resourceGroups/DELETE")
    cloud.arm.permissions = [role, READER]
    done = run_check(cloud)
    assert done.code == 1
    missing = done.failed()["rights"].split("Missing: ")[1]
    assert missing == "Microsoft.Resources/subscriptions/resourceGroups/delete (role Contributor)"


def test_roles_are_counted_together(cloud):
    def role(*actions: str) -> dict[str, list[str]]:
        return {**READER, "actions": list(actions)}

    cloud.arm.permissions = [
        role("Microsoft.Resources/*"),
        role("Microsoft.Compute/*"),
        role("Microsoft.Network/*"),
    ]
    assert run_check(cloud).code == 0


def test_a_region_that_is_none(cloud):
    settings = cloud.app.settings()
    done = run_check(cloud, settings={**settings, "AZURE_LOCATION": "mars"})
    assert done.code == 1
    assert "no region mars: set AZURE_LOCATION" in done.failed()["regions"]
    several = {**settings, "AZURE_LOCATION": "", "REGIONS": "Japan West,mars,japaneast,venus"}
    assert "no region mars, venus: " in run_check(cloud, settings=several).failed()["regions"]
    several["REGIONS"] = "Japan West, japaneast"
    done = run_check(cloud, settings=several)
    assert (done.code, done.good()["regions"]) == (0, "japanwest,japaneast")


def test_a_size_that_is_not_offered(cloud):
    """In no region: that is a fault. In one of several: that is told."""
    settings = {**cloud.app.settings(), "VM_SIZE": "", "VM_SIZES": "Standard_D8s_v4,Standard_X9"}
    done = run_check(cloud, settings=settings)
    assert done.code == 1
    assert "subscription: Standard_X9 in japaneast. Set VM_SIZE" in done.failed()["sizes"]
    assert list(done.failed()) == ["sizes"]


def test_a_missing_share_is_named_and_not_made(cloud):
    share = cloud.app.shares_client.get_share_client("train")
    share.delete_share()
    try:
        done = run_check(cloud)
        assert done.code == 1
        assert list(done.failed()) == ["files"]
        assert done.failed()["files"].startswith("share `train` is not there")
        assert list(cloud.app.shares_client.list_shares()) == []
    finally:
        share.create_share()


def test_a_wrong_account_key(cloud):
    other = base64.b64encode(bytes(range(64))).decode()
    settings = cloud.app.settings()
    key = settings["AzureWebJobsStorage"].split("AccountKey=")[1].split(";")[0]
    wrong = settings["AzureWebJobsStorage"].replace(key, other)
    done = run_check(cloud, settings={**settings, "AzureWebJobsStorage": wrong})
    assert done.code == 1
    failed = done.failed()
    assert list(failed) == ["blobs", "queues", "files"]
    for text in failed.values():
        assert "the account key is not that of this account" in text


@pytest.mark.parametrize(
    ("service", "question"),
    [
        ("blob", "blobs"),
        ("queue", "queues"),
        ("files", "files"),
        ("slack", "Slack"),
        ("prices", "prices"),
    ],
)
def test_a_service_that_does_not_answer(cloud, service, question):
    cloud.faults.add(service=service, reset="before", times=None)
    done = run_check(cloud)
    assert done.code == 1
    assert list(done.failed()) == [question]


def test_any_answer_of_slacks_host_will_do(cloud):
    for status in (404, 403, 500):
        cloud.faults.add(service="slack", status=status, times=None)
        assert run_check(cloud).code == 0
        cloud.faults.clear()
    done = run_check(cloud, settings={**cloud.app.settings(), "SLACK_URL": ""})
    assert done.code == 0
    assert "nobody is told" in done.good()["Slack"]


def test_rights_that_cannot_be_read_are_not_taken_for_granted(cloud):
    body = b'{"error":{"code":"AuthorizationFailed","message":"The client may not do this."}}'
    cloud.faults.add(service="arm", url="/permissions", status=403, body=body, times=None)
    done = run_check(cloud)
    assert done.code == 1
    assert "The client may not do this" in done.failed()["rights"]


def test_an_app_root_that_is_not_whole(cloud, tmp_path):
    settings = {**cloud.app.settings(), "FUNCTIONS_APP_ROOT_PATH": str(tmp_path)}
    done = run_check(cloud, settings=settings)
    assert done.code == 1
    assert "vm-scripts" in done.failed()["program"]
