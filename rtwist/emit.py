"""Emitting to users, companies, shops and rooms, and asking who is connected."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from rtwist.domain.rooms import SUPER_ADMIN, company_audience, role_room, shop_room, user_room
from rtwist.socketio import Server

_USER_PREFIX = user_room("")


def emit_to_user(io: Server, user_id: str, event: str, data: Any) -> int:
    """Send `event` to every socket of the user; returns how many sockets of this node got it."""
    return io.to(user_room(user_id)).emit(event, data)


def emit_to_company(io: Server, company_id: str, event: str, data: Any) -> int:
    """Send `event` to the company and to super admins, to nobody twice; returns the number of sockets."""
    return io.to(company_audience(company_id)).emit(event, data)


def emit_to_shop(io: Server, shop_id: str, event: str, data: Any) -> int:
    """Send `event` to everybody of the shop; returns how many sockets of this node got it."""
    return io.to(shop_room(shop_id)).emit(event, data)


def emit_to_role(io: Server, role: str, event: str, data: Any) -> int:
    """Send `event` to everybody with the role; returns how many sockets of this node got it."""
    return io.to(SUPER_ADMIN if role == SUPER_ADMIN else role_room(role)).emit(event, data)


def emit_to_room(io: Server, room: str, event: str, data: Any) -> int:
    """Send `event` to everybody in `room`; returns how many sockets of this node got it."""
    return io.to(room).emit(event, data)


def broadcast_to_all(io: Server, event: str, data: Any) -> int:
    """Send `event` to every connected socket; returns how many sockets of this node got it."""
    return io.emit(event, data)


def get_connected_users(io: Server) -> list[str]:
    """The ids of the users with at least one socket, each once, sorted."""
    names = io.root.adapter.rooms.names()
    return sorted(name.removeprefix(_USER_PREFIX) for name in names if name.startswith(_USER_PREFIX))


def is_user_connected(io: Server, user_id: str) -> bool:
    """Whether the user has at least one socket."""
    return user_room(user_id) in io.root.adapter.rooms


class Users(Protocol):
    """Who is connected, to whichever nodes this speaks for."""

    async def users(self) -> Collection[str]:
        """The ids of the users with at least one socket, each once, sorted."""

    async def is_present(self, user_id: str) -> bool:
        """Whether the user has at least one socket."""


class LocalUsers:
    """The users of this node."""

    def __init__(self, io: Server) -> None:
        self._io = io

    async def users(self) -> Collection[str]:
        """See `Users`."""
        return get_connected_users(self._io)

    async def is_present(self, user_id: str) -> bool:
        """See `Users`."""
        return is_user_connected(self._io, user_id)
