"""What poison costs: `python bench/poison.py [--messages N] [--rounds N]`.

A service consumes N good messages for one client, without poison and with a poisonous message after each good
one, in turn, several rounds on the same RabbitMQ node; the table has the medians. Time is from the first to the
last event at the client. Half of the poison is no JSON, the other half events without their ids; each becomes a
dead letter with its reason, which takes a publish, its confirm and a line of log.

Exits with 1 unless the good messages come at least at 0.15 of their rate without poison.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pika

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.intake.brokered import Brokered, order, until
from tests.service.peers import Client
from tests.support.rabbitmq import RabbitMQ

MIN_RATIO = 0.15
POISON = (b"no JSON", json.dumps({"userId": "u1"}).encode())
KEY = "order.shipped"


def fill(brokered: Brokered, channel: Any, count: int, poisonous: bool) -> None:
    """Publish to the queue while the service does not have it."""
    properties = pika.BasicProperties(delivery_mode=1)
    for number in range(count):
        channel.basic_publish(brokered.names.exchange, KEY, json.dumps(order(number)).encode(), properties)
        if poisonous:
            channel.basic_publish(brokered.names.exchange, KEY, POISON[number % 2], properties)


def seconds(client: Client, count: int) -> float:
    """From the first to the last of `count` events, which must come in order."""
    begin = 0.0
    for number in range(count):
        event = client.next_event()
        if event.data["orderId"] != f"o{number}":
            raise SystemExit(f"event {number} is {event}")
        begin = begin or time.perf_counter()
    return time.perf_counter() - begin


def measure(node: RabbitMQ, count: int, *, poisonous: bool) -> float:
    """Good messages per second."""
    with Brokered(node) as brokered:
        brokered.stop()
        connection = pika.BlockingConnection(pika.URLParameters(node.url))
        channel = connection.channel()
        channel.basic_qos(prefetch_count=1)
        # The queue has a single active consumer: as long as this one is there, the service waits.
        channel.basic_consume(brokered.names.queue, lambda *_: None)
        fill(brokered, channel, count, poisonous)
        total = count * (1 + poisonous) - 1
        until(lambda: brokered.queued() == total, 120)
        brokered.start()
        client = brokered.join()
        connection.close()
        rate = (count - 1) / seconds(client, count)
        if poisonous:
            until(lambda: brokered.queued(brokered.names.dead) == count, 120)
        return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rates: dict[bool, list[float]] = {False: [], True: []}
    with RabbitMQ() as node:
        for _ in range(arguments.rounds):
            for poisonous, found in rates.items():
                found.append(measure(node, arguments.messages, poisonous=poisonous))
    clean, poisoned = (statistics.median(rates[poisonous]) for poisonous in (False, True))
    print(f"{'good messages/s':<20} {'without poison':>15} {'among as much poison':>21} {'ratio':>6}")
    print(f"{'':<20} {clean:>15,.0f} {poisoned:>21,.0f} {poisoned / clean:>6.2f}")
    sys.exit(0 if poisoned / clean >= MIN_RATIO else 1)


if __name__ == "__main__":
    main()
