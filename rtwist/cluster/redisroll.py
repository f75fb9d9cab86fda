"""The roll at Redis."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec

from rtwist.cluster.roll import DEFAULT_LEASE, SWEEP_USERS, Entered, Seat
from rtwist.cluster.scripts import NOW, Redis, Script, ask

# Below KEYS[1]: `nodes` (sorted by the ends of their leases), `node:<name>` (the users there), `user:<id>` (the
# companies by node), `users` (all with a socket), `told` (the companies by user), `due` (users to settle later).
_COMMON = (
    NOW
    + """
local root, lease, channel, publish = KEYS[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local news = {}

local function wake()
  local beat = tonumber(redis.call('GET', root .. 'beat'))
  if beat and now - beat > lease / 2 then
    local alive = redis.call('ZRANGEBYSCORE', root .. 'nodes', '(0', '+inf')
    for _, node in ipairs(alive) do redis.call('ZADD', root .. 'nodes', now + lease, node) end
    if #alive > 0 then redis.call('SET', root .. 'calm', now + lease) end
  end
  redis.call('SET', root .. 'beat', now)
end

local function is_alive(node)
  local ending = tonumber(redis.call('ZSCORE', root .. 'nodes', node) or 0)
  return now < ending
end

local function is_calm()
  return now < tonumber(redis.call('GET', root .. 'calm') or 0)
end

-- What makes no sense counts as nothing: it must not keep others from being placed.
local function read(packed)
  local fine, found = pcall(cjson.decode, packed or '[]')
  local companies = {}
  for _, company in ipairs(fine and type(found) == 'table' and found or {}) do
    if type(company) == 'string' then table.insert(companies, company) end
  end
  return companies
end

local function told_of(user)
  return read(redis.call('HGET', root .. 'told', user))
end

local function unseat(node, user)
  redis.call('HDEL', root .. 'user:' .. user, node)
  if redis.call('EXISTS', root .. 'user:' .. user) == 0 then redis.call('SREM', root .. 'users', user) end
end

local function settle(user, calm)
  if calm then
    redis.call('SADD', root .. 'due', user)
    return
  end
  local present, told, came, gone, all = {}, {}, {}, {}, {}
  for _, packed in ipairs(redis.call('HVALS', root .. 'user:' .. user)) do
    for _, company in ipairs(read(packed)) do present[company] = true end
  end
  for _, company in ipairs(told_of(user)) do
    told[company] = true
    if not present[company] then table.insert(gone, company) end
  end
  for company in pairs(present) do
    table.insert(all, company)
    if not told[company] then table.insert(came, company) end
  end
  if #came + #gone == 0 then return end
  if #all == 0 then
    redis.call('HDEL', root .. 'told', user)
  else
    redis.call('HSET', root .. 'told', user, cjson.encode(all))
  end
  table.sort(came)
  table.sort(gone)
  -- An empty table would be written as an object.
  table.insert(news, {
    user = user, came = #came > 0 and came or nil, gone = #gone > 0 and gone or nil,
    first = next(told) == nil, last = #all == 0, at = now})
end

local function tell()
  if #news > 0 then redis.call(publish, channel, cjson.encode(news)) end
end
"""
)

_ENTER = Script(
    _COMMON
    + """
redis.call('SET', root .. 'epoch', ARGV[7], 'NX')
local epoch = redis.call('GET', root .. 'epoch')
local lost = ARGV[6] ~= '' and ARGV[6] ~= epoch
if lost then redis.call('SET', root .. 'calm', now + lease) end
wake()
redis.call('ZADD', root .. 'nodes', now + lease, ARGV[5])
return {epoch, lost and 1 or 0}
"""
)

_RENEW = Script(
    _COMMON
    + """
wake()
if not is_alive(ARGV[5]) then return 0 end
redis.call('ZADD', root .. 'nodes', now + lease, ARGV[5])
return 1
"""
)

_PLACE = Script(
    _COMMON
    + """
local node = ARGV[5]
wake()
if not is_alive(node) then return 0 end
local calm = is_calm()
for index = 6, #ARGV, 3 do
  local user, companies, before = ARGV[index], ARGV[index + 1], ARGV[index + 2]
  if before ~= '[]' then
    local told = {}
    for _, companies in ipairs({read(before), told_of(user)}) do
      for _, company in ipairs(companies) do told[company] = true end
    end
    local all = {}
    for company in pairs(told) do table.insert(all, company) end
    redis.call('HSET', root .. 'told', user, cjson.encode(all))
  end
  if companies == '' then
    redis.call('SREM', root .. 'node:' .. node, user)
    unseat(node, user)
  else
    redis.call('SADD', root .. 'node:' .. node, user)
    redis.call('HSET', root .. 'user:' .. user, node, companies)
    redis.call('SADD', root .. 'users', user)
  end
  settle(user, calm)
end
tell()
return 1
"""
)

_LEAVE = Script(
    _COMMON
    + """
local within = math.min(tonumber(ARGV[6]), lease)
return redis.call('ZADD', root .. 'nodes', 'XX', within > 0 and now + within or 0, ARGV[5])
"""
)

_SWEEP = Script(
    _COMMON
    + """
local most = tonumber(ARGV[5])
wake()
local calm = is_calm()
local dead = redis.call('ZRANGEBYSCORE', root .. 'nodes', '-inf', now, 'LIMIT', 0, 1)[1]
if dead then
  local users = redis.call('SPOP', root .. 'node:' .. dead, most)
  for _, user in ipairs(users) do
    unseat(dead, user)
    settle(user, calm)
  end
  if #users < most then redis.call('ZREM', root .. 'nodes', dead) end
  tell()
  return 1
end
if calm then return 0 end
for _, user in ipairs(redis.call('SPOP', root .. 'due', most)) do settle(user, false) end
tell()
return redis.call('EXISTS', root .. 'due')
"""
)


class RedisRoll:
    """The roll below `name` of all nodes at one Redis; `lease` is in seconds.

    `publish` is the command that reaches the bus: PUBLISH, or SPUBLISH when the bus is sharded. `now` is for
    tests, otherwise Redis' clock counts.
    """

    def __init__(
        self,
        redis: Redis,
        name: str,
        channel: str,
        *,
        lease: float = DEFAULT_LEASE,
        publish: str = "PUBLISH",
        now: Callable[[], float] | None = None,
    ) -> None:
        self._redis = redis
        self._key = f"{{{name}}}:"
        self._lease = int(lease * 1000)
        self._channel = channel
        self._publish = publish
        self._now = now

    async def enter(self, node: str, epoch: str) -> Entered:
        """See `Roll`."""
        known, lost = await self._run(_ENTER, node, epoch, secrets.token_hex(8))
        return Entered(known.decode(), bool(lost))

    async def renew(self, node: str) -> bool:
        """See `Roll`."""
        return bool(await self._run(_RENEW, node))

    async def place(self, node: str, seats: Sequence[Seat]) -> bool:
        """See `Roll`."""
        flat: list[str | bytes] = []
        for user_id, companies, told in seats:
            flat += (user_id, b"" if companies is None else _packed(companies), _packed(told))
        return bool(await self._run(_PLACE, node, *flat))

    async def leave(self, node: str, within: float = 0.0) -> None:
        """See `Roll`."""
        await self._run(_LEAVE, node, int(within * 1000))

    async def sweep(self) -> bool:
        """See `Roll`."""
        return bool(await self._run(_SWEEP, SWEEP_USERS))

    async def users(self) -> Collection[str]:
        """See `Roll`. Those who come or go meanwhile may be among them or not."""
        found: set[str] = set()
        cursor = b"0"
        while True:
            cursor, users = await ask(self._redis, "SSCAN", f"{self._key}users", cursor, "COUNT", 1000)
            found.update(user.decode(errors="replace") for user in users)
            if int(cursor) == 0:
                return found

    async def is_present(self, user_id: str) -> bool:
        """See `Roll`."""
        return bool(await ask(self._redis, "SISMEMBER", f"{self._key}users", user_id))

    async def _run(self, script: Script, *args: str | bytes | float) -> Any:
        now = "" if self._now is None else str(int(self._now() * 1000))
        return await script.run(self._redis, self._key, now, self._lease, self._channel, self._publish, *args)


def _packed(companies: Collection[str]) -> bytes:
    return msgspec.json.encode(sorted(companies))
