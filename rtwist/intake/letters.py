"""Dead letters: what is written on a message that could not be used, and how it finds back; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from rtwist.errors import BrokerProtocolError
from rtwist.intake.amqp.message import PERSISTENT, Delivery, Properties

REASON = "x-rtwist-reason"
EXCHANGE = "x-rtwist-exchange"
ROUTING_KEY = "x-rtwist-routing-key"
DIED_AT = "x-rtwist-died-at"
_DEATHS = "x-death"
_OWN = (REASON, EXCHANGE, ROUTING_KEY, DIED_AT)
_ROUTES = ("CC", "BCC")
"""Headers that would let RabbitMQ route a copy to others once more."""
MAX_REASON_CHARS = 1000
DEFAULT_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a message was first published."""

    exchange: str
    routing_key: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter and its position in the queue, from 1."""

    position: int
    delivery: Delivery

    @property
    def properties(self) -> Properties | None:
        """None when they cannot be read."""
        try:
            _ = dict(self.delivery.properties.headers or {})
        except BrokerProtocolError:
            return None
        return self.delivery.properties


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters: the `limit` oldest; with `ids`, of these only those with such a message id."""

    limit: int = DEFAULT_LIMIT
    ids: frozenset[str] = frozenset()

    def takes(self, letter: Letter) -> bool:
        """Whether the letter is meant."""
        return not self.ids or (letter.properties is not None and letter.properties.message_id in self.ids)


def origin_of(delivery: Delivery, dead_letter_exchange: str) -> Origin:
    """Where the message was first published, also when it has been a dead letter since.

    Only what came through the default exchange or the dead-letter exchange can have been one. Raises
    `BrokerProtocolError` when its headers cannot be read.
    """
    came = Origin(delivery.exchange, delivery.routing_key)
    if came.exchange not in {"", dead_letter_exchange}:
        return came
    headers: Mapping[str, Any] = delivery.properties.headers or {}
    written = headers.get(EXCHANGE), headers.get(ROUTING_KEY)
    if isinstance(written[0], str) and isinstance(written[1], str):
        return Origin(written[0], written[1])
    return _first_death(headers.get(_DEATHS)) or came


def spoken_key(delivery: Delivery, dead_letter_exchange: str) -> str | None:
    """The routing key by which the message was first published, None where that says nothing of the event.

    Raises `BrokerProtocolError` as `origin_of` does.
    """
    if delivery.exchange and delivery.exchange != dead_letter_exchange:
        return delivery.routing_key
    origin = origin_of(delivery, dead_letter_exchange)
    # By the default exchange the routing key is the name of the queue.
    return origin.routing_key if origin.exchange else None


def _first_death(deaths: object) -> Origin | None:
    # The latest death comes first in the header, so that the last one tells where it all began.
    if not isinstance(deaths, Sequence) or not deaths or not isinstance(deaths[-1], Mapping):
        return None
    exchange, keys = deaths[-1].get("exchange"), deaths[-1].get("routing-keys")
    if isinstance(exchange, str) and isinstance(keys, Sequence) and keys and isinstance(keys[0], str):
        return Origin(exchange, keys[0])
    return None


def buried(properties: Properties, origin: Origin, reason: str, now: float) -> Properties:
    """The properties of a dead letter, as readable as they came, with the reason on it."""
    marks = {
        REASON: reason[:MAX_REASON_CHARS],
        EXCHANGE: origin.exchange,
        ROUTING_KEY: origin.routing_key,
        DIED_AT: int(now),
    }
    return _republished(properties, {**_without(properties.headers, _ROUTES), **marks})


def revived(properties: Properties, origin: Origin) -> Properties:
    """The properties of a dead letter that is put back."""
    headers = {
        name: value
        for name, value in _without(properties.headers, (*_ROUTES, *_OWN)).items()
        if name != _DEATHS and not name.startswith(("x-first-death-", "x-last-death-"))
    }
    return _republished(properties, {**headers, EXCHANGE: origin.exchange, ROUTING_KEY: origin.routing_key})


def _republished(properties: Properties, headers: dict[str, Any]) -> Properties:
    # The broker takes a user id only from that user, and would throw the message away when it expires.
    return replace(properties, headers=headers, user_id=None, expiration=None, delivery_mode=PERSISTENT)


def _without(headers: Mapping[str, Any] | None, names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in (headers or {}).items() if name not in names}
