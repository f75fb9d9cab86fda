"""From bytes to frames to messages: the receive path, with no Deferred, timer or lock in it; pure.

A delivery takes three frames (AMQP 0-9-1, section 4.2.6): basic.deliver, the header, the body. They are read in
place, in one loop, for this is where a busy consumer spends its time. All other methods are handed on undecoded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from struct import Struct, error
from typing import Protocol

from rtwist.errors import BrokerProtocolError
from rtwist.intake.amqp.codec import Reader
from rtwist.intake.amqp.frames import BASIC, BODY, FRAME_END, HEADER, HEARTBEAT, METHOD, OVERHEAD
from rtwist.intake.amqp.message import Delivery, Returned, read_properties

CHANNEL = 1
"""The one channel of a connection beside channel 0: a channel's death is its connection's death."""

_DELIVER = b"\x00\x3c\x00\x3c"  # basic 60, deliver 60
_RETURN = b"\x00\x3c\x00\x32"  # basic 60, return 50
_FRAME = Struct(">BHI")
_TAG = Struct(">QB")
_CONTENT = Struct(">HHQ")
_CODE = Struct(">H")
_HEADER = Struct(">BHIHHQ")
_USUAL = (HEADER, CHANNEL, BASIC, 0)
_CACHED_NAMES = 1024
"""Pairs of exchange and routing key: those in use number a few dozen."""

OnDelivery = Callable[[Delivery], None]


class News(Protocol):
    """Who hears of what was received. What it raises ends the `receive` it happens in."""

    def method(self, channel: int, class_id: int, method_id: int, payload: bytes) -> None:
        """A method; its arguments begin at octet 4 of `payload`."""

    def returned(self, message: Returned) -> None:
        """A mandatory message came back."""

    def consumer_failed(self, delivery: Delivery) -> None:
        """A consumer raised an exception, which is being handled, over `delivery`."""


class _Content:
    """A message on its way: what came so far."""

    __slots__ = ("consumer", "header", "pieces", "received", "route", "size")

    def __init__(self, route: bytes, consumer: OnDelivery | None) -> None:
        self.route = route
        self.consumer = consumer
        self.header = b""  # at least two octets of flags, once it is here
        self.size = 0
        self.received = 0
        self.pieces: list[bytes] | None = []


class Receiver:
    """Cuts the stream of one connection into frames and puts messages together.

    `consumers` maps consumer tags to who takes their deliveries. `frame_max` is the largest frame in octets,
    `max_body` the largest body that is kept: of a larger message the body is thrown away as it comes in, and its
    delivery says so. `delivered` counts deliveries.
    """

    def __init__(self, news: News, *, frame_max: int, max_body: int) -> None:
        self.frame_max = frame_max
        self.consumers: dict[bytes, OnDelivery] = {}
        self.delivered = 0
        self._news = news
        self._max_body = max_body
        self._rest = bytearray()
        self._needed = OVERHEAD
        self._content: _Content | None = None
        self._stopped = False

    def stop(self) -> None:
        """Read nothing more, not even what has been received already."""
        self._stopped = True
        self._rest.clear()
        self._content = None

    def receive(self, data: bytes) -> None:
        """Take what came, however it was cut; `BrokerProtocolError` for what AMQP does not allow."""
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < self._needed:
                return
            data = bytes(rest)
            rest.clear()
        try:
            pos = self._frames(data)
        except (IndexError, error):
            raise BrokerProtocolError("a method is cut off within its frame") from None
        if pos < len(data) and not self._stopped:
            rest += memoryview(data)[pos:]

    def _frames(self, data: bytes) -> int:  # noqa: C901 - one loop, for speed
        """Read all whole frames; where the first one that is not whole begins."""
        pos, end = 0, len(data)
        while not self._stopped:
            if end - pos < OVERHEAD:
                self._needed = OVERHEAD
                break
            kind, channel, size = _FRAME.unpack_from(data, pos)
            if size + OVERHEAD > self.frame_max:
                raise BrokerProtocolError(f"a frame of {size + OVERHEAD} bytes; {self.frame_max} is the most")
            start = pos + 7
            after = start + size
            if after >= end:
                self._needed = size + OVERHEAD
                break
            if data[after] != FRAME_END:
                raise BrokerProtocolError(f"a frame ends with {data[after]:#04x} instead of 0xce")
            pos = after + 1
            if channel == CHANNEL:
                if kind == METHOD:
                    pos = self._delivery(data, start, after) or self._method(data, start, after)
                elif kind == HEADER:
                    self._header(data, start, after)
                elif kind == BODY:
                    self._body(data[start:after])
                else:
                    self._odd_frame(kind, channel, size)
            elif kind == METHOD and channel == 0:
                self._hand_on(0, data[start:after])
            else:
                self._odd_frame(kind, channel, size)
        return pos

    def _delivery(self, data: bytes, start: int, end: int) -> int:
        """Read a delivery that is all here, its body in one frame; where it ends, 0 for everything else.

        `start` and `end` are those of the method. What is not as usual is left to the frame by frame reading,
        which knows what is wrong with it.
        """
        header = end + 1
        if data[start : start + 4] != _DELIVER or self._content is not None or len(data) < header + 29:
            return 0
        kind, channel, size, class_id, weight, length = _HEADER.unpack_from(data, header)
        body = header + OVERHEAD + size
        last: int = body + 7 + length
        if (
            (kind, channel, class_id, weight) != _USUAL
            or size < 14
            or not 0 < length <= self._max_body
            or max(size, length) + OVERHEAD > self.frame_max
            or last >= len(data)
            or not data[body - 1] == data[last] == FRAME_END
            or _FRAME.unpack_from(data, body) != (BODY, CHANNEL, length)
        ):
            return 0
        tag_end = start + 5 + data[start + 4]
        consumer = self.consumers.get(data[start + 5 : tag_end])
        if consumer is None or tag_end + 11 > end:
            return 0
        tag, redelivered = _TAG.unpack_from(data, tag_end)
        exchange, key = _names(data[tag_end + 9 : end])
        properties = data[header + 19 : body - 1]
        message = Delivery(tag, redelivered != 0, exchange, key, properties, length, data[body + 7 : last])
        self._give(message, consumer)
        return last + 1

    def _give(self, delivery: Delivery, consumer: OnDelivery) -> None:
        self.delivered += 1
        try:
            consumer(delivery)
        except Exception:
            self._news.consumer_failed(delivery)

    def _odd_frame(self, kind: int, channel: int, size: int) -> None:
        if kind != HEARTBEAT or channel or size:
            raise BrokerProtocolError(f"an unexpected frame of type {kind} on channel {channel}, {size} bytes")

    def _hand_on(self, channel: int, payload: bytes) -> None:
        if len(payload) < 4:
            raise BrokerProtocolError(f"a method frame of {len(payload)} bytes")
        class_id = int.from_bytes(payload[:2], "big")
        self._news.method(channel, class_id, int.from_bytes(payload[2:4], "big"), payload)

    def _method(self, data: bytes, start: int, end: int) -> int:
        """Take a method from `data[start:end]`; where its frame ends."""
        if self._content is not None:
            raise BrokerProtocolError("a method in the middle of a message")
        name = data[start : start + 4]
        if name == _DELIVER:
            tag_end = start + 5 + data[start + 4]
            consumer = self.consumers.get(data[start + 5 : tag_end])
            if consumer is None:
                tag = data[start + 5 : min(tag_end, end)]
                raise BrokerProtocolError(f"a delivery for the unknown consumer {tag!r}")
            self._content = _Content(data[tag_end:end], consumer)
        elif name == _RETURN:
            self._content = _Content(data[start + 4 : end], None)
        else:
            self._hand_on(CHANNEL, data[start:end])
        return end + 1

    def _header(self, data: bytes, start: int, end: int) -> None:
        content = self._content
        if content is None or content.header:
            raise BrokerProtocolError("a content header without a message")
        if end - start < 14:
            raise BrokerProtocolError(f"a content header of {end - start} bytes")
        class_id, weight, size = _CONTENT.unpack_from(data, start)
        if class_id != BASIC or weight:
            raise BrokerProtocolError(f"a content header of class {class_id}, weight {weight}")
        content.header = data[start + 12 : end]
        content.size = size
        if size > self._max_body:
            content.pieces = None
        elif not size:
            self._complete(content, b"")

    def _body(self, piece: bytes) -> None:
        content = self._content
        if content is None or not content.header:
            raise BrokerProtocolError("a body frame without a message")
        content.received = received = content.received + len(piece)
        if received < content.size:
            if content.pieces is not None:
                content.pieces.append(piece)
        elif received > content.size:
            raise BrokerProtocolError(f"a body of more than the {content.size} bytes announced")
        elif content.pieces is None:
            self._complete(content, b"")
        else:
            self._complete(content, b"".join([*content.pieces, piece]) if content.pieces else piece)

    def _complete(self, content: _Content, body: bytes) -> None:
        self._content = None
        route = content.route
        if content.consumer is None:
            self._news.returned(_read_return(route, content.header, body))
            return
        tag, redelivered = _TAG.unpack_from(route)
        exchange, key = _names(route[9:])
        delivery = Delivery(tag, redelivered != 0, exchange, key, content.header, content.size, body)
        self._give(delivery, content.consumer)


@lru_cache(maxsize=_CACHED_NAMES)
def _names(raw: bytes) -> tuple[str, str]:
    """The exchange and the routing key at the end of a basic.deliver."""
    middle = 1 + raw[0]
    if middle + 1 + raw[middle] != len(raw):
        raise BrokerProtocolError("the names in a delivery do not fill its frame")
    return raw[1:middle].decode("utf-8", "surrogateescape"), raw[middle + 1 :].decode("utf-8", "surrogateescape")


def _read_return(route: bytes, header: bytes, body: bytes) -> Returned:
    reader = Reader(route)
    code = reader.number(_CODE)
    text, exchange, key = reader.shortstr(), reader.shortstr(), reader.shortstr()
    return Returned(code, text, exchange, key, read_properties(header), body)
