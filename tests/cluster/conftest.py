"""One Redis for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.stores import CHANNEL, DirectRedis, Stores
from tests.support.redis import Redis


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    with Redis() as redis:
        yield redis.port


@pytest.fixture(params=["memory", "redis"])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    if request.param == "memory":
        yield Stores(None)
        return
    redis, subscriber = (DirectRedis(request.getfixturevalue("redis_port")) for _ in range(2))
    subscriber.subscribe(CHANNEL)
    stores = Stores(redis, subscriber)
    stores.lose()
    yield stores
    redis.close()
    subscriber.close()
