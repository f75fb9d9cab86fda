"""Messages: the properties of the basic class (AMQP 0-9-1, section 1.8.2), and what a consumer is given; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from rtwist.errors import BrokerProtocolError
from rtwist.intake.amqp.codec import FieldValue, Reader, Table, read_table, table, write_argument

TRANSIENT = 1
PERSISTENT = 2
"""Delivery modes: a persistent message in a durable queue outlives the broker's restart."""


class Headers(Mapping[str, FieldValue]):
    """The headers of a received message, read at the first look.

    Looking into headers that cannot be read is a `BrokerProtocolError` each time.
    """

    __slots__ = ("_fields", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._fields: dict[str, FieldValue] | None = None

    @property
    def raw(self) -> bytes:
        """The table as it came, with its length."""
        return self._raw

    def _read(self) -> dict[str, FieldValue]:
        if self._fields is None:
            self._fields = read_table(self._raw)
        return self._fields

    def __getitem__(self, name: str) -> FieldValue:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return f"Headers({self._read()!r})"


class Properties(msgspec.Struct, frozen=True, kw_only=True):
    """The properties of a message, in the order of the wire; None: absent. `timestamp`: seconds since 1970."""

    content_type: str | None = None
    content_encoding: str | None = None
    headers: Table | None = None
    delivery_mode: int | None = None
    priority: int | None = None
    correlation_id: str | None = None
    reply_to: str | None = None
    expiration: str | None = None
    message_id: str | None = None
    timestamp: int | None = None
    type: str | None = None
    user_id: str | None = None
    app_id: str | None = None
    cluster_id: str | None = None


_KINDS = {"headers": "table", "delivery_mode": "octet", "priority": "octet", "timestamp": "timestamp"}
_FIELDS = tuple(
    (name, _KINDS.get(name, "shortstr"), 1 << 15 - index)
    for index, name in enumerate(Properties.__struct_fields__)
)
_KNOWN_FLAGS = sum(flag for _, _, flag in _FIELDS)


def write_properties(properties: Properties) -> bytes:
    """The flags and values of a content header (section 4.2.6.1); `LocalProtocolError` for what does not fit."""
    flags = 0
    pieces = [b""]
    for name, kind, flag in _FIELDS:
        value = getattr(properties, name)
        if value is None:
            continue
        flags |= flag
        if isinstance(value, Headers):
            pieces.append(value.raw)
        elif kind == "table":
            pieces.append(table(value))
        else:
            pieces.append(write_argument(kind, value))
    pieces[0] = flags.to_bytes(2, "big")
    return b"".join(pieces)


def read_properties(data: bytes) -> Properties:
    """The flags and values of a content header, nothing after them; headers are read when they are looked at."""
    # Read in place when all is as it should be; else once more, with what is wrong.
    pos = 2
    found: dict[str, object] = {}
    try:
        for name, kind in _present(data[:2]):
            if kind == "shortstr":
                start, pos = pos + 1, pos + 1 + data[pos]
                found[name] = data[start:pos].decode("utf-8", "surrogateescape")
            elif kind == "octet":
                found[name] = data[pos]
                pos += 1
            elif kind == "timestamp":
                start, pos = pos, pos + 8
                found[name] = int.from_bytes(data[start:pos], "big")
            else:
                start, pos = pos, pos + 4 + int.from_bytes(data[pos : pos + 4], "big")
                found[name] = Headers(data[start:pos])
    except IndexError:
        pass
    else:
        if pos == len(data):
            return Properties(**found)  # type: ignore[arg-type]
    return _read_properties(data)


@lru_cache(maxsize=256)
def _present(flags: bytes) -> list[tuple[str, str]]:
    """The names and kinds of the properties that these flags announce."""
    bits = int.from_bytes(flags, "big")
    if len(flags) < 2 or bits & ~_KNOWN_FLAGS:
        raise IndexError
    return [(name, kind) for name, kind, flag in _FIELDS if bits & flag]


def _read_properties(data: bytes) -> Properties:
    reader = Reader(data)
    flags = int.from_bytes(reader.take(2), "big")
    if flags & ~_KNOWN_FLAGS:
        raise BrokerProtocolError(f"a message has properties that the basic class does not know: {flags:#06x}")
    found: dict[str, object] = {}
    for name, kind, flag in _FIELDS:
        if not flags & flag:
            continue
        if kind == "table":
            raw = reader.longbytes()
            found[name] = Headers(len(raw).to_bytes(4, "big") + raw)
        else:
            found[name] = reader.argument(kind)
    if not reader.at_end:
        raise BrokerProtocolError("bytes follow the properties of a message")
    return Properties(**found)  # type: ignore[arg-type]


class Delivery:
    """One message for a consumer (basic.deliver, section 1.8.3.9).

    - `body`: bytes, always; empty when the message is `too_large`.
    - `size`: what the broker announced; more than `body` holds when the message is `too_large`.
    - `too_large`: the body was above the limit and has been thrown away; reject it.
    - `tag`: for `ack`, `reject`; counts from 1 on each connection.
    - `redelivered`: it may have been delivered before.
    - `exchange`, `routing_key`: where it was published; bytes that are not UTF-8 are surrogate escapes.
    """

    __slots__ = ("_header", "_properties", "body", "exchange", "redelivered", "routing_key", "size", "tag")

    def __init__(  # noqa: PLR0917 - made once for each message: keywords take time
        self, tag: int, redelivered: bool, exchange: str, routing_key: str, header: bytes, size: int, body: bytes
    ) -> None:
        self.tag = tag
        self.redelivered = redelivered
        self.exchange = exchange
        self.routing_key = routing_key
        self.size = size
        self.body = body
        self._header = header
        self._properties: Properties | None = None

    @property
    def too_large(self) -> bool:
        """Whether the body was thrown away."""
        return self.size != len(self.body)

    @property
    def properties(self) -> Properties:
        """Read at the first look; `BrokerProtocolError` when they cannot be read: reject the message then."""
        if self._properties is None:
            self._properties = read_properties(self._header)
        return self._properties

    def __repr__(self) -> str:
        return (
            f"<Delivery {self.tag} from {self.exchange!r} by {self.routing_key!r}, {self.size} bytes"
            f"{', redelivered' if self.redelivered else ''}>"
        )


@dataclass(frozen=True, slots=True)
class Returned:
    """A mandatory message that came back (basic.return, section 1.8.3.8)."""

    code: int
    text: str
    exchange: str
    routing_key: str
    properties: Properties
    body: bytes
