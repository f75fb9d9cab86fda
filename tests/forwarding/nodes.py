"""Several nodes that know each other, each of one or more processes, at one Redis."""

from __future__ import annotations

import json
import time
from types import TracebackType

from tests.support.redis import Redis
from tests.workers.cluster import POLLING, Cluster, Connection, get, poll, post, who

_SECONDS = 30.0


class Node(Cluster):
    """One of them."""

    def knows(self, others: int) -> None:
        """Return once each of its processes knows that many other nodes."""
        end = time.monotonic() + _SECONDS
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
        self.kill()


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


def polled(connection: Connection, sid: str) -> str:
    """The packets of the next answer with any but pings."""
    status, body = connection.ask(poll(sid))
    assert status == 200, body
    return body if body != "2" else ""


__all__ = ["POLLING", "Connection", "Node", "Nodes", "get", "json", "poll", "polled", "post", "who"]
