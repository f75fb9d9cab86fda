"""Which node is where: each says it to all, again and again."""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from rtwist.cluster.follower import Follower
from rtwist.cluster.nodetable import MAX_NODES, NodeTable
from rtwist.cluster.records import RecordLimits, Records
from rtwist.engineio.nodes import Address
from rtwist.engineio.tally import Tally
from rtwist.errors import StoreFailed
from rtwist.tasks import Tasks
from rtwist.trouble import Trouble

BEATS_PER_LEASE: Final = 4
"""So that a node is not taken for gone when one of them is late."""

LEASES: Final = 3
"""A node that said nothing for so many leases has gone. To know it for longer costs little: it is asked in vain,
which shows at once unless its host has gone too."""

LOOK_SECONDS: Final = 0.25
"""Between two readings: a hundred nodes that all say something must not make each read for each of them."""


def directory_limits(lease: float) -> RecordLimits:
    """The limits of the records of a `Directory`."""
    return RecordLimits(MAX_NODES, LEASES * lease)


class Directory:
    """The `KnownNodes` of a `Forwarder`, from records that all nodes share; `mark` and `address` are this node's.

    Somebody must call `beat` at once and then `BEATS_PER_LEASE` times in `lease` seconds, and `look` when the bus
    tells of a change. What was known stays known while the store is away. The processes of one host that share a
    port have one mark and one address, and each of them says the same.
    """

    _log = Logger()

    def __init__(
        self, records: Records, tasks: Tasks, clock: IReactorTime, *, mark: str, address: Address, lease: float
    ) -> None:
        self.mark = mark
        self.unreadable = Tally()
        self._own = (mark, str(address).encode())
        self._tasks = tasks
        self._clock = clock
        self._table = NodeTable(mark, LEASES * lease, 2 * lease / BEATS_PER_LEASE)
        self._follower = Follower(records, tasks, self._heard, mine=lambda: [self._own], max_waiting=1)
        self._looking: IDelayedCall | None = None
        self._twins: set[str] = set()
        self._told = Trouble()

    def __len__(self) -> int:
        return len(self._table)

    def find(self, mark: str) -> Address | None:
        """See `KnownNodes`."""
        return self._table.find(mark)

    def beat(self) -> None:
        """Say where this node is, and hear where the others are."""
        self._follower.put(*self._own)
        self._tasks.start("looking for other nodes", self._look(put=True))

    def look(self) -> None:
        """Hear where the others are, soon."""
        if self._looking is None:
            self._looking = self._clock.callLater(LOOK_SECONDS, self._look_now)

    def stop(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _look_now(self) -> None:
        self._looking = None
        self._tasks.start("looking for other nodes", self._look(put=False))

    async def _look(self, *, put: bool) -> None:
        try:
            if put:
                await self._follower.settled()
            await self._follower.catch_up()
        except StoreFailed:
            return  # whoever keeps the connection has said so, and the next beat tries again
        self._table.listened(self._clock.seconds())

    def _heard(self, mark: str, value: bytes) -> None:
        if value == self._own[1] and mark != self.mark:
            self._heard_of_twin(mark)
        if not self._table.heard(mark, value) and self.unreadable.add("nodes", self._clock.seconds()):
            self._log.warn("what is said of where a node is cannot be read: {value!r}", value=value[:100])

    def _heard_of_twin(self, mark: str) -> None:
        """Another node has this one's address: this one before a restart, unless it says so again."""
        if mark in self._twins and self._told.is_news(mark, self._clock.seconds()):
            self._log.error(
                "another node says that it is at {address}, too: requests for its sessions come here and fail; "
                "give each host an --advertise of its own",
                address=self._own[1].decode(),
            )
        if len(self._twins) < MAX_NODES:
            self._twins.add(mark)
