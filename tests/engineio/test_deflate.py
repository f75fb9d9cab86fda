"""permessage-deflate: what is agreed on, and messages that a client can inflate."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.deflate import Agreement, agree, deflate
from rtwist.engineio.packet import Packet, PacketType, message
from tests.engineio.test_websocket import Peer, frame

TAIL = b"\x00\x00\xff\xff"


@pytest.mark.parametrize(
    ("header", "agreement"),
    [
        ("permessage-deflate", Agreement()),
        ("permessage-deflate; client_max_window_bits", Agreement(client_window=12)),
        ("permessage-deflate; client_max_window_bits=10", Agreement(client_window=10)),
        ("permessage-deflate; server_max_window_bits=11", Agreement(server_window=11)),
        ('Permessage-Deflate ; server_max_window_bits="15"', Agreement()),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", Agreement()),
        ("x-unknown, permessage-deflate; new=1, permessage-deflate", Agreement()),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", Agreement()),
        ("permessage-deflate; client_max_window_bits=8", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=012", None),
        ("permessage-deflate; client_max_window_bits=\u0661\u0662", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
        ("permessage-deflate=1", None),
        ("permessage-deflate-2", None),
        ("", None),
    ],
)
def test_the_first_offer_that_can_be_met_is_taken(header: str, agreement: Agreement | None) -> None:
    assert agree(header) == agreement


@given(st.text(max_size=80))
def test_no_header_is_too_strange(header: str) -> None:
    agree(header)


@given(st.binary(max_size=5000))
def test_a_client_inflates_what_was_deflated(payload: bytes) -> None:
    assert zlib.decompressobj(-15).decompress(deflate(payload) + TAIL) == payload


@pytest.mark.parametrize("data", ["a" * 5000, b"a" * 5000, "é" * 5000])
def test_a_packet_has_one_compressed_frame(data: str | bytes) -> None:
    packet = message(data)
    sent = packet.compressed_frame
    assert sent is packet.compressed_frame
    assert sent[0] & 0x40
    payload = b"4" + data.encode() if isinstance(data, str) else data
    assert zlib.decompressobj(-15).decompress(sent[2:] + TAIL) == payload


def test_what_does_not_shrink_stays_plain() -> None:
    packet = Packet(PacketType.NOOP)
    assert packet.compressed_frame is packet.frame


# On the transport


def deflated(text: str) -> bytes:
    """A client's frame of a compressed message."""
    sent = bytearray(frame(1, deflate(text.encode())))
    sent[0] |= 0x40
    return bytes(sent)


def open_compressed(offer: str, **options: object) -> Peer:
    return Peer(compression=agree(offer), **options)


def test_what_was_agreed_on_is_in_the_answer() -> None:
    peer = open_compressed("permessage-deflate; client_max_window_bits")
    assert peer.extensions == (
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=12"
    )
    assert open_compressed("x-unknown").extensions is None


def test_compressed_and_plain_messages_are_read() -> None:
    peer = open_compressed("permessage-deflate")
    for text in ("4one", "4" + "é" * 3000, "4one"):
        peer.transport.dataReceived(deflated(text))
    peer.transport.dataReceived(frame(1, b"4plain"))
    assert peer.messages == ["one", "é" * 3000, "one", "plain"]
    assert peer.transport._perMessageCompress._stream is None, "nothing is kept between messages"


def test_messages_from_the_threshold_on_leave_compressed() -> None:
    peer = open_compressed("permessage-deflate", compression_threshold=100)
    small, large = message("x" * 90), message("x" * 200)
    peer.session.send([small, large])
    assert peer.wire.value() == small.frame + large.compressed_frame
    assert len(large.compressed_frame) < 30


def test_a_client_with_a_small_window_gets_plain_messages() -> None:
    peer = open_compressed("permessage-deflate; server_max_window_bits=9", compression_threshold=100)
    assert peer.extensions is not None
    assert "server_max_window_bits=9" in peer.extensions
    large = message("x" * 200)
    peer.session.send([large])
    assert peer.wire.value() == large.frame


@pytest.mark.parametrize("pieces", [1, 7], ids=["in one piece", "in pieces"])
def test_a_bomb_is_not_inflated(pieces: int) -> None:
    peer = open_compressed("permessage-deflate", max_payload=100_000)
    bomb = deflated("4" + "\0" * 50_000_000)
    size = len(bomb) // pieces + 1
    for at in range(0, len(bomb), size):
        peer.transport.dataReceived(bomb[at : at + size])
        assert len(peer.transport._incoming) <= 100_000
    assert peer.messages == []
    assert peer.ends == ["transport error"]


def test_a_compressed_message_counts_with_its_whole_size() -> None:
    peer = open_compressed("permessage-deflate", max_bytes_per_second=1000)
    peer.transport.dataReceived(deflated("4" + "x" * 25_000))
    assert len(peer.messages) == 1
    peer.transport.dataReceived(deflated("4late"))
    assert len(peer.messages) == 1
    peer.clock.advance(5.1)
    assert peer.messages[1:] == ["late"]


def test_what_cannot_be_inflated_fails_the_connection() -> None:
    peer = open_compressed("permessage-deflate")
    broken = bytearray(frame(1, b"\xff\xff\xff\xff"))
    broken[0] |= 0x40
    peer.transport.dataReceived(bytes(broken))
    assert peer.ends == ["transport error"]
    assert b"\x88" in peer.wire.value()


def test_a_compressed_message_needs_an_agreement() -> None:
    peer = Peer()
    peer.transport.dataReceived(deflated("4one"))
    assert peer.messages == []
    assert peer.ends == ["transport error"]
