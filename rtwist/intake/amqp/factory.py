"""Makes connections to brokers; see `BrokerEndpoint` for the way there."""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory

from rtwist.intake.amqp.connection import BrokerConnection
from rtwist.intake.amqp.options import BrokerOptions
from rtwist.intake.amqp.url import BrokerAddress


class BrokerFactory(Factory):
    """Makes a `BrokerConnection` for each address that it is asked to build a protocol for."""

    noisy = False

    def __init__(self, *, clock: IReactorTime, options: BrokerOptions | None = None) -> None:
        self._clock = clock
        self._options = BrokerOptions() if options is None else options

    def buildProtocol(self, addr: IAddress | None) -> BrokerConnection:
        """A connection to `addr`, which must be a `BrokerAddress`: `BrokerEndpoint` sees to that."""
        address = cast(object, addr)
        if not isinstance(address, BrokerAddress):
            raise TypeError("connect a BrokerFactory by a BrokerEndpoint, which says which address it is")
        connection = BrokerConnection(address, self._options, self._clock)
        connection.factory = self
        return connection
