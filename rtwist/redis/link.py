"""A connection to Redis that is kept up: whenever it is gone, a new one is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import random
from typing import Any, Generic

from twisted.application.internet import backoffPolicy
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from rtwist.errors import RedisLost, RedisRefused, RedisTimeout, RedisUntrusted, RtwistError
from rtwist.redis.ways import Made, MakeWire, Ways
from rtwist.trouble import Trouble

CONNECTED = "connected"
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
"""Seconds between attempts, up to half as much again by chance, so that many nodes do not come back as one."""


def pauses(chance: Callable[[], float] = random) -> Callable[[int], float]:
    """How long to wait before which attempt."""
    policy = backoffPolicy(FIRST_PAUSE, LONGEST_PAUSE, 1.6, jitter=lambda: 0.0)
    return lambda attempt: policy(attempt) * (1 + chance() / 2)


class Link(Generic[Made]):
    """One connection at a time for one purpose, `name`; `prepare` makes each new one ready for it.

    `wire` is the one that is ready, or None; `trouble` says why there is none, `since` when that began or, while
    there is one, when it was ready (seconds of the reactor). `changed` is called after either.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        ways: Ways,
        make: MakeWire[Made],
        *,
        name: str,
        timeout: float,
        prepare: Callable[[Made], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self.wire: Made | None = None
        self.trouble = "not started"
        self.since = reactor.seconds()
        self.made = 0
        self._reactor = reactor
        self._ways = ways
        self._make = make
        self._name = name
        self._timeout = timeout
        self._prepare = prepare
        self._changed = changed
        self._pause = pauses()
        self._told = Trouble()
        self._run = 0
        self._keeping: Deferred[Any] | None = None

    @property
    def state(self) -> str:
        """`connected`, or why it is not."""
        return CONNECTED if self.wire is not None else f"connecting: {self.trouble}"

    def start(self) -> None:
        """Connect, and keep connected."""
        self.trouble = "the first attempt is under way"
        self._run += 1
        self._keeping = Deferred.fromCoroutine(self._keep(self._run))
        self._keeping.addErrback(self._ended)

    def stop(self) -> None:
        """Close the connection, if there is one, and make no other."""
        self._run += 1
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
        wire, self.wire, self.trouble = self.wire, None, "stopped"
        if wire is not None:
            wire.fail(RedisLost("this side closed the connection"))

    async def _keep(self, run: int) -> None:
        attempt = 0
        while True:
            wire = await self._next(run)
            reason = None if wire is None else await wire.when_lost()
            if run != self._run:  # not every Deferred passes a cancellation on as one
                return
            attempt = attempt + 1 if reason is None else 0
            if reason is not None:
                self._gone(reason)
            await deferLater(self._reactor, self._pause(attempt))

    async def _next(self, run: int) -> Made | None:
        try:
            wire = await Deferred.fromCoroutine(self._entered()).addTimeout(2 * self._timeout, self._reactor)
        except CancelledError:
            raise
        except DeadlinePassed:
            self._failed(RedisTimeout(f"{self._ways.address} did not let us in within {2 * self._timeout:g} s"))
        except Exception as error:
            if run == self._run:
                self._failed(error)
        else:
            if run == self._run:
                self._ready(wire)
                return wire
            wire.fail(RedisLost("this side closed the connection"))
        return None

    async def _entered(self) -> Made:
        wire = await self._ways.connect(self._make, f"rtwist-{self._name}")
        try:
            await self._prepare(wire)
        except BaseException as error:
            wire.fail(RedisLost(f"given up: {error}"))
            raise
        if wire.reason is not None:
            raise wire.reason
        return wire

    def _ready(self, wire: Made) -> None:
        self.wire = wire
        self.made += 1
        self.since = self._reactor.seconds()
        self._told.over()
        self._log.info("Redis, {name}: connected to {where}", name=self._name, where=wire.where)
        wire.beat()
        self._changed()

    def _gone(self, reason: RedisLost) -> None:
        self.wire = None
        self.trouble = str(reason)
        self.since = self._reactor.seconds()
        self._log.warn("Redis, {name}: the connection ended: {reason}", name=self._name, reason=reason)
        self._changed()

    def _failed(self, error: Exception) -> None:
        self.trouble = f"{error}{self._hint(error)}"
        if isinstance(error, (RtwistError, OSError)) or type(error).__module__.startswith("twisted."):
            if self._told.is_news(self.trouble, self._reactor.seconds()):
                text = "Redis, {name}: cannot connect to {address}, and tries again and again: {trouble}"
                self._log.error(text, name=self._name, address=str(self._ways.address), trouble=self.trouble)
        else:
            self._log.failure("Redis, {name}: cannot connect", failure=Failure(error), name=self._name)

    def _hint(self, error: Exception) -> str:
        """What may help."""
        if isinstance(error, RedisUntrusted):
            return "; see --redis-ca-file"
        if isinstance(error, RedisRefused) and "NOPERM" in str(error):
            return "; docs/cluster.rst lists the rights that are needed"
        if not self.made and (isinstance(error, RedisTimeout) or type(error) is RedisLost):
            secure = self._ways.address.secure
            return "; redis: is for servers without TLS" if secure else "; rediss: is for servers with TLS"
        return ""

    def _ended(self, failure: Failure) -> None:
        failure.trap(CancelledError)
