"""What workers say to each other over their UNIX sockets; pure.

A frame is a kind, a number, the inode of a socket, the size of what follows, and that many bytes. Whoever hands
a connection over numbers its frames and sends the descriptor along. The inode tells whether the descriptor that
came is the one that was meant: the kernel drops descriptors when the receiver has too many files open.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from rtwist.errors import RemoteProtocolError

MOST_BYTES: Final = 1 << 20
"""Of one frame: a request's headers (16 KiB), and what Twisted reads of a body at a time (64 KiB)."""

_HEAD = struct.Struct("!BQQI")


class Kind(IntEnum):
    """What a frame says."""

    HAND = 1
    TAKEN = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: a connection with what was read from it, or that the connection of that number was taken."""

    kind: Kind
    number: int
    inode: int = 0
    data: bytes = b""

    def encode(self) -> bytes:
        """The frame as bytes."""
        return _HEAD.pack(self.kind, self.number, self.inode, len(self.data)) + self.data


class Frames:
    """Reads frames from a stream."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole with `data`; raises `RemoteProtocolError` for what is none."""
        buffer = self._buffer + data
        found, at = [], 0
        while len(buffer) - at >= _HEAD.size:
            kind, number, inode, size = _HEAD.unpack_from(buffer, at)
            if kind not in (Kind.HAND, Kind.TAKEN) or size > MOST_BYTES:
                raise RemoteProtocolError("no frame of a worker")
            end = at + _HEAD.size + size
            if end > len(buffer):
                break
            found.append(Frame(Kind(kind), number, inode, buffer[at + _HEAD.size : end]))
            at = end
        self._buffer = buffer[at:]
        return found
