"""A node's part in shared records: it puts its own, and follows those of all in one order."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from itertools import islice

from twisted.internet.defer import Deferred, fail, succeed

from rtwist.cluster.records import DEFAULT_PAGE, Page, Records
from rtwist.errors import StoreFailed
from rtwist.tasks import Tasks

DEFAULT_MAX_WAITING = 100_000
"""What is put while Redis is away: as much as Redis would keep."""


class Follower:
    """Puts records and hears of those that change, its own among them.

    `heard` is called with each key and value, in the order they were put, once for each put that is not followed
    by another of the same key; not for keys that this node is about to put itself, whose value counts. After the
    store has lost everything, what `mine` gives is put again. While the store is away at most `max_waiting`
    records wait; the oldest go first, `dropped` counts them. With `waits` a put waits for the next call of
    `flush`, `settled` or `catch_up_soon`.
    """

    def __init__(
        self,
        records: Records,
        tasks: Tasks,
        heard: Callable[[str, bytes], None],
        *,
        mine: Callable[[], Iterable[tuple[str, bytes]]] = lambda: (),
        max_waiting: int = DEFAULT_MAX_WAITING,
        waits: bool = False,
    ) -> None:
        self.dropped = 0
        self._waits = waits
        self._records = records
        self._tasks = tasks
        self._heard = heard
        self._mine = mine
        self._max_waiting = max_waiting
        self._serial = 0
        self._epoch: str | None = None
        self._number = 0
        self._active = False
        self._waiting: OrderedDict[str, tuple[int, bytes]] = OrderedDict()
        self._sending: dict[str, tuple[int, bytes]] = {}
        self._settling: deque[tuple[int, Deferred[None]]] = deque()

    # Putting

    def put(self, key: str, value: bytes) -> None:
        """Put a record soon, in place of an earlier one of the same key that still waits."""
        self.put_all(((key, value),))

    def put_all(self, records: Iterable[tuple[str, bytes]]) -> None:
        """The same for several, in their order."""
        waiting = self._waiting
        for key, value in records:
            self._number += 1
            if key in waiting:
                del waiting[key]
            waiting[key] = (self._number, value)
        while len(waiting) > self._max_waiting:
            waiting.popitem(last=False)
            self.dropped += 1
        if not self._waits:
            self.flush()

    def flush(self) -> None:
        """Send what waits, unless that goes on already; after a failure the next call of anything tries again."""
        if self._waiting and not self._active:
            self._active = True
            self._take()
            self._tasks.start("putting shared records", self._send())

    @property
    def is_settled(self) -> bool:
        """Whether all that was put is certain."""
        return not self._waiting and not self._sending

    def settled(self) -> Deferred[None]:
        """Fires once all that was put before is certain; fails with `StoreFailed` when Redis goes away."""
        self.flush()
        if self.is_settled:
            return succeed(None)
        if not self._active:
            return fail(StoreFailed("shared records wait for Redis"))
        settled: Deferred[None] = Deferred()
        self._settling.append((self._number, settled))
        return settled

    def withdraw(self) -> list[str]:
        """Put nothing of what waits; its keys. What is being sent may be put or not."""
        keys = [*self._sending, *self._waiting]
        self._waiting.clear()
        return keys

    # Following

    async def catch_up(self) -> None:
        """Hear of all that was put before this call; raises `StoreFailed` while the store is away."""
        while True:
            asked = self._serial
            page = await self._records.since(asked)
            if self._serial < asked:  # another reading has begun again meanwhile: here is not all
                continue
            # A serial that is smaller: a replica took over that had not got all, or a disk had not.
            went_back = page.epoch == self._epoch and not page.more and page.serial < self._serial
            if (page.epoch == self._epoch or self._epoch is None) and not went_back:
                self._epoch = page.epoch
                self._follow(page)
                if not page.more:
                    return
            else:
                self._begin_again(page.epoch)

    def catch_up_soon(self) -> None:
        """The same in the background: the bus has told of something, or it is time to look."""
        self._tasks.start("following shared records", self._catch_up_if_possible())

    async def _catch_up_if_possible(self) -> None:
        try:
            await self.catch_up()
        except StoreFailed:
            return  # whoever keeps the connection has said so, and calls again
        self.flush()

    def _follow(self, page: Page) -> None:
        for serial, key, value in page.records:
            # Readings may overlap.
            if serial > self._serial:
                self._serial = serial
                if key not in self._waiting and key not in self._sending:
                    self._heard(key, value)
        self._serial = max(self._serial, page.serial)

    def _begin_again(self, epoch: str) -> None:
        self._epoch = epoch
        self._serial = 0
        for key, value in self._mine():
            if key not in self._waiting:
                self.put(key, value)

    # Within

    def _take(self) -> None:
        if len(self._waiting) <= DEFAULT_PAGE:
            self._sending.update(self._waiting)
            self._waiting.clear()
            return
        for key in list(islice(self._waiting, DEFAULT_PAGE)):
            self._sending[key] = self._waiting.pop(key)

    async def _send(self) -> None:
        while self._sending:
            try:
                await self._records.put([(key, value) for key, (_, value) in self._sending.items()])
            except StoreFailed as error:
                self._give_back()
                self._active = False
                self._unsettle(error)
                return
            done, _ = next(reversed(self._sending.values()))
            self._sending.clear()
            self._settle(done if self._waiting else self._number)
            self._take()  # what was put just now, too
        self._active = False

    def _give_back(self) -> None:
        for key, record in reversed(self._sending.items()):
            if key not in self._waiting:
                self._waiting[key] = record
                self._waiting.move_to_end(key, last=False)
        self._sending.clear()
        while len(self._waiting) > self._max_waiting:
            self._waiting.popitem(last=False)
            self.dropped += 1

    def _settle(self, done: int) -> None:
        while self._settling and self._settling[0][0] <= done:
            self._settling.popleft()[1].callback(None)

    def _unsettle(self, error: StoreFailed) -> None:
        settling, self._settling = self._settling, deque()
        for _, settled in settling:
            settled.errback(error)
