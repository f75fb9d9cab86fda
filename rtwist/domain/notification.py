"""Notifications to a user, a role, a company, a shop or everyone; announcements to everyone."""

from __future__ import annotations

from typing import Any

import msgspec

from rtwist.domain.emission import Answer, Emission
from rtwist.domain.event import DomainEvent, means_somebody
from rtwist.domain.fields import Id, Ids, read
from rtwist.domain.kinds import dotted_kind
from rtwist.domain.owners import Owners
from rtwist.domain.rooms import company_audience, role_room, shop_room, user_room
from rtwist.domain.wording import scalars
from rtwist.errors import BadEvent

_TEXTS = ("type", "priority", "subject", "content")


class Addressees(msgspec.Struct, frozen=True, rename="camel"):
    """Whom a notification is for; the first of these that is there decides."""

    user_id: Id | None = None
    customer_id: Id | None = None
    user_ids: Ids | None = None
    role: Ids | None = None
    roles: Ids | None = None
    company_id: Id | None = None
    shop_id: Id | None = None

    @property
    def rooms(self) -> tuple[str, ...]:
        """The rooms of those it is for; none when it names nobody."""
        if user := self.user_id or self.customer_id:
            return (user_room(user),)
        if self.user_ids:
            return tuple(map(user_room, self.user_ids))
        if roles := self.role or self.roles:
            return tuple(map(role_room, roles))
        if self.shop_id:
            return (shop_room(self.shop_id),)
        return company_audience(self.company_id) if self.company_id else ()


def notification_emissions(event: DomainEvent, _owners: Owners) -> list[Answer]:
    """Return the emission of a `notification.*` event.

    Each audience gets `type`, `priority`, `subject`, `content`, `metadata` and `timestamp`. Raises `BadEvent`
    for ids that are none, and when a field means somebody in particular and yet names nobody: only an event
    without any such field is for everyone.
    """
    rooms = read(event, Addressees).rooms
    told = _told(event)
    if rooms:
        return [Emission("notification:new", told, rooms)]
    meant = [name for name in event.data if means_somebody(name)]
    if meant:
        known = ", ".join(field.encode_name for field in msgspec.structs.fields(Addressees))
        raise BadEvent(
            f"{meant[0]} names nobody: address a notification by one of {known}, or by none to tell everyone"
        )
    return [Emission("notification:broadcast", told, everyone=True)]


def announcement_emissions(event: DomainEvent, _owners: Owners) -> list[Answer]:
    """Return the emission of an announcement, to everyone, with the fields of a notification."""
    return [Emission("announcement:new", _told(event), everyone=True)]


def _told(event: DomainEvent) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "info", "priority": "normal"}
    told |= {name: text for name, text in scalars(event.data, *_TEXTS).items() if text != ""}
    if dotted_kind(told["type"]):  # a bare event says there what kind of event it is
        told["type"] = "info"
    metadata = event.data.get("metadata")
    if isinstance(metadata, dict):
        told["metadata"] = metadata
    told["timestamp"] = event.timestamp
    return told
