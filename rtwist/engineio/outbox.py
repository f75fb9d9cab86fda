"""What waits for one client that is behind, and what may be left out of it; pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from rtwist.engineio.packet import Packet

# What a waiting entry takes beside its data, so that empty ones count too.
PACKET_COST: Final = 100


class Drop(Enum):
    """The type of `DROP` and `SPARE`."""

    DROP = "at once"
    SPARE = "when behind"


DROP: Final = Drop.DROP
"""A client that cannot take it now does without it."""

SPARE: Final = Drop.SPARE
"""A client that is behind does without it; one that polls has the `patience` of its transport."""


@dataclass(frozen=True, slots=True)
class Latest:
    """Of all that waits for a client under one key, only the last is kept."""

    key: Hashable


IfBehind = Latest | Drop | None
"""What becomes of a message that would have to wait; None keeps it, in order."""


class Outbox:
    """The packets that wait for one client, in the order they were sent.

    What is sent together waits, goes out and is replaced together. What a `Latest` replaces leaves its place, and
    the new one comes last: a client gets part of what was sent, never in another order. `since` is when the
    client fell behind or last took something, in seconds; `size` is in bytes; `unsent` is what its transport has
    taken and not written to the end.
    """

    __slots__ = ("_entries", "_next", "since", "size", "unsent")

    def __init__(self, since: float) -> None:
        self.since = since
        self.size = 0
        self.unsent: Sequence[Packet] = ()
        self._entries: OrderedDict[Hashable, tuple[float, Sequence[Packet], int]] = OrderedDict()
        self._next = 0

    def __len__(self) -> int:
        """How many entries wait."""
        return len(self._entries)

    @property
    def oldest(self) -> float:
        """Since when the client has taken nothing, or the first that waits has waited, whichever is earlier."""
        first = next(iter(self._entries.values()), None)
        return self.since if first is None else min(self.since, first[0])

    def put(self, packets: Sequence[Packet], now: float, latest: Latest | None = None) -> Sequence[Packet]:
        """Let `packets` wait behind the others; returns those that `latest` makes obsolete."""
        obsolete: Sequence[Packet] = ()
        key: Hashable = latest
        if latest is None:
            key = self._next
            self._next += 1
        elif latest in self._entries:
            _, obsolete, size = self._entries.pop(latest)
            self.size -= size
        size = sum([packet.size + PACKET_COST for packet in packets])
        self._entries[key] = now, packets, size
        self.size += size
        return obsolete

    def take(self, limit: int) -> list[Packet]:
        """The packets that have waited longest, as many entries as fit into `limit` but one at least."""
        taken: list[Packet] = []
        room = limit
        while self._entries:
            key, (_, packets, size) = next(iter(self._entries.items()))
            if taken and size > room:
                break
            del self._entries[key]
            taken += packets
            self.size -= size
            room -= size
        return taken

    def take_all(self) -> list[Packet]:
        """Everything that waits."""
        return self.take(self.size) if self._entries else []
