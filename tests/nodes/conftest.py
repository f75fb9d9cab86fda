"""Several `twistd rtwist` on one Redis and one queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from tests.intake.brokered import Brokered, Names, until
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import Redis


class HasUrl(Protocol):
    """A Redis, or a way to one."""

    url: str


def node(rabbitmq: RabbitMQ, redis: HasUrl, names: Names, *options: str, database: int = 0) -> Brokered:
    """A node of the cluster of `names`, to be started."""
    env = {
        "REDIS_URL": f"{redis.url}/{database}",
        "RTWIST_REDIS_PREFIX": names.queue,
        "RTWIST_CLUSTER_KEY": names.queue,
    }
    return Brokered(rabbitmq, *options, names=names, env=env)


def joined(running: Brokered) -> None:
    """Return once the node knows what the others know."""
    until(lambda: running.ready()["redis"] == "connected", says=running.ready)


@pytest.fixture
def two(rabbitmq: RabbitMQ, redis_server: Redis) -> Iterator[tuple[Brokered, Brokered]]:
    """Two nodes of a cluster of their own; one of them has the queue."""
    names = Names()
    with ExitStack() as stack:
        nodes = [node(rabbitmq, redis_server, names) for _ in range(2)]
        for one in nodes:
            stack.enter_context(one)
            joined(one)
        yield nodes[0], nodes[1]
