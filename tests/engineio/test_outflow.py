"""The way out: one send for all that a turn has for a connection, at its end or when somebody asks."""

from __future__ import annotations

import socket
import struct
from typing import Any

from pytest_twisted import ensureDeferred
from twisted.internet import reactor as installed
from twisted.internet.abstract import FileDescriptor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs

from rtwist.engineio.outflow import Outflow, Outlet

reactor: Any = installed


def active(clock: Any) -> Outflow:
    outflow = Outflow(clock)
    outflow.active = True
    return outflow


class Peer:
    """A TCP connection of this process to itself: `protocol` on the reactor, `client` without it."""

    async def open(self) -> Peer:
        factory = Factory.forProtocol(Protocol)
        made: list[Protocol] = []
        factory.buildProtocol = lambda _: made.append(Protocol()) or made[-1]  # type: ignore[assignment,func-returns-value]
        self.port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.client = socket.create_connection(("127.0.0.1", self.port.getHost().port))
        self.client.setblocking(False)
        while not made or made[0].transport is None:
            await deferLater(reactor, 0)
        self.transport: Any = made[0].transport
        return self

    async def close(self) -> None:
        self.client.close()
        self.transport.abortConnection()
        await self.port.stopListening()

    async def hears(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self.received()
            await deferLater(reactor, 0)
        return data

    def received(self) -> bytes:
        try:
            return self.client.recv(10_000_000)
        except BlockingIOError:
            return b""


@ensureDeferred
async def test_it_is_out_at_once() -> None:
    peer, outflow = await Peer().open(), active(reactor)
    peer.transport.write(b"one ")
    outflow.wrote(peer.transport)
    peer.transport.write(b"two")
    assert peer.received() == b"", "Twisted would write in its next turn"
    outflow.flush()
    assert peer.received() == b"one two"
    await peer.close()


@ensureDeferred
async def test_a_full_socket_keeps_the_rest_in_order() -> None:
    peer, outflow = await Peer().open(), active(reactor)
    data = bytes(range(256)) * 40_000
    for start in range(0, len(data), 1_000_000):
        peer.transport.write(data[start : start + 1_000_000])
        outflow.wrote(peer.transport)
        outflow.flush()
    got = b""
    while len(got) < len(data):
        got += peer.received()
        await deferLater(reactor, 0)
    assert got == data
    await peer.close()


@ensureDeferred
async def test_a_connection_that_is_closing_still_closes() -> None:
    peer, outflow = await Peer().open(), active(reactor)
    peer.transport.write(b"bye")
    outflow.wrote(peer.transport)
    peer.transport.loseConnection()
    outflow.flush()
    peer.client.setblocking(True)
    peer.client.settimeout(0.001)
    got, ended = b"", False
    while not ended:
        await deferLater(reactor, 0)
        try:
            piece = peer.client.recv(100)
        except TimeoutError:
            continue
        got, ended = got + piece, not piece
    assert got == b"bye"
    await peer.close()


@ensureDeferred
async def test_a_connection_that_is_gone_is_left_alone() -> None:
    peer, outflow = await Peer().open(), active(reactor)
    peer.transport.write(b"bye")
    outflow.wrote(peer.transport)
    peer.transport.abortConnection()
    while peer.transport.connected:
        await deferLater(reactor, 0)
    outflow._written.add(peer.transport)
    outflow.flush()
    await peer.close()


@ensureDeferred
async def test_who_holds_it_needs_no_timer_and_what_is_left_then_leaves_with_the_turn() -> None:
    peer, clock = await Peer().open(), Clock()
    outflow = active(clock)
    outlet = outflow.outlet(peer.transport)
    outflow.hold()
    outlet.write(b"one ")
    assert clock.getDelayedCalls() == []
    outflow.flush()
    assert await peer.hears(4) == b"one "
    outlet.write(b"two ")
    outflow.release()
    assert peer.received() == b""
    clock.advance(0)
    assert await peer.hears(4) == b"two "
    outlet.write(b"three")
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(0)
    await peer.close()


def test_what_nobody_flushes_is_forgotten_with_the_turn() -> None:
    clock = Clock()
    outflow = active(clock)
    for _ in range(3):
        outflow.wrote(object())
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(0)
    assert outflow._written == set()


def test_other_kinds_of_connections_are_written_as_ever() -> None:
    outflow = active(Clock())
    transport = StringTransport()
    outflow.wrote(transport)
    outflow.flush()
    assert transport.value() == b""


def test_nothing_is_kept_unless_somebody_will_ask() -> None:
    clock = Clock()
    outflow = Outflow(clock)
    outflow.wrote(object())
    assert (outflow._written, clock.getDelayedCalls()) == (set(), [])


# Straight to the socket


class Counted:
    """A socket that counts what is sent by it; `room` is how many bytes it takes before it would block."""

    def __init__(self, sock: Any, room: int | None = None) -> None:
        self._sock = sock
        self.room = room
        self.broken = False
        self.sends: list[int] = []

    def send(self, data: bytes) -> int:
        if self.broken:
            raise ConnectionResetError
        if self.room is not None:
            data = data[: self.room]
            self.room -= len(data)
            if not data:
                raise BlockingIOError
        self.sends.append(len(data))
        return int(self._sock.send(data))


async def opened(room: int | None = None) -> tuple[Peer, Outlet, Counted]:
    peer = await Peer().open()
    outlet: Any = Outflow(reactor).outlet(peer.transport)
    outlet._socket = counted = Counted(peer.transport.socket, room)
    return peer, outlet, counted


async def turn() -> None:
    await deferLater(reactor, 0)


@ensureDeferred
async def test_all_of_a_turn_is_one_send_at_its_end() -> None:
    peer, outlet, counted = await opened()
    for number in range(3):
        outlet.write(b"%d " % number)
    assert counted.sends == []
    await turn()
    assert (counted.sends, peer.received()) == ([6], b"0 1 2 ")
    await turn()
    assert counted.sends == [6]
    await peer.close()


@ensureDeferred
async def test_what_is_asked_for_leaves_at_once() -> None:
    peer, outlet, counted = await opened()
    outlet.write(b"one ")
    outlet.write(b"two")
    outlet.flush()
    assert (counted.sends, peer.received()) == ([7], b"one two")
    await peer.close()


@ensureDeferred
async def test_more_than_fits_into_a_socket_leaves_in_the_middle_of_a_turn() -> None:
    peer, outlet, counted = await opened()
    for _ in range(3):
        outlet.write(bytes(40_000))
    assert counted.sends == [80_000]
    await turn()
    assert counted.sends == [80_000, 40_000]
    await peer.close()


@ensureDeferred
async def test_what_a_socket_does_not_take_goes_first_when_it_does() -> None:
    peer, outlet, counted = await opened(room=5)
    outlet.write(b"hello, ")
    outlet.flush()
    counted.room = None
    for word in (b"dear ", b"peer"):
        outlet.write(word)
        outlet.flush()
    assert (counted.sends, peer.received()) == ([5], b"hello")
    while peer.transport._tempDataBuffer or peer.transport.dataBuffer:
        await turn()
    outlet.write(b"!")
    await turn()
    assert (counted.sends, peer.received()) == ([5, 1], b", dear peer!")
    await peer.close()


@ensureDeferred
async def test_what_was_written_by_others_before_goes_first() -> None:
    peer = await Peer().open()
    peer.transport.write(b"HTTP ")
    outlet = Outflow(reactor).outlet(peer.transport)
    outlet.write(b"WebSocket")
    outlet.flush()
    assert peer.received() == b""
    await turn()
    await turn()
    assert peer.received() == b"HTTP WebSocket"
    await peer.close()


@ensureDeferred
async def test_a_connection_that_was_lost_is_reported_as_ever_and_harms_no_other() -> None:
    with capturedLogs() as logs:
        await lose_one_of_two()
    assert [log for log in logs if "log_failure" in log] == []


async def lose_one_of_two() -> None:
    lost, outlet, counted = await opened()
    outflow = outlet._outflow  # type: ignore[attr-defined]
    other = await Peer().open()
    counted.broken = True
    beside = outflow.outlet(other.transport)
    outlet.write(b"to nobody")
    beside.write(b"to somebody")
    outflow.flush()
    assert other.received() == b"to somebody"
    assert lost.received() == b""
    lost.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    lost.client.close()
    while lost.transport.connected:
        await turn()
    outlet.write(b"after its end")
    await turn()
    await lost.port.stopListening()
    await other.close()


def test_what_twisted_does_not_write_to_a_socket_itself_is_written_to_twisted() -> None:
    for transport in (StringTransport(), Renamed()):
        outlet = Outflow(Clock()).outlet(transport)
        outlet.write(b"at once")
        outlet.flush()
        assert transport.value() == b"at once"


class Renamed(FileDescriptor):
    """A version of Twisted with other private names."""

    connected = 1

    def __init__(self) -> None:
        super().__init__(reactor=Clock())  # type: ignore[arg-type]
        del self._tempDataBuffer  # type: ignore[attr-defined]
        self.socket = None
        self._written = b""

    def write(self, data: bytes) -> None:
        self._written += data

    def value(self) -> bytes:
        return self._written
