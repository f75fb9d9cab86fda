"""Records that all nodes share: a bounded map that can be read in the order of its changes."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from rtwist.cluster.bus import Bus

DEFAULT_PAGE = 500
"""How many records are read in one step: Redis serves nobody else meanwhile."""


class Record(NamedTuple):
    """The value last put under `key`; each put has a greater `serial`."""

    serial: int
    key: str
    value: bytes


class Page(NamedTuple):
    """The records that changed after some serial, in order; there are more when `more`.

    `serial` is where to read on. Another `epoch` than before says that all was lost in between.
    """

    epoch: str
    serial: int
    records: Sequence[Record]
    more: bool


class Records(Protocol):
    """The latest value of each key, for all nodes.

    Bounded by number, the record not put for longest is forgotten first, and by age. Each put is followed by a
    message on the store's channel of the bus, after which every node finds it with `since`.
    """

    async def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        """Put values under their keys; returns once that is certain, raises `StoreFailed` when it is not."""

    async def since(self, serial: int) -> Page:
        """What changed after `serial`; 0 for all there is."""


class RecordLimits(NamedTuple):
    """How much is kept: `size` records, each for `seconds`.

    Of a time without any put no more than `idle` seconds count, so that nothing gets older while nothing happens.
    """

    size: int
    seconds: float
    idle: float = float("inf")


class MemoryRecords:
    """The records of nodes in one process; `now` returns seconds."""

    def __init__(self, limits: RecordLimits, now: Callable[[], float], bus: Bus, channel: str) -> None:
        self._limits = limits
        self._now = now
        self._bus = bus
        self._channel = channel
        self.lose()

    def __len__(self) -> int:
        return len(self._records)

    def lose(self) -> None:
        """As if the store had been emptied."""
        self._epoch = secrets.token_hex(8)
        self._serial = 0
        self._age = 0.0
        self._last = self._now()
        self._records: OrderedDict[str, tuple[float, Record]] = OrderedDict()

    async def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        """See `Records`."""
        if not records:
            return
        now = self._now()
        self._age += min(max(now - self._last, 0.0), self._limits.idle)
        self._last = now
        for key, value in records:
            self._serial += 1
            self._records.pop(key, None)
            self._records[key] = (self._age, Record(self._serial, key, value))
        while self._records:
            put_at, _ = next(iter(self._records.values()))
            if len(self._records) <= self._limits.size and self._age - put_at < self._limits.seconds:
                break
            self._records.popitem(last=False)
        self._bus.publish(self._channel, b"%d" % self._serial)

    async def since(self, serial: int) -> Page:
        """See `Records`."""
        found = [record for _, record in self._records.values() if record.serial > serial]
        more = len(found) > DEFAULT_PAGE
        page = found[:DEFAULT_PAGE]
        return Page(self._epoch, page[-1].serial if more else self._serial, page, more)
