"""Rules that are declared rather than programmed: which event is emitted under which name, and to which rooms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rtwist.domain.emission import Answer, Emission, Note
from rtwist.domain.event import DomainEvent
from rtwist.domain.ids import text_id
from rtwist.domain.owners import UNKNOWN, Owners
from rtwist.domain.rooms import (
    ORDER_PREFIX,
    SUPER_ADMIN,
    TRANSFER_PREFIX,
    company_room,
    order_scopes_of_owners,
    transfer_scopes_of_owners,
)
from rtwist.errors import BadEvent

PLACEHOLDER = re.compile(r"\{([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)\}")
ALL_FIELDS = "*"


@dataclass(frozen=True, slots=True)
class Route:
    """One route as a rule: emits `event` to `rooms`, or to everyone, with the `fields` of the event.

    Rooms hold placeholders, `company:{companyId}`, also for what lies deeper, `user:{customer.id}`. A room
    whose placeholder the event does not fill is left out, and noted. `fields` is `("*",)` for all. The
    emission carries the event's timestamp.
    """

    event: str
    rooms: tuple[str, ...]
    fields: tuple[str, ...]
    everyone: bool = False

    def __call__(self, event: DomainEvent, owners: Owners) -> list[Answer]:
        """The rule; raises `BadEvent` when what fills a placeholder is no id."""
        answers: list[Answer] = []
        rooms: list[str] = []
        for template in self.rooms:
            room = _filled(template, event)
            if room is None:
                answers.append(Note(f"{self.event} is not emitted to {template}: the event does not fill it"))
            else:
                rooms += _audience(room, event, owners)
        if rooms or self.everyone:
            emission = Emission(self.event, self._told(event), tuple(dict.fromkeys(rooms)), self.everyone)
            answers.insert(0, emission)
        return answers

    def _told(self, event: DomainEvent) -> dict[str, Any]:
        data = event.data
        names = data if self.fields == (ALL_FIELDS,) else [name for name in self.fields if name in data]
        return {**{name: data[name] for name in names}, "timestamp": event.timestamp}


@dataclass(frozen=True, slots=True)
class Routes:
    """Several routes for the same kinds of events, as one rule."""

    routes: tuple[Route, ...]

    def __call__(self, event: DomainEvent, owners: Owners) -> list[Answer]:
        """What each of them answers, in their order."""
        return [answer for route in self.routes for answer in route(event, owners)]


def _filled(template: str, event: DomainEvent) -> str | None:
    values = {}
    for path in PLACEHOLDER.findall(template):
        value = _value(event.data, path)
        if value is None or value == "":
            return None
        try:
            values[path] = text_id(value)
        except ValueError as reason:
            raise BadEvent(f"{path} {reason}") from None
    return PLACEHOLDER.sub(lambda match: values[match[1]], template)


def _value(data: Any, path: str) -> Any:
    for name in path.split("."):
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _audience(room: str, event: DomainEvent, owners: Owners) -> Iterator[str]:
    """The rooms that are meant: super admins hear what a company hears, orders and transfers have scopes."""
    if room.startswith(company_room("")):
        yield from (room, SUPER_ADMIN)
    elif room.startswith(ORDER_PREFIX):
        order_id = room.removeprefix(ORDER_PREFIX)
        yield from order_scopes_of_owners(order_id, owners if order_id == event.id_of("orderId") else UNKNOWN)
    elif room.startswith(TRANSFER_PREFIX):
        shops = (event.id_of(name) for name in ("fromShopId", "toShopId"))
        yield from transfer_scopes_of_owners(
            room.removeprefix(TRANSFER_PREFIX), event.id_of("companyId"), [shop for shop in shops if shop]
        )
    else:
        yield room
