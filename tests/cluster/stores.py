"""The stores of a cluster in memory and at a real Redis, for one contract, with one clock."""

from __future__ import annotations

import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

import hiredis
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from rtwist.cluster.bus import MemoryBus, MemoryHub
from rtwist.cluster.deliveries import KeptLimits
from rtwist.cluster.eventlog import EventLog, MemoryLog
from rtwist.cluster.records import MemoryRecords, RecordLimits, Records
from rtwist.cluster.redislog import RedisLog
from rtwist.cluster.redisrecords import RedisRecords
from rtwist.cluster.redisroll import RedisRoll
from rtwist.cluster.roll import MemoryRoll, Roll
from rtwist.errors import StoreFailed

Answer = TypeVar("Answer")
CHANNEL = "rtwist-test"


class DirectRedis:
    """Commands to a Redis, each answered before `call` returns, so that tests wait for nothing."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._reader = hiredis.Reader()

    def call(self, *args: Any) -> Deferred[Any]:
        self._socket.sendall(hiredis.pack_command(args))
        while (answer := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65536))
        if isinstance(answer, hiredis.ReplyError):
            return fail(answer)
        return succeed(answer)

    def flush(self) -> None:
        """All has been sent."""

    def subscribe(self) -> None:
        """From now on this connection only hears."""
        self.call("PSUBSCRIBE", "*")

    def heard(self) -> list[tuple[str, bytes]]:
        """The channel and text of all that was published before this call, and not heard yet."""
        self._socket.sendall(hiredis.pack_command(("PING",)))
        messages = []
        while True:
            while (answer := self._reader.gets()) is False:
                self._reader.feed(self._socket.recv(65536))
            if answer[0] == b"pong":
                return messages
            messages.append((answer[2].decode(), answer[3]))

    def close(self) -> None:
        self._socket.close()


class Door:
    """A store that cannot be reached while `stores.away`."""

    def __init__(self, stores: Stores, store: object) -> None:
        self._stores = stores
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not callable(method):
            return method

        async def through(*args: Any) -> Any:
            if self._stores.away:
                raise StoreFailed("away")
            return await method(*args)

        return through


class Stores:
    """What several nodes share: `redis` is where, None for in memory; nobody reaches it while `away`."""

    def __init__(self, redis: DirectRedis | None, subscriber: DirectRedis | None = None) -> None:
        self.away = False
        self.redis = redis
        self._subscriber = subscriber
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.hub = MemoryHub(self.clock)
        self.bus = self.new_bus()
        self._memory: list[MemoryRecords] = []
        self._roll: MemoryRoll | None = None

    def new_bus(self) -> MemoryBus:
        return MemoryBus(self.hub)

    def records(
        self, size: int = 1000, seconds: float = 600, idle: float = float("inf"), name: str = "records"
    ) -> Records:
        limits = RecordLimits(size, seconds, idle)
        if self.redis is None:
            self._memory.append(MemoryRecords(limits, self.clock.seconds, self.bus, CHANNEL))
            return Door(self, self._memory[-1])
        return Door(self, RedisRecords(self.redis, name, limits, CHANNEL, now=self.clock.seconds))

    def log(
        self, kept: KeptLimits | None = None, size: int = 1000, seconds: float = 600, idle: float = float("inf")
    ) -> EventLog:
        limits = RecordLimits(size, seconds, idle)
        if self.redis is None:
            self._memory.append(MemoryLog(limits, self.clock.seconds, self.bus, CHANNEL, kept))
            return Door(self, self._memory[-1])
        return Door(self, RedisLog(self.redis, "log", limits, CHANNEL, kept=kept, now=self.clock.seconds))

    def roll(self, lease: float = 10.0) -> Roll:
        if self.redis is None:
            self._roll = MemoryRoll(self.clock.seconds, self.bus, CHANNEL, lease)
            return Door(self, self._roll)
        return Door(self, RedisRoll(self.redis, "roll", CHANNEL, lease=lease, now=self.clock.seconds))

    def deliver(self) -> None:
        """What was published arrives."""
        if self._subscriber is not None:
            for channel, message in self._subscriber.heard():
                self.bus.publish(channel, message)
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)

    def lose(self) -> None:
        """The store is empty from now on."""
        if self.redis is None:
            for records in self._memory:
                records.lose()
            if self._roll is not None:
                self._roll.lose()
        else:
            result(_waited(self.redis.call("FLUSHALL")))


async def _waited(answer: Deferred[Any]) -> Any:
    return await answer


def result(work: Coroutine[Deferred[Any], Any, Answer]) -> Answer:
    """What `work`, which need not wait for anything, returns or raises."""
    found: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(found.append)
    assert found, "it still waits"
    if hasattr(found[0], "raiseException"):
        found[0].raiseException()
    return found[0]  # type: ignore[no-any-return]
