"""Both ends of the wire: this program's, with short heartbeats, and what stands between it and a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.protocols.portforward import ProxyFactory, ProxyServer

from rtwist.redis.address import read_url
from rtwist.redis.client import Redis, RedisOptions
from rtwist.redis.wire import WireOptions

reactor: Any = installed
SWIFT = RedisOptions(wire=WireOptions(heartbeat=0.1, timeout=1.0), check=0.1)


async def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Return once `condition` holds; AssertionError after `seconds`."""
    end = reactor.seconds() + seconds
    while not condition():
        assert reactor.seconds() < end, "did not happen in time"
        await deferLater(reactor, 0.01)


@asynccontextmanager
async def started(
    url: str, *, ca_file: Path | None = None, options: RedisOptions = SWIFT
) -> AsyncIterator[Redis]:
    """A `Redis` that has begun, and ends with the block."""
    redis = Redis(reactor, read_url(url), ca_file=ca_file, options=options)
    redis.startService()
    try:
        yield redis
    finally:
        redis.stopService()


@asynccontextmanager
async def connected(url: str, **more: Any) -> AsyncIterator[Redis]:
    """The same, once it is connected."""
    async with started(url, **more) as redis:
        await redis.when_connected().addTimeout(20, reactor)
        yield redis


class _Passing(ProxyServer):
    def dataReceived(self, data: bytes) -> None:
        if self.factory.cut_at is not None and self.factory.cut_at in data:
            self.factory.cuts += 1
            self.transport.abortConnection()
        else:
            super().dataReceived(data)


class Gate(ProxyFactory):  # type: ignore[misc]
    """Passes bytes to a server; a connection that sends `cut_at` is cut, and `cuts` counts them."""

    noisy = False
    protocol = _Passing
    cut_at: bytes | None = None
    cuts = 0


@asynccontextmanager
async def gate_to(port: int) -> AsyncIterator[tuple[Gate, int]]:
    """A gate to `port` of 127.0.0.1, and its own port."""
    gate = Gate("127.0.0.1", port)
    listening = reactor.listenTCP(0, gate, interface="127.0.0.1")
    try:
        yield gate, listening.getHost().port
    finally:
        await listening.stopListening()
