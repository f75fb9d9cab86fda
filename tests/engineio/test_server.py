"""The server's sessions."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from rtwist.engineio.options import Options
from rtwist.engineio.packet import message
from rtwist.engineio.request import ErrorCode, Handshake, Refusal
from rtwist.engineio.server import Server
from rtwist.engineio.session import Session
from tests.engineio.fakes import FakeWebSocket, handshake


class Ears:
    """Hears of every session; greets each as it comes."""

    def __init__(self) -> None:
        self.came: list[Session] = []
        self.ends: list[str] = []

    def connected(self, session: Session) -> Ears:
        self.came.append(session)
        session.send([message("hello")])
        return self

    def message(self, data: str | bytes) -> None:
        pass

    def closed(self, reason: str, description: str) -> None:
        self.ends.append(reason)


def serve(**options: Any) -> tuple[Server, Ears, Clock]:
    ears, clock = Ears(), Clock()
    return Server(clock, Options(**options), ears.connected), ears, clock


def join(server: Server) -> FakeWebSocket:
    wire = FakeWebSocket()
    server.open_websocket(handshake(), wire)  # type: ignore[arg-type]
    return wire


def test_what_is_sent_to_a_new_session_follows_its_handshake() -> None:
    server, _, _ = serve()
    opened, greeting = join(server).take()
    assert opened.startswith('0{"sid":')
    assert greeting == "4hello"


def test_sids_are_long_and_never_alike() -> None:
    server, _, _ = serve()
    for _ in range(100):
        join(server)
    assert len(server.sessions) == 100
    assert {len(sid) for sid in server.sessions} == {24}


def test_a_session_that_ends_is_forgotten() -> None:
    server, ears, clock = serve()
    wire = join(server)
    wire.session.lost(wire, "transport close")
    assert (dict(server.sessions), ears.ends, clock.getDelayedCalls()) == ({}, ["transport close"], [])


def test_closing_ends_every_session() -> None:
    server, ears, clock = serve()
    wires = [join(server) for _ in range(3)]
    server.close()
    server.close()
    assert (dict(server.sessions), ears.ends) == ({}, ["forced close"] * 3)
    assert [wire.closed for wire in wires] == [1, 1, 1]
    assert clock.getDelayedCalls() == []


def test_refusals_are_told_to_whoever_wants_to_know() -> None:
    server, _, _ = serve()
    told: list[tuple[Handshake, Refusal]] = []
    request = handshake(query={"transport": "polling", "EIO": "3"})
    assert server.check(request) is not None
    server.on_refusal(lambda *args: told.append(args))
    assert server.check(handshake()) is None
    assert server.check(request) is not None
    assert [(one, refusal.code) for one, refusal in told] == [(request, ErrorCode.UNSUPPORTED_PROTOCOL_VERSION)]
