"""Three rtwist nodes and a Node server under load, and whatever can happen to them; `promises` says what holds.

The size is that of CI; `make cluster` plays it with 2,000 clients and 1,000 events a second.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster_faults.stage import Size, Stage
from tests.cluster_faults.troubles import Troubles
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import Redis

SIZES = {"small": Size(scale=12, rate=250), "full": Size(scale=70, rate=1000)}
SIZE = SIZES[os.environ.get("CLUSTER_SIZE", "small")]
TROUBLES = [
    "other_node_killed", "redis_connections_killed", "consumer_killed", "redis_killed", "other_node_cut_off",
    "redis_paused", "consumer_cut_off", "all_restarted",
]  # fmt: skip


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.mark.timeout(1800)
def test_whatever_happens(rabbitmq: RabbitMQ, redis: Redis, tmp_path: Path) -> None:
    async def play() -> None:
        async with Stage(rabbitmq, redis, tmp_path, SIZE) as stage:
            troubles = Troubles(stage)
            for name in TROUBLES:
                await stage.caught_up()
                stage.go_on()
                await getattr(troubles, name)()
                await stage.all_in()
                await stage.presence_is_right()
            await stage.check()

    asyncio.run(play())
