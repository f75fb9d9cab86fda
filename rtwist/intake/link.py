"""A connection to the broker that is kept up: whenever it is gone, a new one is made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import random
from typing import Any

from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from rtwist.errors import BrokerError, BrokerUntrusted, RtwistError
from rtwist.intake.amqp import BrokerConnection, BrokerEndpoint, BrokerFactory, BrokerOptions
from rtwist.intake.settings import BrokerSettings
from rtwist.trouble import Trouble

CONNECTED = "connected"
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0
"""Seconds between attempts, up to half as much again by chance, so that many nodes do not come back as one."""
CLOSE_SECONDS = 3.0


def pauses(chance: Callable[[], float] = random) -> Callable[[int], float]:
    """How long to wait before which attempt."""
    policy = backoffPolicy(FIRST_PAUSE, LONGEST_PAUSE, 1.6, jitter=lambda: 0.0)
    return lambda attempt: policy(attempt) * (1 + chance() / 2)


def in_words(error: BaseException | None) -> str:
    """Why there is no connection, with the option that helps."""
    return f"{error}; see --rabbitmq-ca-file" if isinstance(error, BrokerUntrusted) else str(error)


@implementer(IStreamClientEndpoint)
class _Watched:
    """An endpoint whose failures are told, which `ClientService` keeps to itself."""

    def __init__(self, endpoint: IStreamClientEndpoint, failed: Callable[[Failure], Failure]) -> None:
        self._endpoint = endpoint
        self._failed = failed

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803 - Twisted's name
        return self._endpoint.connect(protocolFactory).addErrback(self._failed)


class Link:
    """One connection at a time for one purpose, `name`; `prepare` makes each new one ready for it.

    `connection` is the one that is ready, or None; `trouble` says why there is none. `lost` is called when a
    connection that was ready is gone.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        settings: BrokerSettings,
        *,
        name: str,
        prepare: Callable[[BrokerConnection], Awaitable[None]],
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.connection: BrokerConnection | None = None
        self.trouble = "not started"
        self.made = 0
        self._told = Trouble()
        self._clock = reactor
        self._brokers = ", ".join(map(str, settings.addresses))
        self._name = name
        self._prepare = prepare
        self._lost = lost
        options = BrokerOptions(name=f"rtwist-{name}", heartbeat=settings.heartbeat, max_body=settings.max_body)
        endpoint = BrokerEndpoint(reactor, settings.addresses, settings.ca_file, prepare=self._ready)
        factory = BrokerFactory(clock=reactor, options=options)
        self._client = ClientService(_Watched(endpoint, self._failed), factory, pauses(), reactor)

    @property
    def state(self) -> str:
        """`connected`, or why it is not."""
        return CONNECTED if self.connection is not None else f"connecting: {self.trouble}"

    def start(self) -> None:
        """Connect, and keep connected."""
        self.trouble = "the first attempt is under way"
        self._client.startService()

    def settled(self) -> Deferred[Any]:
        """Fires when there is a connection; fails when the attempt that is next or under way fails."""
        return self._client.whenConnected(failAfterFailures=1)

    async def stop(self) -> None:
        """Close the connection, if there is one, and make no other."""
        connection = self.connection
        self.trouble = "stopped"
        if connection is not None:
            self.connection = None
            await connection.close(CLOSE_SECONDS)
        await self._client.stopService()

    async def _ready(self, connection: BrokerConnection) -> None:
        await self._prepare(connection)
        self.connection = connection
        self.made += 1
        self._told.over()
        self._log.info("{name}: connected to {address}", name=self._name, address=str(connection.address))
        connection.when_lost().addCallback(self._gone, connection)

    def _gone(self, reason: BrokerError, connection: BrokerConnection) -> None:
        if self.connection is not connection:  # closed by `stop`
            return
        self.connection = None
        self.trouble = str(reason)
        self._log.warn("{name}: the connection ended: {reason}", name=self._name, reason=reason)
        self._lost()

    def _tell(self) -> None:
        if self._told.is_news(self.trouble, self._clock.seconds()):
            text = "{name}: cannot connect to {brokers}, and tries again and again: {trouble}"
            self._log.error(text, name=self._name, brokers=self._brokers, trouble=self.trouble)

    def _failed(self, failure: Failure) -> Failure:
        if failure.check(CancelledError) is None:
            self.trouble = in_words(failure.value)
            if failure.check(RtwistError, OSError) or failure.type.__module__.startswith("twisted."):
                self._tell()
            else:
                self._log.failure("{name}: cannot connect", failure=failure, name=self._name)
        return failure
