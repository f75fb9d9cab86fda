"""Two connections joined: what comes on one goes out on the other, no faster than it is read there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure


class End(Protocol):
    """One end of a relay; `left` is called once its connection is gone."""

    transport: Any
    left: Callable[[], None]
    relay: Relay | None = None

    def __init__(self) -> None:
        self.left = _nothing

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""
        if self.relay is not None:
            self.relay.carry(self, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self.left()
        if self.relay is not None:
            self.relay.ended(self)


class Relay:
    """Joins two connections until one of them ends; the other then has `close` seconds to take what was written.

    When nothing moves for `idle` seconds both are cut. `over` is called when both are gone. `lasting` is one that
    does not end with an answer.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        idle: float,
        close: float,
        over: Callable[[Relay], None],
        lasting: bool = False,
    ) -> None:
        self.lasting = lasting
        self._clock = clock
        self._idle = idle
        self._close = close
        self._over = over
        self._ends: list[End] = []
        self._timer: IDelayedCall | None = None

    def join(self, front: End, back: End) -> None:
        """Begin, with two ends that are connected."""
        self._ends = [front, back]
        self._timer = self._clock.callLater(self._idle, self._abort)
        for end, other in ((front, back), (back, front)):
            end.relay = self
            end.transport.registerProducer(other.transport, True)
        front.transport.resumeProducing()

    def carry(self, end: End, data: bytes) -> None:
        """Write `data`, which came at `end`, at the other end."""
        if self.is_open:
            other = self._ends[end is self._ends[0]]
            other.transport.write(data)
            if self._timer is not None:
                self._timer.reset(self._idle)

    def ended(self, end: End) -> None:
        """The connection of `end` is gone."""
        end.relay = None
        self._ends.remove(end)
        self._stop_timer()
        if not self._ends:
            self._over(self)
            return
        transport = self._ends[0].transport
        self._timer = self._clock.callLater(self._close, self._abort)
        # Without a producer it closes as soon as all is written.
        transport.unregisterProducer()
        transport.loseConnection()

    @property
    def is_open(self) -> bool:
        """Whether neither end has gone."""
        return len(self._ends) == 2

    def let_go(self) -> None:
        """Close the connection of the client, who comes back by another."""
        if self.is_open and self._timer is not None:
            front, back = (end.transport for end in self._ends)
            self._timer.reset(self._close)
            back.pauseProducing()
            front.unregisterProducer()
            front.loseConnection()

    def _abort(self) -> None:
        self._timer = None
        for end in tuple(self._ends):
            end.transport.abortConnection()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _nothing() -> None:
    pass
