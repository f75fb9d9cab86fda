"""What a client may name and follow: rooms to join by name, orders and transfers it subscribes to."""

from __future__ import annotations

from collections.abc import Callable

from rtwist.auth.identity import Identity
from rtwist.domain.ids import plain_text, text_id
from rtwist.domain.owners import Owners
from rtwist.domain.rooms import (
    RESERVED_PREFIXES,
    SUPER_ADMIN,
    order_room,
    order_scopes_of_subscriber,
    transfer_scopes_of_subscriber,
)
from rtwist.errors import Refused


def custom_room(name: object, is_socket_id: Callable[[str], bool]) -> str:
    """Take what a client sent as the name of a room to join, and return it as text.

    `is_socket_id` tells whether a name is the id of a live socket, which is that socket's own room. Raises
    `Refused`: `bad_request` for what cannot be a name, `forbidden` for rooms that only the server fills.
    """
    room = _checked("room", plain_text, name)
    if room == SUPER_ADMIN or room.startswith(RESERVED_PREFIXES):
        raise Refused("forbidden", "this room cannot be joined by its name")
    if is_socket_id(room):
        raise Refused("forbidden", "this room belongs to another socket")
    return room


def subject_id(value: object) -> str:
    """Take what a client sent as the id of an order, product or transfer, and return it as text.

    Raises `Refused` with `bad_request` for what cannot be an id.
    """
    return _checked("id", text_id, value)


def entitled(identity: Identity, owners: Owners) -> bool:
    """Whether `identity` may see an order of `owners`; of an unknown order only super admins may."""
    return owners.entitles(
        user_id=identity.user_id,
        company_id=identity.company_id,
        shop_ids=identity.shop_ids,
        super_admin=identity.is_super_admin,
    )


def order_rooms(identity: Identity, order_id: str, owners: Owners) -> tuple[str, ...]:
    """The rooms in which `identity` follows an order of `owners`; none if it may not.

    The plain room comes first if it is entitled; without it the subscription is pending.
    """
    may = entitled(identity, owners)
    if owners.known and not may:
        return ()
    scopes = order_scopes_of_subscriber(
        order_id, identity.user_id, identity.company_id, identity.shop_ids, identity.is_super_admin
    )
    return (order_room(order_id), *scopes) if may else scopes


def transfer_rooms(identity: Identity, transfer_id: str) -> tuple[str, ...]:
    """The rooms in which `identity` follows a transfer; none for those who have no company or shop."""
    return transfer_scopes_of_subscriber(
        transfer_id, identity.company_id, identity.shop_ids, identity.is_super_admin
    )


def _checked(what: str, check: Callable[[object], str], value: object) -> str:
    try:
        return check(value)
    except ValueError as reason:
        raise Refused("bad_request", f"the {what} {reason}") from None
