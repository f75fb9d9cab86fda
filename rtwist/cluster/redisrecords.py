"""Shared records at Redis."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from itertools import count

from rtwist.cluster.records import DEFAULT_PAGE, Page, Record, RecordLimits
from rtwist.cluster.scripts import NOW, Redis, Script

EPOCH = """
redis.call('SET', KEYS[1] .. 'epoch', ARGV[2], 'NX')
local epoch = redis.call('GET', KEYS[1] .. 'epoch')
"""

PUT_COMMON = """
local serials, values, state = KEYS[1] .. 'serials', KEYS[1] .. 'values', KEYS[1] .. 'state'
local channel, publish = ARGV[3], ARGV[4]
local size, seconds, idle = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local last = tonumber(redis.call('HGET', state, 'last') or now)
local age = tonumber(redis.call('HGET', state, 'age') or 0) + math.min(math.max(now - last, 0), idle)
redis.call('HSET', state, 'last', now, 'age', string.format('%.0f', age))
"""
"""Reads what `RedisRecords._put_common` gives, and sets the `age` of what is put now."""

FORGET_IDS = """
local count = redis.call('ZCARD', serials)
while count > 0 do
  local oldest = redis.call('ZRANGE', serials, 0, 0)[1]
  local put_at = tonumber(string.match(redis.call('HGET', values, oldest) or '', '^%d+') or 0)
  if count <= size and age - put_at < seconds then break end
  redis.call('ZREM', serials, oldest)
  redis.call('HDEL', values, oldest)
  count = count - 1
end
"""

_PUT = Script(
    NOW
    + EPOCH
    + PUT_COMMON
    + """
local serial
for index = 8, #ARGV, 2 do
  serial = redis.call('HINCRBY', state, 'serial', 1)
  redis.call('HSET', values, ARGV[index], string.format('%.0f', age) .. ' ' .. ARGV[index + 1])
  redis.call('ZADD', serials, serial, ARGV[index])
end
"""
    + FORGET_IDS
    + """
redis.call(publish, channel, serial)
return serial
"""
)

_SINCE = Script(
    NOW
    + EPOCH
    + """
local latest = tonumber(redis.call('HGET', KEYS[1] .. 'state', 'serial') or 0)
local serial, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local found = redis.call(
  'ZRANGEBYSCORE', KEYS[1] .. 'serials', '(' .. ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', 0, most + 1)
local records = {}
for index = 1, #found, 2 do
  local value = redis.call('HGET', KEYS[1] .. 'values', found[index]) or '0 '
  table.insert(records, {tonumber(found[index + 1]), found[index], string.match(value, '^%d+ (.*)$') or ''})
end
return {epoch, latest, records}
"""
)


class RedisRecords:
    """The records below `name` of all nodes at one Redis; `now` is for tests, otherwise Redis' clock counts.

    `publish` is the command that reaches the bus: PUBLISH, or SPUBLISH when the bus is sharded.
    """

    def __init__(
        self,
        redis: Redis,
        name: str,
        limits: RecordLimits,
        channel: str,
        *,
        publish: str = "PUBLISH",
        now: Callable[[], float] | None = None,
    ) -> None:
        self._redis = redis
        self._key = f"{{{name}}}:"
        self._limits = limits
        self._channel = channel
        self._publish = publish
        self._now = now
        self._token = secrets.token_hex(8)
        self._numbers = count()

    async def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        """See `Records`."""
        if not records:
            return
        flat = [part for key, value in records for part in (key.encode(), value)]
        await _PUT.run(self._redis, self._key, *self._put_common(), *flat)

    async def since(self, serial: int) -> Page:
        """See `Records`."""
        epoch, latest, found = await _SINCE.run(self._redis, self._key, *self._common(), serial, DEFAULT_PAGE)
        records = [
            Record(number, key.decode(errors="replace"), value) for number, key, value in found[:DEFAULT_PAGE]
        ]
        more = len(found) > DEFAULT_PAGE
        return Page(epoch.decode(), records[-1].serial if more else latest, records, more)

    def _put_common(self) -> tuple[str | float, ...]:
        limits = self._limits
        idle = min(limits.idle * 1000, 2.0**52)
        bounds = (limits.size, limits.seconds * 1000, idle)
        return (*self._common(), self._channel, self._publish, *bounds)

    def _common(self) -> tuple[str, str]:
        # The second names the epoch, should Redis be empty: never a name that it had before.
        return ("" if self._now is None else str(int(self._now() * 1000)), f"{self._token}.{next(self._numbers)}")
