"""permessage-deflate by sections of the Autobahn test suite: 12 by sizes, 13 by what was agreed on."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator

import pytest

from tests.protocol.peers import Server
from tests.support.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, WebSocketClient, close_frame, frame

EXTENSIONS = "Sec-WebSocket-Extensions"
OFFERS = {
    "13.1": "permessage-deflate",
    "13.2": "permessage-deflate; server_no_context_takeover",
    "13.3": "permessage-deflate; server_max_window_bits=9; client_max_window_bits",
    "13.4": "permessage-deflate; server_max_window_bits=15; client_max_window_bits",
    "13.5": "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
    "13.6": "permessage-deflate; server_no_context_takeover; server_max_window_bits=15",
    "13.7": "permessage-deflate; server_max_window_bits=8, permessage-deflate; client_max_window_bits",
}
SIZES = (0, 16, 64, 256, 1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072)
TAIL = b"\x00\x00\xff\xff"
COMPRESSED = 4
"""RSV1, which marks the first frame of a compressed message (RFC 7692, section 6)."""


class Deflating(WebSocketClient):
    """An Engine.IO client whose messages are compressed, each by itself with the window agreed on."""

    @classmethod
    def agreed(cls, server: Server, offer: str) -> Deflating:
        client = cls(server.port)
        head = client.handshake(server.target(transport="websocket"), [(EXTENSIONS, offer)])
        assert head.status == 101
        client.agreement = head.header(EXTENSIONS) or ""
        assert client.agreement.startswith("permessage-deflate")
        assert client.read_frame().payload[:1] == b"0"
        return client

    agreement: str

    @property
    def window(self) -> int:
        _, _, bits = self.agreement.partition("client_max_window_bits=")
        return int(bits.partition(";")[0]) if bits else 15

    def deflated(self, payload: bytes) -> bytes:
        compressor = zlib.compressobj(9, zlib.DEFLATED, -self.window)
        return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)

    def read_message(self) -> tuple[int, bytes]:
        """The next message, inflated from nothing, since the server must not take its context over."""
        received = self.read_frame()
        assert received.fin
        if not received.rsv:
            return received.opcode, received.payload
        assert received.rsv == COMPRESSED
        return received.opcode, zlib.decompressobj(-15).decompress(received.payload + TAIL)


@pytest.fixture(params=OFFERS)
def client(request: pytest.FixtureRequest, deflating: Server) -> Iterator[Deflating]:
    with Deflating.agreed(deflating, OFFERS[request.param]) as connected:
        yield connected


def text_of(size: int) -> bytes:
    dice = random.Random(size)
    rows = [{"id": dice.randrange(10**6), "name": "é" * dice.randrange(9)} for _ in range(size // 30 + 1)]
    return b"4" + json.dumps(rows).encode()[:size]


@pytest.mark.parametrize("size", SIZES)
def test_section_12_messages_of_any_size(client: Deflating, size: int) -> None:
    text, binary = text_of(size), random.Random(size).randbytes(size)
    for _ in range(20):
        client.send(frame(TEXT, client.deflated(text), rsv=COMPRESSED))
        assert client.read_message() == (TEXT, text)
        client.send(frame(BINARY, client.deflated(binary), rsv=COMPRESSED))
        assert client.read_message() == (BINARY, binary)


def test_section_13_fragments_of_a_compressed_message(client: Deflating) -> None:
    text = text_of(5000)
    data = client.deflated(text)
    client.send(frame(TEXT, data[:10], fin=False, rsv=COMPRESSED) + frame(PING, b"?"))
    client.send(frame(CONTINUATION, b"", fin=False) + frame(CONTINUATION, data[10:]))
    assert client.read_message() == (PONG, b"?")
    assert client.read_message() == (TEXT, text)


def test_large_messages_come_compressed(deflating: Server) -> None:
    text = text_of(4096)
    with Deflating.agreed(deflating, OFFERS["13.1"]) as client:
        client.send(frame(TEXT, client.deflated(text), rsv=COMPRESSED))
        received = client.read_frame()
        assert (received.rsv, len(received.payload) < len(text) / 2) == (COMPRESSED, True)


def test_a_message_may_go_uncompressed(client: Deflating) -> None:
    client.send(frame(TEXT, b"4plain"))
    assert client.read_message() == (TEXT, b"4plain")


BAD = {
    "a compressed continuation": frame(TEXT, b"4", fin=False) + frame(CONTINUATION, b"x", rsv=COMPRESSED),
    "a compressed ping": frame(PING, b"x", rsv=COMPRESSED),
    "another reserved bit": frame(TEXT, b"4", rsv=2),
    "data that is not deflated": frame(TEXT, b"\xff" * 20, rsv=COMPRESSED),
}


@pytest.mark.parametrize("sent", BAD.values(), ids=BAD)
def test_what_is_no_compressed_message_fails(deflating: Server, sent: bytes) -> None:
    with Deflating.agreed(deflating, OFFERS["13.1"]) as client:
        client.send(sent)
        assert client.close_code() in {1002, 1007}


def test_a_message_too_large_once_inflated_fails(deflating: Server) -> None:
    with Deflating.agreed(deflating, OFFERS["13.1"]) as client:
        client.send_or_be_cut(frame(TEXT, client.deflated(b"4" * 50_000_000), rsv=COMPRESSED))
        assert client.close_code() == 1009


def test_text_that_is_not_utf8_once_inflated_fails(deflating: Server) -> None:
    with Deflating.agreed(deflating, OFFERS["13.1"]) as client:
        client.send(frame(TEXT, client.deflated(b"4\xff"), rsv=COMPRESSED))
        assert client.close_code() == 1007


def test_a_close_is_never_compressed(client: Deflating) -> None:
    client.send(close_frame(1000))
    closing = client.read_frame()
    assert (closing.opcode, closing.rsv, closing.close_code) == (CLOSE, 0, 1000)
