"""The JavaScript client that the server hands out beside itself."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket

import pytest

from tests.protocol.peers import Server
from tests.support.wire import HttpClient, fetch, http_request

BUNDLES = ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"]
LARGE = "socket.io.min.js.map"
VERSION = re.compile(r'"\d+\.\d+\.\d+"')


@pytest.mark.parametrize("name", BUNDLES)
@pytest.mark.parametrize(("suffix", "kind"), [("", "javascript"), (".map", "json")])
def test_each_bundle_and_its_map_is_served(files: Server, name: str, suffix: str, kind: str) -> None:
    answer = fetch(files.port, "GET", files.path + name + suffix)
    assert answer.status == 200
    assert answer.header("Content-Type") == f"application/{kind}; charset=utf-8"
    assert answer.header("Cache-Control") == "public, max-age=0"
    assert VERSION.fullmatch(answer.header("ETag") or "")
    assert answer.header("Content-Encoding") is None
    assert b"socket.io" in answer.body


@pytest.mark.parametrize("weak", ["", "W/"])
def test_a_bundle_that_the_browser_has_is_not_sent_again(files: Server, weak: str) -> None:
    target = files.path + "socket.io.js"
    etag = fetch(files.port, "GET", target).header("ETag")
    answer = fetch(files.port, "GET", target, [("If-None-Match", f"{weak}{etag}")])
    assert (answer.status, answer.body) == (304, b"")


def test_another_version_is_sent_again(files: Server) -> None:
    answer = fetch(files.port, "GET", files.path + "socket.io.js", [("If-None-Match", '"2.0.0"')])
    assert answer.status == 200


def test_a_bundle_is_compressed_as_accepted(files: Server) -> None:
    target = files.path + "socket.io.js"
    answer = fetch(files.port, "GET", target, [("Accept-Encoding", "gzip")])
    assert answer.header("Content-Encoding") == "gzip"
    assert gzip.decompress(answer.body) == fetch(files.port, "GET", target).body


def test_a_bundle_may_be_asked_for_with_a_query(files: Server) -> None:
    assert fetch(files.port, "GET", files.path + "socket.io.js?v=1").status == 200


@pytest.mark.parametrize(
    "name", ["other.js", "socket.io.jsx", "../package.json", "%2e%2e/package.json", "x/socket.io.js"]
)
def test_no_other_file_is_served(files: Server, name: str) -> None:
    assert fetch(files.port, "GET", files.path + name).status in {400, 404}


def test_the_server_beside_its_files_is_reached(files: Server) -> None:
    assert files.fetch().status == 200


def test_a_head_request_gets_no_body(files: Server) -> None:
    with HttpClient(files.port) as client:
        client.send_request("HEAD", files.path + "socket.io.js")
        head = client.read_head()
        assert int(head.header("Content-Length") or 0) > 1000
        assert client.request("GET", files.path + "socket.io.js").status == 200


def test_a_large_bundle_arrives_whole_however_it_is_read(files: Server) -> None:
    expected = fetch(files.port, "GET", files.path + LARGE).body
    assert len(expected) > 1_000_000
    with HttpClient(files.port) as client:
        for _ in range(3):
            client.send_request("GET", files.path + LARGE)
        assert [client.read_response().body == expected for _ in range(3)] == [True] * 3


@pytest.mark.departure("Node reads on")
def test_requests_are_not_read_ahead_of_who_does_not_read_the_answers(files: Server) -> None:
    with HttpClient(files.port) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.sock.settimeout(0.5)
        request = http_request("GET", files.path + LARGE)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 50_000_000:
                sent += client.sock.send(request * 100)
        assert sent < 10_000_000, "the server stops reading"
        client.sock.settimeout(5)
        for _ in range(3):
            assert len(client.read_response().body) > 1_000_000
