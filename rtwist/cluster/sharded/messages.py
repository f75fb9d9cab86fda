"""The messages of `createShardedAdapter` of @socket.io/redis-adapter 8; pure.

Each is an object `{type, data, uid, nsp}`: JSON, or MessagePack when its data holds binary.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from rtwist.cluster.messages import (
    Answer,
    Broadcast,
    ClientAck,
    ClientCount,
    Disconnect,
    Fetch,
    Flags,
    Join,
    Leave,
    Message,
    ServerSide,
    SocketsAre,
    event_of,
    flags_of,
    options,
    server_event_of,
    target_of,
)
from rtwist.cluster.wire import (
    array,
    boolean,
    count,
    identifier,
    json,
    mapping,
    optional_identifier,
    pack,
    read,
    room_names,
)
from rtwist.errors import RemoteProtocolError
from rtwist.socketio.binary import has_binary
from rtwist.socketio.packet import PacketType


class Kind(IntEnum):
    """The `type` of a message; 1, 2 and 13 are of adapters that keep up heartbeats."""

    BROADCAST = 3
    JOIN = 4
    LEAVE = 5
    DISCONNECT = 6
    FETCH = 7
    SOCKETS = 8
    SERVER_SIDE = 9
    ANSWER = 10
    CLIENT_COUNT = 11
    CLIENT_ACK = 12


def encode(message: Message, uid: str, namespace: str) -> bytes:
    """`message` as the node `uid` says it; `TypeError` for what this protocol has no message for."""
    kind, data = _parts(message)
    said = {"type": kind, "data": data, "uid": uid, "nsp": namespace}
    return pack(said) if has_binary(data) else json(said)


def decode(message: bytes, namespace: str) -> tuple[str, Message]:
    """Who says it, and what; `RemoteProtocolError` when it cannot be read or is not for us."""
    said = mapping(read(message), "a message")
    if said.get("nsp") != namespace:
        raise RemoteProtocolError("a message of another namespace")
    reader = _READERS.get(said["type"]) if type(said.get("type")) is int else None
    if reader is None:
        raise RemoteProtocolError("a message of an unknown type")
    uid = identifier(said.get("uid"), "uid")
    return uid, reader(mapping(said.get("data"), "data"), uid)


def _parts(message: Message) -> tuple[Kind, dict[str, Any]]:
    if isinstance(message, Broadcast):
        packet = {"type": PacketType.EVENT, "data": message.data}
        asked = {} if message.request_id is None else {"requestId": message.request_id}
        return Kind.BROADCAST, {"packet": packet, **asked, "opts": options(message.target, message.flags)}
    if isinstance(message, Join | Leave):
        kind = Kind.JOIN if isinstance(message, Join) else Kind.LEAVE
        return kind, {"opts": options(message.target, Flags()), "rooms": message.rooms}
    if isinstance(message, Disconnect):
        return Kind.DISCONNECT, {"opts": options(message.target, Flags()), "close": message.close}
    if isinstance(message, ServerSide):
        asked = {} if message.request_id is None else {"requestId": message.request_id}
        return Kind.SERVER_SIDE, {**asked, "packet": message.data}
    if isinstance(message, Fetch):
        return Kind.FETCH, {"opts": options(message.target, Flags()), "requestId": message.request_id}
    return _answer_parts(message)


def _answer_parts(message: Message) -> tuple[Kind, dict[str, Any]]:
    if isinstance(message, SocketsAre):
        return Kind.SOCKETS, {"requestId": message.request_id, "sockets": message.sockets}
    if isinstance(message, Answer):
        return Kind.ANSWER, {"requestId": message.request_id, "packet": message.value}
    if isinstance(message, ClientCount):
        return Kind.CLIENT_COUNT, {"requestId": message.request_id, "clientCount": message.clients}
    if isinstance(message, ClientAck):
        return Kind.CLIENT_ACK, {"requestId": message.request_id, "packet": message.value}
    raise TypeError(f"the sharded protocol has no {type(message).__name__}")


_Fields = Any


def _id(data: _Fields) -> str:
    return identifier(data.get("requestId"), "requestId")


def _asked(data: _Fields) -> str | None:
    return optional_identifier(data.get("requestId"), "requestId")


def _broadcast(data: _Fields, uid: str) -> Message:
    packet, opts = mapping(data.get("packet"), "packet"), data.get("opts")
    # Which namespace it is for stands outside.
    event = event_of({**packet, "nsp": None}, None)
    return Broadcast(uid, event, target_of(opts), flags_of(opts), _asked(data))


_READERS: dict[int, Callable[[_Fields, str], Message]] = {
    Kind.BROADCAST: _broadcast,
    Kind.JOIN: lambda data, uid: Join(target_of(data.get("opts")), room_names(data.get("rooms")), uid),
    Kind.LEAVE: lambda data, uid: Leave(target_of(data.get("opts")), room_names(data.get("rooms")), uid),
    Kind.DISCONNECT: lambda data, uid: Disconnect(target_of(data.get("opts")), boolean(data.get("close")), uid),
    Kind.FETCH: lambda data, uid: Fetch(uid, _id(data), target_of(data.get("opts"))),
    Kind.SOCKETS: lambda data, uid: SocketsAre(_id(data), array(data.get("sockets"), "sockets")),
    Kind.SERVER_SIDE: lambda data, uid: ServerSide(uid, server_event_of(data.get("packet")), _asked(data)),
    Kind.ANSWER: lambda data, uid: Answer(_id(data), data.get("packet")),
    Kind.CLIENT_COUNT: lambda data, uid: ClientCount(_id(data), count(data.get("clientCount"), "clientCount")),
    Kind.CLIENT_ACK: lambda data, uid: ClientAck(_id(data), data.get("packet")),
}
