"""The way to a broker: TCP, or TLS with the broker's certificate checked; several addresses in turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import (
    IAddress,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import optionsForClientTLS, platformTrust
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import classImplements, implementer

from rtwist.authorities import read_authorities
from rtwist.errors import BrokerLost, ConfigError
from rtwist.intake.amqp.connection import BrokerConnection
from rtwist.intake.amqp.url import BrokerAddress

CONNECT_SECONDS = 10.0
"""How long one address may take to accept a connection, unless its URL says another time."""

classImplements(BrokerAddress, IAddress)


def transport_endpoint(
    reactor: IReactorTime, address: BrokerAddress, trust_root: Any = None
) -> IStreamClientEndpoint:
    """How to reach `address`: amqps is TLS, and both the certificate and the name in it must be right."""
    timeout = CONNECT_SECONDS if address.connection_timeout is None else address.connection_timeout
    endpoint = HostnameEndpoint(reactor, address.host, address.port, timeout)
    if not address.secure:
        return endpoint
    root = platformTrust() if trust_root is None else trust_root
    return wrapClientTLS(optionsForClientTLS(address.host, trustRoot=root), endpoint)


class _Gate(Protocol):
    """Between a transport and its `BrokerConnection`, which may be wrapped by whoever wants to know of its end.

    A wrapper such as that of `ClientService` must hear of the end of a connection only if it has heard of the
    connection, which it has once `kept`.
    """

    kept = False

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def makeConnection(self, transport: ITransport) -> None:
        self._connection.makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        self._connection.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.kept:
            self._connection.connectionLost(reason)
        else:
            self._connection.gone(reason)


class _AtAddress(Factory):
    """Tells a factory which address its protocol is for."""

    noisy = False

    def __init__(self, factory: IProtocolFactory, address: BrokerAddress) -> None:
        self.connection: Any = None
        self._factory = factory
        self._address = address

    def buildProtocol(self, addr: IAddress | None) -> _Gate:
        self.connection = self._factory.buildProtocol(self._address)
        return _Gate(self.connection)


@implementer(IStreamClientEndpoint)
class BrokerEndpoint:
    """Connects a `BrokerFactory` to the first address that lets it in, starting after the one that did last.

    - `ca_file`: a PEM file of the authorities to trust instead of the system's.
    - `prepare`: called with each connection that has logged in, to declare and consume; one that it fails on is
      dropped as if it had not let us in.

    It suits `ClientService`, which then needs no `prepareConnection` of its own.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        addresses: Sequence[BrokerAddress],
        ca_file: Path | None = None,
        *,
        prepare: Callable[[BrokerConnection], Awaitable[None]] | None = None,
    ) -> None:
        if not addresses:
            raise ConfigError("no AMQP URL is given")
        trust_root = None if ca_file is None else read_authorities(ca_file)
        self._ways = [(address, transport_endpoint(reactor, address, trust_root)) for address in addresses]
        self._prepare = prepare
        self._next = 0

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803 - Twisted's name
        """The `BrokerConnection`, logged in and prepared; the error of the last address when none lets us in."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> Any:
        count = len(self._ways)
        for attempt in range(count):
            turn = (self._next + attempt) % count
            address, endpoint = self._ways[turn]
            try:
                connection = await self._enter(endpoint, _AtAddress(factory, address))
            except (CancelledError, ConnectingCancelledError):
                raise
            except Exception as error:
                if attempt == count - 1:
                    raise
                self._log.warn("{address} does not let us in: {error}", address=str(address), error=error)
            else:
                self._next = (turn + 1) % count
                return connection
        raise AssertionError("unreachable: the last address returned or raised")

    async def _enter(self, endpoint: IStreamClientEndpoint, factory: _AtAddress) -> Any:
        gate: Any = await endpoint.connect(factory)
        connection: BrokerConnection = factory.connection.itself
        try:
            await connection.authenticate()
            if self._prepare is not None:
                await self._prepare(connection)
        except Exception as error:
            connection.fail(BrokerLost(f"given up: {error}"))
            raise
        gate.kept = True
        return factory.connection
