"""Messages that have been somewhere before: they are processed like any other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.intake.brokered import Brokered, order, until
from tests.support.rabbitmq import RabbitMQ

DELAY = 50
"""Milliseconds in a queue whose messages come back when their time is over."""


def return_all(brokered: Brokered, count: int) -> None:
    """Take messages out of the queue and put them back, as a consumer that gives up does."""
    tags = []
    for _ in range(count):
        tags.append(brokered.channel.basic_get(brokered.names.queue)[0].delivery_tag)
    brokered.channel.basic_nack(tags[-1], multiple=True, requeue=True)


class TestRedelivered:
    @pytest.mark.parametrize("queue_type", ["classic", "quorum"])
    def test_they_are_emitted_in_their_order_each_once(self, rabbitmq: RabbitMQ, queue_type: str) -> None:
        with Brokered(rabbitmq, "--rabbitmq-queue-type", queue_type) as brokered:
            brokered.stop()
            for number in range(30):
                brokered.publish(order(number) if number != 4 else b"bad", message_id=f"m{number}")
            for _ in range(3):
                return_all(brokered, 20)
            got, properties, _ = brokered.channel.basic_get(brokered.names.queue)
            assert got.redelivered
            returns = (properties.headers or {}).get("x-delivery-count")
            assert returns == (3 if queue_type == "quorum" else None)
            brokered.start(wait=False)  # the message in hand holds it up until the client is there
            client = brokered.join()
            brokered.channel.basic_nack(got.delivery_tag, requeue=True)
            brokered.publish(order("last"), message_id="last")
            seen = [client.next_event().data["orderId"] for _ in range(30)]
            assert sorted(seen) == sorted([*(f"o{number}" for number in range(30) if number != 4), "olast"])
            ((_, properties, _),) = brokered.wait_for_dead()
            assert properties.headers["x-rtwist-reason"].startswith("the body is not JSON")
            until(lambda: rabbitmq.queues()[brokered.names.queue] == 0)
            assert brokered.counts()["duplicates"] == 0
