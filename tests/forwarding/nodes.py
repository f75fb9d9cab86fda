"""Several nodes that know each other, each of one or more processes, at one Redis."""

from __future__ import annotations

import os
import signal
import time
from types import TracebackType

from rtwist.cluster.directory import directory_limits
from rtwist.cluster.redisrecords import RedisRecords
from tests.cluster.stores import DirectRedis, result
from tests.support.redis import Redis
from tests.workers.cluster import Cluster, who
from tests.workers.program import CHANNEL, LEASE

_SECONDS = 30.0


class Node(Cluster):
    """One of them."""

    def knows(self, others: int, seconds: float = _SECONDS) -> None:
        """Return once each of its processes knows that many other nodes."""
        end = time.monotonic() + seconds
        for worker in range(self.workers):
            while who(self.to(worker))["nodes"] != others:
                assert time.monotonic() < end, f"worker {worker} does not know {others} nodes"
                time.sleep(0.05)

    def state(self) -> dict[str, int]:
        """What its first worker says of itself."""
        return who(self.to(0))

    def becomes(self, name: str, value: int) -> None:
        """Return once what its first worker says of itself is that."""
        end = time.monotonic() + _SECONDS
        while (found := self.state()[name]) != value:
            assert time.monotonic() < end, f"{name} is {found}, not {value}"
            time.sleep(0.05)

    def crash(self) -> None:
        """All its processes end without a word."""
        pids = [self.pid(worker) for worker in range(self.workers)]
        # It would start others in their place.
        self.program.process.send_signal(signal.SIGSTOP)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.kill()
        self.program.process.wait()


class Nodes:
    """`count` of them."""

    def __init__(self, count: int = 2, workers: int = 1, **env: str) -> None:
        self.redis = Redis()
        self.redis.start()
        env = {"NODES_REDIS": str(self.redis.port), **env}
        self.nodes = [Node(workers, **env) for _ in range(count)]

    def __getitem__(self, number: int) -> Node:
        return self.nodes[number]

    def __enter__(self) -> Nodes:
        try:
            for node in self.nodes:
                node.wait()
                node.program.wait_for_port(node.port)
                node.knows(len(self.nodes) - 1)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        try:
            for node in self.nodes:
                node.close()
        finally:
            self.redis.stop()

    def announce(self, mark: str, text: str, seconds: float = _SECONDS) -> None:
        """Say in the name of a node that is none where it is; all others have heard it on return."""
        redis = DirectRedis(self.redis.port)
        records = RedisRecords(redis, "test-nodes", directory_limits(LEASE), CHANNEL)
        known = self.nodes[0].state()["nodes"]
        result(records.put([(mark, text.encode())]))
        redis.close()
        for node in self.nodes:
            node.knows(known + 1, seconds)
