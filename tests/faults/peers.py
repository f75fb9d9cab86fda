"""Light clients that stay: each keeps a history of what it heard, and comes back when it is cut off."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from tests.faults.checker import Connection, History, Received
from tests.faults.traffic import Identity, number_in
from tests.leaks.peers import Gone, WebSocket
from tests.service.peers import token

PATIENCE = 120.0
FIRST_DELAY, LONGEST_DELAY = 0.1, 0.5
"""Seconds before it comes back, doubled each time, half as much more or less by chance: `reconnectionDelay`."""


class Channel(Protocol):
    """What a client speaks through, once it is open: packets as text."""

    def say(self, text: str) -> None: ...

    async def hear(self) -> str: ...

    async def hear_until(self, start: str) -> str: ...

    def abort(self) -> None: ...


class Peer:
    """One client. `life` tells which life of the server it is connected to, `open_to` reaches it at a port."""

    def __init__(
        self,
        name: str,
        port: int,
        identity: Identity,
        open_to: Callable[[int], Awaitable[Channel]] = WebSocket.open,
    ) -> None:
        self.history = History(name, identity.rooms)
        self.heard: set[tuple[int, str]] = set()
        self.is_in = asyncio.Event()
        self.faults: list[str] = []
        self.life = 0
        self._open_to = open_to
        self._port = port
        self._identity = identity
        self._token = token(identity.user, identity.company, *identity.shops, role=identity.role, lifetime=3600)

    async def run(self) -> None:
        """Be a client until cancelled."""
        attempts = 0
        while True:
            with contextlib.suppress(Gone, OSError):
                channel = await self._open_to(self._port)
                try:
                    await self._stay(channel)
                finally:
                    with contextlib.suppress(OSError):  # it is closed already
                        channel.abort()
                    attempts = 0 if self.is_in.is_set() else attempts
                    self.is_in.clear()
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2**attempts)
            attempts += 1
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))

    async def _stay(self, channel: Channel) -> None:
        channel.say("40" + json.dumps({"token": self._token}))
        await channel.hear_until("40{")
        asked = [
            *(("subscribe_order", str(number)) for number in self._identity.orders),
            *(("subscribe_inventory", str(number)) for number in self._identity.products),
        ]
        for number, request in enumerate(asked):
            channel.say(f"42{number}{json.dumps(request)}")
        connection = Connection(self.life, time.monotonic())
        self.history.connections.append(connection)
        try:
            await self._listen(channel, connection, len(asked))
        finally:
            connection.ended = time.monotonic()

    async def _listen(self, channel: Channel, connection: Connection, missing: int) -> None:
        if not missing:
            self._settle(connection)
        while True:
            text = await channel.hear()
            if text.startswith("43"):
                self._check_answer(text)
                missing -= 1
                if not missing:
                    self._settle(connection)
            elif text.startswith("42"):
                self._keep(connection, *json.loads(text[2:]))
            elif text[0] in "14":
                raise Gone(text)

    def _settle(self, connection: Connection) -> None:
        connection.settled = time.monotonic()
        self.is_in.set()

    def _check_answer(self, text: str) -> None:
        (answer,) = json.loads(text[text.index("[") :])
        if answer["success"] is not True and answer["error"]["code"] != "forbidden":
            self.faults.append(text)

    def presence(self, name: str, data: dict[str, object]) -> None:
        """News of who comes and goes, which are not part of the history."""

    def _keep(self, connection: Connection, name: str, data: dict[str, object]) -> None:
        if name.startswith("presence:"):
            self.presence(name, data)
        if name == "connected" or name.startswith("presence:"):
            return
        number = number_in(name, data)
        connection.received.append(Received(time.monotonic(), number, name))
        self.heard.add((number, name))


class Crowd:
    """All clients, in one event loop."""

    def __init__(self, port: int, identities: Sequence[Identity]) -> None:
        self.peers = [Peer(f"{number} {each.user}", port, each) for number, each in enumerate(identities)]
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def histories(self) -> list[History]:
        return [peer.history for peer in self.peers]

    @property
    def heard(self) -> int:
        """How many different emissions have come, in all."""
        return sum(len(peer.heard) for peer in self.peers)

    async def enter(self) -> None:
        """Connect all; return once each has what it asked for."""
        self._tasks = [asyncio.ensure_future(peer.run()) for peer in self.peers]
        await self.all_in()

    async def all_in(self) -> None:
        """Return once each is connected and has what it asked for."""
        for peer in self.peers:
            await asyncio.wait_for(peer.is_in.wait(), PATIENCE)

    def heard_of_now(self) -> set[int]:
        """The numbers of the events that came in this life of the server."""
        connections = [peer.history.connections[-1] for peer in self.peers]
        return {received.number for connection in connections for received in connection.received}

    def next_life(self) -> None:
        """The server was killed: what comes from now on comes from another one."""
        for peer in self.peers:
            peer.life += 1
            peer.is_in.clear()

    async def leave(self) -> None:
        """Close all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
