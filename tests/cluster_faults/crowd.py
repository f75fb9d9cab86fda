"""Raw clients in a process of their own: python -m tests.cluster_faults.crowd SEATS HISTORIES, both pickles.

Prints how they are whenever that has changed, as JSON: how many are `in`, and the number of the last event for
everyone that each of these has heard, `told`. On SIGTERM they leave, and what they heard goes to HISTORIES.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.cluster_faults.polled import Polled
from tests.faults.checker import Connection, History
from tests.faults.peers import Peer
from tests.faults.traffic import Identity
from tests.leaks.peers import WebSocket

TRANSPORTS = {"websocket": WebSocket.open, "polling": Polled.open}
FOR_EVERYONE = "announcement:new"
REPORT = 0.25
"""Seconds between two looks at how they are."""
AT_ONCE = 40
"""Clients that begin in each of them."""


class Seat(NamedTuple):
    """A client to be: `port` is where it connects, whoever answers there."""

    name: str
    identity: Identity
    transport: str
    port: int


class News(NamedTuple):
    """A user came (`online`) or went at `at` seconds of the clock that all processes share."""

    at: float
    online: bool
    user: str


class Heard(NamedTuple):
    """What the clients of a process heard."""

    histories: list[History]
    presence: dict[str, list[News]]
    faults: list[str]


class Stayer(Peer):
    """One client, which also keeps the news of who comes and goes."""

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat.name, seat.port, seat.identity, TRANSPORTS[seat.transport])
        self.news: list[News] = []
        self.told = -1

    def presence(self, name: str, data: dict[str, Any]) -> None:
        """See `Peer`."""
        self.news.append(News(time.monotonic(), name == "presence:online", data["userId"]))

    def _keep(self, connection: Connection, name: str, data: dict[str, Any]) -> None:
        super()._keep(connection, name, data)
        if name == FOR_EVERYONE:
            self.told = connection.received[-1].number


async def stay(seats: list[Seat]) -> Heard:
    """Be these clients until SIGTERM."""
    peers = [Stayer(seat) for seat in seats]
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    tasks: list[asyncio.Task[None]] = []
    last = ""
    while not over.is_set():
        tasks += (asyncio.ensure_future(peer.run()) for peer in peers[len(tasks) : len(tasks) + AT_ONCE])
        present = [peer for peer in peers if peer.is_in.is_set()]
        report = json.dumps({"in": len(present), "told": min((peer.told for peer in present), default=-1)})
        if report != last:
            print(report, flush=True)  # noqa: T201
            last = report
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(over.wait(), REPORT)
    leaving = time.monotonic()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for peer in peers:
        for connection in peer.history.connections:
            connection.left = leaving
    return Heard(
        [peer.history for peer in peers],
        {peer.history.client: peer.news for peer in peers},
        [fault for peer in peers for fault in peer.faults],
    )


def main() -> None:
    """Read who they are, and write what they heard."""
    heard = asyncio.run(stay(pickle.loads(Path(sys.argv[1]).read_bytes())))  # noqa: S301 - the test wrote it
    Path(sys.argv[2]).write_bytes(pickle.dumps(heard))


if __name__ == "__main__":
    from tests.cluster_faults import crowd  # noqa: PLW0406

    crowd.main()  # so that its classes have the names by which others find them
