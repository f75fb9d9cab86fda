"""What is fuzzed of WebSocket: the frames that a client sends."""

from __future__ import annotations

from collections.abc import Callable

from rtwist.engineio.frame import build_frame
from tests.engineio.test_websocket import Peer

MAX_PAYLOAD = 1000


def frames_of(data: bytes) -> list[tuple[int, bytes]]:
    """Opcode and payload of the server's frames; AssertionError for what is none."""
    found, pos = [], 0
    while pos < len(data):
        opcode, size, start = data[pos] & 0xF, data[pos + 1], pos + 2
        if size == 126:
            size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        payload = data[start : start + size]
        pos = start + size
        assert data[:pos].endswith(build_frame(payload, opcode)), "not the shortest form, or reserved bits"
        found.append((opcode, payload))
    return found


def heard_of(stream: bytes, step: int) -> tuple[object, ...]:
    """What comes of a stream of frames in pieces of `step` bytes."""
    peer = Peer(max_payload=MAX_PAYLOAD, max_fragments=8)
    for start in range(0, len(stream), step):
        if peer.wire.connected:
            peer.receive(stream[start : start + step])
            peer.clock.advance(0)
    answers = frames_of(peer.wire.value())
    assert [opcode for opcode, _ in answers].count(8) <= 1
    assert len(peer.ends) <= 1
    assert all(len(one) <= MAX_PAYLOAD for one in peer.messages)
    ends = list(peer.ends)
    if peer.wire.connected:
        peer.lose()
    assert len(peer.ends) == 1
    assert peer.clock.getDelayedCalls() == []
    return peer.messages, ends, answers


def websocket_frames(data: bytes) -> None:
    """Frames, cut into pieces whose size the first octet tells: the same as in one piece."""
    if data:
        assert heard_of(data[1:], 1 + data[0] % 32) == heard_of(data[1:], len(data))


TARGETS: dict[str, Callable[[bytes], None]] = {"websocket_frames": websocket_frames}
