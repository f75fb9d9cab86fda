"""Three nodes at a real Redis while events flow: whatever happens to it, each client hears each event once."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.protocols.portforward import ProxyFactory, ProxyServer

from rtwist.cluster.classic.adapter import ClassicAdapter
from rtwist.cluster.deliveries import Deliveries
from rtwist.cluster.eventlog import NodeLog
from rtwist.cluster.hearing import Hearing
from rtwist.cluster.outage import Outage, Turn, WhileAway
from rtwist.cluster.peers import AllNodes, Published
from rtwist.cluster.records import RecordLimits
from rtwist.cluster.redislog import RedisLog
from rtwist.cluster.seen import IDLE_SECONDS, SharedWindow
from rtwist.cluster.sharded.adapter import ShardedAdapter
from rtwist.errors import RtwistError
from rtwist.intake.intake import Intake
from rtwist.redis.address import read_url
from rtwist.redis.bus import RedisBus
from rtwist.redis.client import Redis
from rtwist.tasks import Tasks
from tests.cluster.eventnodes import ToRooms, event
from tests.redis.ends import SWIFT, reactor, until
from tests.socketio.fakes import House
from tests.support.redis import Redis as Server

EVENTS = 600
PAUSE = 0.005
Trouble = Callable[["Stage"], Awaitable[None]]


class _Way(ProxyServer):
    def connectionMade(self) -> None:
        self.factory.ways.add(self)
        if self.factory.parted:
            self.transport.pauseProducing()
        else:
            super().connectionMade()

    def connectionLost(self, reason: Any) -> None:
        self.factory.ways.discard(self)
        super().connectionLost(reason)


class Cable(ProxyFactory):  # type: ignore[misc]
    """The way of one node to Redis; while `parted`, nothing passes and nobody is told."""

    noisy = False
    protocol = _Way
    parted = False

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port)
        self.ways: set[_Way] = set()
        self.listening = reactor.listenTCP(0, self, interface="127.0.0.1")

    def part(self) -> None:
        self.parted = True
        for way in self.ways:
            for end in (way, way.peer):
                if end is not None:
                    end.transport.pauseProducing()

    def join(self) -> None:
        self.parted = False
        for way in tuple(self.ways):
            way.transport.abortConnection()

    async def end(self) -> None:
        await self.listening.stopListening()
        for way in tuple(self.ways):
            way.transport.abortConnection()


class Node:
    """One node with one client; its events come from a `Stage`."""

    def __init__(self, server: Server, number: int, *, sharded: bool) -> None:
        self.cable = Cable(server.port)
        url = f"redis://127.0.0.1:{self.cable.listening.getHost().port}"
        self.redis = Redis(reactor, read_url(url), options=SWIFT)
        bus = RedisBus(self.redis, sharded=sharded)
        adapter = partial(ShardedAdapter if sharded else ClassicAdapter, bus=bus, node=f"node{number}")
        self.house = House([], clock=Clock(), adapter=adapter, ping_interval=1e8)
        self.tasks = Tasks()
        deliveries = Deliveries(reactor.seconds)
        root: Any = self.house.io.root.adapter
        root.deliveries = deliveries
        limits = RecordLimits(10_000, 600, IDLE_SECONDS)
        log = RedisLog(self.redis, "ids", limits, "ids", publish="SPUBLISH" if sharded else "PUBLISH")
        window = SharedWindow(NodeLog(log, deliveries), self.tasks, time.time, deliveries=deliveries)
        self.hearing = Hearing(
            log, bus, root, deliveries, ids=window.follower, tasks=self.tasks, clock=reactor, now=time.time
        )
        self.outage = Outage(WhileAway.HOLD)
        peers = AllNodes(self.outage, window, [], Published(bus))
        self.intake = Intake(self.house.io, ToRooms(), now=time.time, window=window, peers=peers)
        self.guest, socket = self.house.visitor()
        socket.join("all")
        self.heard: list[int] = []
        self.redis.watch(self._changed)
        self.redis.startService()
        self.hearing.start()

    def _changed(self, connected: bool) -> None:
        if connected:
            self.outage.turn(Turn.FOUND)
            self.tasks.start("catching up", self.hearing.found())
            self.outage.turn(Turn.CAUGHT_UP)
        else:
            self.outage.turn(Turn.LOST)
            self.hearing.lost()

    async def take(self, number: int) -> bool:
        """Whether the event became certain."""
        try:
            await self.intake.catch_up()
            self.intake.accept([event(number)])
            settled = self.intake.settle()
            if settled is not None:
                await settled
        except RtwistError:
            return False
        return True

    def listen(self) -> list[int]:
        packets = [packet for packet in self.guest.hear() if packet.startswith("2[")]
        self.heard += [json.loads(packet[1:])[1]["n"] for packet in packets]
        return self.heard

    async def end(self) -> None:
        self.hearing.stop()
        self.redis.stopService()
        self.tasks.stop()
        self.house.io.close()
        await self.cable.end()


class Stage:
    """Nodes at one server; the first that can take events does, the next one when it fails."""

    def __init__(self, server: Server, *, sharded: bool) -> None:
        self.server = server
        self.taken = 0
        self.failed = 0
        self.nodes = [Node(server, number, sharded=sharded) for number in range(3)]

    async def run(self) -> None:
        """Have all events taken, each again until it is certain."""
        consumer = 0
        while self.taken < EVENTS:
            node = self.nodes[consumer % 3]
            if node.outage.consumes and await node.take(self.taken):
                self.taken += 1
            else:
                self.failed += 1
                consumer += 1
            await deferLater(reactor, PAUSE)

    async def reached(self, share: float) -> None:
        """Return once so many of the events are taken."""
        await until(lambda: self.taken >= share * EVENTS, 60)

    async def end(self) -> None:
        for node in self.nodes:
            await node.end()


@asynccontextmanager
async def stage(server: Server, *, sharded: bool) -> AsyncIterator[Stage]:
    made = Stage(server, sharded=sharded)
    try:
        for node in made.nodes:
            await node.redis.when_connected().addTimeout(20, reactor)
            await until(lambda node=node: node.hearing._epoch is not None)
        yield made
    finally:
        await made.end()


def kill(stage: Stage, name: str) -> None:
    for client in stage.server.clients(f"rtwist-{name}"):
        stage.server.cli("CLIENT", "KILL", "ID", client["id"])


async def connections_are_killed(stage: Stage) -> None:
    for share, name in ((0.2, "subscriber"), (0.4, "commands"), (0.6, "subscriber"), (0.8, "subscriber")):
        await stage.reached(share)
        kill(stage, name)


async def redis_is_killed(stage: Stage) -> None:
    for share in (0.2, 0.6):
        await stage.reached(share)
        stage.server.kill()
        await until(lambda: not any(node.redis.connected for node in stage.nodes))
        stage.server.start()


async def redis_stands_still(stage: Stage) -> None:
    await stage.reached(0.3)
    stage.server.signal(signal.SIGSTOP)
    await until(lambda: not any(node.redis.connected for node in stage.nodes))
    await deferLater(reactor, 0.5)
    stage.server.signal(signal.SIGCONT)


async def nodes_are_parted(stage: Stage) -> None:
    for share, node in zip((0.1, 0.4, 0.6), stage.nodes, strict=True):
        await stage.reached(share)
        node.cable.part()
        await until(lambda node=node: not node.redis.connected)
        await stage.reached(share + 0.1)
        node.cable.join()
        await node.redis.when_connected()


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize(
    ("trouble", "settings"),
    [
        (connections_are_killed, {}),
        (redis_is_killed, {}),
        (redis_is_killed, {"appendonly": "no"}),
        (redis_stands_still, {}),
        (nodes_are_parted, {}),
    ],
)
@ensureDeferred
async def test_each_client_hears_each_event_once(
    trouble: Trouble, settings: dict[str, str], sharded: bool
) -> None:
    with Server(settings) as server:
        async with stage(server, sharded=sharded) as made:
            running = Deferred.fromCoroutine(made.run())
            await trouble(made)
            await running
            await until(lambda: all(len(node.listen()) >= EVENTS for node in made.nodes), 40)
            await deferLater(reactor, 0.2)
            assert [sorted(node.listen()) for node in made.nodes] == [list(range(EVENTS))] * 3
            assert made.failed or sum(node.hearing.late for node in made.nodes)
