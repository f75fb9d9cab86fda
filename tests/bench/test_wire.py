"""What the load generator reads: frames in pieces, and answers to polls."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.versus import wire
from bench.versus.crowd import Crowd
from bench.versus.dialogues import Client, Poller

TEXTS = st.lists(
    st.text("ab42[", max_size=300).map(str.encode).filter(lambda text: text != wire.PING), max_size=6
)


def server_frame(payload: bytes) -> bytes:
    size = len(payload)
    return b"\x81" + (bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")) + payload


@given(TEXTS, st.integers(1, 50))
def test_frames_in_pieces_are_the_same_as_whole(texts: list[bytes], piece: int) -> None:
    data = b"".join(map(server_frame, texts))
    here, there = socket.socketpair()
    with here, there:
        client = Client(here)
        found = [payload for at in range(0, len(data), piece) for payload in client.take(data[at : at + piece])]
    assert found == texts
    assert client.rest == b""


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=4), st.booleans(), st.integers(1, 50))
def test_an_answer_in_pieces_is_whole_at_its_last_byte(parts: list[bytes], chunked: bool, piece: int) -> None:
    body = b"".join(parts)
    if chunked:
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])
        data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    else:
        data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX: y\r\n\r\n%s" % (len(body), body)
    here, there = socket.socketpair()
    with here, there:
        poller = Poller(here, wire.POLLING)
        answers = [poller.take(data[at : at + piece]) for at in range(0, len(data), piece)]
    assert answers == [None] * (len(answers) - 1) + [body]
    assert poller.data == b""


@pytest.fixture
def connected() -> Iterator[tuple[Crowd, socket.socket]]:
    """A crowd of one, and the server's end of its connection."""
    crowd = Crowd()
    here, there = socket.socketpair()
    here.setblocking(False)
    crowd.adopt([Client(here)])
    with here, there:
        yield crowd, there


def test_events_are_counted_one_by_one_and_then_by_their_length(connected: tuple[Crowd, socket.socket]) -> None:
    crowd, server = connected
    event = server_frame(b'42["name",{"number":%d}]' % 1_000_000 + b" " * 100)
    counted = 0
    for data in (event, event * 5, event * 2 + event[:10], event[10:], server_frame(b"2") + event):
        server.sendall(data)
        counted += crowd.receive(5)
    assert counted == 10
    assert server.recv(100) == wire.PONG


def test_pings_of_websocket_are_answered_with_their_payload(connected: tuple[Crowd, socket.socket]) -> None:
    crowd, server = connected
    server.sendall(b"\x89\x03abc" + server_frame(b'42["a"]'))
    assert crowd.receive(5) == 1
    assert server.recv(100) == b"\x8a\x83\0\0\0\0abc"


def test_an_event_is_shown_with_its_payload_when_somebody_watches(connected: tuple[Crowd, socket.socket]) -> None:
    crowd, server = connected
    seen: list[bytes] = []
    crowd.watch = lambda payload, _: seen.append(payload)
    server.sendall(server_frame(b'42["a"]') + server_frame(b"40{}") + server_frame(b'42["b"]'))
    assert crowd.receive(5) == 2
    assert seen == [b'42["a"]', b'42["b"]']
