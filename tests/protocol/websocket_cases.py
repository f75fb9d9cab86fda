"""Cases of WebSocket conformance by the numbers of the Autobahn test suite, for an Engine.IO echo server.

A text message begins with `4`, the Engine.IO type of a message, since anything else would be another packet. What
the suite calls non-strict, informational or a matter of limits is said at the case. Sections 12 and 13, of
compression, are in test_websocket_deflate_cases.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tests.support.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NO_STATUS,
    PING,
    PONG,
    TEXT,
    close_frame,
    fragmented,
    frame,
)

Answer: TypeAlias = "tuple[int, bytes]"
PROTOCOL_ERROR, INVALID_DATA = 1002, 1007
MAX_PAYLOAD = 1_000_000


@dataclass(frozen=True)
class Case:
    """What a client sends, in pieces of `chop` octets, and what must come back: frames, perhaps a close code."""

    number: str
    sent: bytes
    answers: Sequence[Answer] = ()
    code: int | None = None
    chop: int | None = None

    def pieces(self) -> Iterator[bytes]:
        step = self.chop or max(1, len(self.sent))
        return (self.sent[start : start + step] for start in range(0, len(self.sent), step))


def text(payload: bytes = b"hello") -> bytes:
    return frame(TEXT, b"4" + payload)


def heard(payload: bytes = b"hello") -> Answer:
    return TEXT, b"4" + payload


def each_chop(
    numbers: Sequence[str], sent: bytes, answers: Sequence[Answer], code: int | None = None
) -> list[Case]:
    """The same in one piece, in pieces of some octets and octet by octet."""
    return [Case(number, sent, answers, code, chop) for number, chop in zip(numbers, (None, 7, 1), strict=True)]


def framing() -> Iterator[Case]:
    """Section 1: messages of all forms of length."""
    for kind, opcode, prefix in (("1", TEXT, b"4"), ("2", BINARY, b"")):
        for index, size in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
            payload = prefix + (b"*" * size if opcode == TEXT else b"\xfe" * size)
            yield Case(f"1.{kind}.{index}", frame(opcode, payload), [(opcode, payload)])
        payload = prefix + b"*" * 65536
        yield Case(f"1.{kind}.8", frame(opcode, payload), [(opcode, payload)], chop=997)


def pings_and_pongs() -> list[Case]:
    """Section 2."""
    binary = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
    unasked = frame(PONG, b"unasked")
    ten = b"".join(frame(PING, b"payload-%d" % number) for number in range(10))
    pongs = [(PONG, b"payload-%d" % number) for number in range(10)]
    return [
        Case("2.1", frame(PING), [(PONG, b"")]),
        Case("2.2", frame(PING, b"Hello, world!"), [(PONG, b"Hello, world!")]),
        Case("2.3", frame(PING, binary), [(PONG, binary)]),
        Case("2.4", frame(PING, b"\xfe" * 125), [(PONG, b"\xfe" * 125)]),
        Case("2.5", frame(PING, b"\xfe" * 126), code=PROTOCOL_ERROR),
        Case("2.6", frame(PING, b"\xfe" * 125), [(PONG, b"\xfe" * 125)], chop=1),
        Case("2.7", frame(PONG)),
        Case("2.8", unasked),
        Case("2.9", unasked + frame(PING, b"asked"), [(PONG, b"asked")]),
        Case("2.10", ten, pongs),
        Case("2.11", ten, pongs, chop=1),
    ]


def reserved_bits() -> list[Case]:
    """Section 3: what was good before the bad frame is answered, nothing behind it."""
    good = [heard()]

    def between(rsv: int) -> bytes:
        return text() + frame(TEXT, b"4bad", rsv=rsv) + frame(PING)

    return [
        Case("3.1", frame(TEXT, b"4bad", rsv=1), code=PROTOCOL_ERROR),
        Case("3.2", between(2), good, PROTOCOL_ERROR),
        Case("3.3", between(3), good, PROTOCOL_ERROR, chop=12),
        Case("3.4", between(4), good, PROTOCOL_ERROR, chop=1),
        Case("3.5", frame(BINARY, b"\x00\xff", rsv=5), code=PROTOCOL_ERROR),
        Case("3.6", frame(PING, b"a", rsv=6), code=PROTOCOL_ERROR),
        Case("3.7", frame(CLOSE, rsv=7), code=PROTOCOL_ERROR),
    ]


def opcodes() -> Iterator[Case]:
    """Section 4: opcodes that mean nothing."""
    for section, first in (("1", 3), ("2", 11)):
        for index, opcode in enumerate(range(first, first + 5), 1):
            payload = b"" if index in (1, 3) else b"reserved opcode"
            bad = frame(opcode, payload)
            if index < 3:
                yield Case(f"4.{section}.{index}", bad, code=PROTOCOL_ERROR)
            else:
                sent = text() + bad + frame(PING)
                yield Case(f"4.{section}.{index}", sent, [heard()], PROTOCOL_ERROR, 1 if index == 5 else None)


def fragments() -> Iterator[Case]:
    """Section 5."""
    two = fragmented(TEXT, [b"4fragment1", b"fragment2"])
    whole = heard(b"fragment1fragment2")
    ping, pong = frame(PING, b"ping"), (PONG, b"ping")
    interrupted = frame(TEXT, b"4fragment1", fin=False) + ping + frame(CONTINUATION, b"fragment2")
    lonely = frame(CONTINUATION, b"nothing to continue") + text()
    lonely_open = frame(CONTINUATION, b"nothing to continue", fin=False) + text()
    yield Case("5.1", frame(PING, b"a", fin=False) + frame(CONTINUATION, b"b"), code=PROTOCOL_ERROR)
    yield Case("5.2", frame(PONG, b"a", fin=False) + frame(CONTINUATION, b"b"), code=PROTOCOL_ERROR)
    yield from each_chop(("5.3", "5.4", "5.5"), two, [whole])
    yield from each_chop(("5.6", "5.7", "5.8"), interrupted, [pong, whole])
    yield from each_chop(("5.9", "5.10", "5.11"), lonely, [], PROTOCOL_ERROR)
    yield from each_chop(("5.12", "5.13", "5.14"), lonely_open, [], PROTOCOL_ERROR)
    yield Case("5.15", two + frame(CONTINUATION, b"4more", fin=False) + text(), [whole], PROTOCOL_ERROR)
    yield Case("5.16", (frame(CONTINUATION, b"4x", fin=False) + two) * 2, code=PROTOCOL_ERROR)
    yield Case("5.17", (frame(CONTINUATION, b"4x") + two) * 2, code=PROTOCOL_ERROR)
    yield Case("5.18", frame(TEXT, b"4one", fin=False) + frame(TEXT, b"two"), code=PROTOCOL_ERROR)
    five = [frame(TEXT, b"4f1", fin=False), frame(CONTINUATION, b"f2", fin=False), ping]
    five += [
        frame(CONTINUATION, b"f3", fin=False),
        frame(CONTINUATION, b"f4", fin=False),
        ping,
        frame(CONTINUATION, b"f5"),
    ]
    answers = [pong, pong, heard(b"f1f2f3f4f5")]
    yield Case("5.19", b"".join(five), answers, chop=13)
    yield Case("5.20", b"".join(five), answers)


# Section 6: octets that are UTF-8 (RFC 3629) and that are not, in the order of the suite.
_KOSME = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"  # a word of five characters, one of them of three octets
_VALID, _INVALID = True, False
_CONTINUATIONS = bytes(range(0x80, 0xC0))
_MISSING = [b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80",
            b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xfb\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf"]  # fmt: skip
_SURROGATES = [
    b"\xed\xa0\x80",
    b"\xed\xad\xbf",
    b"\xed\xae\x80",
    b"\xed\xaf\xbf",
    b"\xed\xb0\x80",
    b"\xed\xbe\x80",
    b"\xed\xbf\xbf",
]
_PLANES = [chr(plane << 16 | 0xFFFE | last).encode() for plane in range(17) for last in (0, 1)]


def _starts(first: int, last: int) -> bytes:
    return b"".join(bytes((octet, 0x20)) for octet in range(first, last + 1))


UTF8: dict[int, tuple[bool, list[bytes]]] = {
    5: (_VALID, [
        b"hello\x24world", "hello\u00a2world".encode(), "hello\u20acworld".encode(),
        "hello\U00024b62world".encode(), _KOSME,
    ]),
    7: (_VALID, [b"\x00", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"]),
    8: (_INVALID, [b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"]),
    9: (_VALID, [b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"]),
    10: (_INVALID, [b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"]),
    11: (_VALID, [b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf"]),
    12: (_INVALID, [
        b"\x80", b"\xbf", *(b"\x80\xbf\x80\xbf\x80\xbf"[:size] for size in range(2, 7)),
        _CONTINUATIONS,
    ]),
    13: (_INVALID, [
        _starts(0xC0, 0xDF), _starts(0xE0, 0xEF), _starts(0xF0, 0xF7), _starts(0xF8, 0xFB),
        _starts(0xFC, 0xFD),
    ]),
    14: (_INVALID, _MISSING),
    15: (_INVALID, [b"".join(_MISSING)]),
    16: (_INVALID, [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"]),
    17: (_INVALID, [
        b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf",
        b"\xfc\x80\x80\x80\x80\xaf",
    ]),
    18: (_INVALID, [
        b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf",
        b"\xfc\x83\xbf\xbf\xbf\xbf",
    ]),
    19: (_INVALID, [
        b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf8\x80\x80\x80\x80",
        b"\xfc\x80\x80\x80\x80\x80",
    ]),
    20: (_INVALID, _SURROGATES),
    21: (_INVALID, [high + low for high in _SURROGATES[:4] for low in (_SURROGATES[4], _SURROGATES[6])]),
    22: (_VALID, _PLANES),
    23: (_VALID, [chr(special).encode() for special in range(0xFFF9, 0x10000)]),
}  # fmt: skip


def utf8() -> Iterator[Case]:
    """Section 6, without 6.4."""
    yield Case("6.1.1", text(b""), [heard(b"")])
    yield Case("6.1.2", fragmented(TEXT, [b"4", b"", b""]), [heard(b"")])
    yield Case("6.1.3", fragmented(TEXT, [b"4", b"middle", b""]), [heard(b"middle")])
    octets = "Hello-µ@ßöäüàá-UTF-8!!".encode()
    yield Case("6.2.1", text(octets), [heard(octets)])
    yield Case("6.2.2", fragmented(TEXT, [b"4" + octets[:12], octets[12:]]), [heard(octets)])
    yield Case("6.2.3", fragmented(TEXT, _octets(b"4" + octets)), [heard(octets)])
    yield Case("6.2.4", fragmented(TEXT, _octets(b"4" + _KOSME)), [heard(_KOSME)])
    invalid = _KOSME + b"\xed\xa0\x80" + b"edited"
    yield Case("6.3.1", text(invalid), code=INVALID_DATA)
    yield Case("6.3.2", fragmented(TEXT, _octets(b"4" + invalid)), code=INVALID_DATA)
    for size in range(1, len(_KOSME) + 1):
        yield _utf8_case(f"6.6.{size}", _KOSME[:size], valid=size in {2, 5, 7, 9, 11})
    for section, (valid, sequences) in UTF8.items():
        for index, octets in enumerate(sequences, 1):
            yield _utf8_case(f"6.{section}.{index}", octets, valid=valid)
    yield _utf8_case("6.11.5", b"\xf4\x90\x80\x80", valid=False)


def _utf8_case(number: str, octets: bytes, *, valid: bool) -> Case:
    return Case(number, text(octets), [heard(octets)] if valid else [], None if valid else INVALID_DATA)


def _octets(payload: bytes) -> list[bytes]:
    return [payload[at : at + 1] for at in range(len(payload))]


# Section 6.4: rtwist looks at a text message when it is whole, as Node does: what the suite calls non-strict.
LATE = [
    ("6.4.1", [b"4" + _KOSME, b"\xf4\x90\x80\x80", b"edited"]),
    ("6.4.2", [b"4" + _KOSME + b"\xf4", b"\x90", b"\x80\x80edited"]),
    ("6.4.3", [b"4" + _KOSME + b"\xf4\x90\x80\x80", b"", b"edited"]),
    ("6.4.4", [b"4" + _KOSME + b"\xf4\x90", b"\x80", b"\x80edited"]),
]


def closing() -> Iterator[Case]:
    """Section 7: nothing is answered behind a close frame."""
    bye, ping = close_frame(1000), frame(PING)
    yield Case("7.1.1", text() + bye, [heard()], 1000)
    yield Case("7.1.2", bye + bye, [], 1000)
    yield Case("7.1.3", bye + ping, [], 1000)
    yield Case("7.1.4", bye + text(), [], 1000)
    yield Case("7.1.5", frame(TEXT, b"4one", fin=False) + bye + frame(CONTINUATION, b"two"), [], 1000)
    large = b"x" * 262_144
    yield Case("7.1.6", text(large) + bye + ping, [heard(large)], 1000)
    yield Case("7.3.1", frame(CLOSE), [], NO_STATUS)
    yield Case("7.3.2", frame(CLOSE, b"a"), [], PROTOCOL_ERROR)
    yield Case("7.3.3", close_frame(1000), [], 1000)
    yield Case("7.3.4", close_frame(1000, b"Hello World!"), [], 1000)
    yield Case("7.3.5", close_frame(1000, b"*" * 123), [], 1000)
    yield Case("7.3.6", close_frame(1000, b"*" * 124), [], PROTOCOL_ERROR)
    yield Case("7.5.1", close_frame(1000, _KOSME + b"\xed\xa0\x80edited"), [], INVALID_DATA)
    good = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for index, code in enumerate(good, 1):
        yield Case(f"7.7.{index}", close_frame(code), [], code)
    for index, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
        yield Case(f"7.9.{index}", close_frame(code), [], PROTOCOL_ERROR)
    # The suite only looks at these two; RFC 6455, section 7.4.2, leaves 5000 and above undefined.
    yield Case("7.13.1", close_frame(5000), [], PROTOCOL_ERROR)
    yield Case("7.13.2", close_frame(65535), [], PROTOCOL_ERROR)


def large() -> Iterator[Case]:
    """Section 9, up to the limits: 1 MB and 1024 fragments a message (beyond: test_bad_frames.py)."""
    for kind, opcode, prefix in (("1", TEXT, b"4"), ("2", BINARY, b"")):
        for index, size in enumerate((65_536, 262_144, MAX_PAYLOAD), 1):
            payload = (prefix + b"*" * size)[:size]
            yield Case(f"9.{kind}.{index}", frame(opcode, payload), [(opcode, payload)])
    for kind, opcode, prefix in (("3", TEXT, b"4"), ("4", BINARY, b"")):
        payload = (prefix + b"*" * MAX_PAYLOAD)[:MAX_PAYLOAD]
        for index, size in enumerate((1024, 4096, 16_384, 65_536, 262_144, MAX_PAYLOAD), 1):
            parts = [payload[start : start + size] for start in range(0, MAX_PAYLOAD, size)]
            yield Case(f"9.{kind}.{index}", fragmented(opcode, parts), [(opcode, payload)])
    for kind, opcode, prefix in (("5", TEXT, b"4"), ("6", BINARY, b"")):
        payload = (prefix + b"*" * MAX_PAYLOAD)[:MAX_PAYLOAD]
        for index, chop in enumerate((64, 128, 256, 512, 1024, 2048), 1):
            yield Case(f"9.{kind}.{index}", frame(opcode, payload), [(opcode, payload)], chop=chop)
    yield Case(
        "10.1.1", fragmented(TEXT, [b"4" + b"*" * 1299, *[b"*" * 1300] * 49, b"*" * 536]), [heard(b"*" * 65_535)]
    )


ROUND_TRIPS = [
    (f"9.{kind}.{index}", opcode, size)
    for kind, opcode in (("7", TEXT), ("8", BINARY))
    for index, size in enumerate((0, 16, 64, 256, 1024, 4096), 1)
]
"""The rest of section 9: a thousand messages of a size, each answered before the next is sent."""
