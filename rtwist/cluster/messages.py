"""What nodes tell each other, whichever protocol carries it; pure.

Those with a `request_id` are answered, or answer the request of that id. `uid` is the node that speaks, None
where the protocol does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from rtwist.cluster.wire import FOREIGN, INVALID, Reader, Unreadable, array, boolean, mapping
from rtwist.socketio.mark import Mark
from rtwist.socketio.packet import RESERVED_EVENTS, RESERVED_SERVER_EVENTS, PacketType

EMITTER: Final = "emitter"
"""The `uid` of programs that only publish."""

MAX_TIMEOUT: Final = 24 * 60 * 60 * 1000.0
"""Milliseconds; a wait that is longer is a mistake."""

MARK: Final = "rtwist"
"""The flag that Node servers pass over."""

MAX_MARK_NUMBER: Final = 1000
"""An event causes less than 20 emissions."""

MAX_MARK_KEY: Final = 1600
"""AMQP's longest message id, 255 characters, each as six in JSON."""

_EVENTS = (PacketType.EVENT, PacketType.BINARY_EVENT)

Rooms = tuple[str, ...]


class Target(msgspec.Struct, frozen=True):
    """The sockets in any of `rooms` (all, when empty) that are in none of the `excluded` rooms."""

    rooms: Rooms = ()
    excluded: Rooms = ()


class Flags(msgspec.Struct, frozen=True):
    """How an event is to be sent; `timeout`, of acknowledgements, is in milliseconds. `mark` is rtwist's own."""

    volatile: bool = False
    compress: bool | None = None
    timeout: int | float | None = None
    mark: Mark | None = None


class Broadcast(msgspec.Struct, frozen=True):
    """An event, the first of `data` its name; with a `request_id` the acknowledgements are asked for."""

    uid: str
    data: list[Any]
    target: Target = Target()
    flags: Flags = Flags()
    request_id: str | None = None


class Join(msgspec.Struct, frozen=True):
    """Put sockets into rooms."""

    target: Target
    rooms: Rooms
    uid: str | None = None


class Leave(msgspec.Struct, frozen=True):
    """Take sockets out of rooms."""

    target: Target
    rooms: Rooms
    uid: str | None = None


class Disconnect(msgspec.Struct, frozen=True):
    """Disconnect sockets; `close` also ends their connections."""

    target: Target
    close: bool = False
    uid: str | None = None


class JoinOne(msgspec.Struct, frozen=True):
    """Put the socket `sid` into a room; only old nodes ask."""

    request_id: str
    sid: str
    room: str
    uid: str | None = None


class LeaveOne(msgspec.Struct, frozen=True):
    """Take the socket `sid` out of a room; only old nodes ask."""

    request_id: str
    sid: str
    room: str
    uid: str | None = None


class DisconnectOne(msgspec.Struct, frozen=True):
    """Disconnect the socket `sid`; only old nodes ask."""

    request_id: str
    sid: str
    close: bool = False
    uid: str | None = None


class AskSids(msgspec.Struct, frozen=True):
    """Which sockets are in any of `rooms`; only old nodes ask."""

    request_id: str
    rooms: Rooms
    uid: str | None = None


class AskRooms(msgspec.Struct, frozen=True):
    """Which rooms there are."""

    uid: str | None
    request_id: str


class Fetch(msgspec.Struct, frozen=True):
    """Describe sockets."""

    uid: str | None
    request_id: str
    target: Target


class ServerSide(msgspec.Struct, frozen=True):
    """An event for the servers themselves, the first of `data` its name."""

    uid: str | None
    data: list[Any]
    request_id: str | None = None


class Done(msgspec.Struct, frozen=True):
    """What old nodes asked for is done."""

    request_id: str


class RoomsAre(msgspec.Struct, frozen=True):
    """The rooms of a node."""

    request_id: str
    rooms: Rooms


class SocketsAre(msgspec.Struct, frozen=True):
    """Sockets of a node: descriptions, or ids where these were asked for."""

    request_id: str
    sockets: list[Any]


class Answer(msgspec.Struct, frozen=True):
    """What a node answers to an event for servers."""

    request_id: str
    value: Any = None


class ClientCount(msgspec.Struct, frozen=True):
    """How many clients of a node will acknowledge a broadcast."""

    request_id: str
    clients: int


class ClientAck(msgspec.Struct, frozen=True):
    """The first argument of one client's acknowledgement."""

    request_id: str
    value: Any = None


_NONE: Mapping[str, Any] = {}
_PLAIN = Flags()

Request = (
    Broadcast | Join | Leave | Disconnect | JoinOne | LeaveOne | DisconnectOne
    | AskSids | AskRooms | Fetch | ServerSide
)  # fmt: skip
Response = Done | RoomsAre | SocketsAre | Answer | ClientCount | ClientAck
Message = Request | Response


def options(target: Target, flags: Flags | None = None) -> dict[str, Any]:
    """`target`, and `flags` if they are to be said, as both protocols write them."""
    made: dict[str, Any] = {"rooms": target.rooms, "except": target.excluded}
    if flags is not None:
        made["flags"] = flag_fields(flags)
    return made


def flag_fields(flags: Flags) -> dict[str, Any]:
    """The flags that are set."""
    made: dict[str, Any] = {}
    if flags.volatile:
        made["volatile"] = True
    if flags.compress is not None:
        made["compress"] = flags.compress
    if flags.timeout is not None:
        made["timeout"] = flags.timeout
    if flags.mark is not None:
        made[MARK] = (flags.mark.number, flags.mark.key)
    return made


def target_of(opts: Any, reader: Reader) -> Target:
    """What `options` wrote; the errors of this and of the others are those of `Reader`."""
    said = mapping(opts, "opts")
    return Target(reader.room_names(said.get("rooms")), reader.room_names(said.get("except")))


def flags_of(opts: Any) -> Flags:
    """The flags in what `options` wrote; unknown ones are passed over."""
    flags = mapping(mapping(opts, "opts").get("flags") or _NONE, "flags")
    if not flags:
        return _PLAIN
    compress = flags.get("compress")
    timeout = flags.get("timeout")
    known = isinstance(timeout, int | float) and not isinstance(timeout, bool) and 0 <= timeout <= MAX_TIMEOUT
    return Flags(
        boolean(flags.get("volatile")),
        compress if isinstance(compress, bool) else None,
        timeout if known else None,
        mark_of(flags.get(MARK)),
    )


def mark_of(said: Any) -> Mark | None:
    """A mark; one that cannot be right is none."""
    if not isinstance(said, list) or len(said) != 2:
        return None
    number, key = said
    if type(number) is not int or not 0 <= number <= MAX_MARK_NUMBER:
        return None
    return Mark(key, number) if isinstance(key, str) and 0 < len(key) <= MAX_MARK_KEY else None


def event_of(packet: Mapping[str, Any]) -> list[Any]:
    """The data of a packet, which must be an event."""
    if packet.get("type") not in _EVENTS:
        raise Unreadable(INVALID, "a packet that is no event")
    return _named(packet.get("data"), RESERVED_EVENTS)


def event_in(namespace: str, packet: Any, unsaid: str | None = None) -> list[Any]:
    """The same of a packet that must be of `namespace`; one that does not say is of `unsaid`."""
    said = mapping(packet, "packet")
    if said.get("nsp", unsaid) != namespace:
        raise Unreadable(FOREIGN, "a packet of another namespace")
    return event_of(said)


def server_event_of(data: Any) -> list[Any]:
    """`data`, which must be an array with the name of an event for servers first."""
    return _named(data, RESERVED_SERVER_EVENTS)


def _named(data: Any, reserved: frozenset[str]) -> list[Any]:
    event = array(data, "data")
    if not event or not isinstance(event[0], str) or event[0] in reserved:
        raise Unreadable(INVALID, "an event without a name of its own")
    return event
