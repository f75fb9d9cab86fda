"""Sockets of other nodes: how a node describes its own, and what can be done with another's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from time import gmtime, strftime
from typing import TYPE_CHECKING, Any, Final

from rtwist.cluster.wire import READER, Reader, mapping
from rtwist.socketio.broadcast import BroadcastOperator, RoomNames
from rtwist.socketio.socket import Handshake, Socket

if TYPE_CHECKING:
    from rtwist.socketio.namespace import Namespace

SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
SECRET_QUERY: Final = frozenset({"access_token", "auth", "jwt", "token"})
"""Names under which clients send credentials; neither these nor the CONNECT payload leave a node."""

_PLAIN = (str, int, float, bool, type(None))


class RemoteSocket:
    """A socket of another node, as it was when it was asked for.

    `handshake` is without credentials; `data` holds what of the socket's has a JSON form. The errors
    are those of `Reader`.
    """

    __slots__ = ("_operator", "data", "handshake", "id", "rooms")

    def __init__(self, namespace: Namespace, description: Any, reader: Reader = READER) -> None:
        said = mapping(description, "a socket")
        self.id = reader.identifier(said.get("id"), "a socket's id")
        self.handshake = _handshake(mapping(said.get("handshake") or {}, "a handshake"))
        self.rooms = frozenset(reader.room_names(said.get("rooms")))
        self.data: dict[str, Any] = dict(mapping(said.get("data") or {}, "a socket's data"))
        self._operator = BroadcastOperator(namespace).to(self.id)

    def __repr__(self) -> str:
        return f"<RemoteSocket {self.id}>"

    def emit(self, event: str, *args: Any) -> None:
        """Send `event` to this client; the errors are those of `BroadcastOperator.emit`."""
        self._operator.emit(event, *args)

    def join(self, room: RoomNames) -> None:
        """Have it enter `room`, a name or several."""
        self._operator.sockets_join(room)

    def leave(self, room: RoomNames) -> None:
        """Have it leave `room`, a name or several."""
        self._operator.sockets_leave(room)

    def disconnect(self, close: bool = False) -> None:
        """Have it leave the namespace; `close` also ends its connection."""
        self._operator.disconnect_sockets(close)


def describe(socket: Socket) -> dict[str, Any]:
    """`socket` as Node servers describe theirs, without credentials."""
    shake = socket.handshake
    headers = {name: value for name, value in shake.headers.items() if name not in SECRET_HEADERS}
    return {
        "id": socket.id,
        "handshake": {
            "headers": headers,
            "time": strftime("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)", gmtime(shake.time)),
            "address": shake.address,
            "xdomain": "origin" in headers,
            "secure": shake.secure,
            "issued": int(shake.time * 1000),
            "url": "/socket.io/",
            "query": {name: value for name, value in shake.query.items() if name not in SECRET_QUERY},
            "auth": {},
        },
        "rooms": sorted(socket.rooms),
        "data": {name: value for name, value in socket.data.items() if _is_json(value)},
    }


def _is_json(value: Any) -> bool:
    # An object of a class, such as who the client is, is for this node only.
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return type(value) in _PLAIN


def _handshake(said: Mapping[str, Any]) -> Handshake:
    issued = said.get("issued")
    address = said.get("address")
    return Handshake(
        auth={},
        headers=_texts(said.get("headers"), SECRET_HEADERS),
        query=_texts(said.get("query"), SECRET_QUERY),
        address=address if isinstance(address, str) else "",
        secure=said.get("secure") is True,
        time=issued / 1000 if isinstance(issued, int | float) and math.isfinite(issued) else 0.0,
    )


def _texts(said: Any, secret: frozenset[str]) -> dict[str, str]:
    if not isinstance(said, dict):
        return {}
    return {name: value for name, value in said.items() if isinstance(value, str) and name.lower() not in secret}
