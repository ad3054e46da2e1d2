"""Azure Files stand-in: the official SDK works, signatures and grants are really checked."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.fileshare import ShareServiceClient

from local.files_auth import Refused, check_sas, sas_text, shared_key_text, sign

VECTORS = Path(__file__).parents[1] / "vectors"
SHARED_KEY = json.loads((VECTORS / "shared_key.json").read_text())
SAS = [
    v
    for v in json.loads((VECTORS / "sas.json").read_text())["vectors"]
    if v["kind"].startswith("service SAS Files")
]
FILE_KEYS = [v for v in SHARED_KEY["vectors"] if v["service"] == "file"]


@pytest.mark.parametrize("vector", FILE_KEYS, ids=lambda v: v["id"])
def test_shared_key_vectors(vector):
    target = vector["url"].partition(":")[2].partition("//")[2]
    target = target[target.index("/") :]
    text = shared_key_text(vector["account"], vector["method"], target, vector["headers"])
    assert text == vector["string_to_sign"]
    assert sign(vector["account_key"], text) == vector["signature"]


@pytest.mark.parametrize("vector", SAS, ids=lambda v: v["id"])
def test_sas_vectors(vector):
    query = dict(urllib.parse.parse_qsl(vector["query"]))
    path = vector["string_to_sign"].split("\n")[3].split("/", 3)[3]
    assert sas_text(vector["account"], path, query) == vector["string_to_sign"]
    keys = {vector["account"]: vector["signing_key"]}
    resource = path.split("/")
    within, after = 1.8e9, 2.1e9
    check_sas(keys, vector["account"], resource, query, "r", within)
    for needed, now in (("w", within), ("r", after), ("r", 0.0)):
        with pytest.raises(Refused):
            check_sas(keys, vector["account"], resource, query, needed, now)
    if query["sr"] == "f":
        with pytest.raises(Refused):
            check_sas(keys, vector["account"], [*resource[:-1], "other"], query, "r", within)


def test_the_official_sdk_reads_writes_and_lists(cloud):
    share = cloud.app.shares_client.get_share_client("sdk")
    share.create_share()
    directory = share.create_directory("日本 job")
    data = bytes(range(256)) * 40_000
    client = directory.upload_file("a+b%.bin", data)
    assert client.download_file().readall() == data
    assert client.download_file(offset=1000, length=5).readall() == data[1000:1005]
    before = client.get_file_properties()
    assert before.size == len(data)
    client.upload_range(b"zz", 0, 2)
    after = client.get_file_properties()
    assert after.etag != before.etag
    assert after.last_modified >= before.last_modified
    assert [item.name for item in share.list_directories_and_files()] == ["日本 job"]
    assert [item.name for item in directory.list_directories_and_files()] == ["a+b%.bin"]
    client.delete_file()
    with pytest.raises(ResourceNotFoundError) as missing:
        client.get_file_properties()
    assert missing.value.error_code == "ResourceNotFound"


def test_errors_are_azures(cloud):
    service = cloud.app.shares_client
    share = service.get_share_client("errors")
    with pytest.raises(ResourceNotFoundError) as error:
        share.get_file_client("x").upload_file(b"1")
    assert error.value.error_code == "ShareNotFound"
    share.create_share()
    with pytest.raises(ResourceExistsError):
        share.create_share()
    with pytest.raises(ResourceNotFoundError) as error:
        share.get_file_client("no/x").upload_file(b"1")
    assert error.value.error_code == "ParentNotFound"
    share.create_directory("d")
    with pytest.raises(ResourceExistsError) as exists:
        share.create_directory("d")
    assert exists.value.error_code == "ResourceAlreadyExists"


def test_a_wrong_key_is_refused_and_accounts_are_apart(cloud):
    one, two = cloud.apps["one"], cloud.apps["two"]
    one.put_zip("mine.zip", b"1", settle_s=0)
    assert two.file("train", "mine.zip") is None
    forged = ShareServiceClient(
        f"{cloud.files.url}/{one.account}",
        credential={"account_name": one.account, "account_key": cloud.keys[two.account]},
    )
    with pytest.raises(ClientAuthenticationError):
        forged.get_share_client("train").get_file_client("mine.zip").download_file()


class Grant:
    """A SAS for one file, and what the server says to requests that carry it."""

    def __init__(self, cloud, path: str, allowed: str, hours: float = 1.0) -> None:
        app = cloud.app
        end = datetime.fromtimestamp(cloud.clock.now() + hours * 3600, UTC)
        query = {"sv": "2025-07-05", "sr": "f", "sp": allowed}
        query["se"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        query["sig"] = sign(cloud.keys[app.account], sas_text(app.account, path, query))
        self.query = urllib.parse.urlencode(query)
        self.base = f"{cloud.files.url}/{app.account}"
        self.path = path

    def ask(self, method: str, extra: str = "", path: str = "", body=None, **headers: str) -> int:
        url = f"{self.base}/{path or self.path}?{extra}{self.query}"
        names = {k.replace("_", "-"): v for k, v in headers.items()}
        request = urllib.request.Request(url, body, names, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


def test_a_grant_for_one_file_covers_just_that(cloud):
    cloud.app.shares_client.get_share_client("grants").create_share()
    grant = Grant(cloud, "grants/out.bin", "rcw")
    create = {"x_ms_type": "file", "x_ms_content_length": "4"}
    data = {"x_ms_write": "update", "x_ms_range": "bytes=0-3"}
    assert grant.ask("GET") == 404
    assert grant.ask("PUT", **create) == 201
    assert grant.ask("PUT", "comp=range&", body=b"abcd", **data) == 201
    assert cloud.app.file("grants", "out.bin") == b"abcd"
    assert grant.ask("PUT", "comp=range&", body=b"abcde", **data) == 400
    assert grant.ask("HEAD") == 200
    assert grant.ask("GET", x_ms_range="bytes=1-2") == 206
    assert grant.ask("GET", x_ms_range="bytes=9-") == 416
    assert grant.ask("DELETE") == 403
    assert grant.ask("GET", "restype=directory&comp=list&", path="grants") == 403
    assert grant.ask("PUT", path="grants/other.bin", **create) == 403
    reader = Grant(cloud, "grants/out.bin", "r")
    assert reader.ask("GET") == 200
    assert reader.ask("PUT", **create) == 403
    maker = Grant(cloud, "grants/new.bin", "c")
    assert maker.ask("PUT", **create) == 201
    assert maker.ask("PUT", **create) == 403


def test_a_grant_ends_by_the_moved_clock(cloud):
    cloud.app.shares_client.get_share_client("ends").create_share()
    grant = Grant(cloud, "ends/x", "r", hours=2)
    assert grant.ask("GET") == 404
    cloud.clock.advance(3 * 3600)
    assert grant.ask("GET") == 403
