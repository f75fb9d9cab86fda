"""The heartbeat of one connection (AMQP 0-9-1, section 4.2.7): two slow timers, whatever the traffic."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from rtwist.errors import BrokerTimeout


def negotiated(ours: int, brokers: int) -> int:
    """The interval in seconds: the shorter one; 0, none, when ours is 0, and ours when the broker has none."""
    return min(ours, brokers) if ours and brokers else ours


class Heartbeat:
    """Calls `send` at half the interval (seconds), and `silent` once nothing was heard for twice the interval.

    `silent` gets a `BrokerTimeout`.
    """

    def __init__(
        self,
        interval: float,
        *,
        clock: IReactorTime,
        send: Callable[[], None],
        silent: Callable[[BrokerTimeout], None],
    ) -> None:
        self.interval = interval
        self._clock = clock
        self._send = send
        self._silent = silent
        self._heard_at = clock.seconds()
        self._due = self._heard_at + 2 * interval
        self._sender: IDelayedCall | None = clock.callLater(interval / 2, self._beat)
        self._watch: IDelayedCall | None = clock.callLater(2 * interval, self._check)

    def heard(self) -> None:
        """Bytes came from the broker, whatever they were."""
        self._heard_at = self._clock.seconds()

    def stop(self) -> None:
        """End both timers."""
        for timer in (self._sender, self._watch):
            if timer is not None and timer.active():
                timer.cancel()
        self._sender = self._watch = None

    def _beat(self) -> None:
        self._sender = self._clock.callLater(self.interval / 2, self._beat)
        self._send()

    def _check(self) -> None:
        now = self._clock.seconds()
        left = self._heard_at + 2 * self.interval - now
        if left <= 0:
            # This process itself may have slept: what came meanwhile has not been read yet.
            late = now - self._due > self.interval / 2
            if not late:
                self._watch = None
                self._silent(BrokerTimeout(f"nothing was heard of the broker for {2 * self.interval:g} s"))
                return
            left = self.interval / 2
        self._due = now + left
        self._watch = self._clock.callLater(left, self._check)
