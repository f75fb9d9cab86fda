"""Flushing: what was written is in the operating system's hands before the reactor's next turn."""

from __future__ import annotations

import socket
from typing import Any

from pytest_twisted import ensureDeferred
from twisted.internet import reactor as installed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport

from rtwist.engineio.outflow import Outflow

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
