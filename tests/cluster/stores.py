"""The stores of a cluster in memory and at a real Redis, for one contract, with one clock."""

from __future__ import annotations

import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

import hiredis
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from rtwist.cluster.bus import Bus, MemoryBus, MemoryHub
from rtwist.cluster.records import MemoryRecords, RecordLimits, Records
from rtwist.cluster.redisrecords import RedisRecords
from rtwist.errors import RtwistError

Answer = TypeVar("Answer")
CHANNEL = "rtwist-test"


class DirectRedis:
    """Commands to a Redis, each answered before `call` returns, so that tests wait for nothing.

    `away` refuses all of them.
    """

    def __init__(self, port: int) -> None:
        self.away = False
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._reader = hiredis.Reader()

    def call(self, *args: Any) -> Deferred[Any]:
        if self.away:
            return fail(RtwistError("Redis is away"))
        self._socket.sendall(hiredis.pack_command(args))
        while (answer := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65536))
        if isinstance(answer, hiredis.ReplyError):
            return fail(answer)
        return succeed(answer)

    def close(self) -> None:
        self._socket.close()


class Stores:
    """What several nodes share: `redis` is where, None for in memory."""

    def __init__(self, redis: DirectRedis | None) -> None:
        self.redis = redis
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.hub = MemoryHub(self.clock)
        self.bus = self.new_bus()
        self._memory: list[MemoryRecords] = []

    def new_bus(self) -> Bus:
        return MemoryBus(self.hub)

    def records(self, size: int = 1000, seconds: float = 600, idle: float = float("inf")) -> Records:
        limits = RecordLimits(size, seconds, idle)
        if self.redis is None:
            self._memory.append(MemoryRecords(limits, self.clock.seconds, self.bus, CHANNEL))
            return self._memory[-1]
        return RedisRecords(self.redis, f"t{len(self._memory)}", limits, CHANNEL, now=self.clock.seconds)

    def lose(self) -> None:
        """The store is empty from now on."""
        if self.redis is None:
            for records in self._memory:
                records.lose()
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
