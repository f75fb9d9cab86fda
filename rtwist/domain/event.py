"""Reading a domain event from each of the three shapes publishers send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from rtwist.domain.ids import json_type, plain_text, text_id
from rtwist.domain.kinds import cloudevents_kind, detected_kind, dotted_kind, spoken_kind
from rtwist.domain.timestamps import iso, read_timestamp
from rtwist.errors import BadEvent

_ENVELOPE_KEYS = frozenset(
    {"type", "data", "id", "timestamp", "version", "source", "eventId", "correlationId", "traceId"}
)
"""What stands beside `data` in an envelope and is never a property of the event itself."""

_ADDRESSING = frozenset(
    {"orderId", "paymentId", "productId", "transferId"}
    | {"userId", "customerId", "companyId", "shopId", "fromShopId", "toShopId", "role"}
    | {"userIds", "shopIds", "shops", "roles"}
)
"""Properties that say whom an event concerns: where they stand, there is the event."""

_SOMEBODY = re.compile(
    r"(?:to|user|customer|role|company|shop)s?(?:_?ids?)?|(?:target|recipient)\w*", re.IGNORECASE
)


_FOLLOWED = frozenset({"orderId", "productId", "transferId"})
"""What clients subscribe to: ids that begin the names of scoped rooms."""


class DomainEvent(msgspec.Struct, frozen=True):
    """Something that happened: `kind` like "order.created", `data` as published, `timestamp` as `iso` writes.

    `id` is unique to this event, or None when the publisher gave none.
    """

    kind: str
    data: dict[str, Any]
    id: str | None
    timestamp: str

    @property
    def domain(self) -> str:
        """The first word of the kind."""
        return self.kind.partition(".")[0]

    @property
    def action(self) -> str:
        """The words of the kind behind the domain."""
        return self.kind.partition(".")[2]

    def id_of(self, *names: str) -> str | None:
        """Return as text the first id that `data` has under `names`; null and "" count as none.

        Raises `BadEvent`, naming the field, if that is not usable as an id.
        """
        for name in names:
            value = self.data.get(name)
            if value is not None and value != "":
                return _checked(name, value)
        return None

    def required_id(self, name: str) -> str:
        """Return as text the id that `data` must have; raises `BadEvent` without it."""
        found = self.id_of(name)
        if found is None:
            _refuse_null(name, self.data)
            raise BadEvent(f"{name} is missing in an event of kind {self.kind}")
        return found


def means_somebody(name: str) -> bool:
    """Tell whether a property of this name is for somebody in particular, whichever way it is spelt."""
    return _SOMEBODY.fullmatch(name) is not None


def read_event(value: object, *, now: float, routing_key: str | None = None) -> DomainEvent:
    """Take decoded JSON and return the event in it.

    It may be bare, in an envelope `{"type", "data", "id", "timestamp"}`, or in CloudEvents 1.0's structured
    JSON form. `routing_key` names the kind before the event itself does; `now` (seconds since 1970) dates an
    event that carries no valid timestamp. Raises `BadEvent`, whose text names the field at fault.
    """
    if not isinstance(value, dict):
        raise BadEvent(f"an event must be a JSON object, not {json_type(value)}")
    if "specversion" in value:
        return _from_cloudevent(value, now, routing_key)
    if _is_envelope(value):
        return _from_envelope(value, now, routing_key)
    return _from_bare(value, now, routing_key)


def _from_bare(value: dict[str, Any], now: float, routing_key: str | None) -> DomainEvent:
    kind = spoken_kind(routing_key, value) or dotted_kind(value.get("type")) or detected_kind(value)
    return DomainEvent(
        _known(kind, value), value, _event_id("eventId", value), _timestamp(now, value.get("timestamp"))
    )


def _from_envelope(value: dict[str, Any], now: float, routing_key: str | None) -> DomainEvent:
    data = value["data"]
    spoken = value.get("type")
    if spoken is not None and not isinstance(spoken, str):
        raise BadEvent(f"type must be a string, not {json_type(spoken)}")
    kind = spoken_kind(routing_key, data) or spoken_kind(spoken, data) or detected_kind(data)
    timestamp = _timestamp(now, value.get("timestamp"), data.get("timestamp"))
    return DomainEvent(_known(kind, data), data, _event_id("id", value), timestamp)


def _from_cloudevent(value: dict[str, Any], now: float, routing_key: str | None) -> DomainEvent:
    if value["specversion"] != "1.0":
        raise BadEvent('specversion must be "1.0"')
    if value.get("data_base64") is not None:
        raise BadEvent("data_base64 is not supported: send data as a JSON object")
    data = value.get("data")
    if not isinstance(data, dict):
        raise BadEvent(f"data must be an object, not {json_type(data)}")
    for name in ("id", "source", "type"):
        if value.get(name) is None:
            raise BadEvent(f"{name} is missing; CloudEvents need one")
    identity, source, spoken = (_required_text(name, value) for name in ("id", "source", "type"))
    if " " in source:
        raise BadEvent("source must be a URI reference, without spaces")
    kind = spoken_kind(routing_key, data) or cloudevents_kind(spoken, data) or detected_kind(data)
    timestamp = _timestamp(now, value.get("time"), data.get("timestamp"))
    # "Producers MUST ensure that source + id is unique for each distinct event" (CloudEvents 1.0, `id`);
    # no source holds a space, so that two pairs never join to one text.
    return DomainEvent(_known(kind, data), data, f"{source} {identity}", timestamp)


def _is_envelope(value: dict[str, Any]) -> bool:
    """Tell whether `data` is the event or merely a property of it.

    The wrong answer loses the addressee, and an event without one may go to everybody. So the ids decide;
    where they stand on both levels and disagree, the event is refused rather than guessed at.
    """
    if "data" not in value:
        return False
    data, only_envelope = value["data"], _ENVELOPE_KEYS.issuperset(value)
    if not isinstance(data, dict):
        if only_envelope:
            raise BadEvent(f"data must be an object, not {json_type(data)}")
        return False
    if only_envelope:
        return True
    outer, inner = _addressing(value), _addressing(data)
    typed = dotted_kind(value.get("type")) is not None
    if typed and outer.items() <= inner.items():
        _check_beside_data(value, inner)
        return True
    if not inner or (outer and not typed):
        return False
    names = ", ".join(sorted(outer.keys() | inner.keys()))
    raise BadEvent(f"data is ambiguous: {names} must stand either all in data or all beside it")


def _check_beside_data(value: dict[str, Any], inner: Mapping[str, str]) -> None:
    lost = [name for name in value if name not in _ADDRESSING and means_somebody(name)]
    if lost and not inner:
        raise BadEvent(f"{lost[0]} stands beside data: whom the event is for must stand in data")


def _addressing(level: Mapping[str, Any]) -> dict[str, str]:
    # As text, because values that are unhashable or of mixed types could not be compared as items.
    return {name: repr(level[name]) for name in _ADDRESSING & level.keys() if level[name] not in (None, "")}


def _known(kind: str | None, data: Mapping[str, Any]) -> str:
    if kind is None:
        for name in ("orderId", "paymentId"):
            _refuse_null(name, data)
        raise BadEvent(
            "type is missing or not of the form 'order.created', and no property tells the kind; "
            "send orderId or paymentId, or a type"
        )
    return kind


def _refuse_null(name: str, data: Mapping[str, Any]) -> None:
    if name in data and data[name] is None:
        raise BadEvent(f"{name} is null")


def _checked(name: str, value: object) -> str:
    try:
        return text_id(value) if name in _FOLLOWED else plain_text(value)
    except ValueError as reason:
        raise BadEvent(f"{name} {reason}") from None


def _event_id(name: str, value: Mapping[str, Any]) -> str | None:
    found = value.get(name)
    return None if found is None or found == "" else _required_text(name, value)


def _required_text(name: str, value: Mapping[str, Any]) -> str:
    try:
        return plain_text(value.get(name))
    except ValueError as reason:
        raise BadEvent(f"{name} {reason}") from None


def _timestamp(now: float, *candidates: object) -> str:
    for candidate in candidates:
        found = read_timestamp(candidate)
        if found is not None:
            return found
    return iso(now)
