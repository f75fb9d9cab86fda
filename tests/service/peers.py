"""A Socket.IO client over a raw WebSocket, and the tokens it comes with."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jwt

from tests.support.wire import CLOSE, NO_CLOSE_FRAME, Ended, Headers, WebSocketClient

SECRET = "a-secret-of-the-tests-with-more-than-32-bytes"
API_KEY = "the-api-key-of-the-tests"
SOCKET_IO = "/socket.io/?EIO=4&transport=websocket"
"""Where clients connect, unless the service is told otherwise."""

_numbers = itertools.count(1)


def fresh(prefix: str) -> str:
    """An id that no other test uses, so that tests share a server and never meet."""
    return f"{prefix}{next(_numbers)}"


def token(
    user: str | None = None,
    company: str | None = None,
    *shops: str,
    role: str | None = None,
    lifetime: float = 7200,
    secret: str = SECRET,
    kid: str | None = None,
    **claims: Any,
) -> str:
    """A token as the issuer would sign it; `claims` are added as they are."""
    named = {"userId": user, "companyId": company, "shopIds": list(shops) or None, "role": role}
    body = {name: value for name, value in named.items() if value is not None}
    body |= {"exp": int(time.time() + lifetime), **claims}
    return jwt.encode(body, secret, algorithm="HS256", headers={"kid": kid} if kid else None)


class Event(NamedTuple):
    """An event as a client got it."""

    name: str
    data: Any


class Client:
    """One Socket.IO connection. What arrives is kept in order; `events` takes it all but who comes and goes.

    Others of the company come and go with every test, so that is for `presence` to tell.
    """

    def __init__(self, port: int, headers: Headers = (), *, target: str = SOCKET_IO) -> None:
        self.wire = WebSocketClient.open(port, target, headers, seconds=15)
        opening = self.wire.read_text()
        assert opening.startswith("0{"), opening
        self.opening: dict[str, Any] = json.loads(opening[1:])
        self.session_id: str = self.opening["sid"]
        self.id = ""
        self.connected: dict[str, Any] = {}
        self._acks = itertools.count()
        self._arrived: list[Event] = []
        self._presence: list[Event] = []

    def connect(self, token: Any = None, *, auth: Any = None) -> dict[str, Any] | None:
        """Send CONNECT; None when it is accepted, else the object of the CONNECT_ERROR."""
        payload = {"token": token} if auth is None and token is not None else auth
        self.wire.send_text("40" if payload is None else f"40{json.dumps(payload)}")
        answer = self.packet()
        if answer.startswith("44"):
            refusal: dict[str, Any] = json.loads(answer[2:])
            return refusal
        assert answer.startswith("40"), answer
        self.id = json.loads(answer[2:])["sid"]
        name, self.connected = json.loads(self.packet().removeprefix("42"))
        assert name == "connected"
        return None

    def packet(self) -> str:
        """The next message that is not a heartbeat."""
        while (text := self.wire.read_text()) == "2":
            self.wire.send_text("3")
        return text

    def emit(self, *event: Any) -> None:
        """Send an event without acknowledgement."""
        self.wire.send_text("42" + json.dumps(event))

    def call(self, *event: Any) -> Any:
        """Send an event and return the one argument of its acknowledgement."""
        number = str(next(self._acks))
        self.wire.send_text(f"42{number}{json.dumps(event)}")
        while not (text := self.packet()).startswith("43"):
            self._keep(text)
        assert text[2:].startswith(f"{number}["), text
        (answer,) = json.loads(text[2 + len(number) :])
        return answer

    def succeed(self, *event: Any) -> dict[str, Any]:
        """Send an event that must be granted; its acknowledgement without `success`."""
        answer = self.call(*event)
        assert answer.pop("success") is True, answer
        return dict(answer)

    def refused(self, *event: Any) -> tuple[str, str]:
        """Send an event that must be refused; the code and the message."""
        answer = self.call(*event)
        assert set(answer) == {"success", "error"}, answer
        assert answer["success"] is False
        assert set(answer["error"]) == {"code", "message"}
        return answer["error"]["code"], answer["error"]["message"]

    def events(self) -> list[Event]:
        """All events since the last call; those of everything the server has already answered are among them.

        The server writes a socket's packets in order, so that the acknowledgement asked for here comes last.
        """
        self.succeed("leave_room", "a room it is not in")
        arrived, self._arrived = self._arrived, []
        return arrived

    def names(self) -> list[str]:
        """The names of all events since the last call."""
        return [event.name for event in self.events()]

    def next_event(self) -> Event:
        """The next event, waiting for it."""
        while not self._arrived:
            self._keep(self.packet())
        return self._arrived.pop(0)

    def presence(self) -> list[tuple[str, str]]:
        """Who came and went since the last call: "online" or "offline", and the user."""
        self.succeed("leave_room", "a room it is not in")
        seen, self._presence = self._presence, []
        assert all(set(event.data) == {"userId", "timestamp"} for event in seen), seen
        return [(event.name.removeprefix("presence:"), event.data["userId"]) for event in seen]

    def wait_for_presence(self) -> tuple[str, str]:
        """Who comes or goes next, waiting for it."""
        while not self._presence:
            self._keep(self.packet())
        event = self._presence.pop(0)
        return event.name.removeprefix("presence:"), event.data["userId"]

    def rest(self) -> list[str]:
        """The messages until the server ends the connection, as they were on the wire."""
        texts = []
        with contextlib.suppress(Ended):
            while (frame := self.wire.read_frame()).opcode != CLOSE:
                texts.append(frame.payload.decode())
        return texts

    def close_code(self) -> int:
        """The code with which the server closes; heartbeats may come before."""
        frames, code = self.wire.read_to_close()
        assert {frame.payload for frame in frames} <= {b"2", b"6"}, frames
        assert code != NO_CLOSE_FRAME
        return code

    def close(self) -> None:
        self.wire.close()

    def _keep(self, text: str) -> None:
        assert text.startswith("42"), text
        name, *arguments = json.loads(text[2:])
        assert len(arguments) == 1, text
        kept = self._presence if name.startswith("presence:") else self._arrived
        kept.append(Event(name, arguments[0]))


@contextlib.contextmanager
def closing(*clients: Client) -> Iterator[None]:
    """Close clients at the end."""
    try:
        yield
    finally:
        for client in clients:
            client.close()
