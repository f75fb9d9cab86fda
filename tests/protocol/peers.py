"""Clients of one protocol session each, made of raw requests and frames."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.support.processes import Program
from tests.support.wire import Headers, HttpClient, Response, WebSocketClient, fetch

SEPARATOR = "\x1e"
UNKNOWN_SESSION = {"code": 1, "message": "Session ID unknown"}
BAD_REQUEST = {"code": 3, "message": "Bad request"}


@dataclass
class Server:
    """A running server under test."""

    program: Program
    port: int
    path: str
    kind: str
    checked: int = 0  # so many lines of its output have been looked at for complaints

    def target(self, **query: str) -> str:
        """A request target; without arguments that of a polling handshake."""
        parameters = {"EIO": "4", "transport": "polling", **query}
        return f"{self.path}?{urlencode(parameters)}"

    def fetch(
        self, method: str = "GET", headers: Headers = (), body: bytes | None = None, **query: str
    ) -> Response:
        return fetch(self.port, method, self.target(**query), headers, body)

    def closing_reason(self, sid: str) -> str:
        """Why the Engine.IO session ended, as the program was told."""
        line = self.program.wait_for_output(f"closed {sid} ", 5)
        return line.split(" ", 2)[2].partition(" (")[0]

    def leaving_reason(self, name: str) -> str:
        """Why the Socket.IO client that called itself `name` left, as the program was told."""
        return self.program.wait_for_output(f"left {name} ", 5).split(" ", 2)[2]


def opened(packet: str) -> dict[str, Any]:
    """The content of an open packet."""
    assert packet[0] == "0", packet
    return json.loads(packet[1:])


class Polling:
    """An Engine.IO session over long-polling: one connection for GET, one for POST."""

    def __init__(self, server: Server, headers: Headers = (), **query: str) -> None:
        self.server = server
        self.port = server.port
        self.getter = HttpClient(server.port)
        self.poster = HttpClient(server.port)
        self.handshake = self.getter.request("GET", server.target(**query), headers)
        assert self.handshake.status == 200, self.handshake
        self.open = opened(self.handshake.text)
        self.sid: str = self.open["sid"]
        self.target = server.target(sid=self.sid)

    def get(self, headers: Headers = ()) -> Response:
        return self.getter.request("GET", self.target, headers)

    def poll(self) -> list[str]:
        """The packets of the next poll."""
        answer = self.get()
        assert answer.status == 200, answer
        return answer.text.split(SEPARATOR)

    def park(self) -> None:
        """Send a poll that finds nothing yet; its answer is `parked()`."""
        self.getter.send_request("GET", self.target)
        assert self.getter.is_silent(0.05)

    def parked(self) -> list[str]:
        """The packets with which the poll that waited was answered."""
        answer = self.getter.read_response()
        assert answer.status == 200, answer
        return answer.text.split(SEPARATOR)

    def post(self, *packets: str, headers: Headers = ()) -> Response:
        body = SEPARATOR.join(packets).encode()
        return self.poster.request(
            "POST", self.target, [("Content-Type", "text/plain;charset=UTF-8"), *headers], body
        )

    def send(self, *packets: str) -> None:
        answer = self.post(*packets)
        assert (answer.status, answer.text) == (200, "ok"), answer

    def echoes(self, text: str = "still here") -> bool:
        """Whether an Engine.IO echo server still answers this session."""
        self.send("4" + text)
        return self.poll() == ["4" + text]

    def is_gone(self) -> bool:
        """Whether the server no longer knows the session."""
        answer = fetch(self.port, "POST", self.target, body=b"3")
        return answer.status == 400 and answer.json() == UNKNOWN_SESSION

    def close(self) -> None:
        self.getter.close()
        self.poster.close()

    def __enter__(self) -> Polling:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class EngineSocket(WebSocketClient):
    """An Engine.IO session over WebSocket."""

    sid: str

    @classmethod
    def connect(cls, server: Server, headers: Headers = (), early: bytes = b"", **query: str) -> EngineSocket:
        client = cls.open(server.port, server.target(transport="websocket", **query), headers, early)
        assert isinstance(client, cls)
        if "sid" not in query:
            client.sid = opened(client.read_text())["sid"]
        return client

    @classmethod
    def probe(cls, polling: Polling) -> EngineSocket:
        """A WebSocket that asked to take over a polling session, and was answered."""
        client = cls.connect(polling.server, sid=polling.sid)
        client.sid = polling.sid
        client.send_text("2probe")
        assert client.read_text() == "3probe"
        return client

    @classmethod
    def upgrade(cls, polling: Polling) -> EngineSocket:
        """A WebSocket that took a polling session over; no poll may be parked."""
        client = cls.probe(polling)
        client.send_text("5")
        return client

    def echoes(self, text: str = "still here") -> bool:
        """Whether an Engine.IO echo server still answers this session."""
        self.send_text("4" + text)
        return self.read_text() == "4" + text


class SocketIo(EngineSocket):
    """A Socket.IO client over WebSocket."""

    public_sid: str

    def join(self, namespace: str = "/", auth: dict[str, Any] | None = None) -> str:
        """Connect to a namespace; the public sid."""
        prefix = "" if namespace == "/" else namespace + ","
        self.send_text("40" + prefix + ("" if auth is None else json.dumps(auth)))
        reply = self.read_text()
        assert reply.startswith("40" + prefix), reply
        sid: str = json.loads(reply[2 + len(prefix) :])["sid"]
        return sid

    @classmethod
    def joined(cls, server: Server, name: str = "someone") -> SocketIo:
        """A client of the main namespace, past the `auth` event."""
        client = cls.connect(server)
        assert isinstance(client, cls)
        client.public_sid = client.join(auth={"name": name})
        assert client.event() == ["auth", {"name": name}]
        return client

    def event(self) -> list[Any]:
        """The next packet, which must be an event of the main namespace."""
        packet = self.read_text()
        assert packet.startswith("42"), packet
        return json.loads(packet[2:])

    def emit(self, *arguments: Any) -> None:
        self.send_text("42" + json.dumps(arguments))

    def serves(self) -> bool:
        """Whether a Socket.IO echo server still answers this client."""
        self.emit("message", "still here")
        return self.event() == ["message-back", "still here"]


class SocketIoPolling(Polling):
    """A Socket.IO client over long-polling."""

    def join(self, name: str = "someone") -> None:
        """Connect to the main namespace and take the `auth` event."""
        self.send("40" + json.dumps({"name": name}))
        packets = self.poll()
        if len(packets) == 1:
            packets += self.poll()
        assert packets[0].startswith('40{"sid":"'), packets
        assert json.loads(packets[1][2:]) == ["auth", {"name": name}]

    def serves(self) -> bool:
        self.send('42["message","still here"]')
        return self.poll() == ['42["message-back","still here"]']
