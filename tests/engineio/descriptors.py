"""A connection with Twisted's own buffer, whose peer reads as much as a test says."""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted
from twisted.python.failure import Failure

from tests.engineio.http_fakes import ADDRESS, Turns


class Descriptor(FileDescriptor):
    """What the peer has read is `read_bytes`; nothing leaves unless `read` says so."""

    protocol: Any

    def __init__(self, clock: Turns) -> None:
        super().__init__(reactor=_NoReactor())  # type: ignore[arg-type]
        self.connected = 1
        self.read_bytes = bytearray()
        self.aborted = False
        self.lost = False
        self.socket = self
        self._clock = clock
        self._room = 0
        self._writing = False

    @property
    def pieces(self) -> list[bytes]:
        """What lies in the buffer, as it lies there."""
        waiting: list[bytes] = self._tempDataBuffer  # type: ignore[attr-defined]
        return [piece for piece in (self.dataBuffer, *waiting) if piece]

    @property
    def pending(self) -> int:
        """The bytes that lie in the buffer."""
        return sum(map(len, self.pieces)) - self.offset

    def read(self, size: int) -> None:
        """The peer reads at most `size` bytes more; turns of the reactor go by meanwhile."""
        self._room = size
        self._clock.advance(0)
        while self._writing and self._room and self.connected:
            if self.doWrite() is not None:
                self._lose()
            self._clock.advance(0)
        self._room = 0

    def read_all(self) -> None:
        """The peer reads all there is and all that follows at once."""
        self.read(10**9)

    def take(self) -> bytes:
        """What the peer has read since the last time."""
        taken = bytes(self.read_bytes)
        self.read_bytes.clear()
        return taken

    def writeSomeData(self, data: bytes) -> int:  # noqa: N802
        size = min(len(data), self._room, self.SEND_LIMIT)
        self.read_bytes += data[:size]
        self._room -= size
        return size

    def send(self, data: bytes) -> int:
        """As a socket that does not block."""
        size = self.writeSomeData(data)
        if not size:
            raise BlockingIOError
        return size

    def abortConnection(self) -> None:  # noqa: N802
        if not self.aborted and not self.lost:
            self.aborted = True
            self._clock.callLater(0, self._lose)

    def startWriting(self) -> None:  # noqa: N802
        self._writing = True

    def stopWriting(self) -> None:  # noqa: N802
        self._writing = False

    def startReading(self) -> None:  # noqa: N802
        pass

    def stopReading(self) -> None:  # noqa: N802
        pass

    def getPeer(self) -> IPv4Address:  # noqa: N802
        return ADDRESS

    def getHost(self) -> IPv4Address:  # noqa: N802
        return ADDRESS

    def getHandle(self) -> None:  # noqa: N802
        pass

    def leave(self) -> None:
        """The peer resets the connection."""
        self._lose()

    def _lose(self) -> None:
        if not self.lost:
            self.lost = True
            reason = Failure(ConnectionAborted())
            self.connectionLost(reason)
            self.protocol.connectionLost(reason)


class _NoReactor:
    """Twisted's descriptors want a reactor; this one's never ask it for anything."""
