"""Two nodes on one queue: one has it at a time, and when that is gone the other goes on where it was."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.intake.brokered import Brokered, Names, order
from tests.service.peers import Client
from tests.support.rabbitmq import RabbitMQ

EVENTS = 5000


def numbers_until_the_end(client: Client) -> list[int]:
    return [int(text.split('"orderId":"o')[1].split('"')[0]) for text in client.rest() if '"orderId":"o' in text]


def numbers_until_last(client: Client) -> list[int]:
    found = []
    while (number := int(client.next_event().data["orderId"][1:])) != EVENTS:
        found.append(number)
    return found


def event(number: int) -> dict[str, Any]:
    return {"type": "order.shipped", "id": f"e{number}", "data": order(number)}


def fill_queue_of(node: Brokered, meanwhile: Callable[[], bool] = lambda: True) -> None:
    """Publish all events but the last while the node stands still, so that it has a while to do with them."""
    node.program.process.send_signal(signal.SIGSTOP)
    for number in range(EVENTS):
        node.publish(event(number))
    assert node.queued() > EVENTS // 2, "they are in the queue"
    assert meanwhile(), "only one node has the queue"
    node.program.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_the_second_takes_over_when_the_first_is_killed(rabbitmq: RabbitMQ, queue_type: str) -> None:
    names, options = Names(), ("--rabbitmq-queue-type", queue_type, "--rabbitmq-prefetch", "100")
    first, second = (Brokered(rabbitmq, *options, names=names) for _ in range(2))
    first.start()
    with second:
        before, after = first.join(), second.join()
        fill_queue_of(first, meanwhile=lambda: second.counts()["delivered"] == 0)
        assert before.next_event().data["orderId"] == "o0"
        first.program.process.kill()
        seen = [0, *numbers_until_the_end(before)]
        assert first.program.wait() == -signal.SIGKILL
        first.publish(event(EVENTS))
        rest = numbers_until_last(after)
        first.service.close_clients()
        assert seen == list(range(len(seen)))
        assert rest == list(range(rest[0], EVENTS)), "in order, without gaps"
        assert rest[0] <= len(seen), "nothing is lost between them"
        assert len(seen) < EVENTS, "the first was killed in the middle"


def test_the_second_goes_on_exactly_where_the_first_was_stopped(rabbitmq: RabbitMQ) -> None:
    names = Names()
    first, second = (Brokered(rabbitmq, "--rabbitmq-prefetch", "100", names=names) for _ in range(2))
    first.start()
    with second:
        before, after = first.join(), second.join()
        fill_queue_of(first)
        before.next_event()
        first.program.process.terminate()
        seen = [0, *numbers_until_the_end(before)]
        assert first.program.wait() == 0
        first.publish(event(EVENTS))
        assert [*seen, *numbers_until_last(after)] == list(range(EVENTS)), "each once, in order"
        first.service.close_clients()
        assert len(seen) < EVENTS


def test_the_second_goes_on_with_what_was_not_acknowledged_while_the_first_lets_its_clients_go(
    rabbitmq: RabbitMQ,
) -> None:
    names, options = Names(), ("--rabbitmq-prefetch", "100")
    first = Brokered(rabbitmq, *options, "--drain-rate", "1", "--drain-timeout", "600", names=names)
    second = Brokered(rabbitmq, *options, names=names)
    first.start()
    with second:
        before, after = first.join(), second.join()
        others = [first.join("u2") for _ in range(20)]
        fill_queue_of(first, meanwhile=lambda: second.counts()["delivered"] == 0)
        assert before.next_event().data["orderId"] == "o0"
        first.program.process.send_signal(signal.SIGTERM)
        first.publish(event(EVENTS))
        rest = numbers_until_last(after)
        assert first.program.process.poll() is None, "it is still letting its clients go"
        first.program.process.send_signal(signal.SIGTERM)
        seen = [0, *numbers_until_the_end(before)]
        assert first.program.wait() == 0
        assert [text for client in others for text in client.rest() if text.startswith("41")] == []
        first.service.close_clients()
    assert seen == list(range(len(seen)))
    assert rest == list(range(rest[0], EVENTS)), "in order, without gaps"
    assert rest[0] == len(seen), "each exactly once"
