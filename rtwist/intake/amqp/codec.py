"""Values on the wire of AMQP 0-9-1: strings, field tables, and the arguments of methods; pure.

Field types are those of RabbitMQ, which differ from the specification (AMQP 0-9-1, section 4.2.5.5; RabbitMQ's
"AMQP 0-9-1 Errata", section 3):

| octet | Python | | octet | Python |
|---|---|---|---|---|
| `t` | bool | | `f` `d` | float |
| `b` `B` `s` `u` `I` `i` `l` `L` | int | | `D` | Decimal |
| `S` | str, or bytes where it is not UTF-8 | | `T` | Timestamp |
| `x` | bytes | | `F` `A` | dict, list |
| `V` | None | | | |

What cannot be read is a `BrokerProtocolError`, what cannot be written a `LocalProtocolError`; nothing else is
raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from struct import Struct
from typing import TypeAlias, Union

from rtwist.errors import BrokerProtocolError, LocalProtocolError

MAX_DEPTH = 32
"""Tables and lists within each other: x-death needs 3, the interpreter's stack ends at some hundreds."""

FieldValue: TypeAlias = Union[
    bool, int, float, Decimal, str, bytes, datetime, "list[FieldValue]", "Mapping[str, FieldValue]", None
]
"""What a field of a table can hold. Tables are read as dicts."""
Table: TypeAlias = Mapping[str, FieldValue]
Argument: TypeAlias = bool | int | str | bytes | Table
"""What an argument of a method can hold."""


class Timestamp(int):
    """Seconds since 1970 as a field (`T`); some publishers put milliseconds there, so it is no `datetime`."""

    __slots__ = ()


_OCTET = Struct(">B")
_SHORT = Struct(">H")
_LONG = Struct(">I")
_LONGLONG = Struct(">Q")
_TIMESTAMP = Struct(">Q")
_DECIMAL = Struct(">Bi")
_NUMBERS = {
    ord(code): Struct(">" + layout)
    for code, layout in {
        "b": "b", "B": "B", "s": "h", "u": "H", "I": "i", "i": "I", "l": "q", "L": "q", "f": "f", "d": "d",
    }.items()
}  # fmt: skip


class Reader:
    """Reads values one after the other from `data[start:end]`; beyond the end is a `BrokerProtocolError`."""

    __slots__ = ("_bits", "_data", "_end", "_pos")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._pos = start
        self._end = len(data) if end is None else end
        self._bits = 0

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._pos >= self._end

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        start, self._pos = self._pos, self._pos + size
        if self._pos > self._end:
            raise BrokerProtocolError(f"a value of {size} bytes is cut off after {self._end - start}")
        return self._data[start : self._pos]

    def number(self, layout: Struct) -> int:
        """The next number of that layout."""
        value: int = layout.unpack(self.take(layout.size))[0]
        return value

    def shortstr(self) -> str:
        """At most 255 bytes; those that are not UTF-8 are kept as surrogate escapes, for names are just bytes."""
        return self.take(self.number(_OCTET)).decode("utf-8", "surrogateescape")

    def longbytes(self) -> bytes:
        """A long string as it came."""
        return self.take(self.number(_LONG))

    def longstr(self) -> str | bytes:
        """A long string: text when it is UTF-8."""
        value = self.longbytes()
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value

    def table(self, depth: int = 0) -> dict[str, FieldValue]:
        """A field table, after its length."""
        inner = self._inner(depth)
        found: dict[str, FieldValue] = {}
        while not inner.at_end:
            name = inner.shortstr()
            found[name] = inner.field(depth + 1)
        return found

    def array(self, depth: int = 0) -> list[FieldValue]:
        """A field array, after its length."""
        inner = self._inner(depth)
        found: list[FieldValue] = []
        while not inner.at_end:
            found.append(inner.field(depth + 1))
        return found

    def _inner(self, depth: int) -> Reader:
        if depth >= MAX_DEPTH:
            raise BrokerProtocolError(f"tables within tables, more than {MAX_DEPTH} deep")
        size = self.number(_LONG)
        start, self._pos = self._pos, self._pos + size
        if self._pos > self._end:
            raise BrokerProtocolError(f"a table of {size} bytes is cut off after {self._end - start}")
        return Reader(self._data, start, self._pos)

    def field(self, depth: int = 0) -> FieldValue:
        """One value with its type octet before it."""
        code = self.number(_OCTET)
        layout = _NUMBERS.get(code)
        if layout is not None:
            return self.number(layout)
        if code == 0x46:  # F
            return self.table(depth)
        if code == 0x41:  # A
            return self.array(depth)
        read = _FIELDS.get(code)
        if read is None:
            raise BrokerProtocolError(f"a field has the unknown type {chr(code)!r}")
        return read(self)

    def bit(self, first: bool) -> bool:
        """A bit; bits in a row share octets, the lowest first (section 4.2.5.2). `first` starts a new octet."""
        if first:
            self._bits = self.number(_OCTET)
        else:
            self._bits >>= 1
        return bool(self._bits & 1)

    def decimal(self) -> Decimal:
        """A scale and an integer, which is signed as the clients of RabbitMQ have it."""
        scale, digits = _DECIMAL.unpack(self.take(5))
        return Decimal(digits).scaleb(-scale)

    def argument(self, kind: str) -> Argument:
        """An argument of one of the types of the specification file, but not a bit."""
        read = _ARGUMENTS.get(kind)
        if read is None:
            raise BrokerProtocolError(f"an argument has the unknown type {kind!r}")
        return read(self)


_FIELDS: dict[int, Callable[[Reader], FieldValue]] = {
    ord("t"): lambda reader: bool(reader.number(_OCTET)),
    ord("D"): Reader.decimal,
    ord("S"): Reader.longstr,
    ord("x"): Reader.longbytes,
    ord("T"): lambda reader: Timestamp(reader.number(_TIMESTAMP)),
    ord("V"): lambda reader: None,
}
_INTEGERS = {"octet": _OCTET, "short": _SHORT, "long": _LONG, "longlong": _LONGLONG, "timestamp": _TIMESTAMP}
_ARGUMENTS: dict[str, Callable[[Reader], Argument]] = {
    "octet": lambda reader: reader.number(_OCTET),
    "short": lambda reader: reader.number(_SHORT),
    "long": lambda reader: reader.number(_LONG),
    "longlong": lambda reader: reader.number(_LONGLONG),
    "timestamp": lambda reader: reader.number(_TIMESTAMP),
    "shortstr": Reader.shortstr,
    "longstr": Reader.longbytes,
    "table": Reader.table,
}


def read_arguments(kinds: Iterable[str], data: bytes, start: int = 0) -> tuple[Argument, ...]:
    """The arguments of a method, one of each kind, from `start` to the end of `data`.

    Long strings are bytes, short strings text. More bytes than the method has are an error as well as fewer.
    """
    reader = Reader(data, start)
    values: list[Argument] = []
    bits = 0
    for kind in kinds:
        if kind == "bit":
            values.append(reader.bit(bits % 8 == 0))
            bits += 1
        else:
            bits = 0
            values.append(reader.argument(kind))
    if not reader.at_end:
        raise BrokerProtocolError("a method has more bytes than its arguments take")
    return tuple(values)


def read_table(data: bytes) -> dict[str, FieldValue]:
    """A whole field table: its length, then its fields, and nothing after them."""
    reader = Reader(data)
    found = reader.table()
    if not reader.at_end:
        raise BrokerProtocolError("bytes follow a field table")
    return found


# Writing


def _number(layout: Struct, value: object) -> bytes:
    try:
        return layout.pack(value)
    except Exception:  # struct.error has no more to say
        raise LocalProtocolError(f"{value!r} is not a number of {layout.size} bytes") from None


def shortstr(value: str | bytes) -> bytes:
    """At most 255 bytes, after their count; text is UTF-8, lone surrogates are the bytes they stand for."""
    raw = value if isinstance(value, bytes) else _encoded(value)
    if len(raw) > 255:
        raise LocalProtocolError(f"a short string has {len(raw)} bytes; 255 is the most")
    return bytes((len(raw),)) + raw


def _encoded(value: object) -> bytes:
    if not isinstance(value, str):
        raise LocalProtocolError(f"{type(value).__name__} is not text")
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise LocalProtocolError("a text has lone surrogates, which no encoding holds") from None


def longstr(value: str | bytes) -> bytes:
    """Any number of bytes, after their count."""
    raw = value if isinstance(value, bytes) else _encoded(value)
    return _LONG.pack(len(raw)) + raw


def table(fields: Table, depth: int = 0) -> bytes:
    """A whole field table with its length."""
    if depth >= MAX_DEPTH:
        raise LocalProtocolError(f"tables within tables, more than {MAX_DEPTH} deep")
    raw = b"".join([shortstr(name) + field(value, depth + 1) for name, value in fields.items()])
    return _LONG.pack(len(raw)) + raw


def field(value: object, depth: int = 0) -> bytes:
    """One value after its type octet: the smallest of `I` and `l` for integers, `d` for floats."""
    if isinstance(value, Mapping):
        return b"F" + table(value, depth)
    if isinstance(value, list | tuple):
        if depth >= MAX_DEPTH:
            raise LocalProtocolError(f"lists within lists, more than {MAX_DEPTH} deep")
        raw = b"".join([field(item, depth + 1) for item in value])
        return b"A" + _LONG.pack(len(raw)) + raw
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value)
    raise LocalProtocolError(f"a field cannot hold {type(value).__name__}")


def _integer(value: int) -> bytes:
    if -(1 << 31) <= value < 1 << 31:
        return b"I" + value.to_bytes(4, "big", signed=True)
    if -(1 << 63) <= value < 1 << 63:
        return b"l" + value.to_bytes(8, "big", signed=True)
    raise LocalProtocolError("an integer is larger than 64 bits")


def _decimal(value: Decimal) -> bytes:
    exponent = value.as_tuple().exponent
    try:
        if isinstance(exponent, int):
            scale = max(0, -exponent)
            return b"D" + _DECIMAL.pack(scale, int(value.scaleb(scale)))
    except Exception:  # noqa: S110 - struct.error and Decimal's own have no more to say
        pass
    raise LocalProtocolError(f"{value} does not fit into a decimal field")


def _datetime(value: datetime) -> bytes:
    if value.tzinfo is None:
        raise LocalProtocolError("a datetime without a time zone is not a moment")
    return b"T" + _number(_TIMESTAMP, int(value.timestamp()))


# In this order: bool and Timestamp are ints.
_WRITERS: Sequence[tuple[type, Callable[..., bytes]]] = (
    (str, lambda value: b"S" + longstr(value)),
    (bool, lambda value: b"t\x01" if value else b"t\x00"),
    (Timestamp, lambda value: b"T" + _number(_TIMESTAMP, value)),
    (int, _integer),
    (bytes, lambda value: b"x" + longstr(value)),
    (float, lambda value: b"d" + _number(_NUMBERS[0x64], value)),
    (type(None), lambda value: b"V"),
    (Decimal, _decimal),
    (datetime, _datetime),
)
_ARGUMENT_WRITERS: dict[str, Callable[..., bytes]] = {
    "shortstr": shortstr,
    "longstr": longstr,
    "table": table,
}


def write_argument(kind: str, value: Argument) -> bytes:
    """An argument of one of the types of the specification file, but not a bit."""
    layout = _INTEGERS.get(kind)
    if layout is not None:
        return _number(layout, value)
    return _ARGUMENT_WRITERS[kind](value)


def write_arguments(kinds: Iterable[str], values: Iterable[Argument]) -> bytes:
    """The arguments of a method, each of its kind; bits in a row share octets."""
    pieces: list[bytes] = []
    bits: list[bool] = []
    for kind, value in zip(kinds, values, strict=True):
        if kind == "bit":
            bits.append(bool(value))
            continue
        pieces += _octets(bits)
        bits = []
        pieces.append(write_argument(kind, value))
    return b"".join(pieces + _octets(bits))


def _octets(bits: Sequence[bool]) -> list[bytes]:
    rows = [bits[start : start + 8] for start in range(0, len(bits), 8)]
    return [bytes((sum(bit << index for index, bit in enumerate(row)),)) for row in rows]
