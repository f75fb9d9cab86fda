"""The messages of `createAdapter` of @socket.io/redis-adapter 8 and of @socket.io/redis-emitter 5; pure.

Broadcasts are MessagePack, requests JSON unless they carry a packet. A request's kind is a number, a response's
is told by its fields.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

from rtwist.cluster.messages import (
    EMITTER,
    Answer,
    AskRooms,
    AskSids,
    Broadcast,
    ClientAck,
    ClientCount,
    Disconnect,
    DisconnectOne,
    Done,
    Fetch,
    Join,
    JoinOne,
    Leave,
    LeaveOne,
    Request,
    Response,
    RoomsAre,
    ServerSide,
    SocketsAre,
    Target,
    event_in,
    flags_of,
    options,
    server_event_of,
    target_of,
)
from rtwist.cluster.wire import (
    INVALID,
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
    without_bytes,
)
from rtwist.socketio.packet import ROOT, PacketType

_BROADCAST_PARTS = 3
_BEGINS_PACKED = b"\x85" + pack("uid")
"""A map of five fields, and the name of the first."""


class Kind(IntEnum):
    """The `type` of a request."""

    SOCKETS = 0
    ALL_ROOMS = 1
    JOIN = 2
    LEAVE = 3
    DISCONNECT = 4
    FETCH = 5
    SERVER_SIDE = 6
    BROADCAST = 7
    CLIENT_COUNT = 8
    CLIENT_ACK = 9


def encode_broadcast(message: Broadcast, namespace: str) -> bytes:
    """What goes to the channel of a broadcast."""
    opts = options(message.target, message.flags)
    if message.uid == EMITTER:
        opts = {"rooms": opts["rooms"], "flags": opts["flags"], "except": opts["except"]}
    return pack((message.uid, _packet(message, namespace), opts))


def decode_broadcast(message: bytes, namespace: str, reader: Reader = READER) -> Broadcast:
    """What came on the channel of a broadcast; the errors of all that read are those of `Reader`."""
    parts = array(reader.read(message), "a broadcast")
    if len(parts) != _BROADCAST_PARTS:
        raise Unreadable(INVALID, "a broadcast has three parts")
    uid, packet, opts = parts
    data = event_in(namespace, packet, unsaid=ROOT)
    return Broadcast(reader.identifier(uid, "uid"), data, target_of(opts, reader), flags_of(opts))


def begins_broadcast(uid: str) -> bytes:
    """What every broadcast of `uid` begins with."""
    return pack((uid, None, None))[:-2]


def encode_request(request: Request, namespace: str) -> bytes:
    """What goes to the channel of requests."""
    if isinstance(request, Broadcast):
        return pack(
            {
                "uid": request.uid,
                "requestId": request.request_id,
                "type": Kind.BROADCAST,
                "packet": _packet(request, namespace),
                "opts": options(request.target, request.flags),
            }
        )
    said: dict[str, Any] = {} if request.uid is None else {"uid": request.uid}
    return json(said | _request_fields(request))


def decode_request(message: bytes, namespace: str, reader: Reader = READER) -> Request:
    """What came on the channel of requests."""
    said = mapping(reader.read(message), "a request")
    read = _REQUESTS.get(said["type"]) if type(said.get("type")) is int else None
    if read is None:
        raise Unreadable(UNKNOWN, "a request of an unknown type")
    return read(said, _From(reader.optional_identifier(said.get("uid"), "uid"), namespace, reader))


def begins_request(uid: str) -> tuple[bytes, bytes]:
    """What every request of `uid` begins with, in either form, if it says first who it is of."""
    return json({"uid": uid})[:-1] + b",", _BEGINS_PACKED + pack(uid)


def encode_response(response: Response) -> bytes:
    """What goes to a channel of responses."""
    request_id = response.request_id
    if isinstance(response, ClientAck):
        return pack({"type": Kind.CLIENT_ACK, "requestId": request_id, "packet": response.value})
    if isinstance(response, ClientCount):
        return json({"type": Kind.CLIENT_COUNT, "requestId": request_id, "clientCount": response.clients})
    if isinstance(response, Answer):
        data = without_bytes(response.value)
        return json({"type": Kind.SERVER_SIDE, "requestId": request_id, "data": data})
    if isinstance(response, RoomsAre):
        return json({"requestId": request_id, "rooms": response.rooms})
    if isinstance(response, SocketsAre):
        return json({"requestId": request_id, "sockets": response.sockets})
    return json({"requestId": request_id})


def decode_response(message: bytes, reader: Reader = READER) -> Response:
    """What came on a channel of responses."""
    said = mapping(reader.read(message), "a response")
    request_id = reader.identifier(said.get("requestId"), "requestId")
    kind = said.get("type")
    if kind == Kind.CLIENT_COUNT:
        return ClientCount(request_id, count(said.get("clientCount"), "clientCount"))
    if kind == Kind.CLIENT_ACK:
        return ClientAck(request_id, said.get("packet"))
    if kind == Kind.SERVER_SIDE:
        return Answer(request_id, said.get("data"))
    if kind is not None:
        raise Unreadable(UNKNOWN, "a response of an unknown type")
    if "rooms" in said:
        return RoomsAre(request_id, reader.room_names(said["rooms"]))
    if "sockets" in said:
        return SocketsAre(request_id, array(said["sockets"], "sockets"))
    return Done(request_id)


def _packet(message: Broadcast, namespace: str) -> dict[str, Any]:
    return {"type": PacketType.EVENT, "data": message.data, "nsp": namespace}


def _request_fields(request: Request) -> dict[str, Any]:
    if isinstance(request, Join | Leave):
        kind = Kind.JOIN if isinstance(request, Join) else Kind.LEAVE
        return {"type": kind, "opts": options(request.target), "rooms": request.rooms}
    if isinstance(request, Disconnect):
        return {"type": Kind.DISCONNECT, "opts": options(request.target), "close": request.close}
    if isinstance(request, ServerSide):
        asked = {} if request.request_id is None else {"requestId": request.request_id}
        return {**asked, "type": Kind.SERVER_SIDE, "data": without_bytes(request.data)}
    return {"requestId": request.request_id} | _answered_fields(request)


def _answered_fields(request: Request) -> dict[str, Any]:
    if isinstance(request, JoinOne | LeaveOne):
        kind = Kind.JOIN if isinstance(request, JoinOne) else Kind.LEAVE
        return {"type": kind, "sid": request.sid, "room": request.room}
    if isinstance(request, DisconnectOne):
        return {"type": Kind.DISCONNECT, "sid": request.sid, "close": request.close}
    if isinstance(request, AskSids):
        return {"type": Kind.SOCKETS, "rooms": request.rooms}
    if isinstance(request, Fetch):
        return {"type": Kind.FETCH, "opts": options(request.target)}
    return {"type": Kind.ALL_ROOMS}


class _From(NamedTuple):
    """Who asks, where, and how it is read."""

    uid: str | None
    namespace: str
    reader: Reader


_Fields = Any
_Read = Callable[[_Fields, _From], Request]


def _id(said: _Fields, by: _From) -> str:
    return by.reader.identifier(said.get("requestId"), "requestId")


def _sid(said: _Fields, by: _From) -> str:
    return by.reader.identifier(said.get("sid"), "sid")


def _rooms(said: _Fields, by: _From) -> tuple[str, ...]:
    return by.reader.room_names(said.get("rooms"))


def _target(said: _Fields, by: _From) -> Target:
    return target_of(said.get("opts"), by.reader)


def _rooms_change(some: type[Join | Leave], one: type[JoinOne | LeaveOne]) -> _Read:
    def read(said: _Fields, by: _From) -> Request:
        if said.get("opts"):
            return some(_target(said, by), _rooms(said, by), by.uid)
        return one(_id(said, by), _sid(said, by), by.reader.room_name(said.get("room")), by.uid)

    return read


def _disconnect(said: _Fields, by: _From) -> Request:
    close = boolean(said.get("close"))
    if said.get("opts"):
        return Disconnect(_target(said, by), close, by.uid)
    return DisconnectOne(_id(said, by), _sid(said, by), close, by.uid)


def _server_side(said: _Fields, by: _From) -> Request:
    request_id = by.reader.optional_identifier(said.get("requestId"), "requestId")
    return ServerSide(by.uid, server_event_of(said.get("data")), request_id)


def _broadcast(said: _Fields, by: _From) -> Request:
    data = event_in(by.namespace, said.get("packet"))
    uid = by.reader.identifier(by.uid, "uid")
    return Broadcast(uid, data, _target(said, by), flags_of(said.get("opts")), _id(said, by))


_REQUESTS: dict[int, _Read] = {
    Kind.SOCKETS: lambda said, by: AskSids(_id(said, by), _rooms(said, by), by.uid),
    Kind.ALL_ROOMS: lambda said, by: AskRooms(by.uid, _id(said, by)),
    Kind.JOIN: _rooms_change(Join, JoinOne),
    Kind.LEAVE: _rooms_change(Leave, LeaveOne),
    Kind.DISCONNECT: _disconnect,
    Kind.FETCH: lambda said, by: Fetch(by.uid, _id(said, by), _target(said, by)),
    Kind.SERVER_SIDE: _server_side,
    Kind.BROADCAST: _broadcast,
}
