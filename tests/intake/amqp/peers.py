"""Connections to a real broker, and waiting for what comes of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from rtwist.intake.amqp import (
    BrokerConnection,
    BrokerEndpoint,
    BrokerFactory,
    BrokerOptions,
    Delivery,
    Properties,
    read_urls,
)

reactor: Any = installed
_numbers = itertools.count(1)


def unique(name: str) -> str:
    """A name that no other test uses."""
    return f"{name}-{os.getpid()}-{next(_numbers)}"


def pause(seconds: float) -> Deferred[None]:
    return deferLater(reactor, seconds)


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Return once `condition` holds; AssertionError after `seconds`."""
    end = reactor.seconds() + seconds
    while not condition():
        assert reactor.seconds() < end, "did not happen in time"
        await pause(0.01)


async def connect(url: str, *, ca_file: Path | None = None, **options: Any) -> BrokerConnection:
    """A connection that has logged in."""
    factory = BrokerFactory(clock=reactor, options=BrokerOptions(**options))
    return await BrokerEndpoint(reactor, read_urls(url), ca_file).connect(factory)


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[BrokerConnection]:
    """A connection that is closed at the end."""
    connection = await connect(url, **options)
    try:
        yield connection
    finally:
        await connection.close()


class Consumer:
    """A queue of its own and what came out of it."""

    def __init__(self, connection: BrokerConnection, queue: str) -> None:
        self.connection = connection
        self.queue = queue
        self.deliveries: list[Delivery] = []
        self.cancelled: list[str] = []
        self.tag = ""

    @classmethod
    async def start(cls, connection: BrokerConnection, *, declare: bool = True, **arguments: Any) -> Consumer:
        """Consume from a new queue; `arguments` are its own."""
        consumer = cls(connection, unique("queue"))
        if declare:
            await connection.declare_queue(
                consumer.queue, arguments={k.replace("_", "-"): v for k, v in arguments.items()}
            )
        await consumer.consume()
        return consumer

    async def consume(self) -> None:
        """Ask for deliveries."""
        self.tag = await self.connection.consume(
            self.queue, self.deliveries.append, on_cancelled=self.cancelled.append
        )

    async def next(self) -> Delivery:
        """The next delivery."""
        await until(lambda: self.deliveries)
        return self.deliveries.pop(0)


PERSISTENT = Properties(delivery_mode=2)
