"""What happens to the cluster while events are published; each returns once all of it runs again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.cluster_faults.cast import Node
from tests.cluster_faults.stage import Stage

DEAD = 3.0
"""Seconds that something that was killed stays away."""
PAUSE = 20.0
PARTITION = 12.0


class Troubles:
    """On this stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.cast = stage.cast

    async def consumer_killed(self) -> None:
        """`kill -9` of the node that has the queue."""
        await self._kill(await self.cast.consumer())

    async def other_node_killed(self) -> None:
        """`kill -9` of a node that does not."""
        await self._kill(await self._other())

    async def redis_killed(self) -> None:
        """`kill -9` of Redis, which has what it confirmed in its file."""
        redis = self.cast.redis
        async with self._redis_away():
            await asyncio.to_thread(redis.kill)
            await asyncio.sleep(DEAD)
            await asyncio.to_thread(redis.start)
            await self.stage.all_ready()

    async def redis_connections_killed(self) -> None:
        """CLIENT KILL of all subscribers, then of all others, again and again."""
        async with self._redis_away():
            for kind in ("pubsub", "normal", "pubsub", "normal", "pubsub"):
                await asyncio.to_thread(self.cast.redis.cli, "CLIENT", "KILL", "TYPE", kind)
                await asyncio.sleep(1.5)
            await self.stage.all_ready()

    async def redis_paused(self) -> None:
        """Redis answers nobody for a while, then goes on where it was."""
        redis = self.cast.redis
        async with self._redis_away():
            redis.signal(signal.SIGSTOP)
            await asyncio.sleep(PAUSE)
            redis.signal(signal.SIGCONT)
            await self.stage.all_ready()

    async def other_node_cut_off(self) -> None:
        """A partition of a node that does not have the queue from Redis and RabbitMQ."""
        await self._cut_off(await self._other())

    async def consumer_cut_off(self) -> None:
        """The same of the node that has it."""
        await self._cut_off(await self.cast.consumer())

    async def all_restarted(self) -> None:
        """A rolling restart: one node after the other stops as its supervisor asks, and starts again."""
        for node in self.cast.nodes:
            assert await node.end(signal.SIGTERM) == 0
            await node.start()
            await self.stage.all_ready()
        async with self._redis_away():
            await self.cast.restart_server()

    # Within

    async def _other(self) -> Node:
        consumer = await self.cast.consumer()
        return next(node for node in self.cast.nodes if node is not consumer)

    async def _kill(self, node: Node) -> None:
        assert await node.end(signal.SIGKILL) == -signal.SIGKILL
        await asyncio.sleep(DEAD)
        await node.start()
        await self.stage.all_ready()

    async def _cut_off(self, node: Node) -> None:
        for gate in node.gates:
            gate.hold()
            gate.refuse()
        await asyncio.sleep(PARTITION)
        for gate in node.gates:
            await gate.accept()
            gate.release()
        await self.stage.all_ready()

    @asynccontextmanager
    async def _redis_away(self) -> AsyncIterator[None]:
        begin = time.monotonic()
        yield
        self.stage.away.append((begin, time.monotonic()))
