"""The nodes of a cluster with their clients, and what the nodes use while something happens."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

from bench.cluster.nodes import ClusterMeter
from bench.cluster.primitives import memory_used
from bench.versus import dialogues
from bench.versus.events import notice
from bench.versus.machine import Cores, Process
from bench.versus.meter import Figures
from bench.versus.publisher import Publisher
from bench.versus.servers import Server
from bench.versus.stage import Scale, Stage
from tests.support.redis import Redis


class Scene(Stage):
    """A stage of several nodes, numbered from 1; events come in at the first."""

    def __init__(
        self, nodes: Sequence[Server], redis: Redis, publisher: Publisher, cores: Cores, scale: Scale
    ) -> None:
        super().__init__(nodes[0], publisher, cores, scale)
        self.nodes = nodes
        self._redis = redis
        self.measure = ClusterMeter([node.process for node in nodes], Process(redis.pid), cores).measure

    def connect_at(
        self, numbers: Sequence[int], prefix: str, count: int, product: str | None = None
    ) -> list[dialogues.Client]:
        """So many more clients by WebSocket, at these nodes by turns; subscribed to a product if one is given."""
        ports = itertools.cycle([self.nodes[number - 1].port for number in numbers])
        users = self.tokens(prefix, count)
        talks = (dialogues.websocket(port, *one, product) for port, one in zip(ports, users, strict=False))
        clients: list[dialogues.Client] = self.crowd.talk(talks)
        return clients

    def subscribe(self, clients: Sequence[dialogues.Client], product: str) -> None:
        """Put these into the room of a product."""
        self.crowd.talk(dialogues.asked(client, "subscribe_inventory", product) for client in clients)

    def open_files(self) -> int:
        """How many files all nodes have open."""
        return sum(node.process.open_files() for node in self.nodes)

    def rest(self) -> None:
        """Return once no node has anything to do."""
        for node in self.nodes:
            node.process.rest()

    def drained(self, users: Sequence[str], events: int) -> Figures:
        """Events to these users by turns, from a full queue; a tenth as many before, which do not count."""
        coming = itertools.cycle(users)
        for count in (events // 10, events):
            self.rest()
            notices = [notice(user, number) for number, user in zip(range(count), coming, strict=False)]
            figures = self.measure(self.drain(notices, count))
        return figures

    def unheard(self, listener: str, events: int) -> Figures:
        """Events for users who are not there, and one at the end for `listener`, from a full queue."""
        for count in (events // 10, events):
            self.rest()
            notices = [notice(f"absent{number:06d}", number) for number in range(count)]
            figures = self.measure(self.drain([*notices, notice(listener, 0)], 1))
        return figures

    def connected(self, numbers: Sequence[int], prefix: str, count: int) -> Figures:
        """What it costs when users come by WebSocket, and how many bytes Redis keeps for each."""
        self.rest()
        before = memory_used(self._redis)
        figures = self.measure(lambda: len(self.connect_at(numbers, prefix, count)))
        self.rest()
        return {**figures, "redis bytes": (memory_used(self._redis) - before) / count}

    def listen(self, seconds: float) -> None:
        """Hear whatever comes for so long, and answer heartbeats."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.crowd.receive(left)
