"""The events that nodes have handled: their ids for all, and for a short time what was published for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from rtwist.cluster.bus import Bus
from rtwist.cluster.deliveries import Deliveries, Entry, KeptLimits, Sent
from rtwist.cluster.records import MemoryRecords, Page, RecordLimits

LATE_SECONDS = 5.0
"""What waited longer to be published is told as late: by then clients may have moved to other nodes."""
PUT_BYTES = 1024 * 1024
"""How much is put in one step: Redis serves nobody else meanwhile."""
READ_BYTES = 1024 * 1024
READ_EVENTS = 1000
"""How much is read in one step, for the same reason."""


class Logged(NamedTuple):
    """What was published for one event, how many seconds ago that was, and whether it was when this was put."""

    age: float
    messages: Sequence[bytes]
    live: bool = False


class LogPage(NamedTuple):
    """What was published for the events behind some serial, in order; there are more when `more`.

    `serial` is where to read on. What was published for events up to the serial `blanked` is not all kept.
    Another `epoch` than before, or a smaller serial, says that the store has lost something.
    """

    epoch: str
    serial: int
    blanked: int
    events: Sequence[Logged]
    more: bool


class EventLog(Protocol):
    """Event ids as `Records` keep them, and behind each what was published for it.

    What is to be published and is known already is left out, for who puts it may have put it before. What an
    entry still has to publish is published in the same step, before its id is known. What is late then is not: a
    message on `late_channel` tells the nodes to read it, as it does of what is put once more.
    """

    late_channel: str

    async def put_events(self, entries: Sequence[Entry]) -> None:
        """Put events; returns once that is certain, raises `StoreFailed` when it is not."""

    async def since(self, serial: int) -> Page:
        """See `Records`: the ids only, without values."""

    async def read(self, serial: int) -> LogPage:
        """What was published for events behind `serial`; -1 for nothing but where to read on."""


class NodeLog:
    """The event log as one node writes it: `Records` whose values are what `deliveries` has of them."""

    def __init__(self, log: EventLog, deliveries: Deliveries) -> None:
        self._log = log
        self._deliveries = deliveries

    async def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        """See `Records`; the values do not count."""
        for entries in self._parts(records):
            await self._log.put_events(entries)
            self._deliveries.published([entry.key for entry in entries])

    async def since(self, serial: int) -> Page:
        """See `Records`."""
        return await self._log.since(serial)

    def _parts(self, records: Sequence[tuple[str, bytes]]) -> Iterator[list[Entry]]:
        part: list[Entry] = []
        size = 0
        for key, _ in records:
            entry = self._deliveries.entry(key)
            here = _size(entry.messages)
            if part and size + here > PUT_BYTES:
                yield part
                part, size = [], 0
            part.append(entry)
            size += here
        if part:
            yield part


class MemoryLog(MemoryRecords):
    """The event log of nodes in one process; `now` returns seconds."""

    def __init__(
        self,
        limits: RecordLimits,
        now: Callable[[], float],
        bus: Bus,
        channel: str,
        kept: KeptLimits | None = None,
    ) -> None:
        self.late_channel = f"{channel}:late"
        self._kept = kept or KeptLimits()
        super().__init__(limits, now, bus, channel)

    def lose(self) -> None:
        """See `MemoryRecords`."""
        super().lose()
        self._blanked = 0
        self._bytes = 0
        self._bodies: OrderedDict[int, tuple[float, float, tuple[Sent, ...], bool]] = OrderedDict()

    async def put_events(self, entries: Sequence[Entry]) -> None:
        """See `EventLog`."""
        entries = [entry for entry in entries if not (entry.publish and self._knows(entry.key))]
        late = False
        for entry in entries:
            if entry.waited > LATE_SECONDS:
                late = late or bool(entry.messages)
            elif entry.publish:
                for channel, message in entry.messages:
                    self._bus.publish(channel, message)
        await self.put([(entry.key, b"") for entry in entries])
        first = self._serial - len(entries) + 1
        for serial, entry in enumerate(entries, first):
            if entry.messages:
                live = entry.publish and entry.waited <= LATE_SECONDS
                self._bodies[serial] = (self._age, self._now() - entry.waited, entry.messages, live)
                self._bytes += _size(entry.messages)
        self._blank()
        if late:
            self._bus.publish(self.late_channel, b"%d" % self._serial)

    async def read(self, serial: int) -> LogPage:
        """See `EventLog`."""
        if serial < 0:
            return LogPage(self._epoch, self._serial, self._blanked, (), more=False)
        found = []
        size = 0
        last = min(self._serial, serial + READ_EVENTS)
        for number in range(serial + 1, last + 1):
            if number in self._bodies:
                _, at, messages, live = self._bodies[number]
                said = [message for _, message in messages]
                found.append(Logged(max(self._now() - at, 0.0), said, live))
                size += _size(messages)
                if size >= READ_BYTES:
                    last = number
                    break
        return LogPage(self._epoch, last, self._blanked, found, more=last < self._serial)

    def _knows(self, key: str) -> bool:
        found = self._records.get(key)
        return found is not None and self._age - found[0] < self._limits.seconds

    def _blank(self) -> None:
        while self._bodies:
            serial, (age, _, messages, _) = next(iter(self._bodies.items()))
            if self._bytes <= self._kept.bytes and self._age - age < self._kept.seconds:
                return
            del self._bodies[serial]
            self._bytes -= _size(messages)
            self._blanked = serial


def _size(messages: Iterable[Sent]) -> int:
    size = 0
    for _, message in messages:
        size += len(message)
    return size
