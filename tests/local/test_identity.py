"""The three endpoints that hand out tokens answer and refuse as Azure's own do."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest

from local.cloud import LocalCloud

APP = "/msi/token"
VM = "/metadata/identity/oauth2/token"
HEADER = "X-IDENTITY-HEADER"
NAMED = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def named(cloud: LocalCloud) -> Any:
    cloud.identity.identities.add(NAMED)
    yield
    cloud.identity.identities.clear()
    cloud.identity.system = True


def ask(
    cloud: LocalCloud, path: str, headers: dict[str, str], **query: str | None
) -> tuple[int, Any]:
    """Status and body of a GET; a query member that is None is left out."""
    version = "2019-08-01" if path == APP else "2018-02-01"
    full = {"api-version": version, "resource": f"{cloud.arm.url}/"}
    full |= {name.replace("_version", "-version"): v for name, v in query.items()}
    text = urllib.parse.urlencode({k: v for k, v in full.items() if v is not None})
    request = urllib.request.Request(f"{cloud.identity.url}{path}?{text}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_an_app_gets_a_token_whose_end_is_text(cloud, named):
    for query in ({}, {"client_id": NAMED}):
        status, body = ask(cloud, APP, {HEADER: cloud.identity.header}, **query)
        assert status == 200
        assert cloud.identity.valid(body["access_token"])
        assert isinstance(body["expires_on"], str)
        assert abs(int(body["expires_on"]) - cloud.clock.now() - 3599) < 60
        assert "expires_in" not in body


def test_a_vm_gets_a_token_and_all_values_are_text(cloud, named):
    for query in ({}, {"client_id": NAMED}):
        status, body = ask(cloud, VM, {"Metadata": "true"}, **query)
        assert status == 200
        assert cloud.identity.valid(body["access_token"])
        assert {type(value) for value in body.values()} == {str}


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, {}, 401),
        ({HEADER: "wrong"}, {}, 403),
        ({HEADER: ""}, {"client_id": "nobody"}, 403),
        (None, {"client_id": "nobody"}, 400),
        (None, {"api_version": "2017-09-01"}, 400),
        (None, {"resource": "https://elsewhere/"}, 400),
        (None, {"resource": None}, 400),
    ],
)
def test_an_app_is_refused(cloud, named, headers, query, status):
    shown = {HEADER: cloud.identity.header} if headers is None else headers
    got, body = ask(cloud, APP, shown, **query)
    assert (got, body["statusCode"]) == (status, status)
    assert body["message"]


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({}, {}),
        ({"Metadata": "True"}, {}),
        (None, {"client_id": "nobody"}),
        (None, {"api_version": "2019-08-01"}),
        (None, {"resource": "https://elsewhere/"}),
    ],
)
def test_a_vm_is_refused(cloud, named, headers, query):
    got, body = ask(cloud, VM, {"Metadata": "true"} if headers is None else headers, **query)
    assert got == 400
    assert body["error"]
    assert body["error_description"]


def test_without_a_system_assigned_identity_one_must_be_named(cloud, named):
    cloud.identity.system = False
    assert ask(cloud, APP, {HEADER: cloud.identity.header})[0] == 400
    assert ask(cloud, VM, {"Metadata": "true"})[1]["error_description"] == "Identity not found"
    assert ask(cloud, VM, {"Metadata": "true"}, client_id=NAMED)[0] == 200
