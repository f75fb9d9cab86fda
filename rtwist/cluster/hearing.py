"""What a node could not hear while it was cut off: read from the event log, and delivered late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from rtwist.cluster.bus import Bus
from rtwist.cluster.deliveries import Deliveries
from rtwist.cluster.eventlog import EventLog, LogPage
from rtwist.cluster.follower import Follower
from rtwist.errors import RtwistError
from rtwist.tasks import Tasks

BEAT_SECONDS = 2.5
"""From one look at how far this node has heard everything to the next: what is read twice after a cut."""
MORE_SECONDS = 15.0
"""How long what is put late is read after a cut: other nodes come back up to so much later."""
DRIFT_SECONDS = 1.0
"""How much the clocks of nodes and of Redis may gain on each other in that time."""


class LateAdapter(Protocol):
    """What takes late messages: the adapter of the namespace that events are emitted in."""

    def deliver_late(self, message: bytes, before: float) -> bool:
        """Deliver it to sockets that came before the time `before`; whether it was new here."""


class Hearing:
    """Sees to it that this node's sockets get what was published while it was cut off from Redis, once.

    `clock` gives seconds that never jump, `now` those since 1970; `ids` follows the ids of the same `log`.
    `lost` and `found` say when the connection goes and comes, the latter once this node knows what the others
    have learnt meanwhile of who may hear what; between `start` and `stop` it looks regularly how
    far everything has been heard. `late` counts the messages delivered late, `gaps` how often something was
    kept no more.
    """

    _log = Logger()

    def __init__(
        self,
        log: EventLog,
        bus: Bus,
        adapter: LateAdapter,
        deliveries: Deliveries,
        *,
        ids: Follower,
        tasks: Tasks,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self.late = 0
        self.gaps = 0
        self._events = log
        self._bus = bus
        self._adapter = adapter
        self._deliveries = deliveries
        self._ids = ids
        self._tasks = tasks
        self._clock = clock
        self._now = now
        self._connected = False
        self._behind = False
        self._busy = False
        self._again = False
        self._epoch: str | None = None
        self._serial = 0
        self._sure_at = 0.0
        """When all up to `_serial` had been heard."""
        self._told_gap = False
        self._more_until = 0.0
        self._beating = LoopingCall(self.beat)
        self._beating.clock = clock
        deliveries.hold_back()
        bus.subscribe(log.late_channel, lambda _, message: self._heard_of_late())

    # What others call

    def start(self) -> None:
        """Look regularly."""
        self._beating.start(BEAT_SECONDS, now=False)

    def stop(self) -> None:
        """Look no more."""
        if self._beating.running:
            self._beating.stop()
        self._bus.unsubscribe(self._events.late_channel)

    def lost(self) -> None:
        """This node is cut off, or cannot be sure that it is not."""
        self._connected = False
        self._deliveries.pause()
        if self._epoch is not None:
            self._behind = True
        self._deliveries.hold_back()

    async def found(self) -> None:
        """The connection is there; returns once what was missed has come, or is left to the next beat."""
        self._connected = True
        self._told_gap = False
        self._deliveries.resume()
        # What this node put before, and the store lost, is what others may have missed.
        self._ids.catch_up_soon()
        if self._busy:
            self._again = True
        else:
            self._busy = True
            await self._look()

    def beat(self) -> None:
        """Look how far everything has been heard, or read what was not; once at a time."""
        if not self._connected:
            return
        if self._busy:
            self._again = True
        else:
            self._busy = True
            self._tasks.start("hearing what was missed", self._look())

    # Within

    async def _look(self) -> None:
        try:
            if self._behind:
                await self._catch_up()
            elif self._clock.seconds() < self._more_until:
                await self._read(heard=True)
            else:
                await self._move()
        except RtwistError:
            pass  # whoever keeps the connection has said so, and the next beat tries again
        finally:
            self._busy = False
        if self._again:
            self._again = False
            self.beat()

    async def _move(self) -> None:
        """All up to the serial of now has been heard, once everything published before has."""
        began = self._clock.seconds()
        page = await self._events.read(-1)
        if self._epoch is None:  # what was published earlier is not for the sockets of this node
            self._epoch, self._serial, self._sure_at = page.epoch, page.serial, began
            self.gaps += self._deliveries.overflowed
            self._deliveries.let_go()
        if self._epoch != page.epoch:  # what this node put is lost, and may be what others missed
            self._ids.catch_up_soon()
        await self._bus.synced()
        if not self._behind and self._clock.seconds() >= self._more_until:
            self._epoch, self._serial, self._sure_at = page.epoch, page.serial, began

    async def _catch_up(self) -> None:
        await self._read()
        while self._deliveries.overflowed:
            self._deliveries.drop_held()
            await self._read()
        self._behind = not self._connected
        if not self._behind:
            self._more_until = self._clock.seconds() + MORE_SECONDS
            self._deliveries.let_go()

    async def _read(self, *, heard: bool = False) -> None:
        """`heard` says that what was published live meanwhile has been heard, or is on its way."""
        anew = False
        while True:
            page = await self._events.read(self._serial)
            if page.epoch != self._epoch or page.serial < self._serial:
                self._epoch, self._serial, anew = page.epoch, 0, True
                continue
            if page.blanked > self._serial and not anew:
                self._tell_gap(page)
            self._deliver(page, heard=heard)
            if heard:
                await self._bus.synced()
            self._serial = max(self._serial, page.serial)
            if not page.more:
                return

    def _deliver(self, page: LogPage, *, heard: bool) -> None:
        clock, now = self._clock.seconds(), self._now()
        for event in page.events:
            # Nodes put again what a store has lost, also what was heard here so long ago that nobody remembers.
            if clock - event.age < self._deliveries.forgot_until + DRIFT_SECONDS:
                continue
            if (
                heard and event.live
            ):  # for rooms without sockets here, too; who joined since then is not to get it
                continue
            for message in event.messages:
                self.late += self._adapter.deliver_late(message, now - event.age)

    def _tell_gap(self, page: LogPage) -> None:
        self.gaps += 1
        if self._told_gap:
            return
        self._told_gap = True
        self._log.warn(
            "this node heard nothing from Redis for {seconds:.0f} s; what was published then for up to {count} "
            "events is kept no more, so that its clients may have missed it",
            seconds=self._clock.seconds() - self._sure_at,
            count=page.blanked - self._serial,
        )

    def _heard_of_late(self) -> None:
        if self._epoch is not None:
            self._more_until = self._clock.seconds() + MORE_SECONDS
            self.beat()
