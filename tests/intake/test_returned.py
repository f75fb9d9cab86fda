"""Messages that have been somewhere before are processed like any other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pika
import pytest

from tests.intake.brokered import Brokered, order, until
from tests.support.rabbitmq import RabbitMQ

DELAY = 50
"""Milliseconds in a queue whose messages leave it when their time is over."""


@contextmanager
def holding(brokered: Brokered, count: int) -> Iterator[list[tuple[Any, Any]]]:
    """Another consumer takes `count` messages and gives them back at the end: how each came."""
    connection = pika.BlockingConnection(pika.URLParameters(brokered.node.url))
    deliveries = connection.channel().consume(brokered.names.queue, inactivity_timeout=20)
    found = [next(deliveries)[:2] for _ in range(count)]
    yield found
    connection.close()


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_what_another_consumer_gave_back(rabbitmq: RabbitMQ, queue_type: str) -> None:
    with Brokered(rabbitmq, "--rabbitmq-queue-type", queue_type) as brokered:
        brokered.stop()
        for number in range(30):
            brokered.publish(order(number) if number != 4 else b"bad", message_id=f"m{number}")
        for _ in range(2):
            with holding(brokered, 30):
                pass
        with holding(brokered, 30) as held:
            for method, properties in held:
                assert method.redelivered
                counted = (properties.headers or {}).get("x-delivery-count")
                assert counted == (2 if queue_type == "quorum" else None)
            brokered.start()
            client = brokered.join()
        brokered.publish(order("last"), message_id="last")
        seen = [client.next_event().data["orderId"] for _ in range(30)]
        assert seen == [*(f"o{number}" for number in range(30) if number != 4), "olast"]
        ((_, properties, _),) = brokered.wait_for_dead()
        assert properties.headers["x-rtwist-reason"].startswith("the body is not JSON")
        until(lambda: rabbitmq.queues()[brokered.names.queue] == 0)
        assert brokered.counts()["duplicates"] == 0


def waiting_queue(brokered: Brokered, exchange: str, **arguments: str) -> str:
    """A queue whose messages go to `exchange` after the delay."""
    name = f"{brokered.names.queue}.waiting"
    arguments = {f"x-dead-letter-{option.replace('_', '-')}": value for option, value in arguments.items()}
    brokered.channel.queue_declare(
        name, durable=True, arguments={"x-message-ttl": DELAY, "x-dead-letter-exchange": exchange, **arguments}
    )
    return name


class TestDelayed:
    def test_by_the_exchange_with_the_key_they_had(self, brokered: Brokered) -> None:
        names = brokered.names
        waiting = waiting_queue(brokered, names.exchange)
        delays = f"{names.exchange}.delays"
        brokered.channel.exchange_declare(delays, "topic", durable=True)
        brokered.channel.queue_bind(waiting, delays, "#")
        self.check(brokered, delays, "order.shipped")

    def test_by_the_exchange_with_a_key_of_the_queue(self, brokered: Brokered) -> None:
        waiting = waiting_queue(brokered, brokered.names.exchange, routing_key="order.shipped")
        self.check(brokered, "", waiting)

    def test_straight_into_the_queue(self, brokered: Brokered) -> None:
        names = brokered.names
        waiting = waiting_queue(brokered, "", routing_key=names.queue)
        delays = f"{names.exchange}.delays"
        brokered.channel.exchange_declare(delays, "topic", durable=True)
        brokered.channel.queue_bind(waiting, delays, "#")
        self.check(brokered, delays, "order.shipped")

    def check(self, brokered: Brokered, exchange: str, key: str) -> None:
        """A good and a bad message wait, then come as the kind they were published as."""
        client = brokered.join()
        brokered.publish(order(1), key, exchange, message_id="m-1")
        brokered.publish([], key, exchange, message_id="m-2")
        event = client.next_event()
        assert (event.name, event.data["status"], event.data["orderId"]) == (
            "order:status_updated",
            "shipped",
            "o1",
        )
        ((_, properties, _),) = brokered.wait_for_dead()
        assert properties.message_id == "m-2"
        assert properties.headers["x-rtwist-reason"] == "an event must be a JSON object, not an array"
        assert properties.headers["x-rtwist-routing-key"] == "order.shipped"
        assert properties.headers["x-death"][0]["reason"] == "expired"
        assert brokered.counts()["accepted"] == 1

    def test_again_and_again(self, brokered: Brokered) -> None:
        """A dead letter that a service of its own sends round, as with a retry queue."""
        names = brokered.names
        waiting = waiting_queue(brokered, "", routing_key=names.queue)
        brokered.channel.queue_bind(waiting, names.dlx, "#")
        brokered.publish(b"bad", message_id="m-1")
        brokered.wait_for_counts(dead={"not_json": 4})
        brokered.channel.queue_unbind(waiting, names.dlx, "#")
        for _, properties, body in brokered.wait_for_dead(4):
            assert (properties.message_id, body) == ("m-1", b"bad")
            assert properties.headers["x-rtwist-exchange"] == names.exchange
            assert properties.headers["x-rtwist-routing-key"] == "order.shipped"
