"""Cast, audience and load together, and what can be watched from outside."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tests.cluster_faults.audience import Party, RawParty, RealParty, seats
from tests.cluster_faults.cast import Cast, Node
from tests.cluster_faults.crowd import Seat, Stayer
from tests.cluster_faults.promises import violations
from tests.faults.checker import Violation
from tests.faults.publisher import Publisher
from tests.faults.traffic import FOR_ALL, Identity, Platform, event, population
from tests.service.servers import complaints
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import Redis

PATIENCE = 120.0
PRESENCE_SECONDS = 20.0
"""A lease of a node that was killed, and what it takes to sweep after it and to ask."""
BELL_SECONDS = 15.0
PER_PROCESS = 250
"""Raw clients in one process."""
SHOWN = 10


class Size(NamedTuple):
    """How large it is: some 28 clients for each of `scale`, and so many events a second."""

    scale: int
    rate: float

    @property
    def platform(self) -> Platform:
        scale = self.scale
        return Platform(
            300 * scale, 16 * scale, 4 * scale, 8 * scale, for_all=max(200, round(self.rate) // 2 // 20 * 20)
        )


class Stage:
    """Everything running, as an async context manager; files go to `folder`."""

    def __init__(self, rabbitmq: RabbitMQ, redis: Redis, folder: Path, size: Size) -> None:
        self.size, self.folder = size, folder
        self.platform = size.platform
        self.identities = population(self.platform)
        self.cast = Cast(rabbitmq, redis, folder, connections=3 * len(self.identities))
        self.publisher = Publisher(rabbitmq.url, self.cast.names.exchange, window=3000)
        self.parties: list[Party] = []
        self.natives: list[str] = []
        self.away: list[tuple[float, float]] = []
        self.watchers: list[Stayer] = []
        self.published = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._publishing: asyncio.Task[None] | None = None
        self._visits = 0
        self._last = -1
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Stage:
        try:
            await self._begin()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _begin(self) -> None:
        await self.cast.start()
        self._seat()
        self.watchers = [
            self._stayer(f"watcher{at}", None, node, "super_admin") for at, node in enumerate(self.cast.nodes)
        ]
        self._tasks = [asyncio.ensure_future(watcher.run()) for watcher in self.watchers]
        await self.all_in()
        await self.publisher.start()
        self._publishing = asyncio.ensure_future(self._publish())

    async def __aexit__(self, *exc: object) -> None:
        tasks = [*self._tasks, *([self._publishing] if self._publishing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._publishing:
            await self.publisher.stop()
        for party in self.parties:
            await party.end()
        await self.cast.stop()

    def _seat(self) -> None:
        real, raw = self.identities[::20], [one for at, one in enumerate(self.identities) if at % 20]
        natives = [Identity(f"n{at}", f"c{at}", (f"s{at}",)) for at in range(self.size.scale)]
        polling, open_ = raw[::4], [one for at, one in enumerate(raw) if at % 4]
        port = self.cast.port
        taken = seats(polling, "polling", port, "poller") + seats(open_, "websocket", port, "raw")
        for number, at in enumerate(range(0, len(taken), PER_PROCESS)):
            self.parties.append(RawParty(self.folder, f"raw{number}", taken[at : at + PER_PROCESS]))
        at_rtwist = [
            *seats(real[::2], "websocket", port, "real"), *seats(real[1::2], "polling", port, "real poller")
        ]  # fmt: skip
        at_server = seats(natives, "websocket", self.cast.server_port, "native")
        self.natives = [seat.name for seat in at_server]
        self.parties.append(RealParty(self.folder, "real", at_rtwist))
        self.parties.append(RealParty(self.folder, "native", at_server, native=True))

    def _stayer(self, user: str, company: str | None, node: Node, role: str | None = None) -> Stayer:
        return Stayer(Seat(user, Identity(user, company, role=role), "websocket", node.port))

    # The load

    async def _publish(self) -> None:
        start = time.monotonic()
        while True:
            await self._flowing.wait()
            await self.publisher.publish(event(self.published, platform=self.platform))
            if self.published == self._last:
                self._flowing.clear()
            self.published += 1
            ahead = start + self.published / self.size.rate - time.monotonic()
            if ahead > 0.005:
                await asyncio.sleep(ahead)
            elif ahead < -1.0:  # the broker was away, or it paused: nobody makes up for it at once
                start -= ahead

    async def caught_up(self) -> None:
        """Publish until the next event that is for everyone, and return once all have heard it."""
        end = time.monotonic() + PATIENCE
        while not await self._all_heard_the_next():
            assert time.monotonic() < end, (self.published, self.states())

    async def _all_heard_the_next(self) -> bool:
        """False when that takes too long: somebody may have come in just behind it."""
        bell = self._last = self.published + (FOR_ALL - self.published) % self.platform.for_all
        self._flowing.set()
        end = time.monotonic() + BELL_SECONDS
        while any(state["told"] < bell for _, state in self.states()):
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.1)
        return True

    def go_on(self) -> None:
        """Publish at the full rate."""
        self._last = -1
        self._flowing.set()

    # Watching

    async def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Return when `condition` holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (self.states(), [await node.ready() for node in self.cast.nodes])
            await asyncio.sleep(0.1)

    def states(self) -> list[tuple[int, dict[str, int]]]:
        """How many there should be, and how they are, party by party."""
        return [(party.size, party.state) for party in self.parties]

    async def all_in(self) -> None:
        """Return once every client is connected and has what it asked for."""
        await self.until(lambda: all(size == state["in"] for size, state in self.states()))
        await self.until(lambda: all(watcher.is_in.is_set() for watcher in self.watchers))

    async def all_ready(self) -> None:
        """Return once every node says that it is ready."""
        end = time.monotonic() + PATIENCE
        while True:
            found = [await node.ready() for node in self.cast.nodes]
            if all(body.get("status") == "READY" for body in found):
                return
            assert time.monotonic() < end, found
            await asyncio.sleep(0.2)

    async def presence_is_right(self) -> None:
        """Return once every node knows who is connected; then have somebody come and go at each node."""
        expected = sorted({one.user for one in self.identities} | {each.history.client for each in self.watchers})
        end = time.monotonic() + PRESENCE_SECONDS
        for node in self.cast.nodes:
            while (found := await node.users()) != expected:
                differences = set(found) ^ set(expected)
                assert time.monotonic() < end, (len(found), len(expected), sorted(differences)[:SHOWN])
                await asyncio.sleep(0.5)
        for node in self.cast.nodes:
            await self._visit(node)

    async def _visit(self, node: Node) -> None:
        self._visits += 1
        visitor = self._stayer(f"visitor{self._visits}", "c0", node)
        user = visitor.history.client
        task = asyncio.ensure_future(visitor.run())
        await self.until(lambda: self._told_of(user) == [[True]] * len(self.watchers), PRESENCE_SECONDS)
        assert [await each.sees(user) for each in self.cast.nodes] == [True] * len(self.cast.nodes)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self.until(lambda: self._told_of(user) == [[True, False]] * len(self.watchers), PRESENCE_SECONDS)
        assert [await each.sees(user) for each in self.cast.nodes] == [False] * len(self.cast.nodes)

    def _told_of(self, user: str) -> list[list[bool]]:
        return [[news.online for news in watcher.news if news.user == user] for watcher in self.watchers]

    # The end

    async def check(self) -> None:
        """Have everything that was published heard, then all leave; AssertionError unless all is as promised."""
        await self.caught_up()
        assert self._publishing is not None
        self._publishing.cancel()
        await self.publisher.flush()
        await asyncio.sleep(3)  # so that what comes a second time has come
        for party in self.parties:
            await party.leave()
        heard = [party.heard() for party in self.parties]
        self.parties.clear()
        histories = [history for each in heard for history in each.histories]
        found = violations(self.publisher.confirmed, histories, natives=self.natives, away=self.away)
        assert found == [], _summary(found)
        assert [fault for each in heard for fault in each.faults][:SHOWN] == []
        assert self.publisher.returned == []
        for node in self.cast.nodes:
            assert complaints([*node.output, *node.service.program.output]) == []


def _summary(found: list[Violation]) -> dict[str, tuple[int, list[Violation]]]:
    kinds = Counter(each.what for each in found)
    return {kind: (count, [each for each in found if each.what == kind][:SHOWN]) for kind, count in kinds.items()}
