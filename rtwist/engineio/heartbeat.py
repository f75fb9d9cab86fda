"""The heartbeats of all sessions of a server: two queues with a timer each, however many sessions there are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

COARSE: Final = 0.01
"""Seconds by which a ping may be late, so that those of many sessions go out together."""


class Beating(Protocol):
    """What a heartbeat needs of a session."""

    def ping(self) -> None:
        """Send a ping."""

    def ping_timed_out(self) -> None:
        """The answer has not come in time."""


class Heartbeats:
    """Sends each session a ping `interval` seconds after the last pong, and ends it `timeout` seconds later.

    Both are the same for all sessions, so that the first in each queue is the first that is due.
    """

    def __init__(self, clock: IReactorTime, interval: float, timeout: float) -> None:
        self._quiet = _Queue(clock, interval, self._ping)
        self._asked = _Queue(clock, timeout, lambda session: session.ping_timed_out())

    def start(self, session: Beating) -> None:
        """The session has begun."""
        self._quiet.add(session)

    def answered(self, session: Beating) -> None:
        """A pong has come; one that nobody asked for does not put off the next ping."""
        if self._asked.remove(session):
            self._quiet.add(session)

    def stop(self, session: Beating) -> None:
        """The session has ended."""
        if not self._quiet.remove(session):
            self._asked.remove(session)

    def _ping(self, session: Beating) -> None:
        self._asked.add(session)
        session.ping()


class _Queue:
    """Sessions in the order in which they are due, all `delay` seconds after they were added."""

    def __init__(self, clock: IReactorTime, delay: float, due: Callable[[Beating], None]) -> None:
        self._clock = clock
        self._delay = delay
        self._due = due
        self._times: OrderedDict[Beating, float] = OrderedDict()
        self._timer: IDelayedCall | None = None

    def add(self, session: Beating) -> None:
        self._times[session] = self._clock.seconds() + self._delay
        if self._timer is None:
            self._timer = self._clock.callLater(self._delay, self._wake)

    def remove(self, session: Beating) -> bool:
        """Returns whether it was there."""
        if self._times.pop(session, None) is None:
            return False
        if not self._times and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return True

    def _wake(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        while self._times:
            session, time = next(iter(self._times.items()))
            if time > now:
                break
            del self._times[session]
            self._due(session)
        if self._times and self._timer is None:
            first = next(iter(self._times.values()))
            self._timer = self._clock.callLater(max(first - now, COARSE), self._wake)
