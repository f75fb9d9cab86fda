"""Messages between nodes by Redis: PUBLISH and SUBSCRIBE, or SPUBLISH and SSUBSCRIBE (Redis 7 and later).

A `rtwist.cluster.bus.Bus`, which this package does not import: it is on a floor above.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from rtwist.errors import BusCut, BusError, BusFull, LocalProtocolError, RedisBusy, RedisLost
from rtwist.redis.client import CHANNEL, PATTERN, SHARD, Redis
from rtwist.redis.wire import Wire

Heard = Callable[[str, bytes], None]
"""Takes the channel and the message."""


class RedisBus:
    """The bus of one node on its `redis`, which whoever made it starts and stops.

    - `sharded`: by shard channels, which have no patterns.
    - `max_waiting`, `max_waiting_bytes`: how many messages, and bytes of them, may wait for Redis to confirm
      them; what would be more is dropped, at once.

    `counts` has the messages `published`, `confirmed`, and those dropped: `away` without a connection, `full` for
    the bounds, `failed` for an answer of Redis, and `lost` when the connection ended before the answer.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        sharded: bool = False,
        max_waiting: int = 10_000,
        max_waiting_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.waiting_bytes = 0
        self.position = 0
        self._redis = redis
        self._kind = SHARD if sharded else CHANNEL
        self._command = "SPUBLISH" if sharded else "PUBLISH"
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: deque[tuple[int, int]] = deque()
        self._wire: Wire | None = None
        self._failed = 0
        self._why: BusError = BusCut("nothing failed")
        self._settling: deque[tuple[int, int, Deferred[None]]] = deque()

    @property
    def connected(self) -> bool:
        """Whether there is a connection to publish by."""
        wire = self._redis.commands.wire
        return wire is not None and wire.reason is None

    @property
    def waiting(self) -> int:
        """How many messages wait for Redis to confirm them."""
        return len(self._waiting)

    def publish(self, channel: str, message: bytes) -> bool:
        """Send `message`; whether it was taken over.

        It is dropped, and counted, while there is no connection or too much waits.
        """
        self.position += 1
        size = len(message)
        wire = self._redis.commands.wire
        if wire is None or wire.reason is not None:
            self._drop("away", BusCut(f"there is no connection to Redis: {self._redis.commands.trouble}"))
        elif len(self._waiting) >= self._max_waiting or (
            self._waiting and self.waiting_bytes + size > self._max_waiting_bytes
        ):
            self._drop("full", BusFull(f"{len(self._waiting)} messages wait for Redis to confirm them"))
        else:
            error = wire.tell(self, self._command, channel, message)
            self.counts["published"] += 1
            if error is None:
                self.waiting_bytes += size
                self._waiting.append((self.position, size))
                self._wire = wire
            else:
                self._lose(error, self.position)
        return self._failed != self.position

    def settled(self, since: int) -> Deferred[None]:
        """Fires when Redis has confirmed all that was published up to now.

        Fails with `BusError` as soon as one of those behind the position `since` was dropped, or may be lost.
        """
        if self._failed > since:
            return fail(self._why)
        if not self._waiting:
            return succeed(None)
        self._redis.flush()  # who waits for it need not wait for the reactor's next turn
        settling: Deferred[None] = Deferred()
        self._settling.append((since, self.position, settling))
        return settling

    async def synced(self) -> None:
        """Return once all has been heard that Redis had published before this call; `RedisLost` if that fails."""
        await self._redis.subscribed()

    def subscribe(self, channel: str, heard: Heard) -> None:
        """Call `heard` with each message of `channel` from now on; once for each channel."""
        self._redis.subscribe(self._kind, channel, heard)

    def subscribe_pattern(self, pattern: str, heard: Heard) -> None:
        """The same for all channels that match a glob-style `pattern`; `LocalProtocolError` on a sharded bus."""
        if self._kind == SHARD:
            raise LocalProtocolError("Redis has no patterns of shard channels")
        self._redis.subscribe(PATTERN, pattern, heard)

    def unsubscribe(self, channel: str) -> None:
        """Hear no more of `channel`, a name or a pattern."""
        self._redis.unsubscribe(self._kind, channel)
        self._redis.unsubscribe(PATTERN, channel)

    async def subscribers(self, channel: str) -> int:
        """How many nodes subscribe to `channel`, by its name; `RedisError` without an answer."""
        counter = "SHARDNUMSUB" if self._kind == SHARD else "NUMSUB"
        answer = await self._redis.call("PUBSUB", counter, channel)
        return int(answer[1])

    def callback(self, answer: Any) -> None:
        """Redis has answered to the message that waits for longest; see `rtwist.redis.wire.Waiter`."""
        position, size = self._waiting.popleft()
        self.waiting_bytes -= size
        if self._wire is not None and isinstance(answer, Exception):
            self._lose(self._wire.explained(answer), position)
        else:
            self.counts["confirmed"] += 1
        if self._settling:
            first = self._waiting[0][0] if self._waiting else self.position + 1
            while self._settling and self._settling[0][1] < first:
                self._settling.popleft()[2].callback(None)

    def _lose(self, error: BaseException | None, position: int) -> None:
        how, why = "lost", BusError(str(error))
        if isinstance(error, RedisLost):
            why = BusCut(str(error))
        elif isinstance(error, RedisBusy):
            how, why = "full", BusFull(str(error))
        else:
            how = "failed"
        self._drop(how, why, position)
        settling, self._settling = self._settling, deque()
        for since, until, each in settling:
            if since < position <= until:
                each.errback(why)
            else:
                self._settling.append((since, until, each))

    def _drop(self, how: str, why: BusError, position: int = 0) -> None:
        self.counts[how] += 1
        self._failed = max(self._failed, position or self.position)
        self._why = why
