"""Handing what was written to the operating system now instead of in the reactor's next turn."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime, IWriteDescriptor


class Flusher:
    """Knows the connections that were written to in this turn of the reactor.

    Twisted keeps what is written until its next turn. Whoever must know before then that a crash of the process
    cannot take it back sets `active` once, and then calls `flush`.
    """

    active = False

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._written: set[Any] = set()

    def wrote(self, transport: object) -> None:
        """Something was written to `transport`."""
        if not self.active:
            return
        if not self._written:
            self._clock.callLater(0, self._written.clear)
        self._written.add(transport)

    def flush(self) -> None:
        """Write out as much as the sockets take; the rest, and what TLS connections hold, goes as ever."""
        while self._written:
            transport = self._written.pop()
            if _writable(transport):
                # What it returns, a failure, comes up again in the reactor's own turn, which ends the connection.
                # What is large is written on by this, piece by piece, and comes back here.
                transport.doWrite()


def _writable(transport: Any) -> bool:
    connected = getattr(transport, "connected", False) and not getattr(transport, "disconnecting", True)
    return bool(connected and IWriteDescriptor.providedBy(transport))
