"""WebSocket frames of the server, read back by the book (RFC 6455, section 5.2)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.frame import BINARY, TEXT, build_frame


def read_frames(data: bytes) -> list[tuple[int, bytes]]:
    """First bytes and payloads of unmasked frames; nothing may be left over."""
    found = []
    while data:
        first, size, start = data[0], data[1], 2
        if size == 126:
            (size,), start = struct.unpack("!H", data[2:4]), 4
        elif size == 127:
            (size,), start = struct.unpack("!Q", data[2:10]), 10
        assert len(data) >= start + size
        found.append((first, data[start : start + size]))
        data = data[start + size :]
    return found


@given(
    st.lists(
        st.tuples(st.sampled_from([TEXT, BINARY]), st.one_of(st.binary(), st.integers(0, 70_000).map(bytes)))
    )
)
def test_frames_in_a_row_are_whole_unmasked_and_told_apart(frames: list[tuple[int, bytes]]) -> None:
    stream = b"".join(build_frame(payload, opcode) for opcode, payload in frames)
    assert read_frames(stream) == [(0x80 | opcode, payload) for opcode, payload in frames]


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "8200"),
        (125, "827d"),
        (126, "827e007e"),
        (65535, "827effff"),
        (65536, "827f0000000000010000"),
    ],
)
def test_the_length_takes_its_shortest_form(size: int, head: str) -> None:
    payload = bytes(size)
    assert build_frame(payload, BINARY) == bytes.fromhex(head) + payload
