"""What this node subscribes to at Redis, brought to each new connection, and whether it is really heard."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from rtwist.errors import RedisError, RedisLost, RedisRefused, RedisReplyError
from rtwist.redis.wire import SubscriberWire

Heard = Callable[[str, bytes], None]
"""Takes the channel and the message."""

CHANNEL, PATTERN, SHARD = b"message", b"pmessage", b"smessage"
_COMMANDS = {
    CHANNEL: ("SUBSCRIBE", "UNSUBSCRIBE"),
    PATTERN: ("PSUBSCRIBE", "PUNSUBSCRIBE"),
    SHARD: ("SSUBSCRIBE", "SUNSUBSCRIBE"),
}
_AT_ONCE = 500
"""How many subscriptions are under way at a time while all of them are brought to a new connection."""


class Subscriptions:
    """Who hears which channels, patterns and shard channels; one hearer for each.

    `echo` is a channel of this node alone, `echoed` is called with what comes by it. `unreadable` counts the
    messages of channels whose names are not UTF-8.
    """

    _log = Logger()

    def __init__(self, echoed: Callable[[bytes], None], prefix: str) -> None:
        self.echo = f"{prefix}{token_hex(8)}"
        self.unreadable = 0
        self._heard: dict[bytes, dict[bytes, tuple[str, Heard]]] = {CHANNEL: {}, PATTERN: {}, SHARD: {}}
        self._wire: SubscriberWire | None = None
        self.add(CHANNEL, self.echo, lambda _, message: echoed(message))

    def add(self, kind: bytes, name: str, heard: Heard) -> None:
        """Have `heard` called with each message of `name` from now on."""
        key = name.encode()
        new = key not in self._heard[kind]
        self._heard[kind][key] = (name, heard)
        if new and self._wire is not None:
            self._subscribe(self._wire, kind, key)

    def remove(self, kind: bytes, name: str) -> None:
        """Hear no more of `name`, if it was heard."""
        if self._heard[kind].pop(name.encode(), None) is not None and self._wire is not None:
            self._wire.call(_COMMANDS[kind][1], name).addErrback(_trap_redis)

    def message(self, push: list[Any]) -> None:
        """Redis brings a message."""
        kind = push[0]
        found = self._heard[kind].get(push[1])
        if found is None:  # unsubscribed a moment ago
            return
        name, heard = found
        if kind == PATTERN:
            try:
                name = push[2].decode()
            except UnicodeDecodeError:
                self.unreadable += 1
                return
        heard(name, push[-1])

    async def bring_to(self, wire: SubscriberWire) -> None:
        """Subscribe to everything on a new connection; raises `RedisLost` when Redis does not let us."""
        self._wire = wire
        wanted = [(kind, key) for kind, names in self._heard.items() for key in names]
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            still = [(kind, key) for kind, key in some if key in self._heard[kind]]
            await gatherResults([self._subscribe(wire, *each) for each in still], consumeErrors=True)
            if wire.reason is not None:
                raise wire.reason
        await self.count(wire)

    async def count(self, wire: SubscriberWire) -> None:
        """Raise `RedisLost` unless Redis counts as many subscriptions of this connection as there are."""
        await self._count(wire, CHANNEL, self.echo.encode(), (CHANNEL, PATTERN))
        for key in tuple(self._heard[SHARD])[:1]:
            await self._count(wire, SHARD, key, (SHARD,))

    async def _count(self, wire: SubscriberWire, kind: bytes, key: bytes, kinds: tuple[bytes, ...]) -> None:
        # Subscribing again changes nothing, and the answer tells the number of all.
        expected = sum(len(self._heard[each]) for each in kinds)
        answer = await wire.must(_COMMANDS[kind][0], key)
        if answer[-1] != expected:
            raise RedisLost(f"{wire.where} counts {answer[-1]} subscriptions, and there are {expected}")

    def _subscribe(self, wire: SubscriberWire, kind: bytes, key: bytes) -> Deferred[Any]:
        def refused(failure: Failure) -> None:
            failure.trap(RedisError)
            if failure.check(RedisReplyError):
                wire.fail(RedisRefused(f"{command} {key.decode()!r} at {wire.where}: {failure.value}"))
            elif not failure.check(RedisLost):
                wire.fail(RedisLost(f"{command} {key.decode()!r} at {wire.where}: {failure.value}"))

        command = _COMMANDS[kind][0]
        return wire.call(command, key).addErrback(refused)


def _trap_redis(failure: Failure) -> None:
    failure.trap(RedisError)
