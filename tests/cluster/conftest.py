"""One Redis for the tests of this folder, and clusters of three nodes by each protocol."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.logger import capturedLogs

from tests.cluster.clusters import PROTOCOLS, Cluster, Ends, Party
from tests.cluster.stores import DirectRedis, Stores
from tests.socketio.fakes import only_new_garbage
from tests.support.redis import Redis

BY_REDIS = " by Redis"


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
    subscriber.subscribe()
    stores = Stores(redis, subscriber)
    stores.lose()
    yield stores
    redis.close()
    subscriber.close()


@pytest.fixture(scope="module")
def ends(redis_server: Redis) -> Iterator[Ends]:
    ends = Ends(redis_server)
    yield ends
    ends.stop()


@pytest.fixture(params=[*PROTOCOLS, f"classic{BY_REDIS}", f"sharded{BY_REDIS}"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cluster(protocol: str, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    ends = request.getfixturevalue("ends") if protocol.endswith(BY_REDIS) else None
    with only_new_garbage(), capturedLogs() as logs:
        made = Cluster(logs, PROTOCOLS[protocol.removesuffix(BY_REDIS)], ends)
        yield made
        made.end()


@pytest.fixture
def party(cluster: Cluster) -> Party:
    party = Party(cluster)
    cluster.settle()
    return party
