"""MessagePack and JSON as Node servers write and read them, and checks of what other nodes say; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Final

import msgspec

from rtwist.errors import RemoteProtocolError
from rtwist.socketio.jsoncodec import dumps, loads

MAX_BYTES: Final = 64 * 1024 * 1024
"""Of one message: the sockets of a node, described, take about 500 bytes each."""

MAX_DEPTH: Final = 80
"""Of nesting: that of what clients may send, and what a message puts around it."""

MAX_ROOMS: Final = 100_000
MAX_ROOM_LENGTH: Final = 1000
MAX_ID_LENGTH: Final = 100

_packer = msgspec.msgpack.Encoder()
_unpacker = msgspec.msgpack.Decoder()
_INT_BITS = 64
_REFUSALS = (msgspec.MsgspecError, UnicodeError, ValueError, TypeError, OverflowError, RecursionError)


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


def read(message: bytes) -> Any:
    """The value of a message: JSON when it begins with a brace, else MessagePack.

    Raises `RemoteProtocolError` when it is malformed, too large or nested too deeply. Times become strings, as
    `JSON.stringify` makes them, and keys of other types too.
    """
    if len(message) > MAX_BYTES:
        raise RemoteProtocolError(f"a message of more than {MAX_BYTES} bytes")
    try:
        if message[:1] == b"{":
            return loads(message.decode(), MAX_DEPTH)
        return _plain(_unpacker.decode(message), MAX_DEPTH)
    except RemoteProtocolError:
        raise
    except _REFUSALS as error:
        raise RemoteProtocolError("malformed message") from error


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """`value`, which must be an object."""
    if not isinstance(value, dict):
        raise RemoteProtocolError(f"{what} is no object")
    return value


def array(value: Any, what: str) -> list[Any]:
    """`value`, which must be an array."""
    if not isinstance(value, list):
        raise RemoteProtocolError(f"{what} is no array")
    return value


def identifier(value: Any, what: str) -> str:
    """`value`, which must be a string that names a node, a request or a socket."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_LENGTH:
        raise RemoteProtocolError(f"{what} is no identifier")
    return value


def optional_identifier(value: Any, what: str) -> str | None:
    """The same, or None when there is none."""
    return None if value is None else identifier(value, what)


def count(value: Any, what: str) -> int:
    """`value`, which must be a whole number and not negative."""
    if type(value) is not int or not 0 <= value < 2**53:
        raise RemoteProtocolError(f"{what} is no count")
    return value


def boolean(value: Any) -> bool:
    """`value` as JavaScript takes it for a condition, where nothing but true, false and none makes sense."""
    if value is not None and not isinstance(value, bool):
        raise RemoteProtocolError("neither true nor false")
    return bool(value)


def room_names(value: Any) -> tuple[str, ...]:
    """`value`, which must be an array of room names; numbers become strings, none at all is an empty array."""
    names = array([] if value is None else value, "rooms")
    if len(names) > MAX_ROOMS:
        raise RemoteProtocolError("too many rooms")
    return tuple([room_name(name) for name in names])


def room_name(value: Any) -> str:
    """`value`, which must be a room name."""
    if type(value) is int or (isinstance(value, float) and value.is_integer() and abs(value) < 2**53):
        value = str(int(value))
    if not isinstance(value, str) or len(value) > MAX_ROOM_LENGTH:
        raise RemoteProtocolError("no room name")
    return value


def _storable(value: Any) -> Any:
    # JavaScript has neither larger integers nor a form for lone surrogates outside of its own memory.
    if isinstance(value, int) and value.bit_length() >= _INT_BITS:
        return float(value) if value.bit_length() < 1024 else math.copysign(math.inf, value)
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, str | int | float | bytes) or value is None:
        return value
    if depth == 0:
        raise RemoteProtocolError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, list):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {_key(key): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, datetime):
        return _iso(value)
    raise RemoteProtocolError(f"a value of the unknown type {type(value).__name__}")


def _key(value: Any) -> str:
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    raise RemoteProtocolError("a key that is no string")


def _iso(time: datetime) -> str:
    utc = time.astimezone(timezone.utc).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"
