"""Publishing, on a connection of its own: every message is confirmed, or its publisher hears why not."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from rtwist.errors import BrokerBusy, BrokerError, BrokerLost, PublishError
from rtwist.intake.amqp import BrokerConnection, Properties
from rtwist.intake.counters import Counters
from rtwist.intake.link import Link
from rtwist.intake.settings import BrokerSettings


class Publisher:
    """Publishes with confirms. A broker under an alarm stops reading, which must not hit the consumer's acks."""

    def __init__(self, reactor: IReactorTime, settings: BrokerSettings, counters: Counters) -> None:
        self._counters = counters
        self.link = Link(reactor, settings, name="publisher", prepare=self._prepare)

    @property
    def blocked(self) -> str | None:
        """Why the broker takes no messages at the moment; None when it does, as far as is known."""
        return None if self.link.connection is None else self.link.connection.blocked

    async def publish(
        self, exchange: str, routing_key: str, body: bytes, properties: Properties, *, patient: bool = False
    ) -> None:
        """Return once the broker has taken the message over, on disk when it is to be persistent.

        A `patient` publish waits for the connection that is being made. Raises `Unroutable`, `PublishNacked`,
        `BrokerBusy` or `BrokerError`; after a `BrokerError` the message may have been taken over all the same.
        Raises `LocalProtocolError` for what cannot be sent.
        """
        try:
            connection = await self._connection(patient=patient)
            await connection.publish(exchange, routing_key, body, properties)
        except (PublishError, BrokerError):
            self._counters.unpublished += 1
            raise
        self._counters.published += 1

    async def _connection(self, *, patient: bool) -> BrokerConnection:
        if self.link.connection is None and patient:
            try:
                await self.link.settled()
            except Exception as error:  # whatever made the attempt fail
                raise BrokerLost(f"no connection to publish on: {error}") from None
        connection = self.link.connection
        if connection is None:
            raise BrokerLost(f"no connection to publish on ({self.link.state})")
        return connection

    async def _prepare(self, connection: BrokerConnection) -> None:
        await connection.confirm()

        def blocked(why: str | None) -> None:
            if why is not None:
                connection.fail_unconfirmed(BrokerBusy(f"the broker takes no messages: {why}"))

        connection.on_blocked = blocked
