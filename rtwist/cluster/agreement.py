"""Nodes at one Redis that speak different protocols do not hear each other: a word kept there tells them."""

from __future__ import annotations

from twisted.logger import Logger

from rtwist.cluster.scripts import Redis, ask
from rtwist.errors import StoreFailed
from rtwist.trouble import Trouble


class Agreement:
    """That all nodes below `name` at one Redis speak `protocol`, any text; `lease` is in seconds.

    Somebody must call `look` a few times in a lease. Who hears of others that speak otherwise says so in its log,
    and in `other`, as long as they are there.
    """

    _log = Logger()

    def __init__(self, redis: Redis, name: str, protocol: str, lease: float) -> None:
        self.other: str | None = None
        self._redis = redis
        self._key = f"{{{name}}}:protocol"
        self._dissent = f"{self._key}:other"
        self._protocol = protocol
        self._milliseconds = int(lease * 1000)
        self._told = Trouble()

    async def look(self, now: float) -> None:
        """Say how this node speaks, or hear how the others do; `now` is in seconds of any clock."""
        try:
            bounds = ("PX", self._milliseconds)
            await ask(self._redis, "SET", self._key, self._protocol, "NX", *bounds)
            found = (await ask(self._redis, "GET", self._key) or b"").decode(errors="replace")
            agrees = found in ("", self._protocol)
            # Who came first has the one key, and finds who speaks otherwise in the other.
            await ask(self._redis, "SET", self._key if agrees else self._dissent, self._protocol, *bounds)
            if agrees:
                found = (await ask(self._redis, "GET", self._dissent) or b"").decode(errors="replace")
        except StoreFailed:
            return  # whoever keeps the connection has said so
        if found in ("", self._protocol):
            self.other = None
            self._told.over()
            return
        self.other = found[:200]
        if self._told.is_news(self.other, now):
            self._log.error(
                "this node speaks {own}, others at the same Redis {other}: neither hears the other; give "
                "all the same --cluster and --cluster-key, or another --redis-prefix to those of another service",
                own=self._protocol,
                other=self.other,
            )
