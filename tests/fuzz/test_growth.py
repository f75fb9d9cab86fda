"""Hostile inputs cost time and memory in proportion to their size.

Nothing is compared with a clock's absolute word: the CPU time of an input is compared with that of one of a
quarter of its size, where a quadratic rule would take sixteen times as long. The best of several runs counts.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable

import pytest

from tests.fuzz.targets import TARGETS

SMALL, LARGE = 25_000, 100_000
TOO_STEEP = 10
"""Between the 4 of a proportion and the 16 of a square, and far enough from both for a loaded machine."""
FLOOR = 0.002
"""Seconds; below them an input is cheap however its cost grows up to this size."""
BYTES_FOR_A_BYTE = 250


def table(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


CHUNKED_POST = b"\xffPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

INPUTS: list[tuple[str, Callable[[int], bytes]]] = [
    ("engineio_payload", lambda size: b"\x1e" * size),
    ("engineio_payload", lambda size: b"4" + b"b" * size),
    ("engineio_payload", lambda size: b"4\x1e" * (size // 2)),
    ("engineio_payload", lambda size: b"b" + b"A" * size),
    ("engineio_payload", lambda size: b"b" + b"=" * size),
    ("engineio_payload", lambda size: b"4" + b"\xe2\x82" * (size // 2)),
    ("socketio_messages", lambda size: b"2" + b"1" * size),
    ("socketio_messages", lambda size: b"5" + b"1" * size + b"-"),
    ("socketio_messages", lambda size: b"2/" + b"a" * size),
    ("socketio_messages", lambda size: b"2/" + b"," * size),
    ("socketio_messages", lambda size: b"0" * size),
    ("socketio_messages", lambda size: b"50-" * (size // 3)),
    ("socketio_messages", lambda size: b'2["x"' + b",[]" * (size // 3) + b"]"),
    ("socketio_messages", lambda size: b'2["' + b"[" * size + b'"]'),
    ("socketio_messages", lambda size: b'2["x"' + b",{}" * (size // 3) + b"]"),
    ("socketio_messages", lambda size: b'2["x",' + b"[" * size),
    ("socketio_messages", lambda size: b'51-["x"' + b',{"_placeholder":1}' * (size // 18) + b"]\xff\xfea"),
    ("socketio_messages", lambda size: b'2["\\ud800"' + b',"\\ud800"' * (size // 9) + b"]"),
    ("json_text", lambda size: b"[" * size),
    ("json_text", lambda size: b"[]," * (size // 3)),
    ("json_text", lambda size: b'["' + b"\\" * size + b'"]'),
    ("json_text", lambda size: b"\\u" * (size // 2)),
    ("json_text", lambda size: b'["\\ud800' + b"[" * size + b'"]'),
    ("json_text", lambda size: b"[" * 65 + b"[]," * (size // 3)),
    ("json_text", lambda size: b'"' + b'\\"' * (size // 2)),
    ("json_text", lambda size: b"[" * 65 + b'"' * size),
    ("json_text", lambda size: b"[" * 65 + b'"' + b'\\"' * (size // 2)),
    ("json_text", lambda size: b"[" * 65 + b'"' + b"\\" * size),
    ("json_text", lambda size: b"9" * size),
    ("json_text", lambda size: b'["\\ud800",' + b"9" * size),
    ("json_text", lambda size: b"0." + b"9" * size),
    ("json_text", lambda size: b"1e" + b"9" * size),
    ("json_text", lambda size: b'["\\u' + b"d800\\u" * (size // 6)),
    ("json_text", lambda size: b"{" + b",".join(b'"%d":0' % number for number in range(size // 10)) + b"}"),
    ("json_text", lambda size: b" " * size),
    ("token_text", lambda size: b"." * size),
    ("token_text", lambda size: b"a" * size + b".b.c"),
    ("domain_event", lambda size: b"." * size + b"\n{}"),
    ("domain_event", lambda size: b'order.created\n{"orderId":1,"userId":"' + b"x" * size + b'"}'),
    ("domain_event", lambda size: b'notification.x\n{"userIds":[' + b"1," * (size // 2) + b"1]}"),
    ("domain_event", lambda size: b'\n{"orderId":1,"timestamp":"' + b"2024-" * (size // 5) + b'"}'),
    ("domain_event", lambda size: b'\n{"type":"' + b"a." * (size // 2) + b'","orderId":1}'),
    ("amqp_table", lambda size: table(b"\x00V" * (size // 2))),
    ("amqp_table", lambda size: table(b"\x01aA" + table(b"F\0\0\0\0" * (size // 5)))),
    ("amqp_table", lambda size: table(b"\x01aA" + table(b"A\0\0\0\0" * (size // 5)))),
    ("amqp_table", lambda size: table(b"\x01aS" + table(b"\xff" * size))),
    ("amqp_table", lambda size: table(b"\x01aA" + table(b"D\xff\x7f\xff\xff\xff" * (size // 6)))),
    ("amqp_properties", lambda size: b"\x20\x00" + table(b"\x00V" * (size // 2))),
    ("amqp_stream", lambda size: b"\x00" + b"\x08\0\0\0\0\0\0\xce" * (size // 8)),
    ("amqp_stream", lambda size: b"\x00\x01\x00\x01\xff\xff\xff\xff" + b"x" * size),
    ("amqp_urls", lambda size: b"amqp://" + b"@" * size),
    ("amqp_urls", lambda size: b"amqp://h" + b" ," * (size // 2)),
    ("amqp_urls", lambda size: b" " * size),
    ("amqp_urls", lambda size: b"amqp://h/" + b"%2F" * (size // 3)),
    ("origins", lambda size: b"http://" + b"[" * size + b"\n" + b":" * size),
    ("origins", lambda size: b"/" * size + b"\n" + b"/" * size),
    ("handshake", lambda size: b"&" * size),
    ("handshake", lambda size: b"a=" + b"%41" * (size // 3)),
    ("handshake", lambda size: b"EIO=4\nGET\nAccept-Encoding: " + b"gzip;q=0," * (size // 9)),
    ("option_text", lambda size: b"," * size),
    ("option_text", lambda size: b"9" * size),
    ("http_site", lambda size: b"\xff" + b"\r\n" * (size // 2)),
    ("http_site", lambda size: b"\xff" + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n" * (size // 27)),
    ("http_site", lambda size: b"\xffGET / HTTP/1.1\r\n" + b"a: b\r\n" * (size // 6)),
    ("http_site", lambda size: CHUNKED_POST + b"1\r\nx\r\n" * (size // 6)),
    ("websocket_frames", lambda size: b"\xff" + b"\x8a\x80\0\0\0\0" * (size // 6)),
    ("websocket_frames", lambda size: b"\xff" + b"\x81\x81\0\0\0\x004" * (size // 7)),
]  # fmt: skip
IDS = [f"{name}-{number}" for number, (name, _) in enumerate(INPUTS)]


def cpu_seconds(target: Callable[[bytes], None], data: bytes) -> float:
    best = float("inf")
    gc.collect()
    # Collections look at everything else in memory, too.
    gc.disable()
    try:
        for _ in range(3):
            started = time.process_time()
            target(data)
            best = min(best, time.process_time() - started)
    finally:
        gc.enable()
    return best


@pytest.mark.parametrize(("name", "make"), INPUTS, ids=IDS)
def test_time_grows_with_the_size_only(name: str, make: Callable[[int], bytes]) -> None:
    target = TARGETS[name]
    target(make(100))
    large = cpu_seconds(target, make(LARGE))
    if large > FLOOR:
        assert large < TOO_STEEP * cpu_seconds(target, make(SMALL))


@pytest.mark.parametrize(("name", "make"), INPUTS, ids=IDS)
def test_memory_grows_with_the_size_only(name: str, make: Callable[[int], bytes]) -> None:
    target, data = TARGETS[name], make(SMALL)
    target(make(100))
    tracemalloc.start()
    try:
        target(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < BYTES_FOR_A_BYTE * len(data) + 2_000_000
