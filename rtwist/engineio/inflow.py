"""How fast a WebSocket is read: no faster than its client may send, and never too much in one turn."""

from __future__ import annotations

import math
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from rtwist.engineio.buckets import Budget

# Bytes parsed at a time: some milliseconds of work when they are the smallest frames.
_SLICE = 1024
_FRAMES_A_TURN = 20
# Seconds without sending too much after which a flood counts as over.
_BREAK = 1.0


class Reader(Protocol):
    """What reads frames; it counts them in the inflow it is read by."""

    transport: Any

    @property
    def rest_of_frame(self) -> int:
        """The payload bytes that the frame which has begun still lacks."""

    def parse(self, data: bytes) -> None:
        """Read the next bytes."""

    def overrun(self, limit: str, too_long: bool) -> None:
        """More has come than `limit` allows; `too_long` when that went on for the whole flood timeout."""


class Inflow:
    """Hands what a connection brings to its reader, and stops reading for as long as the budget is used up.

    `frames` and `octets` are what the reader has found in the bytes at hand, octets after inflating.
    """

    __slots__ = (
        "_budget",
        "_clock",
        "_debt_until",
        "_flood_timeout",
        "_flooding_since",
        "_held",
        "_stopped",
        "_timer",
        "frames",
        "octets",
    )

    def __init__(self, budget: Budget, clock: IReactorTime, flood_timeout: float) -> None:
        self.frames = 0
        self.octets = 0
        self._budget = budget
        self._clock = clock
        self._flood_timeout = flood_timeout
        self._flooding_since = 0.0
        self._debt_until = -math.inf
        self._held = bytearray()
        self._stopped = False
        self._timer: IDelayedCall | None = None

    def received(self, reader: Reader, data: bytes) -> None:
        """Bytes have come for `reader`: parsed at once, or held while the client has sent more than its share.

        Many frames at once are parsed over several turns of the reactor: a read may bring ten thousand.
        """
        if self._timer is None and len(data) <= _SLICE:
            self._parse(reader, data)
        else:
            self._held += data
            self._parse_held(reader)

    def stop(self) -> None:
        """The connection has gone."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _parse_held(self, reader: Reader) -> None:
        while self._held and self._timer is None:
            # The rest of a large frame is one piece of work.
            size = max(_SLICE, reader.rest_of_frame)
            data = bytes(self._held[:size])
            del self._held[:size]
            self._parse(reader, data)

    def _parse(self, reader: Reader, data: bytes) -> None:
        reader.parse(data)
        frames, self.frames, octets, self.octets = self.frames, 0, self.octets, 0
        wait = 0.0
        if self._budget.spend(frames, max(len(data), octets)):
            now = self._clock.seconds()
            wait = self._budget.settle(now)
            if wait:
                self._count_flood(reader, wait, now)
        if wait or (self._held and frames > _FRAMES_A_TURN):
            self._pause(reader, wait)

    def _count_flood(self, reader: Reader, wait: float, now: float) -> None:
        # A client that has gone is not noticed while nothing is read from it, so this must end.
        if now > self._debt_until + _BREAK:
            self._flooding_since = now
        self._debt_until = now + wait
        reader.overrun(self._budget.passed, now - self._flooding_since >= self._flood_timeout)

    def _pause(self, reader: Reader, seconds: float) -> None:
        if not self._stopped:
            reader.transport.pauseProducing()
            self._timer = self._clock.callLater(seconds, self._read_on, reader)

    def _read_on(self, reader: Reader) -> None:
        self._timer = None
        self._parse_held(reader)
        if self._timer is None and not self._stopped:
            reader.transport.resumeProducing()
