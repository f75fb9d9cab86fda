"""Two joined connections: bytes, back-pressure, and how they end."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from rtwist.engineio.relay import End, Relay

IDLE, CLOSE = 45.0, 5.0


class Side(StringTransport):
    """A connection that ends when it is told, unless what was written to it is not read."""

    reads = True
    aborted = False

    def __init__(self, end: End) -> None:
        super().__init__()
        self.end = end
        end.makeConnection(self)

    def loseConnection(self) -> None:  # noqa: N802 - Twisted's name
        super().loseConnection()
        if self.reads and self.producer is None:
            self.lost()

    def abortConnection(self) -> None:  # noqa: N802 - Twisted's name
        self.aborted = True
        self.lost()

    def lost(self) -> None:
        self.producer = None
        self.end.connectionLost(Failure(ConnectionDone()))


class Pair:
    def __init__(self) -> None:
        self.clock = Clock()
        self.over: list[Relay] = []
        self.relay = Relay(self.clock, idle=IDLE, close=CLOSE, over=self.over.append)
        self.front, self.back = Side(End()), Side(End())
        self.relay.join(self.front.end, self.back.end)


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_bytes_go_both_ways(pair: Pair) -> None:
    pair.front.end.dataReceived(b"there")
    pair.back.end.dataReceived(b"and back")
    assert pair.back.value() == b"there"
    assert pair.front.value() == b"and back"


def test_each_side_is_read_no_faster_than_the_other_takes(pair: Pair) -> None:
    for side, other in ((pair.front, pair.back), (pair.back, pair.front)):
        producer: Any = side.producer
        producer.pauseProducing()
        assert other.producerState == "paused"
        producer.resumeProducing()
        assert other.producerState == "producing"


@pytest.mark.parametrize("first", ["front", "back"])
def test_when_one_ends_the_other_does(pair: Pair, first: str) -> None:
    getattr(pair, first).lost()
    assert pair.front.disconnecting or pair.back.disconnecting
    assert pair.over == [pair.relay]
    assert pair.clock.getDelayedCalls() == []


@pytest.mark.parametrize("first", ["front", "back"])
def test_who_does_not_take_the_rest_is_cut(pair: Pair, first: str) -> None:
    side, other = (pair.front, pair.back) if first == "front" else (pair.back, pair.front)
    other.reads = False
    side.lost()
    pair.clock.advance(CLOSE - 0.01)
    assert not other.aborted
    assert pair.over == []
    pair.clock.advance(0.01)
    assert other.aborted
    assert pair.over == [pair.relay]
    assert pair.clock.getDelayedCalls() == []


def test_it_is_cut_when_nothing_moves(pair: Pair) -> None:
    for side in (pair.front, pair.back, pair.front):
        pair.clock.advance(IDLE - 0.01)
        side.end.dataReceived(b"x")
    pair.clock.advance(IDLE - 0.01)
    assert pair.over == []
    pair.clock.advance(0.01)
    assert pair.front.aborted
    assert pair.back.aborted
    assert pair.over == [pair.relay]


def test_what_comes_after_the_end_is_dropped(pair: Pair) -> None:
    pair.front.reads = False
    pair.back.lost()
    pair.front.end.dataReceived(b"late")
    assert pair.back.value() == b""


def test_it_can_be_ended(pair: Pair) -> None:
    pair.relay.let_go()
    assert pair.over == [pair.relay]
    pair.relay.let_go()
    assert pair.clock.getDelayedCalls() == []


def test_it_ends_in_time_for_who_reads_nothing(pair: Pair) -> None:
    pair.front.reads = False
    pair.relay.let_go()
    assert pair.back.producerState == "paused"
    assert pair.over == []
    pair.clock.advance(CLOSE)
    assert pair.front.aborted
    assert pair.over == [pair.relay]


def test_nothing_of_it_needs_the_collector(pair: Pair) -> None:
    watched = [weakref.ref(one) for one in (pair.relay, pair.front.end, pair.back.end)]
    pair.back.lost()
    gc.disable()
    try:
        pair.over.clear()
        for side in (pair.front, pair.back):
            del side.end
        del pair.relay
        del side
        assert [one() for one in watched] == [None, None, None]
    finally:
        gc.enable()
