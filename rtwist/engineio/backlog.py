"""What waits for all clients of a server together, and who of them must go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from rtwist.engineio.options import Options
from rtwist.engineio.outbox import DROP, PACKET_COST, Drop, IfBehind, Outbox
from rtwist.engineio.packet import PIECE, Packet
from rtwist.engineio.tally import Tally
from rtwist.engineio.transport import Transport

SLOW_CONSUMER: Final = "slow consumer"
"""How the description of an end begins when the client was cut for being behind."""

STUCK_COST: Final = 2 * PIECE
"""Bytes that may lie in the buffer of a connection that takes no more; how many do, it does not say."""

# How often the ages are looked at, as a part of the greatest age, and at least each second.
_LOOKS = 10
# Clients go until so much of the total is free again, or the next packet would ask who is the worst once more.
_RELIEF = 0.9


@dataclass(slots=True)
class Counters:
    """Since the server was made: `cut` clients by the limit passed, and messages that a client was spared."""

    cut: Counter[str]
    dropped: int = 0
    replaced: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        cut = {limit: self.cut[limit] for limit in ("max_buffered", "max_buffered_age", "max_buffered_total")}
        return {"cut": cut, "dropped": self.dropped, "replaced": self.replaced}


class Behind(Protocol):
    """What the backlog needs of a session that is behind."""

    transport: Transport
    outbox: Outbox | None

    def cut(self, description: str) -> str:
        """End it at once; returns who it is, for the log."""


class Backlog:
    """Counts what waits in memory and cuts clients that are too far behind.

    A packet that waits for many clients is in memory, and counts, once; the limit of one client counts all that
    waits for it. One timer for all, and only while somebody is behind.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, options: Options) -> None:
        self._tally = Tally()
        self.counters = Counters(self._tally.counts)
        self._clock = clock
        self.options = options
        self._held: dict[int, int] = {}
        self._bytes = 0
        self._behind: dict[Behind, None] = {}
        self._timer: IDelayedCall | None = None

    @property
    def clients(self) -> int:
        """How many clients are behind, if only for a moment."""
        return len(self._behind)

    @property
    def size(self) -> int:
        """The bytes in memory for clients that are behind, at most."""
        return self._bytes + STUCK_COST * sum(client.transport.stuck for client in self._behind)

    def as_dict(self) -> dict[str, Any]:
        """How many clients are behind and what waits for them, with the counters; for JSON."""
        return {"behind": self.clients, "waitingBytes": self.size, **self.counters.as_dict()}

    def wait(self, client: Behind, packets: Sequence[Packet], if_behind: IfBehind) -> None:
        """The client cannot take `packets` now: what becomes of them is for `if_behind` to say."""
        outbox, now = client.outbox, self._clock.seconds()
        if if_behind is not DROP and (0.0 if outbox is None else now - outbox.since) < client.transport.patience:
            if_behind = None
        if isinstance(if_behind, Drop):
            self.counters.dropped += 1
            return
        if outbox is None:
            outbox = self._open(client)
        self._hold(packets)
        obsolete = outbox.put(packets, now, if_behind)
        if obsolete:
            self.counters.replaced += 1
            self._release(obsolete)
        self._check(client, outbox)

    def block(self, client: Behind) -> None:
        """The client's connection takes no more; `flush` follows when it does."""
        outbox = client.outbox
        if outbox is None:
            outbox = self._open(client)
        self._progress(client, outbox)

    def flush(self, client: Behind) -> None:
        """Send what waits for the client as far as its transport takes it."""
        outbox, transport = client.outbox, client.transport
        if outbox is None:
            return
        self._progress(client, outbox)
        while len(outbox) and transport.writable:
            packets = outbox.take(transport.batch)
            self._release(packets)
            transport.send(packets)
        if not len(outbox) and not transport.stuck:
            self.forget(client)

    def forget(self, client: Behind) -> None:
        """The client has caught up, or has gone."""
        outbox, client.outbox = client.outbox, None
        if outbox is None:
            return
        self._release(outbox.take_all())
        self._release(outbox.unsent)
        outbox.unsent = ()
        del self._behind[client]
        if not self._behind and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _open(self, client: Behind) -> Outbox:
        self._behind[client] = None
        if self._timer is None:
            self._look_later()
        client.outbox = outbox = Outbox(self._clock.seconds())
        return outbox

    def _progress(self, client: Behind, outbox: Outbox) -> None:
        outbox.since = self._clock.seconds()
        unsent = client.transport.unsent
        if outbox.unsent is not unsent:
            self._hold(unsent)
            self._release(outbox.unsent)
            outbox.unsent = unsent

    def _hold(self, packets: Sequence[Packet]) -> None:
        held = self._held
        for packet in packets:
            count = held.get(id(packet), 0)
            held[id(packet)] = count + 1
            self._bytes += PACKET_COST if count else PACKET_COST + packet.size

    def _release(self, packets: Sequence[Packet]) -> None:
        held = self._held
        for packet in packets:
            count = held.pop(id(packet)) - 1
            if count:
                held[id(packet)] = count
            self._bytes -= PACKET_COST if count else PACKET_COST + packet.size

    def _check(self, client: Behind, outbox: Outbox) -> None:
        if _bytes_of(client, outbox) > self.options.max_buffered:
            self._cut(client, "max_buffered", f"more than max_buffered, {self.options.max_buffered} bytes")
        # What lies in connections is looked up by the timer: it is too long a sum for every packet.
        if self._bytes > self.options.max_buffered_total:
            self._relieve()

    def _look_later(self) -> None:
        interval = min(1.0, self.options.max_buffered_age / _LOOKS)
        self._timer = self._clock.callLater(interval, self._look)

    def _look(self) -> None:
        self._timer = None
        age = self.options.max_buffered_age
        limit = self._clock.seconds() - age
        for client in tuple(self._behind):
            if client.outbox is not None and client.outbox.oldest <= limit:
                self._cut(client, "max_buffered_age", f"longer than max_buffered_age, {age:g} seconds")
        if self.size > self.options.max_buffered_total:
            self._relieve()
        if self._behind and self._timer is None:
            self._look_later()

    def _relieve(self) -> None:
        # Who has most goes first. What others wait for, too, stays in memory, so one may not be enough.
        limit = self.options.max_buffered_total
        sizes = {client: _bytes_of(client, client.outbox) for client in self._behind if client.outbox is not None}
        stuck = self.size - self._bytes
        for client in sorted(sizes, key=sizes.__getitem__, reverse=True):
            if self._bytes + stuck <= limit * _RELIEF:
                return
            stuck -= STUCK_COST if client.transport.stuck else 0
            told = f"more than max_buffered_total, {limit} bytes, wait for all clients"
            self._cut(client, "max_buffered_total", told)

    def _cut(self, client: Behind, limit: str, told: str) -> None:
        outbox = client.outbox
        if outbox is None:
            return
        now = self._clock.seconds()
        size = _bytes_of(client, outbox)
        story = (
            f"{SLOW_CONSUMER}: {size} bytes wait for it, the oldest for {now - outbox.oldest:.1f} seconds; {told}"
        )
        address = client.cut(story)
        if self._tally.add(limit, now):
            count = self.counters.cut[limit]
            text = "{client} is cut: {story}; {count} since the start"
            self._log.warn(text, client=address, story=story, limit=limit, count=count)


def _bytes_of(client: Behind, outbox: Outbox) -> int:
    """What waits for one client, wherever it lies."""
    unsent = sum([packet.size for packet in outbox.unsent])
    return outbox.size + unsent + (STUCK_COST if client.transport.stuck else 0)
