"""WebSocket frames as a server sends them, and the codes of closing (RFC 6455, sections 5.2 and 7.4); pure."""

from __future__ import annotations

TEXT = 0x1
BINARY = 0x2
_FIN = 0x80
_COMPRESSED = 0x40  # RSV1, by RFC 7692, section 6

PROTOCOL_ERROR = 1002
INVALID_DATA = 1007
POLICY_VIOLATION = 1008
TOO_BIG = 1009
TRY_AGAIN_LATER = 1013
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


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


def close_fault(code: int | None, reason: bytes | None) -> tuple[int, str] | None:
    """What is wrong with a close frame (RFC 6455, section 7.4), as the status and text to fail with."""
    if code is not None and code not in _CLOSE_CODES and not 3000 <= code <= 4999:
        return PROTOCOL_ERROR, f"invalid close code {code}"
    try:
        (reason or b"").decode("utf-8")
    except UnicodeDecodeError:
        return INVALID_DATA, "close reason is not UTF-8"
    return None
