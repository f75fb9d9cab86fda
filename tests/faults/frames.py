"""What a faulty client library would do to AMQP's frames on their way to the broker."""

from __future__ import annotations

from collections.abc import Callable

_GREETING = 8
_HEAD, _END = 7, 1
_BASIC_ACK = b"\x00\x3c\x00\x50"


class AckDoubler:
    """Makes the `outgoing` of a proxy; once `armed`, the next basic.ack of any connection is sent twice.

    The second covers its one delivery only, which the broker does not know any more: a channel error, 406.
    """

    def __init__(self) -> None:
        self.armed = False
        self.doubled = 0

    def __call__(self) -> Callable[[bytes], bytes]:
        rest = bytearray()
        needed = _GREETING

        def change(data: bytes) -> bytes:
            nonlocal needed
            rest.extend(data)
            out = bytearray()
            while len(rest) >= needed:
                if needed == _GREETING and rest[:4] == b"AMQP":
                    size = _GREETING
                elif len(rest) < (size := _HEAD + int.from_bytes(rest[3:7], "big") + _END):
                    break
                frame = bytes(rest[:size])
                del rest[:size]
                needed = _HEAD
                out += frame + self._extra(frame)
            return bytes(out)

        return change

    def _extra(self, frame: bytes) -> bytes:
        if not self.armed or frame[0] != 1 or frame[_HEAD : _HEAD + 4] != _BASIC_ACK:
            return b""
        self.armed = False
        self.doubled += 1
        return frame[:-2] + b"\x00" + frame[-1:]
