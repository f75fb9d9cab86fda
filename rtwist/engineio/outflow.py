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
        """Hand what was written to the connection; it may be closed then, or written to in other ways."""

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
        self._held = False
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

    def hold(self) -> None:
        """Whoever calls this calls `flush` before the turn ends, and then `release`: no timer is needed."""
        self._held = True

    def release(self) -> None:
        """The end of `hold`."""
        self._held = False
        if self._used:
            self._clock.callLater(0, self._flush_used)

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
        if not self._used and not self._held:
            self._clock.callLater(0, self._flush_used)
        self._used.append(outlet)

    def _flush_used(self) -> None:
        used, self._used = self._used, []
        for outlet in used:
            try:
                outlet.send()
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
    """The way out of a plain connection. What its socket does not take is for Twisted to write.

    `_data` is what waits, a list only when it came in several parts: a broadcast should make none.
    `_filled` tells that there may be something in Twisted's buffer, behind which the rest has to wait.
    """

    __slots__ = ("_data", "_filled", "_outflow", "_size", "_socket", "_transport")

    def __init__(self, outflow: Outflow, transport: Any) -> None:
        self._data: bytes | list[bytes] | None = None
        self._size = 0
        self._filled = True
        self._outflow = outflow
        self._transport = transport
        self._socket = transport.socket

    def write(self, data: bytes) -> None:
        waiting = self._data
        if waiting is None:
            self._data = data
            self._size = len(data)
            self._outflow.use(self)
        else:
            self._size += len(data)
            if isinstance(waiting, list):
                waiting.append(data)
            else:
                self._data = [waiting, data]
        if self._size > MOST:
            self.send()

    def flush(self) -> None:
        self.send()
        self._filled = True

    def send(self) -> None:
        data = self._data
        if data is None:
            return
        self._data = None
        if isinstance(data, list):
            data = b"".join(data)
        if self._filled and self._holds_something():
            self._transport.write(data)
            return
        sent = _sent(self._socket, data)
        if sent != len(data):
            self._filled = True
            self._transport.write(data[sent:])

    def _holds_something(self) -> bool:
        self._filled = _holds_something(self._transport)
        return self._filled

    def flush_if_behind(self) -> None:
        if self._holds_something():
            self.flush()


def write_through(transport: Any, data: bytes) -> None:
    """Write `data`: now, as far as the socket takes it, where Twisted would wait until its turn ends."""
    if _is_plain(transport) and not _holds_something(transport):
        data = data[_sent(transport.socket, data) :]
    if data:
        transport.write(data)


def _sent(socket: Any, data: bytes) -> int:
    try:
        count: int = socket.send(data)
    except OSError:
        # It takes nothing now, or is lost: the reactor finds out which.
        return 0
    return count


def _holds_something(transport: Any) -> bool:
    """Whether a plain transport has bytes that its socket has not taken yet."""
    return bool(transport.dataBuffer or transport._tempDataBuffer)


def _is_plain(transport: Any) -> bool:
    """Whether it writes to a socket and has what is used here, part of which is private to Twisted."""
    return (
        isinstance(transport, FileDescriptor)
        and not getattr(transport, "TLS", False)
        and all(hasattr(transport, name) for name in ("dataBuffer", "_tempDataBuffer", "socket"))
    )


def _writable(transport: Any) -> bool:
    connected = getattr(transport, "connected", False) and not getattr(transport, "disconnecting", True)
    return bool(connected and IWriteDescriptor.providedBy(transport))
