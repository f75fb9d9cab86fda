"""Backend services as they publish: by pika, and by amqplib in Node; headers of every type on each message."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pika

from tests.support.clients import run_node
from tests.support.rabbitmq import RabbitMQ

HEADERS: Mapping[str, Any] = {
    "string": "é", "void": None, "true": True, "array": [1, "two", None, {"three": [3]}],
    "table": {"deep": {"deeper": [False]}}, "bytes": b"\x00\xff\xfe", "int": -1, "long": 1 << 40,
    "decimal": Decimal("-12.34"), "timestamp": datetime(2025, 6, 15, tzinfo=timezone.utc),
    "x-delivery-count": "many", "x-death": {"not": "a list"}, "x-rtwist-routing-key": "payment.failed",
    "x-rtwist-exchange": 7,
}  # fmt: skip
"""Every type that pika can spell, and names that mean something to RabbitMQ or rtwist with other values."""


@dataclass(frozen=True)
class Message:
    """What is published where; `options` are properties in pika's spelling."""

    exchange: str
    key: str
    body: bytes
    options: Mapping[str, Any] = field(default_factory=dict)


def by_pika(node: RabbitMQ, messages: Sequence[Message]) -> None:
    """Publish in order."""
    connection = pika.BlockingConnection(pika.URLParameters(node.url))
    channel = connection.channel()
    for message in messages:
        properties = pika.BasicProperties(**{"headers": HEADERS, "delivery_mode": 2, **message.options})
        channel.basic_publish(message.exchange, message.key, message.body, properties)
    connection.close()


def by_amqplib(node: RabbitMQ, messages: Sequence[Message], folder: Path) -> None:
    """Publish in order; `folder` is for the file that hands the messages over."""
    file = folder / "messages.json"
    file.write_text(json.dumps([_for_node(message) for message in messages]))
    output, status = run_node(["amqp_publish_all.js", node.url, str(file)])
    assert status == 0, output


def _for_node(message: Message) -> dict[str, Any]:
    def camel(name: str) -> str:
        first, *more = name.split("_")
        return first + "".join(map(str.capitalize, more))

    options = {camel(name): value for name, value in message.options.items()}
    body = base64.b64encode(message.body).decode()
    return {"exchange": message.exchange, "key": message.key, "body": body, "options": options}


Publish = Callable[[RabbitMQ, Sequence[Message], Path], None]
PUBLISHERS: Mapping[str, Publish] = {
    "amqplib": by_amqplib,
    "pika": lambda node, messages, _: by_pika(node, messages),
}
