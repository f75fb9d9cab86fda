"""What most broadcasts are, to one room and no more than JSON holds, written and read the short way; pure."""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple

import msgspec

from rtwist.cluster.messages import MARK, mark_of
from rtwist.cluster.wire import Limits, pack
from rtwist.socketio.mark import Mark
from rtwist.socketio.packet import RESERVED_EVENTS, ROOT, PacketType

LONGEST: Final = 16_384
"""Bytes; of longer ones reading is not what takes the time."""

_BINARY: Final = bytes([*range(0xC4, 0xCA), *range(0xD4, 0xD9)])
"""What binary, extensions and times begin with; parts of some letters are the same bytes, which does no harm."""

_NESTING: Final = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])
"""What arrays and maps begin with."""


class Plain(NamedTuple):
    """An event of the node `uid` whose `data` has a JSON form as it is; no flags are set but perhaps a mark."""

    uid: str
    data: list[Any]
    rooms: tuple[str, ...]
    excluded: tuple[str, ...]
    mark: Mark | None = None


class _Packet(msgspec.Struct):
    type: int
    data: Annotated[list[Any], msgspec.Meta(min_length=1)]
    nsp: str = ROOT


class _Options(msgspec.Struct, rename={"excluded": "except"}):
    rooms: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    flags: dict[str, Any] = {}


_decoder = msgspec.msgpack.Decoder(tuple[str, _Packet, _Options])


def read(message: bytes, namespace: str, limits: Limits) -> Plain | None:
    """The broadcast in `message`; None where `decode_broadcast` must look, for it is unusual, or wrong.

    Keys may be of any kind: what has no JSON form for that reason fails when it is encoded.
    """
    size = len(message)
    if size > min(LONGEST, limits.max_bytes) or len(message.translate(None, _BINARY)) != size:
        return None
    if size - len(message.translate(None, _NESTING)) > limits.max_depth:
        return None
    try:
        uid, packet, opts = _decoder.decode(message)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    name = packet.data[0]
    mark = mark_of(opts.flags.get(MARK))
    if packet.type != PacketType.EVENT or packet.nsp != namespace or len(opts.flags) != (mark is not None):
        return None
    if type(name) is not str or name in RESERVED_EVENTS or not 0 < len(uid) <= limits.max_id_length:
        return None
    rooms, excluded = opts.rooms, opts.excluded
    if max(len(rooms), len(excluded)) > limits.max_rooms:
        return None
    longest = limits.max_room_length
    if any(len(room) > longest for room in rooms) or any(len(room) > longest for room in excluded):
        return None
    return Plain(uid, packet.data, rooms, excluded, mark)


class Writer:
    """Writes broadcasts of the node `uid` in `namespace`: all but the event and the room is always the same."""

    def __init__(self, uid: str, namespace: str) -> None:
        array_of_3, map_of_3, empty_array, empty_map = b"\x93", b"\x83", b"\x90", b"\x80"
        packet = map_of_3 + pack("type") + pack(int(PacketType.EVENT)) + pack("data")
        self._head = array_of_3 + pack(uid) + packet
        self._middle = pack("nsp") + pack(namespace) + map_of_3 + pack("rooms") + b"\x91"
        flags = pack("except") + empty_array + pack("flags")
        self._tail = flags + empty_map
        self._marked_tail = flags + b"\x81" + pack(MARK)

    def to_room(self, data: list[Any], room: str, mark: Mark | None = None) -> bytes:
        """What `encode_broadcast` writes of an event for one room without flags; `TypeError` as from `pack`."""
        tail = self._tail if mark is None else self._marked_tail + pack((mark.number, mark.key))
        return b"".join((self._head, pack(data), self._middle, pack(room), tail))
