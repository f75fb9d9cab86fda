"""Frames as AMQP 0-9-1 writes them (section 4.2.3): type, channel, size, payload, end octet; pure."""

from __future__ import annotations

from struct import Struct

from rtwist.errors import LocalProtocolError

PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
"""What a client says first (section 4.2.2)."""

METHOD = 1
HEADER = 2
BODY = 3
HEARTBEAT = 8
FRAME_END = 0xCE
OVERHEAD = 8
"""Octets of a frame around its payload."""
MIN_FRAME_MAX = 4096
"""The smallest limit that a peer may ask for (section 1.2, frame-min-size)."""

BASIC = 60
HEARTBEAT_FRAME = b"\x08\x00\x00\x00\x00\x00\x00\xce"

_FRAME = Struct(">BHI")
_METHOD = Struct(">BHIHH")
_CONTENT = Struct(">BHIHHQ")
_ACK = Struct(">BHIHHQBB")
_END = bytes((FRAME_END,))

_ACK_ID = 80
_NACK_ID = 120


def method_frame(channel: int, class_id: int, method_id: int, arguments: bytes) -> bytes:
    """A method with its encoded arguments."""
    return _METHOD.pack(METHOD, channel, len(arguments) + 4, class_id, method_id) + arguments + _END


def ack_frame(channel: int, tag: int, multiple: bool) -> bytes:
    """basic.ack (section 1.8.3.13)."""
    return _ACK.pack(METHOD, channel, 13, BASIC, _ACK_ID, tag, multiple, FRAME_END)


def nack_frame(channel: int, tag: int, multiple: bool, requeue: bool) -> bytes:
    """basic.nack, RabbitMQ's basic.reject for several deliveries at once."""
    return _ACK.pack(METHOD, channel, 13, BASIC, _NACK_ID, tag, multiple | requeue << 1, FRAME_END)


def content_frames(channel: int, properties: bytes, body: bytes, frame_max: int) -> list[bytes]:
    """The header and body frames of a content (section 4.2.6), none larger than `frame_max` octets.

    A header cannot be split: one that does not fit is a `LocalProtocolError`.
    """
    size = len(properties) + 12
    if size + OVERHEAD > frame_max:
        raise LocalProtocolError(f"properties take {size} bytes; the broker's frames hold {frame_max - OVERHEAD}")
    pieces = [_CONTENT.pack(HEADER, channel, size, BASIC, 0, len(body)), properties, _END]
    step = frame_max - OVERHEAD
    for start in range(0, len(body), step):
        chunk = body[start : start + step]
        pieces += (_FRAME.pack(BODY, channel, len(chunk)), chunk, _END)
    return pieces
