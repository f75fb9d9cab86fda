"""Consuming: from the queue through the intake to the sockets, each message settled one way or the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from rtwist.errors import (
    BadEvent,
    BrokerError,
    BrokerLost,
    BrokerProtocolError,
    PartlyEmitted,
    RemoteProtocolError,
    StoreFailed,
    UnknownKind,
)
from rtwist.intake.amqp import BrokerConnection, Delivery
from rtwist.intake.amqp.codec import Table
from rtwist.intake.counters import Counters
from rtwist.intake.intake import Intake
from rtwist.intake.letters import buried, origin_of, spoken_key
from rtwist.intake.link import Link
from rtwist.intake.publisher import Publisher
from rtwist.intake.session import Session
from rtwist.intake.settings import BrokerSettings
from rtwist.intake.topology import establish
from rtwist.quoting import quoted
from rtwist.socketio.jsoncodec import loads, where_wrong
from rtwist.tasks import Tasks

FIRST_RETRY = 0.1
"""Seconds until a failed rule is tried again; doubled each time."""
STOP_SECONDS = 3.0
SETTLING = "settling"
"""Connected, and clients have their time to come back before events are consumed."""
_DELIVERY_COUNT = "x-delivery-count"
"""How often a message of a quorum queue came back without an end."""
_SUSPECT_RETURNS = 2
"""From so many on a message may be what ends the process each time; once may be any restart."""
_BYTE_ORDER_MARK = "\ufeff"
"""Some encoders put it in front; readers may ignore it (RFC 8259, section 8.1)."""
_PLAIN_ENCODINGS = {None, "", "utf-8", "utf8", "identity"}


class DeadLetter(Exception):
    """The message can never be used: `kind` is for counting, the text for people."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


class Consumer:
    """Keeps a consumer on the queue; `now` returns the seconds since 1970.

    What cannot be used becomes a dead letter, with the reason on it when `publisher` can write one.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        settings: BrokerSettings,
        intake: Intake,
        publisher: Publisher,
        counters: Counters,
        *,
        now: Callable[[], float],
        max_depth: int = 64,
    ) -> None:
        self._clock = reactor
        self._settings = settings
        self._intake = intake
        self._publisher = publisher
        self._counters = counters
        self._now = now
        self.max_depth = max_depth
        self._tasks = Tasks()
        self._session: Session | None = None
        self._tag = ""
        self._failures = 0
        self._begin: IDelayedCall | None = None
        self._settled_at = 0.0
        self._started = False
        self._held: str | None = None
        self._linked = False
        self._switching = False
        self.link = Link(reactor, settings, name="consumer", prepare=self._prepare, lost=self._lost)

    def start(self) -> None:
        """Connect, and keep connected; consume once clients had their time to come back."""
        self._settled_at = self._clock.seconds() + self._settings.settle
        self._intake.pause()
        self._started = True
        self._switch_soon()

    def hold(self, why: str) -> None:
        """Consume nothing until `go_on`; what is not acknowledged goes back to the broker."""
        self._held = why
        if self._session is not None:
            self._session.end()
        self._switch_soon()

    def go_on(self) -> None:
        """The end of what `hold` began."""
        self._held = None
        self._switch_soon()

    @property
    def state(self) -> str:
        """`connected`, `settling`, `held: ` and why, or why it is not connected."""
        if self._held is not None:
            return f"held: {self._held}"
        waits = self._begin is not None and self.link.connection is not None
        return SETTLING if waits else self.link.state

    async def stop(self) -> None:
        """Handle no more, acknowledge what was handled, close; the rest is the next consumer's."""
        connection, session = self.link.connection, self._session
        self._started = False
        self._stop_waiting()
        if connection is not None and session is not None and self._tag:
            connection.call_timeout = STOP_SECONDS
            # No cancel: RabbitMQ 3 gives the next consumer nothing of what waits in the queue then, and the queue
            # breaks with the next message. What is unacknowledged at the end of the connection it does give on.
            session.leave()
            await session.drained(STOP_SECONDS)
            session.end()
        await self.link.stop()
        self._tasks.stop()

    # Coming and going

    def _switch_soon(self) -> None:
        if not self._switching:
            self._tasks.start("holding the consumer, or going on", self._switch())

    async def _switch(self) -> None:
        # One step after the other: a connection that is being closed cannot be asked for anew.
        self._switching = True
        try:
            while self._linked != (wanted := self._started and self._held is None):
                self._linked = wanted
                if wanted:
                    self.link.start()
                elif self._started:
                    self._log.info("consuming nothing: {why}", why=self._held)
                    await self.link.stop()
                else:
                    return  # `stop` sees to it
        finally:
            self._switching = False

    async def _prepare(self, connection: BrokerConnection) -> None:
        settings = self._settings
        await establish(connection, settings)
        await connection.qos(settings.prefetch)
        session = Session(
            connection,
            self._handle,
            turn=self._intake,
            clock=self._clock,
            ack_batch=settings.ack_batch,
        )
        connection.on_batch = session.work
        connection.when_lost().addCallback(lambda _: self._ended(session))

        self._failures = 0
        self._session = session
        wait = self._settled_at - self._clock.seconds()
        if wait > 0:
            self._log.info("consuming begins in {wait:.1f} s (--rabbitmq-settle)", wait=wait)
            self._begin = self._clock.callLater(wait, self._begin_consuming, connection, session)
        else:
            await self._consume(connection, session)
        self._counters.connections += 1

    def _begin_consuming(self, connection: BrokerConnection, session: Session) -> None:
        self._begin = None
        self._tasks.start("starting to consume", self._consume_or_end(connection, session))

    async def _consume_or_end(self, connection: BrokerConnection, session: Session) -> None:
        try:
            await self._consume(connection, session)
        except BrokerError as error:
            connection.end(error, say_goodbye=True)

    async def _consume(self, connection: BrokerConnection, session: Session) -> None:
        queue = self._settings.queue

        def cancelled(tag: str) -> None:
            reason = BrokerLost(f"the broker ended the consumer: queue {queue} is gone or has moved")
            connection.end(reason, say_goodbye=True)

        try:
            await self._intake.catch_up()
        except StoreFailed as error:
            raise BrokerLost(f"nothing is consumed before the other nodes are known: {error}") from error
        self._intake.resume()
        self._tag = await connection.consume(queue, session.delivered, on_cancelled=cancelled)

    def _stop_waiting(self) -> None:
        begin, self._begin = self._begin, None
        if begin is not None:
            begin.cancel()

    def _ended(self, session: Session) -> None:
        session.end()
        self._intake.pause()

    def _lost(self) -> None:
        self._stop_waiting()
        self._session = None
        self._tag = ""

    # One message

    def _handle(self, session: Session, delivery: Delivery) -> float | None:
        """Settle the delivery, or return the seconds after which it is to be tried again."""
        try:
            self._accept(session, delivery)
        except DeadLetter as death:
            self._bury(session, delivery, death.kind, str(death))
        except UnknownKind as error:
            self._bury(session, delivery, "unknown_kind", str(error))
        except BadEvent as error:
            self._bury(session, delivery, "bad_event", str(error))
        except PartlyEmitted as error:
            # Once more would be twice for those who have it already.
            self._log.failure("{delivery!r} is only partly out", delivery=delivery)
            self._bury(session, delivery, "partly_emitted", str(error))
        except Exception as error:  # whatever a rule raises
            return self._failed(session, delivery, error)
        else:
            session.done(delivery)
        self._failures = 0
        return None

    def _accept(self, session: Session, delivery: Delivery) -> None:
        if not self._failures:
            self._counters.delivered += 1
        if delivery.too_large:
            most = self._settings.max_body
            raise DeadLetter("too_large", f"{delivery.size} bytes; --rabbitmq-max-body is {most}")
        try:
            properties = delivery.properties
            if properties.headers:
                self._check_returns(session, delivery, properties.headers)
            key = spoken_key(delivery, self._settings.dead_letter_exchange)
        except BrokerProtocolError as error:
            raise DeadLetter("unreadable", f"its properties cannot be read: {error}") from None
        values = [self._decoded(delivery)]
        outcome = self._intake.accept(values, routing_key=key, message_id=properties.message_id or None)
        self._counters.accepted += outcome.accepted
        self._counters.duplicates += outcome.duplicates
        self._counters.emissions += outcome.emissions

    def _check_returns(self, session: Session, delivery: Delivery, headers: Table) -> None:
        # What ends the process has everything around it come back as well. Suspects are handled one by one, so
        # that the culprit is the first delivery of the next connection; only the first is condemned.
        count = headers.get(_DELIVERY_COUNT)
        if not isinstance(count, int):
            return
        if count >= _SUSPECT_RETURNS:
            session.hold()
        if delivery.tag == 1 and count >= self._settings.max_deliveries:
            raise DeadLetter("undeliverable", f"delivered {count + 1} times and never finished")

    def _decoded(self, delivery: Delivery) -> Any:
        try:
            return loads(delivery.body.decode("utf-8").removeprefix(_BYTE_ORDER_MARK), self.max_depth)
        except UnicodeDecodeError:
            wrong = "the body is not UTF-8"
        except RemoteProtocolError as error:
            wrong = f"the body is not JSON: {where_wrong(error)}" if delivery.body else "the body is empty"
        encoding = delivery.properties.content_encoding
        if encoding not in _PLAIN_ENCODINGS:
            wrong += f"; content-encoding {encoding!r} is not supported: publish it as plain UTF-8"
        raise DeadLetter("not_json", wrong)

    def _failed(self, session: Session, delivery: Delivery, error: Exception) -> float | None:
        self._failures += 1
        if self._failures <= self._settings.retries:
            self._counters.retries += 1
            self._log.failure(
                "{delivery!r}: its rule failed; try {number} of {most} follows",
                delivery=delivery, number=self._failures, most=self._settings.retries,
            )  # fmt: skip
            return float(FIRST_RETRY * 2 ** (self._failures - 1))
        self._failures = 0
        self._log.failure("{delivery!r}: its rule failed for good", delivery=delivery)
        reason = f"its rule failed {self._settings.retries + 1} times: {type(error).__name__}: {error}"
        self._bury(session, delivery, "rule_failed", reason)
        return None

    # Dead letters

    def _bury(self, session: Session, delivery: Delivery, kind: str, reason: str) -> None:
        self._counters.dead[kind] += 1
        self._log.warn("{delivery!r} becomes a dead letter: {reason}", delivery=delivery, reason=quoted(reason))
        if kind in {"too_large", "unreadable"}:
            # There is nothing in hand that could be published.
            self._reject(session, delivery)
        else:
            self._tasks.start("writing a dead letter", self._write(session, delivery, reason))

    async def _write(self, session: Session, delivery: Delivery, reason: str) -> None:
        # RabbitMQ's own dead letters only say "rejected"; these say why. The message is acknowledged once the
        # broker has the copy, so that a crash in between makes two dead letters rather than none.
        dlx = self._settings.dead_letter_exchange
        origin = origin_of(delivery, dlx)
        properties = buried(delivery.properties, origin, reason, self._now())
        try:
            await self._publisher.publish(dlx, origin.routing_key, delivery.body, properties, patient=True)
        except Exception as error:  # whatever it is: the message must not hold up those behind it
            self._log.warn("{delivery!r} is rejected without its reason: {error}", delivery=delivery, error=error)
            self._reject(session, delivery)
        else:
            session.done_later(delivery)

    def _reject(self, session: Session, delivery: Delivery) -> None:
        self._counters.without_reason += 1
        session.reject(delivery)
