"""What carries messages between nodes: the seam, and its twin in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Protocol

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from rtwist.errors import BusCut

Heard = Callable[[str, bytes], None]
"""Takes the channel and the message."""


class Bus(Protocol):
    """Messages by channel, to all who subscribe to it at that moment, the publisher's own node among them.

    Messages of one node arrive in the order they were published. Whoever is cut off misses what is published
    meanwhile, and hears again afterwards without subscribing anew.
    """

    def publish(self, channel: str, message: bytes) -> bool:
        """Send `message`; whether it was taken over. Else, as when too much waits, it is dropped and counted."""

    def subscribe(self, channel: str, heard: Heard) -> None:
        """Call `heard` with each message of `channel` from now on; once for each channel."""

    def subscribe_pattern(self, pattern: str, heard: Heard) -> None:
        """The same for all channels that match a glob-style `pattern`."""

    def unsubscribe(self, channel: str) -> None:
        """Hear no more of `channel`, a name or a pattern."""

    async def subscribers(self, channel: str) -> int:
        """How many nodes subscribe to `channel`, by its name; `RtwistError` from who is cut off."""

    @property
    def connected(self) -> bool:
        """Whether what is published now can be sent."""

    @property
    def position(self) -> int:
        """How many messages were given to `publish` so far, dropped ones among them."""

    def settled(self, since: int) -> Deferred[None]:
        """Fires when all that was published up to now is on its way to the other nodes.

        Fails with `RtwistError` when one of those behind the position `since` was dropped, or may be lost.
        """

    async def synced(self) -> None:
        """Return once this node has heard all that was published before this call.

        Raises `RtwistError` when this node is cut off, or was while it waited.
        """


class MemoryHub:
    """Joins the buses of several nodes in one process: each message arrives in a turn of its own."""

    def __init__(self, clock: IReactorTime) -> None:
        self.buses: list[MemoryBus] = []
        self._clock = clock
        self._waiting: deque[tuple[str, bytes] | Deferred[None]] = deque()

    def send(self, channel: str, message: bytes) -> None:
        """Have all buses hear `message` with the next turn."""
        self._waiting.append((channel, message))
        self._clock.callLater(0, self._deliver)

    def passed(self) -> Deferred[None]:
        """Fires once all that was sent has been heard."""
        passed: Deferred[None] = Deferred()
        self._waiting.append(passed)
        self._clock.callLater(0, self._deliver)
        return passed

    def _deliver(self) -> None:
        waiting = self._waiting.popleft()
        if isinstance(waiting, Deferred):
            waiting.callback(None)
            return
        channel, message = waiting
        for bus in tuple(self.buses):
            bus.hear(channel, message)


class MemoryBus:
    """The bus of one node at a `MemoryHub`; `connected` can be taken away and given back.

    One that is `deaf` hears nothing, though what it publishes goes out.
    """

    def __init__(self, hub: MemoryHub) -> None:
        self.connected = True
        self.deaf = False
        self._missed = 0
        self.position = 0
        self._failed = 0
        self._hub = hub
        self._channels: dict[str, Heard] = {}
        self._patterns: dict[str, Heard] = {}
        hub.buses.append(self)

    def publish(self, channel: str, message: bytes) -> bool:
        """See `Bus`."""
        self.position += 1
        if self.connected:
            self._hub.send(channel, message)
        else:
            self._failed = self.position
        return self.connected

    def settled(self, since: int) -> Deferred[None]:
        """See `Bus`."""
        if self._failed > since:
            return fail(BusCut("a message was dropped while this node was cut off"))
        return succeed(None)

    async def synced(self) -> None:
        """See `Bus`."""
        missed = self._missed
        await self._hub.passed()
        if self.deaf or not self.connected or self._missed != missed:
            raise BusCut("this node is cut off, or was")

    def subscribe(self, channel: str, heard: Heard) -> None:
        """See `Bus`."""
        self._channels[channel] = heard

    def subscribe_pattern(self, pattern: str, heard: Heard) -> None:
        """See `Bus`."""
        self._patterns[pattern] = heard

    def unsubscribe(self, channel: str) -> None:
        """See `Bus`."""
        self._channels.pop(channel, None)
        self._patterns.pop(channel, None)

    async def subscribers(self, channel: str) -> int:
        """See `Bus`."""
        if not self.connected:
            raise BusCut("this node is cut off")
        return sum(bus.connected and channel in bus._channels for bus in self._hub.buses)

    def hear(self, channel: str, message: bytes) -> None:
        """The hub brings a message."""
        if self.deaf or not self.connected:
            self._missed += 1
            return
        heard = self._channels.get(channel)
        if heard is not None:
            heard(channel, message)
        for pattern, heard_too in tuple(self._patterns.items()):
            if fnmatchcase(channel, pattern):
                heard_too(channel, message)
