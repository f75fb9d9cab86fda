"""One server, its clients and the publisher, and what the server uses while something happens."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bench.versus import dialogues
from bench.versus.crowd import Crowd
from bench.versus.events import stock, written
from bench.versus.figures import percentiles
from bench.versus.machine import PATIENCE, Cores
from bench.versus.meter import Figures, Meter
from bench.versus.publisher import Event, Publisher
from bench.versus.servers import RTWIST, Server, token

Arrivals = list[tuple[float, int]]
"""Seconds from publication to arrival, and of how many messages."""


@dataclass(frozen=True)
class Scale:
    """How much of everything; times in seconds."""

    users: int
    warm_connects: int
    upgrades: int
    drained: int
    unheard: int
    offered_seconds: float
    fan_seconds: float
    probes: int
    rooms: int


FULL = Scale(10_000, 500, 1_000, 30_000, 60_000, 10.0, 4.0, 500, 100_000)
QUICK = Scale(1_000, 100, 150, 4_000, 8_000, 2.0, 0.8, 100, 5_000)
RATE = 2_000
ROOM, POLLERS, SMALL_ROOM, BURST = 1_000, 200, 100, 50


class Stage:
    """`measure` runs an action and returns what it has cost the server, as `Meter` does."""

    def __init__(self, server: Server, publisher: Publisher, cores: Cores, scale: Scale) -> None:
        self.server = server
        self.publisher = publisher
        self.scale = scale
        self.crowd = Crowd()
        self.measure = Meter(server.process, cores).measure
        self._numbers = itertools.count(1)

    def tokens(self, prefix: str, count: int) -> Iterator[tuple[str, str]]:
        """Users and their tokens, made before they are needed."""
        users = [f"{prefix}{number:06d}" for number in range(count)]
        return iter([(user, token(user)) for user in users])

    def connect(self, prefix: str, count: int, product: str | None = None) -> list[dialogues.Client]:
        """So many more clients by WebSocket, subscribed to a product if one is given."""
        port = self.server.port
        talks = (dialogues.websocket(port, *one, product) for one in self.tokens(prefix, count))
        clients: list[dialogues.Client] = self.crowd.talk(talks)
        return clients

    def leave(self, some: Iterable[dialogues.Client] | None = None) -> None:
        """Close these clients or all, and return when the server has nothing more to do with them."""
        gone = list(self.crowd.everybody() if some is None else some)
        files = self.open_files() - len(gone)
        self.crowd.close(gone)
        deadline = time.monotonic() + PATIENCE
        while self.open_files() > files and time.monotonic() < deadline:
            time.sleep(0.02)
        self.rest()

    def open_files(self) -> int:
        """How many files the server has open."""
        return self.server.process.open_files()

    def rest(self) -> None:
        """Return once the server has nothing to do."""
        self.server.process.rest()

    def collect(self) -> None:
        """Have a peer give back what it can; rtwist is taken as it is."""
        if self.server.name != RTWIST:
            os.kill(self.server.process.pid, signal.SIGUSR2)
        self.server.process.rest()

    def drain(self, events: list[Event], heard: int) -> Callable[[], int]:
        """Fill the queue with `events` while the server stands still; the action that lets it take them.

        The action ends when `heard` messages have come.
        """
        self.server.process.rest()
        self.server.process.pause()
        try:
            self.publisher.publish_confirmed(written(events))
        except BaseException:
            self.server.process.resume()
            raise
        self.crowd.learn_size()

        def action() -> int:
            self.server.process.resume()
            self.crowd.expect(heard)
            return len(events)

        return action

    def fan_out(self, product: str, receivers: int, *, burst: int = 1) -> Figures:
        """Events to all subscribers of `product`, the next burst when the last has come to all."""
        arrivals: Arrivals = []
        self.crowd.learn_size()
        self._fan_out_for(self.scale.fan_seconds / 4, product, receivers, burst, arrivals)
        arrivals.clear()
        figures = self.measure(
            lambda: self._fan_out_for(self.scale.fan_seconds, product, receivers, burst, arrivals)
        )
        return {**figures, **percentiles(arrivals)}

    def _fan_out_for(self, seconds: float, product: str, receivers: int, burst: int, arrivals: Arrivals) -> int:
        deadline, delivered = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            events = [stock(product, number) for number in itertools.islice(self._numbers, burst)]
            published = time.monotonic()

            def heard(count: int, now: float, published: float = published) -> None:
                arrivals.append((now - published, count))

            self.publisher.publish(events)
            self.crowd.expect(receivers * burst, heard)
            delivered += receivers * burst
        return delivered
