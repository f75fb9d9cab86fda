"""WebSocket frames of the server, read back by another implementation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, TextMessage

from rtwist.engineio.frame import BINARY, TEXT, build_frame


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary())
def test_another_implementation_reads_the_frames(text: str, data: bytes) -> None:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(build_frame(text.encode(), TEXT) + build_frame(data, BINARY))
    first, second = client.events()
    assert isinstance(first, TextMessage)
    assert isinstance(second, BytesMessage)
    assert (first.data, bytes(second.data)) == (text, data)
    assert first.message_finished
    assert second.message_finished


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
