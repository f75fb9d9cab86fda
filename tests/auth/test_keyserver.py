"""Fetching from a real HTTP server on loopback that is slow, huge, broken, or sends elsewhere."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from rtwist.auth import keyserver
from rtwist.auth.keyserver import MAX_BYTES, key_server
from rtwist.errors import KeysUnavailable
from tests.support.certificates import Authority
from tests.support.keys import P256, key_set
from tests.support.keyserver import KeyServer, answer
from tests.support.processes import free_port

KEYS = key_set(k1=P256)


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with KeyServer(KEYS) as running:
        yield running


async def fetched(url: str) -> bytes:
    from twisted.internet import reactor

    loop: Any = reactor
    return await key_server(loop, url)()


async def failure(url: str) -> str:
    with pytest.raises(KeysUnavailable) as caught:
        await fetched(url)
    return str(caught.value)


@ensureDeferred
async def test_the_body_comes_as_it_is(server: KeyServer) -> None:
    assert await fetched(server.url) == KEYS
    (headers,) = server.requests
    assert (headers["accept"], headers["accept-encoding"]) == ("application/json", "identity")
    assert "authorization" not in headers


@ensureDeferred
async def test_a_body_without_a_length(server: KeyServer) -> None:
    def reply(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + KEYS)

    server.reply = reply
    assert await fetched(server.url) == KEYS


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304, 204, 401, 404, 500, 503])
@ensureDeferred
async def test_nothing_but_200_is_an_answer(server: KeyServer, status: int) -> None:
    with KeyServer(KEYS) as elsewhere:
        body = b"" if status in (204, 304) else KEYS
        server.reply = answer(body, status, Location=elsewhere.url)
        assert f"answered {status}, not 200" in await failure(server.url)
        assert elsewhere.requests == [], "it is not followed"
    assert len(server.requests) == 1


@pytest.mark.parametrize("told", [True, False])
@ensureDeferred
async def test_a_huge_body_is_left(server: KeyServer, told: bool) -> None:
    def reply(request: BaseHTTPRequestHandler) -> None:
        length = b"Content-Length: 10000000000\r\n" if told else b""
        request.wfile.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        while not server.closing.is_set():
            request.wfile.write(b"[" * 65536)
        raise AssertionError("nobody hung up")

    server.reply = reply
    assert f"larger than {MAX_BYTES} bytes" in await failure(server.url)


@ensureDeferred
async def test_the_largest_body(server: KeyServer) -> None:
    server.shows(b" " * MAX_BYTES)
    assert len(await fetched(server.url)) == MAX_BYTES
    server.shows(b" " * (MAX_BYTES + 1))
    assert "larger" in await failure(server.url)


@ensureDeferred
async def test_what_is_packed_is_not_unpacked(server: KeyServer) -> None:
    packed = gzip.compress(gzip.compress(b"[" * 100_000_000))
    assert len(packed) < MAX_BYTES
    for encoding in ("gzip, gzip", "gzip"):
        server.reply = answer(packed, Content_Encoding=encoding)
        assert await fetched(server.url) == packed


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[",
        b"HTTP/1.1 404 Gone\r\nContent-Length: 9\r\n\r\n[",
    ],
)
@ensureDeferred
async def test_a_server_that_does_not_come_to_an_end(
    server: KeyServer, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyserver, "FETCH_SECONDS", 0.3)
    left = threading.Event()

    def reply(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(sent)
        request.wfile.flush()
        with contextlib.suppress(OSError):
            request.rfile.read(1)  # ends when the other side hangs up
        left.set()

    server.reply = reply
    assert ("answered 404" if b"404" in sent else "took longer than 0.3 seconds") in await failure(server.url)
    assert await deferToThread(left.wait, 10)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
    ],
)
@ensureDeferred
async def test_a_server_that_breaks_off_or_speaks_otherwise(server: KeyServer, sent: bytes) -> None:
    server.reply = lambda request: request.wfile.write(sent) and None
    assert server.url in await failure(server.url)


@ensureDeferred
async def test_nobody_is_there() -> None:
    url = f"http://127.0.0.1:{free_port()}/keys"
    assert (await failure(url)).startswith(f"{url} cannot be read: ")


@ensureDeferred
async def test_a_name_that_is_none() -> None:
    assert "cannot be read" in await failure("https://no-such-host.invalid/keys")


@ensureDeferred
async def test_a_certificate_of_an_unknown_authority_is_not_trusted(tmp_path: Path) -> None:
    with KeyServer(KEYS, tls=Authority(), folder=tmp_path) as server:
        assert "certificate" in await failure(server.url)
        assert server.requests == []
