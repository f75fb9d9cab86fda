"""A Socket.IO server on a clock, and guests that speak its wire through fake transports."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from rtwist.socketio import Options, Server, Socket
from rtwist.socketio.namespace import AdapterFactory
from tests.engineio.fakes import FakeWebSocket, handshake


class Guest:
    """One connection: says and hears Socket.IO packets as they are on the wire."""

    def __init__(self, house: House) -> None:
        self.wire = FakeWebSocket()
        self._house = house
        house.io.engine.open_websocket(handshake(), self.wire)  # type: ignore[arg-type]
        self.wire.take()

    def say(self, *packets: str | bytes) -> None:
        """Send packets."""
        for packet in packets:
            self.wire.session.received(self.wire, packet if isinstance(packet, bytes) else f"4{packet}")

    def hear(self) -> list[str]:
        """The packets that have come since the last time; binary ones as `b` and base64."""
        return [text.removeprefix("4") for text in self.wire.take()]

    def enter(self, namespace: str = "", auth: Any = None) -> Socket:
        """CONNECT, which must be accepted at once; the server's side of it."""
        self.say(f"0{namespace}{'' if auth is None else json.dumps(auth)}")
        reply = next(packet for packet in self.hear() if packet.startswith(f"0{namespace}"))
        name = namespace.rstrip(",") or "/"
        return self._house.io.namespaces[name].sockets[json.loads(reply.removeprefix(f"0{namespace}"))["sid"]]

    def leave(self, reason: str = "transport close") -> None:
        """The connection breaks."""
        self.wire.session.lost(self.wire, reason)

    @property
    def gone(self) -> bool:
        """Whether the server has closed the connection."""
        return self.wire.closed > 0


class House:
    """The server and what was logged; nothing may be left when everybody has gone."""

    def __init__(
        self,
        logs: list[Any],
        *,
        clock: Clock | None = None,
        adapter: AdapterFactory | None = None,
        **options: Any,
    ) -> None:
        self.clock = Clock() if clock is None else clock
        self.io = Server(self.clock, Options(**options), adapter=adapter)
        self.logs = logs

    def guest(self) -> Guest:
        """A connection that is in no namespace yet."""
        return Guest(self)

    def visitor(self) -> tuple[Guest, Socket]:
        """A connection in `/`, and the server's side of it."""
        guest = self.guest()
        return guest, guest.enter()

    @property
    def failures(self) -> list[str]:
        """What was logged with a traceback: the type's name and the text."""
        found = [event["log_failure"] for event in self.logs if "log_failure" in event]
        return [f"{failure.type.__name__}: {failure.getErrorMessage()}" for failure in found]

    @property
    def warnings(self) -> list[str]:
        """The formats of what was logged as a warning."""
        return [event["log_format"] for event in self.logs if event["log_level"].name == "warn"]

    def forgive(self, *failures: str) -> None:
        """These failures, and no others, were to be logged."""
        gc.collect()
        assert self.failures == list(failures)
        self.logs.clear()

    def end(self, *, collect: bool = True) -> None:
        """Everybody goes; nothing may stay and nothing unexpected may have been logged."""
        self.io.close()
        assert (self.io.clients, dict(self.io.engine.sessions)) == (frozenset(), {})
        for namespace in self.io.namespaces.values():
            assert (dict(namespace.sockets), namespace.adapter.rooms.names()) == ({}, frozenset())
        assert self.clock.getDelayedCalls() == []
        assert len(self.io.tasks) == 0
        if collect:
            gc.collect()
        assert self.failures == []


@contextmanager
def only_new_garbage() -> Iterator[None]:
    """Have searches for garbage pass over what is there already, which takes most of their time."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def a_house(*, collect: bool = True, **options: Any) -> Iterator[House]:
    """For a fixture; `collect` finds failures that nobody heard of, but takes its time."""
    with only_new_garbage(), capturedLogs() as logs:
        house = House(logs, max_queued_events=100, **options)
        yield house
        house.end(collect=collect)
