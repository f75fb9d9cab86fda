"""What a client may name: rooms to join by name, and the ids of what it subscribes to."""

from __future__ import annotations

from collections.abc import Callable

from rtwist.domain.ids import plain_text, text_id
from rtwist.domain.rooms import RESERVED_PREFIXES, SUPER_ADMIN
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


def _checked(what: str, check: Callable[[object], str], value: object) -> str:
    try:
        return check(value)
    except ValueError as reason:
        raise Refused("bad_request", f"the {what} {reason}") from None
