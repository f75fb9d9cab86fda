"""Everything on RabbitMQ's side of the service: consuming, publishing, and how both are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from rtwist.errors import BrokerBusy
from rtwist.intake.amqp import PERSISTENT, Properties
from rtwist.intake.consumer import Consumer
from rtwist.intake.counters import Counters
from rtwist.intake.intake import Intake
from rtwist.intake.link import CONNECTED
from rtwist.intake.publisher import Publisher
from rtwist.intake.settings import BrokerSettings
from rtwist.socketio.jsoncodec import dumps

_MAX_SHORTSTR = 255


class Broker:
    """A consumer and a publisher, each on a connection of its own."""

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        settings: BrokerSettings,
        intake: Intake,
        *,
        now: Callable[[], float],
        max_depth: int = 64,
        make_id: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self.counters = Counters()
        self._settings = settings
        self._intake = intake
        self._now = now
        self._make_id = make_id
        self._publisher = Publisher(reactor, settings, self.counters)
        self._consumer = Consumer(
            reactor, settings, intake, self._publisher, self.counters, now=now, max_depth=max_depth
        )

    @property
    def state(self) -> str:
        """`connected`, `settling`, or with a reason `blocked:` (it takes no messages), `held:`, `connecting:`."""
        if self.consuming and self._publisher.blocked is not None:
            return f"blocked: {self._publisher.blocked}"
        return self._consumer.state

    @property
    def consuming(self) -> bool:
        """Whether events come in from the broker, or will once clients had their time to come back."""
        return self._consumer.link.state == CONNECTED

    @property
    def takes_events(self) -> bool:
        """Whether what comes by POST /events is to be published."""
        return self._settings.to_broker

    def bound_depth(self, most: int) -> None:
        """From now on messages may be nested so deep."""
        self._consumer.max_depth = most

    def start(self) -> None:
        """Connect, and keep connected."""
        self._publisher.link.start()
        self._consumer.start()

    def hold(self, why: str) -> None:
        """Consume nothing until `go_on`, because of `why`; publishing goes on."""
        self._consumer.hold(why)

    def go_on(self) -> None:
        """The end of what `hold` began."""
        self._consumer.go_on()

    async def stop(self) -> None:
        """Finish what is in hand, then close: the consumer first, for its dead letters need the publisher."""
        await self._consumer.stop()
        await self._publisher.link.stop()
        self._log.info("consumed and published: {counters}", counters=self.counters.as_dict())

    async def publish(self, values: Sequence[Any]) -> int:
        """Publish decoded events, in their order; return how many once the broker has taken all of them over.

        Raises `BadEvent` before anything is published, and what `Publisher.publish` raises for the first that
        was not taken over: others may have been.
        """
        kinds = self._intake.check(values)
        sent = [
            Deferred.fromCoroutine(self._publish(event.kind, event.id, value))
            for event, value in zip(kinds, values, strict=True)
        ]
        for _, result in await DeferredList(sent, consumeErrors=True):
            if isinstance(result, Failure):
                raise result.value
        return len(sent)

    async def _publish(self, kind: str, event_id: str | None, value: Any) -> None:
        if self._publisher.blocked is not None:
            raise BrokerBusy(f"the broker takes no messages: {self._publisher.blocked}")
        fits = event_id is not None and len(event_id.encode()) <= _MAX_SHORTSTR
        properties = Properties(
            content_type="application/json",
            delivery_mode=PERSISTENT,
            # With one of its own, an event without an id is emitted once even if it is delivered twice.
            message_id=event_id if fits else self._make_id(),
            timestamp=int(self._now()),
        )
        await self._publisher.publish(self._settings.exchange, kind, dumps(value).encode(), properties)
