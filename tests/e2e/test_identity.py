"""Whole jobs with a managed identity instead of a service principal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.cloud import MANAGED, ON_A_VM, App, LocalCloud
from tests.e2e.conftest import hasten
from tests.e2e.helpers import deliver, machine, rest, run_until_closed, turn_until

NAMED = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def shared(dist: Path, zip_bytes: bytes) -> Iterator[LocalCloud]:
    """An app of each kind in one subscription."""
    named = {**MANAGED, "AZURE_CLIENT_ID": NAMED}
    with LocalCloud({"app": MANAGED, "named": named, "vm": ON_A_VM}, dist=dist) as cloud:
        cloud.identity.identities.add(NAMED)
        for app in cloud.apps.values():
            app.put_zip("a.zip", zip_bytes)
        yield hasten(cloud)


@pytest.fixture
def cloud(shared: LocalCloud) -> Iterator[LocalCloud]:
    yield shared
    shared.faults.clear()
    shared.identity.system = True
    rest(shared)  # a bell that met an outage comes again
    assert shared.recorder.leaks() == []


def asked(cloud: LocalCloud) -> list[tuple[str, str, int]]:
    """How tokens were asked for: method, path without query, status."""
    return [
        (e.method, e.url.split("?")[0].removeprefix(cloud.identity.url), e.status)
        for e in cloud.recorder.select("identity")
    ]


@pytest.mark.parametrize(
    ("name", "path", "query"),
    [
        ("app", "/msi/token", r"\?api-version=2019-08-01&resource=[^&]+$"),
        ("named", "/msi/token", rf"\?api-version=2019-08-01&resource=[^&]+&client_id={NAMED}$"),
        ("vm", "/metadata/identity/oauth2/token", r"\?api-version=2018-02-01&resource=[^&]+$"),
    ],
)
def test_a_whole_job(cloud, name, path, query):
    app = cloud.apps[name]
    before = len(cloud.recorder.select("identity"))
    deliver(app, f"a.zip:whole-{name}")
    record = run_until_closed(cloud, f"whole-{name}", app)
    assert record["state"]["outcome"] == "succeeded"
    signs = cloud.recorder.select("identity")[before:]
    own = [e for e in signs if re.search(re.escape(path) + query, e.url)]
    assert own, [e.url for e in signs]
    assert all(e.status == 200 and e.method == "GET" for e in own)
    heads = dict(own[0].request_headers)
    assert ("X-IDENTITY-HEADER" in heads, heads.get("Metadata")) == (
        (False, "true") if name == "vm" else (True, None)
    )
    assert not [call for call in asked(cloud) if call[0] == "POST"], "no service principal"


def order(app: App, job: str) -> None:
    """A job of a line of its own, so that the same pictures are something new."""
    message = {"v": 1, "action": "train", "dataset": "a.zip", "job_id": job, "line": job}
    deliver(app, json.dumps(message))


def test_a_token_that_was_revoked_and_an_endpoint_that_is_away(cloud):
    """In the middle of a job: a new token is asked for, again and again if need be."""
    cloud.identity.revoke()
    way = {"service": "identity", "url": "/msi/token", "headers": {"Retry-After": "0"}}
    faults = [cloud.faults.add(status=status, **way) for status in (404, 500, 429)]
    order(cloud.app, "revoked")
    record = run_until_closed(cloud, "revoked")
    assert record["state"]["outcome"] == "succeeded"
    assert [f.hits for f in faults] == [1, 1, 1]


def test_an_identity_that_is_taken_away_is_told_and_the_job_waits_for_it(cloud):
    app = cloud.app
    cloud.identity.system = False
    cloud.identity.revoke()
    order(app, "taken")

    def told() -> list[str]:
        return [text for text in app.slack() if text.startswith("The app cannot sign in")]

    turn_until(cloud, told, what="the text about the sign-in")
    (text,) = told()
    assert "with the managed identity of this app: Unable to load requested managed" in text
    assert "or the app's managed identity" in text
    assert machine(app, "taken") == "queued"
    cloud.identity.system = True
    assert run_until_closed(cloud, "taken")["state"]["outcome"] == "succeeded"
