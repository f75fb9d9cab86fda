"""Two nodes on one queue: one has it at a time, and when that is gone the other goes on where it was."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.intake.brokered import Brokered, Names, order
from tests.service.peers import Client
from tests.support.rabbitmq import RabbitMQ

EVENTS = 2000
ENDS_AT = 1000
"""From here on the first node may be ended; it keeps up with who publishes."""
LAST_BEFORE = 1500
"""The first node is never there for what comes from here on."""


def numbers_until_the_end(client: Client) -> list[int]:
    return [int(text.split('"orderId":"o')[1].split('"')[0]) for text in client.rest() if '"orderId":"o' in text]


def numbers_until_last(client: Client) -> list[int]:
    found = []
    while (number := int(client.next_event().data["orderId"][1:])) != EVENTS:
        found.append(number)
    return found


def event(number: int) -> dict[str, Any]:
    return {"type": "order.shipped", "id": f"e{number}", "data": order(number)}


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_the_second_takes_over_when_the_first_is_killed(rabbitmq: RabbitMQ, queue_type: str) -> None:
    names, options = Names(), ("--rabbitmq-queue-type", queue_type, "--rabbitmq-prefetch", "100")
    first, second = (Brokered(rabbitmq, *options, names=names) for _ in range(2))
    first.start()
    with second:
        before, after = first.join(), second.join()
        for number in range(ENDS_AT):
            first.publish(event(number))
        assert before.next_event().data["orderId"] == "o0"
        assert second.counts()["delivered"] == 0, "only one node has the queue"
        for number in range(ENDS_AT, LAST_BEFORE):
            first.publish(event(number))
        first.program.process.kill()
        for number in range(LAST_BEFORE, EVENTS + 1):
            first.publish(event(number))
        seen = [0, *numbers_until_the_end(before)]
        assert first.program.wait() == -signal.SIGKILL
        rest = numbers_until_last(after)
        first.service.close_clients()
        assert seen == list(range(len(seen)))
        assert rest == list(range(rest[0], EVENTS)), "in order, without gaps"
        assert rest[0] <= len(seen), "nothing is lost between them"
        assert len(seen) <= LAST_BEFORE


def test_the_second_goes_on_exactly_where_the_first_was_stopped(rabbitmq: RabbitMQ) -> None:
    names = Names()
    first, second = (Brokered(rabbitmq, "--rabbitmq-prefetch", "100", names=names) for _ in range(2))
    first.start()
    with second:
        before, after = first.join(), second.join()
        for number in range(ENDS_AT):
            first.publish(event(number))
        before.next_event()
        first.program.process.terminate()
        for number in range(ENDS_AT, LAST_BEFORE):
            first.publish(event(number))
        seen = [0, *numbers_until_the_end(before)]
        assert first.program.wait() == 0
        for number in range(LAST_BEFORE, EVENTS + 1):
            first.publish(event(number))
        assert [*seen, *numbers_until_last(after)] == list(range(EVENTS)), "each once, in order"
        first.service.close_clients()
