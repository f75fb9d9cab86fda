"""The messages of `createShardedAdapter` of @socket.io/redis-adapter 8; pure.

Each is an object `{type, data, uid, nsp}`: JSON, or MessagePack when its data holds binary.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

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
    Target,
    event_of,
    flags_of,
    options,
    server_event_of,
    target_of,
)
from rtwist.cluster.wire import (
    FOREIGN,
    READER,
    UNKNOWN,
    Reader,
    Unreadable,
    array,
    boolean,
    count,
    json,
    mapping,
    pack,
)
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


def decode(message: bytes, namespace: str, reader: Reader = READER) -> tuple[str, Message]:
    """Who says it, and what; the errors are those of `Reader`."""
    said = mapping(reader.read(message), "a message")
    if said.get("nsp") != namespace:
        raise Unreadable(FOREIGN, "a message of another namespace")
    read = _READERS.get(said["type"]) if type(said.get("type")) is int else None
    if read is None:
        raise Unreadable(UNKNOWN, "a message of an unknown type")
    uid = reader.identifier(said.get("uid"), "uid")
    return uid, read(mapping(said.get("data"), "data"), _From(uid, reader))


def ends(uid: str, namespace: str) -> tuple[bytes, bytes]:
    """What every message of `uid` ends with, in either form, if it says who it is of last."""
    last = {"uid": uid, "nsp": namespace}
    return b"," + json(last)[1:], pack(last)[1:]


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


class _From(NamedTuple):
    """Who says it, and how it is read."""

    uid: str
    reader: Reader


_Fields = Any


def _id(data: _Fields, by: _From) -> str:
    return by.reader.identifier(data.get("requestId"), "requestId")


def _asked(data: _Fields, by: _From) -> str | None:
    return by.reader.optional_identifier(data.get("requestId"), "requestId")


def _rooms(data: _Fields, by: _From) -> tuple[str, ...]:
    return by.reader.room_names(data.get("rooms"))


def _target(data: _Fields, by: _From) -> Target:
    return target_of(data.get("opts"), by.reader)


def _broadcast(data: _Fields, by: _From) -> Message:
    event = event_of(mapping(data.get("packet"), "packet"))
    return Broadcast(by.uid, event, _target(data, by), flags_of(data.get("opts")), _asked(data, by))


_READERS: dict[int, Callable[[_Fields, _From], Message]] = {
    Kind.BROADCAST: _broadcast,
    Kind.JOIN: lambda data, by: Join(_target(data, by), _rooms(data, by), by.uid),
    Kind.LEAVE: lambda data, by: Leave(_target(data, by), _rooms(data, by), by.uid),
    Kind.DISCONNECT: lambda data, by: Disconnect(_target(data, by), boolean(data.get("close")), by.uid),
    Kind.FETCH: lambda data, by: Fetch(by.uid, _id(data, by), _target(data, by)),
    Kind.SOCKETS: lambda data, by: SocketsAre(_id(data, by), array(data.get("sockets"), "sockets")),
    Kind.SERVER_SIDE: lambda data, by: ServerSide(by.uid, server_event_of(data.get("packet")), _asked(data, by)),
    Kind.ANSWER: lambda data, by: Answer(_id(data, by), data.get("packet")),
    Kind.CLIENT_COUNT: lambda data, by: ClientCount(_id(data, by), count(data.get("clientCount"), "clientCount")),
    Kind.CLIENT_ACK: lambda data, by: ClientAck(_id(data, by), data.get("packet")),
}
