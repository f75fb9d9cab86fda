"""Several servers of one kind as the nodes of a cluster, or one alone, and what each of them uses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.versus.machine import PATIENCE, Cores, Process, Usage
from bench.versus.meter import MICRO, Figures, Meter
from bench.versus.servers import NODE_NAME, Server, delete_queues, started
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import Redis

CLASSIC, SHARDED = "classic", "sharded"
_COUNTED = {
    CLASSIC: ("NUMSUB", "socket.io-request#/#"),
    SHARDED: ("SHARDNUMSUB", "socket.io#/#"),
}
"""How Redis tells the number of nodes: by the channel that each of them subscribes to."""

ALONE = "alone"
"""Without Redis."""


@dataclass(frozen=True)
class Ground:
    """What all clusters of a run stand on, one after another."""

    cores: Cores
    broker: RabbitMQ
    redis: Redis
    directory: Path
    log_level: str


@dataclass(frozen=True)
class Layout:
    """How many nodes there are and how they talk: `CLASSIC`, `SHARDED`, or one `ALONE`.

    `options` are those of rtwist. The nodes share one core unless they are `spread` over all.
    """

    nodes: int = 2
    protocol: str = CLASSIC
    options: tuple[str, ...] = ()
    spread: bool = False
    members: int = 0
    """How many Redis is to count, where that is not the number of nodes."""


class Together:
    """Several processes as if they were one."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes

    def usage(self) -> Usage:
        """See `Process`."""
        each = [process.usage() for process in self._processes]
        return Usage(sum(one.cpu for one in each), sum(one.user for one in each), time.monotonic())


class ClusterMeter:
    """Measures all nodes together, each of them by its number from 1, and Redis."""

    def __init__(self, nodes: Sequence[Process], redis: Process, cores: Cores) -> None:
        self._nodes = nodes
        self._redis = redis
        self._meter = Meter(Together(nodes), cores)

    def measure(self, action: Callable[[], int]) -> Figures:
        """As `Meter` does; `capacity` is what came to the second if each node had a core of its own."""
        parts = [*self._nodes, self._redis]
        before = [process.cpu() for process in parts]
        figures = self._meter.measure(action)
        used = [process.cpu() - start for process, start in zip(parts, before, strict=True)]
        each = [seconds / figures["units"] * MICRO for seconds in used]
        figures |= {f"node {number} cpu": cost for number, cost in enumerate(each[:-1], 1)}
        return {**figures, "redis cpu": each[-1], "capacity": MICRO / max(each[:-1])}


@contextmanager
def running(name: str, layout: Layout, ground: Ground) -> Iterator[list[Server]]:
    """The nodes, of which the first consumes, once each knows the others; Redis is empty at first."""
    ground.redis.cli("FLUSHALL")
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(
                started(
                    name,
                    ground.broker,
                    ground.directory / f"{name}-{number}.log",
                    ground.log_level,
                    pinned=list if layout.spread else ground.cores.pinned,
                    environment=_environment(layout, ground),
                    options=_options(name, layout),
                )
            )
            for number in range(1, layout.nodes + 1)
        ]
        if layout.protocol != ALONE:
            _wait_until_counted(ground.redis, layout)
        yield nodes
    delete_queues(ground.broker)


def _environment(layout: Layout, ground: Ground) -> Mapping[str, str]:
    if layout.protocol == ALONE:
        return {}
    return {"REDIS_URL": ground.redis.url, "CLUSTER": layout.protocol}


def _options(name: str, layout: Layout) -> Sequence[str]:
    if name == NODE_NAME:
        return ()
    sharded = ("--cluster", "sharded") if layout.protocol == SHARDED else ()
    return (*sharded, *layout.options)


def _wait_until_counted(redis: Redis, layout: Layout) -> None:
    how, channel = _COUNTED[layout.protocol]
    wanted = str(layout.members or layout.nodes)
    deadline = time.monotonic() + PATIENCE
    while redis.cli("PUBSUB", how, channel).split()[-1] != wanted:
        if time.monotonic() > deadline:
            raise TimeoutError(f"Redis does not count {wanted} nodes")
        time.sleep(0.05)
