"""Three Socket.IO servers in one cluster, on one clock, joined by a bus in memory or by a real Redis."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from rtwist.cluster.adapter import ClusterAdapter
from rtwist.cluster.bus import Bus, Heard, MemoryBus, MemoryHub
from rtwist.cluster.classic.adapter import ClassicAdapter
from rtwist.cluster.mode import Mode
from rtwist.cluster.sharded.adapter import ShardedAdapter
from rtwist.redis.address import read_url
from rtwist.redis.bus import RedisBus
from rtwist.redis.client import Redis
from tests.socketio.fakes import Guest, House
from tests.socketio.test_acks import outcome
from tests.support.redis import Redis as RedisServer

reactor: Any = installed
NODES = 3
SECONDS = 5.0
Make = Callable[..., ClusterAdapter]
PROTOCOLS: dict[str, Make] = {
    "classic": ClassicAdapter,
    "classic, own channels": partial(ClassicAdapter, own_response_channels=True),
    "sharded": ShardedAdapter,
    "sharded static": partial(ShardedAdapter, mode=Mode.STATIC),
    "sharded private": partial(ShardedAdapter, mode=Mode.DYNAMIC_PRIVATE),
}


def come(work: Deferred[Any]) -> Any:
    """What `work` comes to; tests with a clock of their own are no coroutines, so the reactor turns in here."""
    found: list[Any] = []
    work.addBoth(found.append)
    while not found:
        reactor.iterate(0.05)
    if isinstance(found[0], Failure):
        found[0].raiseException()
    return found[0]


class TappedBus:
    """The bus of one node: notes what the node says and which channels it hears; a `silent` one says nothing."""

    def __init__(self, bus: Any) -> None:
        self.silent = False
        self.said: list[tuple[str, bytes]] = []
        self.names: set[str] = set()
        self._bus: Bus = bus

    def publish(self, channel: str, message: bytes) -> None:
        self.said.append((channel, message))
        if not self.silent:
            self._bus.publish(channel, message)

    def subscribe(self, channel: str, heard: Heard) -> None:
        self.names.add(channel)
        self._bus.subscribe(channel, heard)

    def subscribe_pattern(self, pattern: str, heard: Heard) -> None:
        self.names.add(pattern)
        self._bus.subscribe_pattern(pattern, heard)

    def unsubscribe(self, channel: str) -> None:
        self.names.discard(channel)
        self._bus.unsubscribe(channel)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)


class InMemory:
    """Buses at one hub."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hub = MemoryHub(clock)
        self.buses = [MemoryBus(self._hub) for _ in range(NODES)]

    def arrive(self) -> None:
        """All that is on its way arrives, and what it causes."""
        self._clock.pump([0] * 50)

    def send(self, channel: str, message: bytes) -> None:
        """A stranger publishes."""
        self._hub.send(channel, message)

    def leave(self, number: int) -> None:
        """A node loses the others."""
        self.buses[number].connected = False

    def end(self) -> None:
        """All is over."""


class Ends:
    """The connections of three nodes to a real Redis, which many clusters may use one after the other."""

    def __init__(self, server: RedisServer) -> None:
        self.all = [Redis(reactor, read_url(server.url)) for _ in range(NODES)]
        self.bring_back()

    def bring_back(self) -> None:
        """Whoever has left is connected again."""
        for end in self.all:
            if not end.running:
                end.startService()
            come(end.when_connected())

    def round(self) -> None:
        """What has been published is heard, and what was asked before is answered."""
        for purpose in ("commands", "subscriber"):
            wires = [getattr(end, purpose).wire for end in self.all]
            come(DeferredList([wire.call("PING") for wire in wires if wire is not None], consumeErrors=True))

    def stop(self) -> None:
        """Close all connections."""
        for end in self.all:
            end.stopService()


class ByRedis:
    """Buses on the connections of `ends`."""

    def __init__(self, clock: Clock, ends: Ends, *, sharded: bool) -> None:
        self._clock = clock
        self._ends = ends
        self._publish = "SPUBLISH" if sharded else "PUBLISH"
        self.buses = [RedisBus(end, sharded=sharded) for end in ends.all]

    def arrive(self) -> None:
        """All that is on its way arrives, and what it causes."""
        before = -1
        while before != (before := sum(bus.position for bus in self.buses)):
            self._clock.advance(0)
            self._ends.round()

    def send(self, channel: str, message: bytes) -> None:
        """A stranger publishes."""
        come(self._ends.all[0].call(self._publish, channel, message))

    def leave(self, number: int) -> None:
        """A node loses Redis."""
        self._ends.all[number].stopService()

    def end(self) -> None:
        """All is over."""
        self._ends.round()
        self._ends.bring_back()


class Cluster:
    """Three servers; `ends` joins them by Redis, without them they are joined in memory."""

    def __init__(self, logs: list[Any], make: Make, ends: Ends | None = None, **options: Any) -> None:
        self.clock = Clock()
        self.sharded = (make.func if isinstance(make, partial) else make) is ShardedAdapter
        self.carrier = InMemory(self.clock) if ends is None else ByRedis(self.clock, ends, sharded=self.sharded)
        self.houses: list[House] = []
        self.names = [secrets.token_hex(8) for _ in range(NODES)]
        self.buses = [TappedBus(bus) for bus in self.carrier.buses]
        for name, bus in zip(self.names, self.buses, strict=True):
            adapter = partial(make, bus=bus, node=name, requests_timeout=SECONDS, **options)
            self.houses.append(House(logs, clock=self.clock, adapter=adapter, max_queued_events=100))
        self.logs = logs
        self.settle()

    def adapter(self, number: int) -> ClusterAdapter:
        """That of the namespace `/` of a node."""
        adapter = self.houses[number].io.root.adapter
        assert isinstance(adapter, ClusterAdapter)
        return adapter

    def settle(self) -> None:
        """All that is on its way arrives, and what it causes."""
        self.carrier.arrive()

    def result(self, work: Any) -> Any:
        """What a coroutine or a Deferred comes to."""
        found = outcome(work if isinstance(work, Deferred) else Deferred.fromCoroutine(work))
        self.settle()
        (result,) = found
        return result

    def end(self) -> None:
        for house in self.houses:
            house.io.close()
        self.settle()
        for bus in self.buses:
            assert bus.names == set()
        self.carrier.end()
        for number, house in enumerate(self.houses):
            # One search for failures that nobody heard of does for all.
            house.end(collect=number == 0)


class Party:
    """On each node two visitors: `first` in `all`, `odd` or `even` and a room of the node, `second` in none."""

    def __init__(self, cluster: Cluster) -> None:
        self.first = []
        self.second = []
        self.guests: dict[str, Guest] = {}
        for number, house in enumerate(cluster.houses):
            guest, socket = house.visitor()
            socket.join(["all", "odd" if number % 2 else "even", f"node{number}"])
            other, plain = house.visitor()
            self.first.append(socket)
            self.second.append(plain)
            self.guests[f"{number}"] = guest
            self.guests[f"{number}b"] = other
        self.hear()

    def hear(self) -> dict[str, list[str]]:
        """What has come since the last time, by who heard it."""
        heard = {name: guest.hear() for name, guest in self.guests.items()}
        return {name: packets for name, packets in heard.items() if packets}

    def heard(self, packet: str) -> set[str]:
        """Who heard `packet`, once and nothing else."""
        heard = self.hear()
        assert all(packets == [packet] for packets in heard.values()), heard
        return set(heard)


EVERYBODY = {f"{number}{letter}" for number in range(NODES) for letter in ("", "b")}
