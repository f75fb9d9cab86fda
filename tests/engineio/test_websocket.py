"""The WebSocket transport between a string transport and a session."""

from __future__ import annotations

import gc
import struct
import weakref
from collections.abc import Iterator
from http.client import parse_headers
from io import BytesIO

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure

from rtwist.engineio.admission import Admission
from rtwist.engineio.backlog import Backlog
from rtwist.engineio.deflate import Agreement
from rtwist.engineio.heartbeat import Heartbeats
from rtwist.engineio.options import Options
from rtwist.engineio.outflow import Outflow
from rtwist.engineio.packet import message
from rtwist.engineio.session import Session
from rtwist.engineio.websocket import WebSocketTransport
from rtwist.engineio.websocketfactory import WebSocketFactory
from tests.engineio.fakes import handshake

KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
ADDRESS = IPv4Address("TCP", "127.0.0.1", 1)


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes([(0x80 if fin else 0) | opcode]) + length + bytes(4) + payload


def text(data: str) -> bytes:
    return frame(1, data.encode())


class Wire(StringTransportWithDisconnection):
    """The connection: remembers whether it was aborted."""

    aborted = False

    def abortConnection(self) -> None:  # noqa: N802
        self.aborted = True

    def getHandle(self) -> None:  # noqa: N802
        pass

    def unregisterProducer(self) -> None:  # noqa: N802
        # As often as one likes, as with Twisted's own transports.
        self.producer = None


class Peer:
    """An open WebSocket with its session."""

    def __init__(self, *, compression: Agreement | None = None, **options: object) -> None:
        self.clock = Clock()
        self.messages: list[str | bytes] = []
        self.ends: list[str] = []
        chosen = Options(**options)  # type: ignore[arg-type]
        self.admission = Admission(chosen, self.clock)
        factory = WebSocketFactory(chosen, self.clock, self.admission, Outflow(self.clock))
        self.transport: WebSocketTransport = factory.buildProtocol(ADDRESS)
        self.wire = Wire(peerAddress=ADDRESS)
        self.wire.protocol = self.transport
        self.transport.makeConnection(self.wire)
        self.transport.shake_hands(KEY, compression)
        head = parse_headers(BytesIO(self.wire.value().partition(b"\r\n")[2]))
        self.extensions = head["Sec-WebSocket-Extensions"]
        self.wire.registerProducer(self.transport, True)
        self.backlog = Backlog(self.clock, chosen)
        self.session = Session(
            "secret",
            handshake(),
            self.transport,
            clock=self.clock,
            options=chosen,
            registry=self,
            backlog=self.backlog,
            heartbeats=Heartbeats(self.clock, chosen.ping_interval, chosen.ping_timeout),
        )
        self.session.open()
        self.session.listen(self)
        self.wire.clear()

    def message(self, data: str | bytes) -> None:
        self.messages.append(data)

    def closed(self, reason: str, description: str) -> None:
        self.ends.append(reason)

    def forget(self, session: Session) -> None:
        pass

    def note_limit(self, limit: str, who: str, *, common: bool = False) -> None:
        pass

    def receive(self, *frames: bytes) -> None:
        self.transport.dataReceived(b"".join(frames))

    def lose(self, reason: type[Exception] = ConnectionLost) -> None:
        self.transport.connectionLost(Failure(reason()))


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer(max_payload=1000, max_fragments=4, close_timeout=5)
    yield made
    assert made.clock.getDelayedCalls() == []
    assert len(made.ends) == 1


@pytest.mark.parametrize("reason", [ConnectionDone, ConnectionLost])
def test_a_connection_that_is_lost_ends_the_session_and_every_timer(peer: Peer, reason: type[Exception]) -> None:
    peer.lose(reason)
    assert peer.ends == ["transport close"]
    assert peer.clock.getDelayedCalls() == []


@pytest.mark.parametrize("how", ["lost", "closed"])
def test_what_a_connection_took_is_free_without_the_garbage_collector(how: str) -> None:
    peer = Peer()
    transport = weakref.ref(peer.transport)
    gc.disable()
    try:
        peer.receive(text("4hello"))
        if how == "closed":
            peer.session.close()
            peer.receive(frame(8))
            peer.clock.advance(60)
        peer.lose()
        # As Twisted's connections do when they end.
        peer.wire.protocol = peer.wire.producer = None
        vars(peer).clear()
        assert transport() is None
    finally:
        gc.enable()


def test_a_close_of_the_server_is_a_close_frame_without_status(peer: Peer) -> None:
    peer.session.close()
    assert peer.wire.value() == b"\x88\x00"
    assert peer.ends == ["forced close"]
    peer.receive(text("4late"))
    peer.lose()
    assert peer.messages == []


def test_a_client_that_never_answers_the_close_is_aborted(peer: Peer) -> None:
    peer.session.close()
    peer.clock.advance(4)
    assert not peer.wire.aborted
    peer.clock.advance(1)
    assert peer.wire.aborted
    peer.lose()


def test_a_client_s_close_frame_is_answered_and_ends_the_session(peer: Peer) -> None:
    peer.receive(frame(8, b"\x03\xe8"))
    assert peer.wire.value()[:1] == b"\x88"
    assert peer.ends == ["transport close"]
    if peer.wire.connected:
        peer.lose(ConnectionDone)


def test_text_and_binary_messages_are_heard_in_order(peer: Peer) -> None:
    peer.receive(text("4one"), frame(2, b"\x02"), frame(1, b"4th", fin=False), frame(0, b"ree"))
    assert peer.messages == ["one", b"\x02", "three"]
    peer.lose()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(1, b"4" * 1001)], 1009),
        ([frame(1, b"4" * 600, fin=False), frame(0, b"4" * 600)], 1009),
        ([frame(1, b"4", fin=False), *[frame(0, fin=False)] * 4], 1009),
        ([frame(1, b"4\xff")], 1007),
        ([frame(1, b"4\xed\xa0\x80")], 1007),
    ],
)
def test_frames_past_a_limit_fail_the_connection(peer: Peer, frames: list[bytes], code: int) -> None:
    peer.receive(*frames)
    head = peer.wire.value()
    assert head[:1] == b"\x88"
    assert struct.unpack("!H", head[2:4]) == (code,)
    assert (peer.ends, peer.messages) == (["transport error"], [])
    peer.lose()


def test_a_message_may_be_as_large_as_the_limit(peer: Peer) -> None:
    peer.receive(frame(1, b"4" * 1000), frame(2, bytes(1000)))
    assert [len(one) for one in peer.messages] == [999, 1000]
    peer.lose()


def test_a_full_socket_makes_packets_wait(peer: Peer) -> None:
    peer.transport.pauseProducing()
    peer.session.send([message("one")])
    peer.session.send([message("two")])
    assert peer.wire.value() == b""
    peer.transport.resumeProducing()
    assert peer.wire.value() == b"\x81\x044one\x81\x044two"
    peer.lose()


def test_a_socket_that_drains_after_the_end_says_nothing(peer: Peer) -> None:
    peer.transport.pauseProducing()
    peer.session.send([message("one")])
    peer.session.close()
    peer.transport.resumeProducing()
    assert peer.wire.value() == b"\x81\x044one\x88\x00"
    peer.lose()
