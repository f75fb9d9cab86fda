"""Requests that repeat over real connections: TCP, TLS and UNIX sockets."""

from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor as installed
from twisted.internet.endpoints import serverFromString
from twisted.internet.threads import deferToThread

from rtwist.engineio.options import Options
from rtwist.engineio.packet import message
from rtwist.engineio.server import Server
from rtwist.engineio.session import Session
from rtwist.engineio.site import Site
from tests.engineio.test_repeating import Remembering
from tests.support.certificates import Authority
from tests.support.wire import SECONDS, HttpClient, http_request

reactor: Any = installed
TEXTS = ["hello", "x" * 1000, "y" * 65_600, "z" * 500_000, "", "€uro"] * 3


class Echo:
    """Sends each message back."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def message(self, data: str | bytes) -> None:
        self._session.send([message(data)])

    def closed(self, reason: str, description: str) -> None:
        pass


class Client(HttpClient):
    """A keep-alive connection over any socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(SECONDS)
        self.sock = sock
        self.seconds = SECONDS
        self._received = bytearray()


class Place:
    """Where the server listens, and how clients get there."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = kind
        self._path = str(folder / "s")
        self._certificate = folder / "pair.pem"
        self._authority = Authority()
        pair = self._authority.issue("127.0.0.1")
        self._certificate.write_bytes(pair.key_pem + pair.certificate_pem)
        self.port: Any = None

    @property
    def endpoint(self) -> str:
        key = f"privateKey={self._certificate}"
        return {
            "tcp": "tcp:0:interface=127.0.0.1",
            "tls": f"ssl:0:interface=127.0.0.1:{key}",
            "unix": f"unix:{self._path}",
        }[self._kind]

    def connect(self) -> Client:
        if self._kind == "unix":
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(self._path)
            return Client(sock)
        sock = socket.create_connection(("127.0.0.1", self.port.getHost().port))
        if self._kind == "tls":
            trust = ssl.create_default_context(cadata=self._authority.certificate_pem.decode())
            sock = trust.wrap_socket(sock, server_hostname="127.0.0.1")
        return Client(sock)


def talk(place: Place, path: str) -> list[str]:
    """Send each text and poll for it, on two connections, the poll behind the message or before it."""
    target = f"{path}?EIO=4&transport=polling"
    with place.connect() as getter, place.connect() as poster:
        target += "&sid=" + json.loads(getter.request("GET", target).text[1:])["sid"]
        heard = []
        for number, text in enumerate(TEXTS):
            stamped = f"{target}&t=a{number}"
            if number % 2:
                getter.send_request("GET", stamped)
            # In one piece, so that it comes as one where the network does so.
            poster.send(http_request("POST", stamped, body=f"4{text}".encode()))
            assert poster.read_response().text == "ok"
            if not number % 2:
                getter.send_request("GET", stamped)
            heard.append(getter.read_response().text)
    return heard


@pytest.mark.parametrize("kind", ["tcp", "tls", "unix"])
@ensureDeferred
async def test_everything_comes_back_in_order(kind: str, tmp_path: Path) -> None:
    server = Server(reactor, Options(), Echo)
    site = Site(server)
    site.protocol = Remembering  # type: ignore[assignment]
    place = Place(kind, tmp_path)
    place.port = await serverFromString(reactor, place.endpoint).listen(site)
    Remembering.repeated = 0
    try:
        heard = await deferToThread(talk, place, server.options.path)
    finally:
        await place.port.stopListening()
        server.close()
    assert heard == [f"4{text}" for text in TEXTS]
    # The polls but for the first, and the messages but for the first that come in one piece.
    assert Remembering.repeated >= 2 * len(TEXTS) - 2 - 2 * TEXTS.count(TEXTS[2])
