"""Socket.IO v5 packets; pure (https://socket.io/docs/v4/socket-io-protocol/)."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any, Final

import msgspec

from rtwist.engineio.packet import Packet as EnginePacket
from rtwist.engineio.packet import message
from rtwist.errors import LimitPassed, LocalProtocolError, RemoteProtocolError
from rtwist.socketio.binary import deconstruct, has_binary, reconstruct
from rtwist.socketio.jsoncodec import dumps, loads

ROOT: Final = "/"
MAX_NAMESPACE_LENGTH: Final = 200
RESERVED_EVENTS: Final = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
RESERVED_SERVER_EVENTS: Final = frozenset({"connect", "connection", "new_namespace"})
"""What servers may not emit to each other: handlers take these for clients that connect."""


class PacketType(IntEnum):
    """The first character of a packet."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


class Packet(msgspec.Struct, frozen=True):
    """One packet: `data` is what the JSON says, with bytes in their places, or ABSENT; `id` asks for an ack."""

    type: PacketType
    namespace: str = ROOT
    data: Any = ABSENT
    id: int | None = None


_BINARY_FORMS = {PacketType.EVENT: PacketType.BINARY_EVENT, PacketType.ACK: PacketType.BINARY_ACK}
_TEXT_FORMS = {binary: text for text, binary in _BINARY_FORMS.items()}
_DIGITS = [str(int(kind)) for kind in PacketType]


def encode(packet: Packet) -> tuple[EnginePacket, ...]:
    """The Engine.IO packets that carry `packet`: one text, then one binary for each attachment.

    Raises `TypeError` when the data has no JSON form.
    """
    data, kind = packet.data, packet.type
    attachments: list[bytes] = []
    if kind is PacketType.EVENT or kind is PacketType.ACK:
        try:
            if has_binary(data):
                data = deconstruct(data, attachments)
                kind = _BINARY_FORMS[kind]
        except RecursionError:
            raise TypeError("the value is nested too deeply, or holds itself") from None
    parts = [_DIGITS[kind]]
    if attachments:
        parts.append(f"{len(attachments)}-")
    if packet.namespace != ROOT:
        parts.append(f"{packet.namespace},")
    if packet.id is not None:
        parts.append(str(packet.id))
    if data is not ABSENT:
        parts.append(dumps(data))
    return (message("".join(parts)), *map(message, attachments))


def encode_plain_event(namespace: str, data: list[Any]) -> tuple[EnginePacket, ...]:
    """What `encode` makes of an event without an id whose `data` is known to hold no binary."""
    head = "2" if namespace == ROOT else f"2{namespace},"
    return (message(head + dumps(data)),)


def event_data(event: str, args: tuple[Any, ...]) -> list[Any]:
    """The data of an event packet; `LocalProtocolError` for a name that Socket.IO keeps for itself."""
    if not isinstance(event, str):
        raise LocalProtocolError(f"an event name is a str, not {type(event).__name__}")
    if event in RESERVED_EVENTS:
        raise LocalProtocolError(f'"{event}" is a reserved event name')
    return [event, *args]


class Decoder:
    """Puts packets together from Engine.IO messages; one for each connection."""

    __slots__ = ("_attachments", "_max_attachments", "_max_depth", "_missing", "_pending")

    def __init__(self, *, max_attachments: int, max_depth: int) -> None:
        self._max_attachments = max_attachments
        self._max_depth = max_depth
        self._pending: Packet | None = None
        self._missing = 0
        self._attachments: list[bytes] = []

    @property
    def pending(self) -> Packet | None:
        """The packet whose attachments are still to come."""
        return self._pending

    def add(self, data: str | bytes) -> Packet | None:
        """The packet that `data` completes, or None while attachments are missing.

        Raises `RemoteProtocolError` for anything the protocol does not allow; the connection must end then.
        """
        if isinstance(data, bytes):
            return self._add_attachment(data)
        if self._pending is not None:
            raise RemoteProtocolError("text while attachments are missing")
        packet, attachments = decode_text(data, self._max_depth)
        if packet.type not in _TEXT_FORMS:
            return packet
        if attachments > self._max_attachments:
            raise LimitPassed("max_attachments", f"more than {self._max_attachments} attachments")
        if attachments == 0:
            return _complete(packet, [])
        self._pending, self._missing = packet, attachments
        return None

    def _add_attachment(self, data: bytes) -> Packet | None:
        if self._pending is None:
            raise RemoteProtocolError("binary that no packet announced")
        self._attachments.append(data)
        if len(self._attachments) < self._missing:
            return None
        pending, attachments = self._pending, self._attachments
        self._pending, self._attachments = None, []
        return _complete(pending, attachments)


# Type, attachment count (binary types only), namespace, ack id: each by ASCII digits only.
_HEAD = re.compile(r"([0-6])(?:(?<=[56])([0-9]{1,9})-)?(?:(/[^,]*)(?:,|\Z))?([0-9]*)", re.ASCII)
_MAX_ID_DIGITS = 15


def decode_text(text: str, max_depth: int) -> tuple[Packet, int]:
    """The packet in a text message, placeholders not yet replaced, and how many attachments follow."""
    head = _HEAD.match(text)
    if head is None:
        raise RemoteProtocolError("unknown packet type")
    kind = PacketType(int(head[1]))
    if kind in _TEXT_FORMS and head[2] is None:
        raise RemoteProtocolError("illegal attachments")
    namespace = head[3] or ROOT
    if len(namespace) > MAX_NAMESPACE_LENGTH:
        raise RemoteProtocolError("namespace name is too long")
    if len(head[4]) > _MAX_ID_DIGITS:
        raise RemoteProtocolError("ack id is too long")
    rest = text[head.end() :]
    data = loads(rest, max_depth) if rest else ABSENT
    _check_data(kind, data)
    packet = Packet(kind, namespace, data, int(head[4]) if head[4] else None)
    return packet, int(head[2] or 0)


def _check_data(kind: PacketType, data: Any) -> None:
    if kind in (PacketType.EVENT, PacketType.BINARY_EVENT):
        valid = isinstance(data, list) and bool(data) and _is_event_name(data[0])
    elif kind in (PacketType.ACK, PacketType.BINARY_ACK):
        valid = isinstance(data, list)
    elif kind is PacketType.CONNECT:
        valid = data is ABSENT or isinstance(data, dict)
    elif kind is PacketType.DISCONNECT:
        valid = data is ABSENT
    else:
        valid = isinstance(data, str | dict)
    if not valid:
        raise RemoteProtocolError(f"invalid payload of {kind.name}")


def _is_event_name(name: Any) -> bool:
    if isinstance(name, str):
        return name not in RESERVED_EVENTS
    return isinstance(name, int | float) and not isinstance(name, bool)


def _complete(packet: Packet, attachments: list[bytes]) -> Packet:
    data = reconstruct(packet.data, attachments)
    return Packet(_TEXT_FORMS[packet.type], packet.namespace, data, packet.id)
