"""What is sent arrives whole and in order, whatever Twisted writes with: other reactors, TLS, UNIX sockets."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.peers import SOCKET_IO, token
from tests.service.servers import ANYWHERE, TWISTD, Service, complaints, twistd
from tests.support.certificates import Authority
from tests.support.processes import Program
from tests.support.wire import WebSocketClient

SIZES = [10, 200_000, 30, 70_000, *range(1, 80), 400_000, 1]
"""Bytes of text in events that are published at once; some do not fit into a socket's buffer."""


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    """Starts services; none may have complained."""
    programs: list[Program] = []

    def make(listen: str, *reactor: str, port: int | None = None) -> Service:
        program = twistd("--listen", listen, "--max-payload", "8000000", launcher=(TWISTD, *reactor))
        programs.append(program)
        return Service(program, port)

    yield make
    for program in programs:
        program.stop()
        assert complaints(program.output) == []


def joined(wire: WebSocketClient, user: str) -> WebSocketClient:
    """The connection once it is in."""
    assert wire.read_text().startswith("0{")
    wire.send_text("40" + json.dumps({"token": token(user)}))
    assert wire.read_text().startswith('40{"sid"')
    assert wire.read_text().startswith('42["connected"')
    return wire


def notices(user: str) -> list[dict[str, Any]]:
    return [
        {"type": "notification.new", "data": {"userId": user, "subject": str(number), "content": "x" * size}}
        for number, size in enumerate(SIZES)
    ]


def contents(wire: WebSocketClient) -> list[tuple[str, int]]:
    """Subjects and sizes of the notifications that come, and that nothing else does."""
    heard = []
    for _ in SIZES:
        name, data = json.loads(wire.read_text()[2:])
        assert name == "notification:new"
        heard.append((data["subject"], len(data["content"])))
    return heard


EXPECTED = [(str(number), size) for number, size in enumerate(SIZES)]


@pytest.mark.parametrize("reactor", ["epoll", "poll", "select", "asyncio"])
def test_with_any_reactor(start: Callable[..., Service], reactor: str) -> None:
    service = start(ANYWHERE, f"--reactor={reactor}")
    wires = [joined(WebSocketClient.open(service.port, SOCKET_IO), "u1") for _ in range(3)]
    service.publish(*notices("u1"))
    for wire in wires:
        assert contents(wire) == EXPECTED
        wire.close()


class Secure(WebSocketClient):
    """A WebSocket over TLS; what the certificate says is not looked at."""

    def __init__(self, port: int, seconds: float = 15) -> None:
        super().__init__(port, seconds)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock)


def test_with_tls(start: Callable[..., Service], tmp_path: Path) -> None:
    pair = Authority().issue("localhost")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(pair.certificate_pem)
    key.write_bytes(pair.key_pem)
    service = start(f"ssl:0:interface=127.0.0.1:certKey={certificate}:privateKey={key}")
    wires = [joined(Secure.open(service.port, SOCKET_IO), "u1") for _ in range(3)]
    with Secure(service.port) as publisher:
        headers = (("X-API-Key", "the-api-key-of-the-tests"), ("Content-Type", "application/json"))
        answer = publisher.request("POST", "/events", headers, json.dumps(notices("u1")).encode())
    assert answer.status == 200, answer
    for wire in wires:
        assert contents(wire) == EXPECTED
        wire.close()


class Local(WebSocketClient):
    """A WebSocket over a UNIX socket."""

    path: Path

    def __init__(self, port: int, seconds: float = 15) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(seconds)
        self.sock.connect(str(self.path))
        self.seconds = seconds
        self._received = bytearray()


def test_with_a_unix_socket(start: Callable[..., Service], tmp_path: Path) -> None:
    Local.path = tmp_path / "rtwist.sock"
    service = start(f"unix:{Local.path}", port=0)
    service.program.wait_for_output("listening on unix:")
    wires = [joined(Local.open(0, SOCKET_IO), "u1") for _ in range(3)]
    with Local(0) as publisher:
        answer = publisher.request(
            "POST", "/events", (("X-API-Key", "the-api-key-of-the-tests"),), json.dumps(notices("u1")).encode()
        )
    assert answer.status == 200, answer
    for wire in wires:
        assert contents(wire) == EXPECTED
        wire.close()
