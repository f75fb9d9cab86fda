"""Acknowledgements: in order, together, never beyond what is settled; and a channel that the broker closes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pytest_twisted import ensureDeferred
from twisted.internet import reactor as installed
from twisted.internet.task import Clock

from rtwist.intake.amqp import Delivery
from rtwist.intake.broker import Broker
from rtwist.intake.intake import Outcome
from rtwist.intake.ledger import Ledger
from rtwist.intake.session import Session
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


class Heard:
    """Stands for the connection: keeps what was acknowledged."""

    reason = None

    def __init__(self, story: list[str]) -> None:
        self._story = story

    def ack(self, tag: int, *, multiple: bool) -> None:
        assert multiple
        self._story.append(f"{tag} acknowledged")


def test_what_is_handled_behind_a_dead_letter_under_way_is_settled_at_once() -> None:
    story: list[str] = []
    connection: Any = Heard(story)

    def handle(session: Session, delivery: Delivery) -> None:
        story.append(f"{delivery.tag} handled")
        if delivery.tag != 1:  # which waits for the broker to take its copy
            session.done(delivery)

    session = Session(connection, handle, settle=lambda: story.append("settled"), clock=Clock(), ack_batch=2)
    deliveries = [Delivery(tag, False, "", "", b"\0\0", 0, b"") for tag in (1, 2, 3)]
    for delivery in deliveries:
        session.delivered(delivery)
    session.work()
    assert story == ["1 handled", "2 handled", "settled", "3 handled", "settled"]
    session.done_later(deliveries[0])
    assert story[5:] == ["settled", "3 acknowledged"]


class Taking:
    """Stands for the intake: remembers what came."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def accept(self, values: Any, **_: Any) -> Outcome:
        self.values += values
        return Outcome(accepted=len(values))

    def settle(self) -> None:
        pass

    pause = resume = settle


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
