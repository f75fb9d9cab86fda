"""Lua scripts at Redis: what is read and what is written are one step."""

from __future__ import annotations

from hashlib import sha1
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred

from rtwist.errors import StoreFailed


class Redis(Protocol):
    """What the stores need of a connection to Redis."""

    def call(self, *args: Any) -> Deferred[Any]:
        """Send one command; fails at once while Redis is away. Strings come as bytes."""

    def flush(self) -> None:
        """Hand what was sent to the operating system now, and not in the reactor's next turn."""


class Script:
    """A script that is sent in full only when Redis does not know it.

    All its keys begin with the one it is called with, which holds a hash tag, so that they share a slot.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._digest = sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def run(self, redis: Redis, key: str, *args: str | bytes | float, at_once: bool = False) -> Any:
        """Run it with `key` as KEYS[1]; returns what it answers. Raises `StoreFailed` when Redis refuses.

        `at_once` saves time where one call is not followed by others.
        """
        try:
            return await ask(redis, "EVALSHA", self._digest, 1, key, *args, at_once=at_once)
        except StoreFailed as error:
            if "NOSCRIPT" not in str(error):
                raise
            return await ask(redis, "EVAL", self._source, 1, key, *args)


async def ask(redis: Redis, *args: Any, at_once: bool = False) -> Any:
    """What Redis answers to one command; raises `StoreFailed` when it refuses, or is away."""
    try:
        answer = redis.call(*args)
        if at_once:
            redis.flush()
        return await answer
    except CancelledError:
        raise
    except Exception as error:  # whatever the client library makes of an error reply
        raise StoreFailed(f"Redis: {error}") from error


NOW = """
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
"""
"""Sets `now` to ARGV[1], or to the milliseconds by Redis' clock when that is empty: nodes' clocks may differ."""
