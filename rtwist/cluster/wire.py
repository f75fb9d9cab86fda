"""MessagePack and JSON as Node servers write and read them, and checks of what other nodes say; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final

import msgspec

from rtwist.errors import LimitPassed, RemoteProtocolError
from rtwist.socketio.binary import has_binary
from rtwist.socketio.jsoncodec import dumps, loads

_packer = msgspec.msgpack.Encoder()
_unpacker = msgspec.msgpack.Decoder()
_INT_BITS = 64
_REFUSALS = (
    RemoteProtocolError, msgspec.MsgspecError, UnicodeError, ValueError, TypeError, OverflowError, RecursionError,
)  # fmt: skip
_LEAVES = frozenset({str, int, float, bool, bytes, type(None)})

MALFORMED: Final = "malformed"
"""Neither JSON nor MessagePack that is used between nodes."""

INVALID: Final = "invalid"
"""A field is missing, or is not what it is to be."""

UNKNOWN: Final = "unknown"
"""Of a kind that the protocol does not have."""

FOREIGN: Final = "foreign"
"""On a channel of one namespace, for another."""


def pack(value: Any) -> bytes:
    """The MessagePack form of `value`, as notepack.io 3 writes it; `TypeError` when it has none."""
    try:
        try:
            return _packer.encode(value)
        except (OverflowError, UnicodeError):
            return _packer.encode(_storable(value))
    except (OverflowError, UnicodeError, RecursionError) as error:
        raise TypeError("the value has no MessagePack form") from error


def json(value: Any) -> bytes:
    """The JSON form of `value`; `TypeError` when it has none."""
    return dumps(value).encode()


def without_bytes(value: Any) -> Any:
    """`value` with bytes as `JSON.stringify` writes those of a Node server: an object with their numbers."""
    return _numbers(value) if has_binary(value) else value


def _numbers(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"type": "Buffer", "data": list(bytes(value))}
    if isinstance(value, Mapping):
        return {key: _numbers(item) for key, item in value.items()}
    return [_numbers(item) for item in value] if isinstance(value, list | tuple) else value


def well_formed(text: str) -> str:
    """`text` with a mark for each half of a character, as JavaScript writes it in UTF-8."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Unreadable(RemoteProtocolError):
    """What another node said makes no sense; `cause` is one of a few words, to be counted."""

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one message of another node may hold; one that holds more is passed over, and counted.

    - `max_bytes`: what a message may take while it is read. The sockets of a node, described, take about 500
      bytes each: 64 MiB are those of 130,000.
    - `max_depth` of nesting: that of what clients may send, and what a message puts around it. More would be
      deeper than what is read by recursion bears.
    - `max_rooms` in one list: each is looked up, and joined where a message says so.
    - `max_room_length`, `max_id_length`: characters of the name of a room, and of a node, a request or a socket;
      they are kept, and become parts of the names of channels.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_depth: int = 80
    max_rooms: int = 100_000
    max_room_length: int = 1000
    max_id_length: int = 100


class Reader:
    """Reads what other nodes say, within `limits`.

    All methods raise `Unreadable`, or `LimitPassed` whose `limit` is `cluster_` and the name in `Limits`.
    """

    __slots__ = ("_limits",)

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def read(self, message: bytes) -> Any:
        """The value of a message: JSON when it begins with a brace, else MessagePack.

        Times become strings, as `JSON.stringify` makes them, and keys of other types too.
        """
        limits = self._limits
        if len(message) > limits.max_bytes:
            raise LimitPassed("cluster_max_bytes", f"a message of more than {limits.max_bytes} bytes")
        try:
            if message[:1] == b"{":
                return loads(message.decode(), limits.max_depth)
            value = _unpacker.decode(message)
            return value if type(value) in _LEAVES else _plain(value, limits.max_depth)
        except LimitPassed as error:
            raise LimitPassed("cluster_max_depth", f"nested deeper than {limits.max_depth}") from error
        except Unreadable:
            raise
        except _REFUSALS as error:
            raise Unreadable(MALFORMED, "malformed message") from error

    def identifier(self, value: Any, what: str) -> str:
        """`value`, which must be a string that names a node, a request or a socket."""
        if not isinstance(value, str) or not value:
            raise Unreadable(INVALID, f"{what} is no identifier")
        if len(value) > self._limits.max_id_length:
            raise LimitPassed("cluster_max_id_length", f"{what} is too long")
        return _text(value, what)

    def optional_identifier(self, value: Any, what: str) -> str | None:
        """The same, or None when there is none."""
        return None if value is None else self.identifier(value, what)

    def room_names(self, value: Any) -> tuple[str, ...]:
        """`value`, which must be an array of room names; none at all is an empty array."""
        if value is None:
            return ()
        names = array(value, "rooms")
        if len(names) > self._limits.max_rooms:
            raise LimitPassed("cluster_max_rooms", f"more than {self._limits.max_rooms} rooms")
        return tuple([self.room_name(name) for name in names])

    def room_name(self, value: Any) -> str:
        """`value`, which must be a room name; numbers become strings."""
        if type(value) is str and value.isascii() and len(value) <= self._limits.max_room_length:
            return value  # as nearly all are
        if type(value) is int or (isinstance(value, float) and value.is_integer() and abs(value) < 2**53):
            value = str(int(value))
        if not isinstance(value, str):
            raise Unreadable(INVALID, "no room name")
        if len(value) > self._limits.max_room_length:
            raise LimitPassed("cluster_max_room_length", "the name of a room is too long")
        return _text(value, "a room")


READER: Final = Reader()
"""With the limits as they are by default."""


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """`value`, which must be an object."""
    if not isinstance(value, dict):
        raise Unreadable(INVALID, f"{what} is no object")
    return value


def array(value: Any, what: str) -> list[Any]:
    """`value`, which must be an array."""
    if not isinstance(value, list):
        raise Unreadable(INVALID, f"{what} is no array")
    return value


def count(value: Any, what: str) -> int:
    """`value`, which must be a whole number and not negative."""
    if type(value) is not int or not 0 <= value < 2**53:
        raise Unreadable(INVALID, f"{what} is no count")
    return value


def boolean(value: Any) -> bool:
    """`value` as JavaScript takes it for a condition, where nothing but true, false and none makes sense."""
    if value is not None and not isinstance(value, bool):
        raise Unreadable(INVALID, "neither true nor false")
    return bool(value)


def _storable(value: Any) -> Any:
    # JavaScript has neither larger integers nor a form for lone surrogates outside of its own memory.
    if isinstance(value, int) and value.bit_length() >= _INT_BITS:
        return float(value) if value.bit_length() < 1024 else math.copysign(math.inf, value)
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, Mapping):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value


def _text(value: str, what: str) -> str:
    # Names become parts of channels, which have no form for half a character.
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unreadable(INVALID, f"{what} is no Unicode text") from None
    return value


def _plain(value: Any, depth: int) -> Any:
    # In place, and no call for what is no container: this is done for every message.
    if depth == 0:
        raise LimitPassed("max_depth", "nested too deeply")
    if type(value) is list:
        for index, item in enumerate(value):
            if type(item) not in _LEAVES:
                value[index] = _plain(item, depth - 1)
        return value
    if type(value) is dict:
        texts = True
        for key, item in value.items():
            if type(item) not in _LEAVES:
                value[key] = _plain(item, depth - 1)
            if type(key) is not str:
                texts = False
        return value if texts else {_key(key): value[key] for key in value}
    if isinstance(value, datetime):
        return _iso(value)
    raise Unreadable(MALFORMED, f"a value of the unknown type {type(value).__name__}")


def _key(value: Any) -> str:
    if isinstance(value, str):
        return value
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return str(value)
    raise Unreadable(MALFORMED, "a key that is no string")


def _iso(time: datetime) -> str:
    utc = time.astimezone(timezone.utc).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"
