"""What carries messages between nodes: one contract, for the bus in memory and for those by Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor as installed
from twisted.internet.task import Clock

from rtwist.cluster.bus import Bus, MemoryBus, MemoryHub
from rtwist.errors import LocalProtocolError, RtwistError
from rtwist.redis.address import read_url
from rtwist.redis.bus import RedisBus
from rtwist.redis.client import Redis
from tests.support.redis import Redis as Server

reactor: Any = installed
Heard = list[tuple[str, bytes]]


class Nodes(Protocol):
    """Three buses that carry to each other; `arrive` waits until all that was asked of them is done."""

    buses: list[Any]

    async def arrive(self) -> None: ...
    async def cut(self, number: int) -> None: ...
    async def mend(self, number: int) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self._clock = Clock()
        hub = MemoryHub(self._clock)
        self.buses = [MemoryBus(hub) for _ in range(3)]

    async def arrive(self) -> None:
        self._clock.pump([0] * 20)

    async def cut(self, number: int) -> None:
        self.buses[number].connected = False

    async def mend(self, number: int) -> None:
        self.buses[number].connected = True


class ByRedis:
    def __init__(self, server: Server, *, sharded: bool) -> None:
        self.ends = [Redis(reactor, read_url(server.url)) for _ in range(3)]
        self.buses = [RedisBus(end, sharded=sharded) for end in self.ends]

    async def arrive(self) -> None:
        for purpose in ("commands", "subscriber"):  # what is published is on its way to all before they answer
            for end in self.ends:
                wire: Any = getattr(end, purpose).wire
                if wire is not None:
                    await wire.call("PING")

    async def cut(self, number: int) -> None:
        self.ends[number].stopService()
        await self.arrive()

    async def mend(self, number: int) -> None:
        self.ends[number].startService()
        await self.ends[number].when_connected()


@asynccontextmanager
async def three(kind: str, server: Server) -> AsyncIterator[Nodes]:
    if kind == "memory":
        yield InMemory()
        return
    nodes = ByRedis(server, sharded=kind == "sharded")
    for number in range(3):
        await nodes.mend(number)
    try:
        yield nodes
    finally:
        for end in nodes.ends:
            if end.running:
                end.stopService()


def listen(bus: Bus, channel: str) -> Heard:
    heard: Heard = []
    add = bus.subscribe_pattern if "*" in channel else bus.subscribe
    add(channel, lambda *message: heard.append(message))
    return heard


every_bus = pytest.mark.parametrize("kind", ["memory", "redis", "sharded"])


@every_bus
@ensureDeferred
async def test_messages_reach_all_who_subscribe_in_order(kind: str, redis_server: Server) -> None:
    async with three(kind, redis_server) as nodes:
        heard = [listen(nodes.buses[number], "news") for number in (0, 1)]
        await nodes.arrive()
        for text in (b"a", b"b", b"c", b"\xff\0" * 1000):
            nodes.buses[0].publish("news", text)
        nodes.buses[0].publish("other", b"d")
        assert heard == [[], []]
        await nodes.arrive()
        expected = [("news", text) for text in (b"a", b"b", b"c", b"\xff\0" * 1000)]
        assert heard == [expected, expected]


@pytest.mark.parametrize("kind", ["memory", "redis"])
@ensureDeferred
async def test_patterns_hear_every_channel_that_matches(kind: str, redis_server: Server) -> None:
    async with three(kind, redis_server) as nodes:
        heard = listen(nodes.buses[2], "news#*")
        await nodes.arrive()
        for channel in ("news#", "news#ré#", "new", "news"):
            nodes.buses[1].publish(channel, b"x")
        await nodes.arrive()
        assert heard == [("news#", b"x"), ("news#ré#", b"x")]


@ensureDeferred
async def test_a_sharded_bus_has_no_patterns(redis_server: Server) -> None:
    async with three("sharded", redis_server) as nodes:
        with pytest.raises(LocalProtocolError):
            nodes.buses[0].subscribe_pattern("n*", lambda *_: None)


@every_bus
@ensureDeferred
async def test_who_unsubscribes_hears_no_more(kind: str, redis_server: Server) -> None:
    async with three(kind, redis_server) as nodes:
        heard = listen(nodes.buses[0], "news")
        also = listen(nodes.buses[0], "n*") if kind != "sharded" else listen(nodes.buses[0], "sports")
        nodes.buses[0].unsubscribe("news")
        await nodes.arrive()
        for channel in ("news", "sports"):
            nodes.buses[1].publish(channel, b"x")
        await nodes.arrive()
        assert heard == []
        assert [message for _, message in also] == [b"x"]
        nodes.buses[0].unsubscribe("n*" if kind != "sharded" else "sports")
        for channel in ("news", "sports"):
            nodes.buses[1].publish(channel, b"y")
        await nodes.arrive()
        assert [message for _, message in also] == [b"x"]


@every_bus
@ensureDeferred
async def test_subscribers_are_counted_by_the_name_of_the_channel(kind: str, redis_server: Server) -> None:
    async with three(kind, redis_server) as nodes:
        for number in (0, 1):
            listen(nodes.buses[number], "news")
        if kind != "sharded":
            listen(nodes.buses[2], "n*")
        await nodes.arrive()
        assert await nodes.buses[2].subscribers("news") == 2
        assert await nodes.buses[2].subscribers("other") == 0


@every_bus
@ensureDeferred
async def test_who_is_cut_off_misses_what_is_published_and_hears_again_afterwards(
    kind: str, redis_server: Server
) -> None:
    async with three(kind, redis_server) as nodes:
        heard, other = listen(nodes.buses[0], "news"), listen(nodes.buses[1], "news")
        await nodes.arrive()
        await nodes.cut(0)
        nodes.buses[1].publish("news", b"missed")
        nodes.buses[0].publish("news", b"lost")
        assert await nodes.buses[1].subscribers("news") == 1
        with pytest.raises(RtwistError):
            await nodes.buses[0].subscribers("news")
        await nodes.arrive()
        await nodes.mend(0)
        nodes.buses[1].publish("news", b"heard")
        await nodes.arrive()
        assert heard == [("news", b"heard")]
        assert other == [("news", b"missed"), ("news", b"heard")]


@every_bus
@ensureDeferred
async def test_what_is_settled_has_been_taken_over_and_what_was_dropped_is_told(
    kind: str, redis_server: Server
) -> None:
    async with three(kind, redis_server) as nodes:
        bus = nodes.buses[0]
        start = bus.position
        for _ in range(50):
            bus.publish("news", b"x")
        assert bus.position == start + 50
        await bus.settled(start)
        await nodes.cut(0)
        bus.publish("news", b"dropped")
        with pytest.raises(RtwistError):
            await bus.settled(start + 50)
        await bus.settled(bus.position)
        await nodes.mend(0)
        before = bus.position
        bus.publish("news", b"y")
        with pytest.raises(RtwistError):
            await bus.settled(start + 50)
        await bus.settled(before)
