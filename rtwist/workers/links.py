"""The connections between workers, one for each direction: sockets go over them, and word that they came."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IFileDescriptorReceiver, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from rtwist.errors import RemoteProtocolError
from rtwist.workers.frames import MOST_BYTES, Frame, Frames, Kind

TAKE_SECONDS: Final = 10.0
"""For the other worker to take a connection: one that is stuck for so long is as good as gone."""

MOST_WAITING: Final = 1000
"""Connections on their way to one worker; each is an open file meanwhile."""

Handed = Callable[[int, bytes], None]
"""Takes a connected socket, to be closed by it, and what was read from that."""


class Sender(Protocol):
    """The end that hands connections over; those that were not taken come back to `returned` when it breaks."""

    transport: Any

    def __init__(self, clock: IReactorTime, returned: Handed, lost: Callable[[], None]) -> None:
        self._clock = clock
        self._returned = returned
        self._lost = lost
        self._frames = Frames()
        self._number = 0
        self._waiting: dict[int, tuple[int, bytes]] = {}
        self._timer: IDelayedCall | None = None

    @property
    def ready(self) -> bool:
        """Whether one more can be handed over now."""
        return bool(self.connected) and len(self._waiting) < MOST_WAITING

    def hand(self, descriptor: int, data: bytes) -> None:
        """Hand over a socket with `data`, which was read from it."""
        if not self.ready or len(data) > MOST_BYTES:
            self._returned(descriptor, data)
            return
        self._number += 1
        self._waiting[self._number] = descriptor, data
        self.transport.sendFileDescriptor(descriptor)
        self.transport.write(Frame(Kind.HAND, self._number, os.fstat(descriptor).st_ino, data).encode())
        if self._timer is None:
            self._timer = self._clock.callLater(TAKE_SECONDS, self._late)

    def dataReceived(self, data: bytes) -> None:
        """The other worker has taken some."""
        try:
            frames = self._frames.feed(data)
        except RemoteProtocolError:
            self.transport.abortConnection()
            return
        for frame in frames:
            descriptor, _ = self._waiting.pop(frame.number, (None, b""))
            if descriptor is not None:
                os.close(descriptor)
        self._stop_timer()
        if self._waiting:
            self._timer = self._clock.callLater(TAKE_SECONDS, self._late)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The other worker is gone, or stuck."""
        self._stop_timer()
        self._lost()
        waiting, self._waiting = self._waiting, {}
        for descriptor, data in waiting.values():
            self._returned(descriptor, data)

    def _late(self) -> None:
        self._timer = None
        self.transport.abortConnection()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@implementer(IFileDescriptorReceiver)
class Receiver(Protocol):
    """The end that is handed connections."""

    _log = Logger()
    transport: Any

    def __init__(self, handed: Handed) -> None:
        self._handed = handed
        self._frames = Frames()
        self._descriptors: deque[int] = deque()

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """A socket has come; Twisted tells of it no later than of its frame."""
        self._descriptors.append(descriptor)

    def dataReceived(self, data: bytes) -> None:
        """Frames have come."""
        try:
            for frame in self._frames.feed(data):
                self._take(frame)
        except RemoteProtocolError as error:
            self._log.warn("a worker's connections are not taken: {error}", error=error)
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The other worker is gone."""
        while self._descriptors:
            os.close(self._descriptors.popleft())

    def _take(self, frame: Frame) -> None:
        if not self._descriptors or os.fstat(self._descriptors[0]).st_ino != frame.inode:
            raise RemoteProtocolError("a descriptor was lost on its way; are there too many files open?")
        descriptor = self._descriptors.popleft()
        # Before anything is answered: what the other worker does not know as taken it answers itself.
        self.transport.write(Frame(Kind.TAKEN, frame.number).encode())
        self._handed(descriptor, frame.data)
