"""The event log at Redis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rtwist.cluster.deliveries import Entry, KeptLimits
from rtwist.cluster.eventlog import LATE_SECONDS, READ_BYTES, READ_EVENTS, Logged, LogPage
from rtwist.cluster.records import RecordLimits
from rtwist.cluster.redisrecords import EPOCH, FORGET_IDS, PUT_COMMON, RedisRecords
from rtwist.cluster.scripts import NOW, Redis, Script

_PUT = Script(
    NOW
    + EPOCH
    + PUT_COMMON
    + """
local bodies = KEYS[1] .. 'bodies'
local late_channel, late_after = ARGV[8], tonumber(ARGV[9])
local most, keep = tonumber(ARGV[10]), tonumber(ARGV[11])
local bytes = tonumber(redis.call('HGET', state, 'bytes') or 0)
local late, serial, puts, index = false, 0, 0, 12
while index <= #ARGV do
  local key, waited, count = ARGV[index], tonumber(ARGV[index + 1]), tonumber(ARGV[index + 3])
  local found = ARGV[index + 2] == '1' and redis.call('HGET', values, key)
  local known = found and age - tonumber(string.match(found, '^%d+') or 0) < seconds
  local live = ARGV[index + 2] == '1' and not known and waited <= late_after
  late = late or (count > 0 and not known and waited > late_after)
  index = index + 4
  local body = {string.format('%.0f', age), ' ', string.format('%.0f', now - waited), live and ' 1 ' or ' 0 '}
  for _ = 1, count do
    local message = ARGV[index + 1]
    if live then redis.call(publish, ARGV[index], message) end
    table.insert(body, #message .. ':')
    table.insert(body, message)
    index = index + 2
  end
  if not known then
    puts = puts + 1
    serial = redis.call('HINCRBY', state, 'serial', 1)
    redis.call('HSET', values, key, string.format('%.0f', age) .. ' ')
    redis.call('ZADD', serials, serial, key)
  end
  if count > 0 and not known then
    local text = table.concat(body)
    redis.call('HSET', bodies, serial, text)
    bytes = bytes + #text
  end
end
"""
    + FORGET_IDS
    + """
local first = tonumber(redis.call('HGET', state, 'first') or 1)
for _ = 1, 1000 + 2 * puts do
  if first > serial then break end
  local body = redis.call('HGET', bodies, first)
  if body then
    if bytes <= most and age - tonumber(string.match(body, '^%d+')) < keep then break end
    redis.call('HDEL', bodies, first)
    bytes = bytes - #body
    redis.call('HSET', state, 'blanked', first)
  end
  first = first + 1
end
redis.call('HSET', state, 'first', first, 'bytes', bytes)
redis.call(publish, channel, serial)
if late then redis.call(publish, late_channel, serial) end
return serial
"""
)

_READ = Script(
    NOW
    + EPOCH
    + """
local state, bodies = KEYS[1] .. 'state', KEYS[1] .. 'bodies'
local latest = tonumber(redis.call('HGET', state, 'serial') or 0)
local blanked = tonumber(redis.call('HGET', state, 'blanked') or 0)
local serial, bytes = tonumber(ARGV[3]), tonumber(ARGV[5])
if serial < 0 then return {epoch, latest, blanked, now, {}, latest} end
local last, found = math.min(latest, serial + tonumber(ARGV[4])), {}
for number = serial + 1, last do
  local body = redis.call('HGET', bodies, number)
  if body then
    table.insert(found, body)
    bytes = bytes - #body
    if bytes <= 0 then
      last = number
      break
    end
  end
end
return {epoch, last, blanked, now, found, latest}
"""
)


class RedisLog(RedisRecords):
    """The event log below `name`; the arguments are those of `RedisRecords`."""

    def __init__(
        self,
        redis: Redis,
        name: str,
        limits: RecordLimits,
        channel: str,
        *,
        kept: KeptLimits | None = None,
        publish: str = "PUBLISH",
        now: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(redis, name, limits, channel, publish=publish, now=now)
        self.late_channel = f"{channel}:late"
        self._kept = kept or KeptLimits()

    async def put_events(self, entries: Sequence[Entry]) -> None:
        """See `EventLog`."""
        flat: list[str | bytes | float] = []
        for entry in entries:
            key, messages, waited, publish = entry
            flat += (key, int(waited * 1000), int(publish), len(messages))
            for sent in messages:
                flat += sent
        kept = self._kept
        bounds = (int(LATE_SECONDS * 1000), kept.bytes, int(kept.seconds * 1000))
        if entries:
            common = self._put_common()
            await _PUT.run(self._redis, self._key, *common, self.late_channel, *bounds, *flat, at_once=True)

    async def read(self, serial: int) -> LogPage:
        """See `EventLog`."""
        answer = await _READ.run(self._redis, self._key, *self._common(), serial, READ_EVENTS, READ_BYTES)
        epoch, last, blanked, now, bodies, latest = answer
        events = [logged for body in bodies if (logged := _logged(body, now)) is not None]
        return LogPage(epoch.decode(), last, blanked, events, more=last < latest)


def _logged(body: bytes, now: int) -> Logged | None:
    """What the script wrote, None for what it cannot have: who else writes to Redis is not trusted."""
    try:
        _, at, live, rest = body.split(b" ", 3)
        messages = []
        start = 0
        while start < len(rest):
            colon = rest.index(b":", start)
            end = colon + 1 + int(rest[start:colon])
            if not colon < end <= len(rest):
                return None
            messages.append(rest[colon + 1 : end])
            start = end
        return Logged(max(now - int(at), 0) / 1000, messages, live == b"1")
    except ValueError:
        return None
