"""What can be set on the way to RabbitMQ; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtwist.errors import ConfigError
from rtwist.intake.amqp.url import BrokerAddress

DECLARE = "declare"
CHECK = "check"
NONE = "none"
DECLARE_MODES = (DECLARE, CHECK, NONE)
QUEUE_TYPES = ("classic", "quorum")
DEFAULT_BINDINGS = (
    "order.#", "payment.#", "inventory.#", "product.#", "notification.#", "user.#", "company.#", "shop.#",
    "transfer.#", "announcement.#",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """Where the broker is, what rtwist uses on it, and how it consumes; times in seconds, sizes in bytes.

    - `declare`: make what is missing, only check that it is there, or none of both.
    - `prefetch`: deliveries that may wait for their acknowledgement.
    - `ack_batch`: deliveries acknowledged together at most.
    - `retries`: how often an event is tried again whose rule failed.
    - `max_deliveries`: after so many deliveries without an end a message of a quorum queue is dead.
    - `settle`: how long after the start nothing is consumed, so that clients come back first.
    - `to_broker`: whether what comes by POST /events is published instead of emitted at once.
    """

    addresses: tuple[BrokerAddress, ...]
    ca_file: Path | None = None
    exchange: str = "events"
    queue: str = "websocket.events"
    dead_letter_exchange: str = "websocket.events.dlx"
    dead_letter_queue: str = "websocket.events.dead"
    bindings: tuple[str, ...] = DEFAULT_BINDINGS
    declare: str = DECLARE
    queue_type: str = "classic"
    prefetch: int = 250
    ack_batch: int = 50
    retries: int = 3
    max_deliveries: int = 20
    heartbeat: int = 20
    settle: float = 0.0
    max_body: int = 4_000_000
    to_broker: bool = False


def broker_settings(values: Mapping[str, Any]) -> BrokerSettings | None:
    """The settings from the values of the options of their names; None without a URL."""
    if values["rabbitmq-url"] is None:
        if values["to-broker"]:
            raise ConfigError(
                "--to-broker is given, but no broker: set RABBITMQ_URL, or give --rabbitmq-url-file"
            )
        return None
    return BrokerSettings(
        addresses=values["rabbitmq-url"],
        ca_file=values["rabbitmq-ca-file"],
        exchange=values["rabbitmq-exchange"],
        queue=values["rabbitmq-queue"],
        dead_letter_exchange=values["rabbitmq-dead-letter-exchange"],
        dead_letter_queue=values["rabbitmq-dead-letter-queue"],
        bindings=values["rabbitmq-bindings"],
        declare=values["rabbitmq-declare"],
        queue_type=values["rabbitmq-queue-type"],
        prefetch=values["rabbitmq-prefetch"],
        ack_batch=values["rabbitmq-ack-batch"],
        retries=values["rabbitmq-retries"],
        max_deliveries=values["rabbitmq-max-deliveries"],
        heartbeat=values["rabbitmq-heartbeat"],
        settle=values["rabbitmq-settle"],
        max_body=values["rabbitmq-max-body"],
        to_broker=values["to-broker"],
    )


def whole(least: int, most: int) -> Callable[[str], int]:
    """Reads a whole number from `least` to `most`; raises ValueError, in words for people."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text[:10]) <= most):
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return read


def read_name(text: str) -> str:
    """The name of an exchange or queue; raises ValueError, in words for people."""
    if not text.strip() or not text.isprintable() or len(text.encode()) > 255:
        raise ValueError("must be a name of 1 to 255 bytes, without control characters")
    if text.startswith("amq."):
        raise ValueError("must not begin with amq., which the broker keeps for itself")
    return text


def read_bindings(text: str) -> tuple[str, ...]:
    """Patterns of routing keys, with commas; raises ValueError, in words for people."""
    patterns = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not patterns:
        raise ValueError("must name at least one, for example order.#,payment.*")
    for pattern in patterns:
        if not pattern.isprintable() or len(pattern.encode()) > 255:
            raise ValueError(f"{pattern!r} is no pattern; write for example order.#,payment.*")
    return patterns
