"""WebSocket frames as a server sends them (RFC 6455, section 5.2); pure."""

from __future__ import annotations

TEXT = 0x1
BINARY = 0x2
_FIN = 0x80
_COMPRESSED = 0x40  # RSV1, by RFC 7692, section 6


def build_frame(payload: bytes, opcode: int, *, compressed: bool = False) -> bytes:
    """One whole unmasked frame: FIN set, the shortest length form, then `payload` as it is."""
    size = len(payload)
    opcode |= _COMPRESSED if compressed else 0
    if size < 126:
        return bytes((_FIN | opcode, size)) + payload
    if size < 65536:
        return bytes((_FIN | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((_FIN | opcode, 127)) + size.to_bytes(8, "big") + payload


def payload_size(frame: bytes) -> int:
    """The bytes of payload in what `build_frame` made."""
    return len(frame) - {126: 4, 127: 10}.get(frame[1], 2)
