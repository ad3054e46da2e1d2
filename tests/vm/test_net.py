"""The socket module: what it repeats, what it gives up on, and what it never says."""

from __future__ import annotations

import copy
import socket
import threading
from collections.abc import Iterator

import pytest
from retrain.link import Link, redact
from retrain.net import Net, NetFailure

from tests.vm import stub
from tests.vm.stub import SENTINEL, Call, Cloud


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with stub.Server() as cloud:
        yield cloud
        assert cloud.faults == []


class Pauses(list[float]):
    """A sleep that only notes."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def failing(cloud: Cloud, *statuses: int) -> None:
    waiting = list(statuses)
    cloud.refuse = lambda call: waiting.pop(0) if waiting else None


def test_repeats_what_may_pass(cloud: Cloud) -> None:
    pauses = Pauses()
    net = Net(sleep=pauses)
    failing(cloud, 500, 503, 429, 408)
    link = Link(cloud.link("/blob/job-files/status/a", "cw"))
    assert net.put_blob(link, b"x", "text/plain")
    assert len(pauses) == 4
    assert pauses == sorted(pauses)
    assert cloud.blobs["/blob/job-files/status/a"] == b"x"


def test_does_not_repeat_what_will_not_pass(cloud: Cloud) -> None:
    pauses = Pauses()
    failing(cloud, 403)
    with pytest.raises(NetFailure) as caught:
        Net(sleep=pauses).read(Link(cloud.link("/blob/x/y", "r")))
    assert (caught.value.status, pauses) == (403, [])
    assert SENTINEL not in str(caught.value)
    assert "sig" not in str(caught.value)
    assert str(caught.value).startswith("GET http://127.0.0.1:")


def test_gives_up_after_its_tries(cloud: Cloud) -> None:
    failing(cloud, *[500] * 9)
    with pytest.raises(NetFailure, match="HTTP 500"):
        Net(tries=3, sleep=Pauses()).read(Link(cloud.link("/blob/x/y", "r")))
    assert len(cloud.calls) == 3


def test_gives_up_when_its_time_is_up(cloud: Cloud) -> None:
    failing(cloud, *[500] * 9)
    with pytest.raises(NetFailure, match="HTTP 500"):
        Net(budget_s=0.1, sleep=Pauses()).read(Link(cloud.link("/blob/x/y", "r")))
    assert len(cloud.calls) == 1


def test_nobody_answers() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    pauses = Pauses()
    link = Link(f"http://127.0.0.1:{port}/blob/x?sig={SENTINEL}")
    with pytest.raises(NetFailure, match="got no answer") as caught:
        Net(tries=3, sleep=pauses).read(link)
    assert (caught.value.status, len(pauses)) == (0, 2)
    assert SENTINEL not in repr(caught.value)


def test_answer_cut_in_the_middle() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answers = [
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123",
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n1234",
        ]

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        link = Link(f"http://127.0.0.1:{server.getsockname()[1]}/x?sig={SENTINEL}")
        assert Net(sleep=Pauses()).read(link) == b"1234"
        thread.join()


def test_files_are_written_in_pieces(cloud: Cloud) -> None:
    data = bytes(range(256)) * 4 * 4096 + b"tail"
    assert len(data) == (4 << 20) + 4
    net = Net(sleep=Pauses())
    net.put_file(Link(cloud.link("/file/logs/a/latest.pth", "rcw")), data)
    assert bytes(cloud.files["/file/logs/a/latest.pth"]) == data
    assert len(cloud.calls) == 3
    net.put_file(Link(cloud.link("/file/logs/a/empty", "rcw")), b"")
    assert cloud.files["/file/logs/a/empty"] == b""


def test_create_once(cloud: Cloud) -> None:
    link = Link(cloud.link("/blob/job-files/out/a/1/manifest.json", "c"))
    net = Net(sleep=Pauses())
    assert net.put_blob(link, b"first", "application/json", once=True)
    assert not net.put_blob(link, b"second", "application/json", once=True)
    assert list(cloud.blobs.values()) == [b"first"]


def test_absent_is_none(cloud: Cloud) -> None:
    net = Net(sleep=Pauses())
    assert net.read(Link(cloud.link("/blob/x", "r"))) is None
    assert net.read(Link(cloud.link("/file/x", "r"))) is None


def test_retry_after_is_heeded() -> None:
    from retrain import net

    assert net._pause({"retry-after": "7"}, 0) == 7
    assert net._pause({"retry-after": "9999"}, 0) == net.PAUSE_MOST_S
    assert net._pause({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0) == 0
    assert 0 < net._pause({"retry-after": "soon"}, 1) < 2


def test_links_hide_themselves() -> None:
    link = Link(f"https://a.blob.core.windows.net/c/f.json?sp=r&sig={SENTINEL}")
    for text in (str(link), repr(link), f"{link}", repr({"links": [link]})):
        assert "https://a.blob.core.windows.net/c/f.json" in text
        assert "?" not in text
    with pytest.raises(TypeError):
        copy.copy(link)
    assert redact(f"GET {link.reveal()} failed, sig=abc") == (
        "GET https://a.blob.core.windows.net/c/f.json?... failed, sig=..."
    )
    assert redact('{"url": "http://h/p?a=b"}') == '{"url": "http://h/p?..."}'


def test_other_query_is_kept_apart(cloud: Cloud) -> None:
    seen: list[Call] = cloud.calls
    Net(sleep=Pauses()).put_file(Link(cloud.link("/file/logs/写真/a b.log", "rcw")), b"x")
    assert [call.comp for call in seen] == ["", "range"]
    assert seen[0].path == "/file/logs/写真/a b.log"
