"""Faults and record of all servers, seen through the proxy before Azurite."""

from __future__ import annotations

import http.client
import threading
import urllib.parse

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.storage.blob import BlobServiceClient

from local.recorder import Recorder


@pytest.fixture
def container(cloud):
    client = BlobServiceClient.from_connection_string(
        cloud.app.connection, retry_total=0, read_timeout=5
    ).get_container_client("faults")
    if not client.exists():
        client.create_container()
    return client


def test_the_proxy_is_transparent(cloud, container):
    container.upload_blob("日本 a+b%.json", b"x" * 3_000_000, overwrite=True)
    assert container.download_blob("日本 a+b%.json").readall() == b"x" * 3_000_000
    assert container.get_blob_client("日本 a+b%.json").get_blob_properties().size == 3_000_000
    copy = container.get_blob_client("copy")
    source = container.get_blob_client("日本 a+b%.json")
    assert copy.start_copy_from_url(source.url)["copy_status"] == "success"
    assert cloud.recorder.select("blob", "PUT", "faults/copy")


def test_a_status_instead_of_the_work_for_the_second_request_only(cloud, container):
    fault = cloud.faults.add(
        service="blob",
        method="PUT",
        url="faults/s",
        nth=2,
        status=429,
        headers={"Retry-After": "1"},
        body=b"slow down",
    )
    container.upload_blob("s1", b"1", overwrite=True)
    with pytest.raises(HttpResponseError) as error:
        container.upload_blob("s2", b"1")
    assert error.value.status_code == 429
    assert error.value.response.headers["Retry-After"] == "1"
    container.upload_blob("s3", b"1", overwrite=True)
    assert fault.hits == 1
    assert "s2" not in cloud.app.blobs("faults")


@pytest.mark.parametrize(("reset", "done"), [("before", False), ("after", True)])
def test_resets_with_and_without_the_work_done(cloud, container, reset, done):
    cloud.faults.add(service="blob", method="PUT", url=f"faults/{reset}", reset=reset)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        container.upload_blob(reset, b"1")
    assert (cloud.app.blob("faults", reset) is not None) == done


def test_half_an_answer(cloud, container):
    container.upload_blob("half", b"z" * 50_000, overwrite=True)
    cloud.faults.add(service="blob", method="GET", url="faults/half", reset="half")
    parts = urllib.parse.urlsplit(cloud.blob.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    url = container.get_blob_client("half").url
    connection.request("GET", urllib.parse.urlsplit(url).path)
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.getresponse().read()


def test_callbacks_run_before_and_after_the_work(cloud, container):
    seen = []
    fault = cloud.faults.add(
        service="blob",
        method="PUT",
        url="faults/called",
        before=lambda: seen.append(cloud.app.blob("faults", "called")),
        after=lambda: seen.append(cloud.app.blob("faults", "called")),
    )
    container.upload_blob("called", b"1")
    assert seen == [None, b"1"]
    assert fault.fired.wait(5)


def test_people_meet_no_faults(cloud):
    cloud.faults.add(service="files", status=500, times=None)
    assert cloud.app.file("train", "nothing") is None


def test_leaks_are_found_in_every_spelling_and_only_where_they_do_not_belong(cloud):
    recorder = Recorder()
    recorder.plant("account key#one", "s3ntinel+Key/With=Signs")
    recorder.add_line("handler stderr", "all is well")
    assert recorder.leaks() == []
    for text in (
        "x s3ntinel+Key/With=Signs y",
        "s3ntinel%2BKey%2FWith%3DSigns",
        "eyJhIjoiczNudGluZWwrS2V5L1dpdGg9U2lnbnMifQ==",
        "http://host/share/file?sv=1&sig=AbCdEf0123456789AbCdEf0123456789%3D",
    ):
        recorder.add_line("handler stderr", text)
    assert len(recorder.leaks()) == 4
    assert not any("s3ntinel" in leak for leak in recorder.leaks())


def test_one_fault_is_met_by_as_many_requests_as_it_says(cloud, container):
    cloud.faults.add(service="blob", method="HEAD", url="faults/many", times=3, status=503)
    statuses = []

    def ask():
        try:
            container.get_blob_client("many").get_blob_properties()
        except HttpResponseError as error:
            statuses.append(error.status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(statuses) == [404] * 5 + [503] * 3
