"""Engine.IO v4 packets and polling payloads; pure (https://socket.io/docs/v4/engine-io-protocol/)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum

from rtwist.engineio.deflate import deflate
from rtwist.engineio.frame import BINARY, TEXT, build_frame, payload_size
from rtwist.errors import LimitPassed, RemoteProtocolError

PIECE = 65537
"""Bytes written at once of what is large: one more than Twisted buffers before it asks to pause."""

SEPARATOR = "\x1e"
_SEPARATOR = b"\x1e"


class PacketType(IntEnum):
    """The first character of a packet in text form."""

    OPEN = 0
    CLOSE = 1
    PING = 2
    PONG = 3
    MESSAGE = 4
    UPGRADE = 5
    NOOP = 6


_TYPES = {str(int(packet_type)): packet_type for packet_type in PacketType}


class Packet:
    """One Engine.IO packet: a type and its data, `str` for text, `bytes` for binary (messages only).

    Treat it as frozen: its wire forms are made once, on first use, and shared by every receiver.
    """

    __slots__ = ("_compressed", "_frame", "_pieces", "_segment", "data", "type")

    def __init__(self, packet_type: PacketType, data: str | bytes = "") -> None:
        self.type = packet_type
        self.data = data
        self._frame: bytes | None = None
        self._compressed: bytes | None = None
        self._segment: bytes | None = None
        self._pieces: dict[str, tuple[bytes, ...]] | None = None

    @property
    def frame(self) -> bytes:
        """The packet as one WebSocket frame: binary raw, text behind its type digit."""
        frame = self._frame
        if frame is None:
            frame = self._frame = build_frame(*self._payload())
        return frame

    @property
    def compressed_frame(self) -> bytes:
        """The same compressed, or plain where that is not smaller."""
        frame = self._compressed
        if frame is None:
            payload, opcode = self._payload()
            deflated = deflate(payload)
            frame = build_frame(deflated, opcode, compressed=True) if len(deflated) < len(payload) else self.frame
            self._compressed = frame
        return frame

    def _payload(self) -> tuple[bytes, int]:
        if isinstance(self.data, str):
            return self._segment or f"{self.type:d}{self.data}".encode(), TEXT
        return self.data, BINARY

    @property
    def segment(self) -> bytes:
        """The packet as a part of a polling payload: binary as `b` and base64."""
        segment = self._segment
        if segment is None:
            if isinstance(self.data, str):
                segment = f"{self.type:d}{self.data}".encode()
            else:
                segment = b"b" + base64.b64encode(self.data)
            self._segment = segment
        return segment

    @property
    def size(self) -> int:
        """The bytes of its data, text in UTF-8."""
        data = self.data
        if isinstance(data, bytes) or data.isascii():
            return len(data)
        # Encoded already, most of the time: not once more, and without the type digit.
        return (len(self.segment) if self._frame is None else payload_size(self._frame)) - 1

    def pieces(self, form: str, make: Callable[[Packet], bytes]) -> tuple[bytes, ...]:
        """What `make` gives for the wire form named `form`, made once, in pieces of at most `PIECE` bytes.

        They are shared: a large packet for a thousand receivers is in memory once, whatever each has taken of it.
        """
        if self._pieces is None:
            self._pieces = {}
        pieces = self._pieces.get(form)
        if pieces is None:
            pieces = self._pieces[form] = in_pieces(make(self))
        return pieces

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Packet):
            return NotImplemented
        return self.type == other.type and type(self.data) is type(other.data) and self.data == other.data

    def __hash__(self) -> int:
        return hash((self.type, self.data))

    def __repr__(self) -> str:
        return f"Packet({self.type.name}, {self.data!r})"


CLOSE = Packet(PacketType.CLOSE)
PING = Packet(PacketType.PING)
PROBE_PONG = Packet(PacketType.PONG, "probe")
NOOP = Packet(PacketType.NOOP)


def wire_size(data: str | bytes) -> int:
    """The bytes that `data` takes on the wire; text that is not ASCII is encoded once more to tell."""
    if isinstance(data, bytes) or data.isascii():
        return len(data)
    return len(data.encode("utf-8", "surrogatepass"))


def message(data: str | bytes) -> Packet:
    """A MESSAGE packet that carries `data`."""
    return Packet(PacketType.MESSAGE, data)


def decode_packet(encoded: str | bytes) -> Packet:
    """The packet in one WebSocket message, or in one segment of a polling payload given as `str`.

    Raises `RemoteProtocolError` for an empty segment, an unknown type and anything but strict base64.
    """
    if isinstance(encoded, bytes):
        return Packet(PacketType.MESSAGE, encoded)
    kind = encoded[:1]
    if kind == "b":
        return Packet(PacketType.MESSAGE, _decode_base64(encoded[1:]))
    packet_type = _TYPES.get(kind)
    if packet_type is None:
        raise RemoteProtocolError("unknown packet type" if kind else "empty packet")
    return Packet(packet_type, encoded[1:])


def _decode_base64(text: str) -> bytes:
    if len(text) % 4:
        # Python 3.10 would take padding that does not belong there.
        raise RemoteProtocolError("binary packet is not base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RemoteProtocolError("binary packet is not base64") from error


def payload_pieces(packets: Iterable[Packet]) -> Iterator[bytes]:
    """The same body piece by piece, made as they are asked for: large packets come in their shared pieces."""
    small: list[bytes] = []
    size = 0
    for number, packet in enumerate(packets):
        segment = packet.segment
        if small and size + len(segment) >= PIECE:
            yield b"".join(small)
            small, size = [], 0
        if number:
            small.append(_SEPARATOR)
            size += 1
        if len(segment) < PIECE:
            small.append(segment)
            size += len(segment)
            continue
        if small:
            yield b"".join(small)
            small, size = [], 0
        yield from packet.pieces("segment", lambda one: one.segment)
    if small:
        yield b"".join(small)


def in_pieces(data: bytes) -> tuple[bytes, ...]:
    """`data` cut into pieces of at most `PIECE` bytes."""
    return tuple(data[at : at + PIECE] for at in range(0, len(data), PIECE))


def encode_payload(packets: Iterable[Packet]) -> bytes:
    """The body of a polling response that carries `packets`."""
    return _SEPARATOR.join([packet.segment for packet in packets])


def split_payload(body: bytes, max_packets: int) -> list[str]:
    """The segments of a polling request's body, not yet decoded.

    Raises `RemoteProtocolError` when the body is not UTF-8, `LimitPassed` for more than `max_packets` segments.
    """
    if body.count(_SEPARATOR) >= max_packets:
        raise LimitPassed("max_payload_packets", f"more than {max_packets} packets in one payload")
    try:
        return body.decode("utf-8").split(SEPARATOR)
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("payload is not UTF-8") from error
