"""How written bytes leave: what one turn of the reactor has for a connection goes as one send.

Twisted would keep it until its next turn, and make three system calls for each connection.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReactorTime, IWriteDescriptor
from twisted.logger import Logger

MOST: Final = 65536
"""Bytes that are gathered for one connection; then they go at once, so that it can say that it takes no more."""


class Outlet(Protocol):
    """The way out of one connection; whatever is written to it must go through here, or order is lost."""

    def write(self, data: bytes) -> None:
        """Send `data` before the turn of the reactor ends."""

    def flush(self) -> None:
        """Hand what was written to the connection, which may be asked to close then."""

    def flush_if_behind(self) -> None:
        """The same if the connection has bytes from before, so that it says at once when they are too many."""


class Outflow:
    """Knows the ways out that were used in this turn of the reactor.

    `active` is for whoever must know before the next turn that a crash of the process cannot take back what was
    written, and calls `flush`: then connections without a way out of their own are remembered, too.
    """

    _log = Logger()
    active = False

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._used: list[_Direct] = []
        self._written: set[Any] = set()

    def outlet(self, transport: Any) -> Outlet:
        """The way out of a connection of Twisted: straight to the operating system where nothing is between."""
        return _Direct(self, transport) if _is_plain(transport) else _Buffered(self, transport)

    def wrote(self, transport: object) -> None:
        """Something was written to `transport`, which has no way out of its own."""
        if not self.active:
            return
        if not self._written:
            self._clock.callLater(0, self._written.clear)
        self._written.add(transport)

    def flush(self) -> None:
        """Write out as much as the sockets take; the rest, and what TLS connections hold, goes as ever."""
        self._flush_used()
        while self._written:
            transport = self._written.pop()
            if _writable(transport):
                # What it returns, a failure, comes up again in the reactor's own turn, which ends the connection.
                # What is large is written on by this, piece by piece, and comes back here.
                transport.doWrite()

    def use(self, outlet: _Direct) -> None:
        """The outlet has something to send."""
        if not self._used:
            self._clock.callLater(0, self._flush_used)
        self._used.append(outlet)

    def _flush_used(self) -> None:
        used, self._used = self._used, []
        for outlet in used:
            try:
                outlet.flush()
            except Exception:
                # One connection must not keep the others waiting.
                self._log.failure("writing to a connection failed")


class _Buffered:
    """The way out of connections that do more than send, such as TLS: they gather by themselves."""

    __slots__ = ("_outflow", "_transport")

    def __init__(self, outflow: Outflow, transport: Any) -> None:
        self._outflow = outflow
        self._transport = transport

    def write(self, data: bytes) -> None:
        self._transport.write(data)
        self._outflow.wrote(self._transport)

    def flush(self) -> None:
        pass

    def flush_if_behind(self) -> None:
        pass


class _Direct:
    """The way out of a plain connection."""

    __slots__ = ("_frames", "_outflow", "_size", "_transport")

    def __init__(self, outflow: Outflow, transport: Any) -> None:
        self._outflow = outflow
        self._transport = transport
        self._frames: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if self._size:
            self._frames.append(data)
            self._size += len(data)
        else:
            self._frames = [data]
            self._size = len(data)
            self._outflow.use(self)
        if self._size > MOST:
            self.flush()

    def flush(self) -> None:
        if not self._size:
            return
        frames = self._frames
        self._frames = _NOTHING
        self._size = 0
        transport = self._transport
        if not transport.connected:
            return
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        if not transport.dataBuffer and not transport._tempDataBuffer:
            sent = transport.writeSomeData(data)
            if sent == len(data):
                return
            if isinstance(sent, int):
                data = data[sent:]
            # Otherwise the connection is lost, which the reactor finds out by the write below.
        transport.write(data)

    def flush_if_behind(self) -> None:
        if self._transport.dataBuffer or self._transport._tempDataBuffer:
            self.flush()


_NOTHING: Final[list[bytes]] = []


def _is_plain(transport: Any) -> bool:
    """Whether it writes to a socket and has what is used here, part of which is private to Twisted."""
    return (
        isinstance(transport, FileDescriptor)
        and not getattr(transport, "TLS", False)
        and all(hasattr(transport, name) for name in ("dataBuffer", "_tempDataBuffer", "writeSomeData"))
    )


def _writable(transport: Any) -> bool:
    connected = getattr(transport, "connected", False) and not getattr(transport, "disconnecting", True)
    return bool(connected and IWriteDescriptor.providedBy(transport))
