"""The messages of `createAdapter` of @socket.io/redis-adapter 8 and of @socket.io/redis-emitter 5; pure.

Broadcasts are MessagePack, requests JSON unless they carry a packet. A request's kind is a number, a response's
is told by its fields.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

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
    room_name,
    room_names,
)
from rtwist.errors import RemoteProtocolError
from rtwist.socketio.packet import ROOT, PacketType

_BROADCAST_PARTS = 3


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


def decode_broadcast(message: bytes, namespace: str) -> Broadcast:
    """What came on the channel of a broadcast; `RemoteProtocolError` when it cannot be read or is not for us."""
    parts = array(read(message), "a broadcast")
    if len(parts) != _BROADCAST_PARTS:
        raise RemoteProtocolError("a broadcast has three parts")
    uid, packet, opts = parts
    # A packet that does not say is of the root.
    data = event_of({"nsp": ROOT, **mapping(packet, "packet")}, namespace)
    return Broadcast(identifier(uid, "uid"), data, target_of(opts), flags_of(opts))


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


def decode_request(message: bytes, namespace: str) -> Request:
    """What came on the channel of requests; `RemoteProtocolError` when it cannot be read or is not for us."""
    said = mapping(read(message), "a request")
    reader = _REQUESTS.get(said["type"]) if type(said.get("type")) is int else None
    if reader is None:
        raise RemoteProtocolError("a request of an unknown type")
    return reader(said, optional_identifier(said.get("uid"), "uid"), namespace)


def encode_response(response: Response) -> bytes:
    """What goes to a channel of responses."""
    request_id = response.request_id
    if isinstance(response, ClientAck):
        return pack({"type": Kind.CLIENT_ACK, "requestId": request_id, "packet": response.value})
    if isinstance(response, ClientCount):
        return json({"type": Kind.CLIENT_COUNT, "requestId": request_id, "clientCount": response.clients})
    if isinstance(response, Answer):
        return json({"type": Kind.SERVER_SIDE, "requestId": request_id, "data": response.value})
    if isinstance(response, RoomsAre):
        return json({"requestId": request_id, "rooms": response.rooms})
    if isinstance(response, SocketsAre):
        return json({"requestId": request_id, "sockets": response.sockets})
    return json({"requestId": request_id})


def decode_response(message: bytes) -> Response:
    """What came on a channel of responses; `RemoteProtocolError` when it cannot be read."""
    said = mapping(read(message), "a response")
    request_id = identifier(said.get("requestId"), "requestId")
    kind = said.get("type")
    if kind == Kind.CLIENT_COUNT:
        return ClientCount(request_id, count(said.get("clientCount"), "clientCount"))
    if kind == Kind.CLIENT_ACK:
        return ClientAck(request_id, said.get("packet"))
    if kind == Kind.SERVER_SIDE:
        return Answer(request_id, said.get("data"))
    if kind is not None:
        raise RemoteProtocolError("a response of an unknown type")
    if "rooms" in said:
        return RoomsAre(request_id, room_names(said["rooms"]))
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
        return {**asked, "type": Kind.SERVER_SIDE, "data": request.data}
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


_Fields = Any
_Reader = Callable[[_Fields, str | None, str], Request]


def _id(said: _Fields) -> str:
    return identifier(said.get("requestId"), "requestId")


def _rooms_change(some: type[Join | Leave], one: type[JoinOne | LeaveOne]) -> _Reader:
    def reader(said: _Fields, uid: str | None, _: str) -> Request:
        if said.get("opts"):
            return some(target_of(said["opts"]), room_names(said.get("rooms")), uid)
        return one(_id(said), identifier(said.get("sid"), "sid"), room_name(said.get("room")), uid)

    return reader


def _disconnect(said: _Fields, uid: str | None, _: str) -> Request:
    close = boolean(said.get("close"))
    if said.get("opts"):
        return Disconnect(target_of(said["opts"]), close, uid)
    return DisconnectOne(_id(said), identifier(said.get("sid"), "sid"), close, uid)


def _server_side(said: _Fields, uid: str | None, _: str) -> Request:
    return ServerSide(
        uid, server_event_of(said.get("data")), optional_identifier(said.get("requestId"), "requestId")
    )


def _broadcast(said: _Fields, uid: str | None, namespace: str) -> Request:
    opts = said.get("opts")
    data = event_of(said.get("packet"), namespace)
    return Broadcast(identifier(uid, "uid"), data, target_of(opts), flags_of(opts), _id(said))


_REQUESTS: dict[int, _Reader] = {
    Kind.SOCKETS: lambda said, uid, _: AskSids(_id(said), room_names(said.get("rooms")), uid),
    Kind.ALL_ROOMS: lambda said, uid, _: AskRooms(uid, _id(said)),
    Kind.JOIN: _rooms_change(Join, JoinOne),
    Kind.LEAVE: _rooms_change(Leave, LeaveOne),
    Kind.DISCONNECT: _disconnect,
    Kind.FETCH: lambda said, uid, _: Fetch(uid, _id(said), target_of(said.get("opts"))),
    Kind.SERVER_SIDE: _server_side,
    Kind.BROADCAST: _broadcast,
}
