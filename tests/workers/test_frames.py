"""Frames between workers: what goes in comes out, in whatever pieces."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.errors import RemoteProtocolError
from rtwist.workers.frames import MOST_BYTES, Frame, Frames, Kind

FRAMES = st.builds(
    Frame,
    kind=st.sampled_from(Kind),
    number=st.integers(0, 2**64 - 1),
    inode=st.integers(0, 2**64 - 1),
    data=st.binary(max_size=100),
)


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 400), max_size=8))
def test_frames_survive_any_cutting(frames: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(frame.encode() for frame in frames)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader, found = Frames(), []
    for start, end in pairwise(places):
        found += reader.feed(stream[start:end])
    assert found == frames


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_waited_for(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        for frame in Frames().feed(data):
            assert len(frame.data) <= len(data)


@pytest.mark.parametrize("kind", [0, 3, 255])
def test_an_unknown_kind(kind: int) -> None:
    data = bytes([kind]) + Frame(Kind.HAND, 1).encode()[1:]
    with pytest.raises(RemoteProtocolError):
        Frames().feed(data)


def test_a_frame_that_is_too_large_is_refused_before_it_is_kept() -> None:
    largest = Frame(Kind.HAND, 1, 2, bytes(MOST_BYTES))
    assert Frames().feed(largest.encode()) == [largest]
    with pytest.raises(RemoteProtocolError):
        Frames().feed(Frame(Kind.HAND, 1, 2, bytes(MOST_BYTES + 1)).encode()[:30])
