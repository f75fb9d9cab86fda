"""The two ends of a link between workers, without the reactor: what is sent, closed and given back."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from rtwist.workers.frames import MOST_BYTES, Frame, Frames, Kind
from rtwist.workers.links import MOST_WAITING, TAKE_SECONDS, Receiver, Sender


class Transport(StringTransport):
    """A UNIX transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.descriptors: list[int] = []

    def sendFileDescriptor(self, descriptor: int) -> None:  # noqa: N802 - Twisted's name
        self.descriptors.append(descriptor)


class Ends:
    """A link's ends and what they told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.returned: list[tuple[int, bytes]] = []
        self.handed: list[tuple[int, bytes]] = []
        self.losses = 0
        self.sender = Sender(self.clock, lambda *what: self.returned.append(what), self._lost)
        self.receiver = Receiver(lambda *what: self.handed.append(what))
        self.there, self.here = Transport(), Transport()
        self.sender.makeConnection(self.there)
        self.receiver.makeConnection(self.here)

    def _lost(self) -> None:
        self.losses += 1

    def lose(self) -> None:
        for end in (self.sender, self.receiver):
            end.connectionLost()

    def close(self) -> None:
        self.lose()
        for descriptor, _ in self.returned + self.handed:
            os.close(descriptor)
        assert self.clock.getDelayedCalls() == []


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.close()


def connection() -> int:
    """One end of a connected pair, as a descriptor."""
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours.detach()


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def carry(ends: Ends) -> None:
    """What the sender has sent arrives, and what the receiver says to it."""
    for descriptor in ends.there.descriptors:
        ends.receiver.fileDescriptorReceived(os.dup(descriptor))
    ends.there.descriptors.clear()
    ends.receiver.dataReceived(ends.there.value())
    ends.there.clear()
    ends.sender.dataReceived(ends.here.value())
    ends.here.clear()


def test_what_is_taken_is_closed_here(ends: Ends) -> None:
    descriptor = connection()
    ends.sender.hand(descriptor, b"data")
    assert is_open(descriptor), "until the other worker has it"
    carry(ends)
    assert not is_open(descriptor)
    assert [data for _, data in ends.handed] == [b"data"]
    assert ends.returned == []


def test_what_was_not_taken_comes_back_when_the_link_breaks(ends: Ends) -> None:
    first, second = connection(), connection()
    ends.sender.hand(first, b"1")
    carry(ends)
    ends.sender.hand(second, b"2")
    ends.sender.connectionLost()
    assert ends.returned == [(second, b"2")]
    assert ends.losses == 1


def test_a_worker_that_is_stuck_loses_its_link(ends: Ends) -> None:
    ends.sender.hand(connection(), b"")
    ends.clock.advance(TAKE_SECONDS - 0.1)
    assert not ends.there.disconnected
    ends.clock.advance(0.1)
    assert ends.there.disconnected


def test_a_worker_that_takes_slowly_keeps_it(ends: Ends) -> None:
    ends.sender.hand(connection(), b"")
    ends.sender.hand(connection(), b"")
    for number in (1, 2):
        ends.clock.advance(TAKE_SECONDS - 0.1)
        ends.sender.dataReceived(Frame(Kind.TAKEN, number).encode())
    assert not ends.there.disconnected


def test_only_so_many_are_on_their_way(ends: Ends) -> None:
    shared = connection()
    for _ in range(MOST_WAITING):
        assert ends.sender.ready
        ends.sender.hand(os.dup(shared), b"")
    assert not ends.sender.ready
    one_more = os.dup(shared)
    ends.sender.hand(one_more, b"more")
    assert ends.returned == [(one_more, b"more")]
    os.close(shared)


def test_what_is_too_large_comes_back(ends: Ends) -> None:
    descriptor = connection()
    ends.sender.hand(descriptor, bytes(MOST_BYTES + 1))
    assert [one for one, _ in ends.returned] == [descriptor]


def test_another_connection_is_never_taken_for_the_one_that_was_meant(ends: Ends) -> None:
    ends.sender.hand(connection(), b"first")
    ends.sender.hand(connection(), b"second")
    # The kernel drops a descriptor that the receiver has no room for, and says nothing.
    dropped, arrived = ends.there.descriptors
    ends.there.descriptors.remove(dropped)
    carry(ends)
    assert ends.handed == []
    assert ends.here.disconnected
    assert is_open(arrived)


def test_a_frame_without_a_descriptor(ends: Ends) -> None:
    ends.receiver.dataReceived(Frame(Kind.HAND, 1, 2, b"").encode())
    assert ends.handed == []
    assert ends.here.disconnected


def test_garbage_ends_the_link(ends: Ends) -> None:
    ends.receiver.dataReceived(b"\xff" * 100)
    ends.sender.dataReceived(b"\xff" * 100)
    assert ends.here.disconnected
    assert ends.there.disconnected


def test_the_word_comes_before_the_connection_is_served() -> None:
    told: list[bytes] = []
    here = Transport()

    def handed(descriptor: int, _: bytes) -> None:
        told.append(here.value())
        os.close(descriptor)

    receiver = Receiver(handed)
    receiver.makeConnection(here)
    descriptor = connection()
    receiver.fileDescriptorReceived(descriptor)
    receiver.dataReceived(Frame(Kind.HAND, 7, os.fstat(descriptor).st_ino, b"").encode())
    assert [Frames().feed(data) for data in told] == [[Frame(Kind.TAKEN, 7)]]
