"""Acknowledgements: in order, together, never beyond what is settled; and a channel that the broker closes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pytest_twisted import ensureDeferred
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from rtwist.errors import BrokerLost, StoreFailed
from rtwist.intake.amqp import Delivery
from rtwist.intake.broker import Broker
from rtwist.intake.intake import Outcome
from rtwist.intake.ledger import Ledger
from rtwist.intake.session import FLUSH_SECONDS, Session
from rtwist.intake.settings import BrokerSettings
from tests.intake.amqp.peers import until
from tests.intake.brokered import Names
from tests.support.rabbitmq import RabbitMQ

reactor: Any = installed


@given(st.permutations(range(1, 9)), st.sets(st.integers(1, 8)))
def test_nothing_is_acknowledged_before_all_that_came_earlier(order: list[int], rejected: set[int]) -> None:
    ledger, acknowledged, settled = Ledger(), 0, set()
    for tag in range(1, 9):
        ledger.add(tag)
    for tag in order:
        ledger.settle(tag, acknowledge=tag not in rejected)
        settled.add(tag)
        due = ledger.due()
        if due is not None:
            assert due not in rejected, "the broker does not know it any more"
            assert set(range(1, due + 1)) <= settled
            acknowledged = due
    assert acknowledged == max(set(range(1, 9)) - rejected, default=0)
    assert len(ledger) == 0


class Acks:
    """Stands for the connection: remembers what was acknowledged, and what of it was `settled` by then."""

    reason = None

    def __init__(self) -> None:
        self.tags: list[int] = []
        self.settled: list[int] = []

    def ack(self, tag: int, multiple: bool) -> None:
        assert tag in self.settled
        self.tags.append(tag)


class TestHolding:
    """Odd deliveries are held; those with a tag of 10 and more are settled later."""

    def setup_method(self) -> None:
        self.clock, self.acks, self.handled = Clock(), Acks(), list[int]()
        self.begun = False
        connection: Any = self.acks
        self.session = Session(connection, self.handle, turn=self, clock=self.clock, ack_batch=1000)

    def handle(self, session: Session, delivery: Delivery) -> float | None:
        assert self.begun
        self.handled.append(delivery.tag)
        if delivery.tag % 2:
            session.hold()
        if delivery.tag < 10:
            session.done(delivery)
        return None

    def begin(self) -> None:
        assert not self.begun
        self.begun = True

    def settle(self) -> None:
        self.acks.settled = list(self.handled)

    def end(self) -> None:
        assert self.begun
        assert self.acks.settled == self.handled
        self.begun = False

    def deliver(self, *tags: int) -> list[Delivery]:
        found = [Delivery(tag, True, "", "", b"\0\0", 0, b"") for tag in tags]
        for delivery in found:
            self.session.delivered(delivery)
        self.session.work()
        return found

    def test_each_is_acknowledged_and_written_before_the_next(self) -> None:
        self.deliver(1, 2, 3, 4)
        assert (self.handled, self.acks.tags) == ([1], [1])
        self.session.work()
        assert self.handled == [1], "news from the broker does not hurry it"
        self.clock.advance(FLUSH_SECONDS)
        assert (self.handled, self.acks.tags) == ([1, 2, 3], [1, 3])
        self.clock.advance(FLUSH_SECONDS)
        assert (self.handled, self.acks.tags) == ([1, 2, 3, 4], [1, 3, 4])
        assert self.clock.getDelayedCalls() == []

    def test_one_that_is_settled_later_is_waited_for(self) -> None:
        first, second, _ = self.deliver(10, 11, 12)
        assert self.handled == [10, 11]
        self.session.done_later(second)
        self.clock.advance(1)
        assert self.handled == [10, 11], "what came before it is not settled yet"
        self.session.done_later(first)
        self.clock.advance(FLUSH_SECONDS)
        assert (self.handled, self.acks.tags) == ([10, 11, 12], [11])

    def test_what_is_handled_behind_one_that_is_settled_later_outlasts_a_crash(self) -> None:
        first, _, _ = self.deliver(10, 2, 4)
        assert (self.handled, self.acks.settled, self.acks.tags) == ([10, 2, 4], [10, 2, 4], [])
        self.session.done_later(first)
        assert self.acks.tags == [4]

    def test_an_end_leaves_nothing_scheduled(self) -> None:
        (delivery,) = self.deliver(11)
        self.session.end()
        self.session.done_later(delivery)
        assert self.clock.getDelayedCalls() == []


class Taking:
    """Stands for the intake: remembers what came."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def accept(self, values: Any, **_: Any) -> Outcome:
        self.values += values
        return Outcome(accepted=len(values))

    async def catch_up(self) -> None:
        pass

    def settle(self) -> None:
        pass

    begin = end = pause = resume = settle


@ensureDeferred
async def test_a_channel_that_the_broker_closes_is_replaced(rabbitmq: RabbitMQ) -> None:
    from rtwist.intake.amqp import read_urls

    names, taking = Names(), Taking()
    settings = BrokerSettings(
        addresses=read_urls(rabbitmq.url), exchange=names.exchange, queue=names.queue,
        dead_letter_exchange=names.dlx, dead_letter_queue=names.dead,
    )  # fmt: skip
    intake: Any = taking
    broker = Broker(reactor, settings, intake, now=reactor.seconds)
    broker.start()
    try:
        await until(lambda: broker.consuming)
        connection: Any = broker._consumer.link.connection
        connection.ack(99)  # which was never delivered
        await until(lambda: broker.counters.connections == 2 and broker.consuming)
        assert "406" in str(connection.reason)
        publisher: Any = broker._publisher.link.connection
        await publisher.publish(names.exchange, "order.created", b"{}")
        await until(lambda: taking.values)
    finally:
        await broker.stop()
    assert taking.values == [{}]
    assert rabbitmq.queues()[names.queue] == 0


class TestSettlingLater:
    """The other nodes take their time to know what was handled."""

    def setup_method(self) -> None:
        self.connection, self.waiting, self.handled = Connection(), list[Deferred[None]](), list[int]()
        connection: Any = self.connection
        self.session = Session(connection, self.handle, turn=self, clock=Clock(), ack_batch=2)

    def handle(self, session: Session, delivery: Delivery) -> None:
        self.handled.append(delivery.tag)
        session.done(delivery)

    def settle(self) -> Deferred[None] | None:
        if not self.handled or self.handled[-1] == 9:
            return None
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def begin(self) -> None:
        pass

    end = begin

    def deliver(self, *tags: int) -> None:
        for tag in tags:
            self.session.delivered(Delivery(tag, True, "", "", b"\0\0", 0, b""))
        self.session.work()

    def test_nothing_is_acknowledged_before_that(self) -> None:
        self.deliver(1, 2, 3)
        assert (self.handled, self.connection.tags) == ([1, 2, 3], [])
        drained = self.session.drained(10)
        self.waiting[0].callback(None)
        assert self.connection.tags == [2]
        assert not drained.called
        self.waiting[1].callback(None)
        assert self.connection.tags == [2, 3]
        assert drained.called

    def test_an_earlier_one_that_comes_late_is_covered(self) -> None:
        self.deliver(1, 9)
        assert self.connection.tags == [9]
        self.deliver(10)
        self.deliver(11)
        self.waiting[1].callback(None)
        self.waiting[0].callback(None)
        assert self.connection.tags == [9, 11]

    def test_the_connection_ends_when_it_fails(self) -> None:
        self.deliver(1)
        self.waiting[0].errback(StoreFailed("away"))
        assert self.connection.tags == []
        assert isinstance(self.connection.reason, BrokerLost)

    def test_what_becomes_certain_after_the_end_is_the_next_consumers(self) -> None:
        self.deliver(1)
        self.session.end()
        self.waiting[0].callback(None)
        assert self.connection.tags == []


class Connection:
    """Stands for the connection: remembers what was acknowledged, and why it was ended."""

    def __init__(self) -> None:
        self.tags: list[int] = []
        self.reason: Exception | None = None

    def ack(self, tag: int, multiple: bool) -> None:
        self.tags.append(tag)

    def end(self, reason: Exception, *, say_goodbye: bool) -> None:
        self.reason = reason
