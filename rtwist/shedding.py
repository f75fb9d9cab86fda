"""Sending clients away a few at a time, so that they do not all come back in the same instant."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from rtwist.engineio.reasons import FORCED_CLOSE
from rtwist.errors import Refused
from rtwist.socketio import Server
from rtwist.socketio.client import Client

BATCH_SECONDS = 0.05
"""Between two groups of clients: short enough that each is small, long enough to let others be served."""

DEFAULT_RATE = 500
"""Clients a second: a quarter of the new connections that one core can take, with what they subscribe to."""

DEFAULT_TIMEOUT = 25.0
"""Seconds: less than the 30 that Kubernetes gives a container to end."""
Leaver = TypeVar("Leaver")


@dataclass(frozen=True, slots=True)
class DrainOptions:
    """How a service stops: `delay` and `timeout` in seconds, `rate` in clients a second, None for all at once."""

    delay: float = 0.0
    rate: int | None = DEFAULT_RATE
    timeout: float = DEFAULT_TIMEOUT


class Pace:
    """How many of those that wait may leave with each group; pure.

    They leave at `rate` a second, or faster where the time `within` which all must have left asks for it. The
    first leaves at once.
    """

    __slots__ = ("_credit", "_rate", "_within")

    def __init__(self, rate: int | None, within: float) -> None:
        self._rate = rate
        self._within = within
        self._credit = 1.0

    def next(self, waiting: int, elapsed: float) -> int:
        """How many of `waiting` leave `elapsed` seconds after the start, `BATCH_SECONDS` after the last call."""
        left = self._within - elapsed
        if self._rate is None or left <= BATCH_SECONDS:
            return waiting
        self._credit += max(self._rate, waiting / left) * BATCH_SECONDS
        leaving = min(int(self._credit), waiting)
        self._credit -= leaving
        return leaving


def is_there(client: Client) -> bool:
    """Whether a client's session has not ended."""
    return client.session.is_open


async def shed(
    clock: IReactorTime,
    clients: Iterable[Leaver],
    leave: Callable[[Leaver], None],
    *,
    rate: int | None,
    within: float,
    there: Callable[[Any], bool] = is_there,
) -> int:
    """Call `leave` with each client that is still there, `rate` a second; returns how many there were.

    All have left `within` so many seconds, if need be faster than at `rate`.
    """
    waiting, pace, left = deque(clients), Pace(rate, within), 0
    start = clock.seconds()
    while waiting:
        leaving = pace.next(len(waiting), clock.seconds() - start)
        while leaving and waiting:
            client = waiting.popleft()
            if there(client):  # who has gone by itself takes nobody's place
                leave(client)
                leaving -= 1
                left += 1
        if waiting:
            await deferLater(clock, BATCH_SECONDS)
    return left


class Rebalancing:
    """Sends a share of the clients of `io` away, `rate` of them a second, for others to serve."""

    _log = Logger()

    def __init__(self, io: Server, rate: int | None) -> None:
        self.rate = rate
        self._io = io
        self._under_way = False

    def begin(self, share: float) -> int:
        """Let the `share` of all clients go, above 0 and at most 1, rounded up; returns how many will leave.

        Raises `Refused` (unavailable) while others still leave.
        """
        if self._under_way:
            raise Refused("unavailable", "clients still leave because of a request before")
        here = sorted((client for client in self._io.clients if client.session.is_open), key=id)
        leaving = random.sample(here, math.ceil(share * len(here)))
        self._under_way = True
        self._io.tasks.start("rebalancing", self._run(leaving))
        return len(leaving)

    async def _run(self, clients: Sequence[Client]) -> None:
        self._log.info("{clients} clients are sent away, asked for over REST", clients=len(clients))
        try:
            await shed(self._io.clock, clients, self._send_away, rate=self.rate, within=math.inf)
        finally:
            self._under_way = False

    def _send_away(self, client: Client) -> None:
        self._io.send_away(client, FORCED_CLOSE)
