"""Engine.IO packets on the wire and back."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.frame import BINARY, TEXT, build_frame
from rtwist.engineio.packet import (
    CLOSE,
    NOOP,
    PING,
    PROBE_PONG,
    Packet,
    PacketType,
    decode_packet,
    encode_payload,
    message,
    split_payload,
)
from rtwist.errors import RemoteProtocolError
from tests.engineio.strategies import ANY_TEXTS, PACKETS, TYPES


@given(st.lists(PACKETS, min_size=1))
def test_a_payload_decodes_to_the_packets_it_was_made_of(packets: list[Packet]) -> None:
    segments = split_payload(encode_payload(packets), len(packets))
    assert [decode_packet(segment) for segment in segments] == packets


@given(TYPES, ANY_TEXTS)
def test_a_text_frame_holds_the_type_digit_and_the_data(kind: PacketType, data: str) -> None:
    packet = Packet(kind, data)
    assert packet.frame == build_frame(f"{int(kind)}{data}".encode(), TEXT)
    assert decode_packet(f"{int(kind)}{data}") == packet


@given(st.binary())
def test_a_binary_message_is_a_raw_frame_and_a_base64_segment(data: bytes) -> None:
    packet = message(data)
    assert packet.frame == build_frame(data, BINARY)
    assert packet.segment == b"b" + base64.b64encode(data)
    assert decode_packet(data) == decode_packet(packet.segment.decode()) == packet


@pytest.mark.parametrize(
    ("packet", "segment"),
    [
        (CLOSE, b"1"),
        (PING, b"2"),
        (PROBE_PONG, b"3probe"),
        (NOOP, b"6"),
        (message("hé €\U0001f600"), "4hé €\U0001f600".encode()),
        (message(b""), b"b"),
        (message(b"\x01\x02\x03\x04"), b"bAQIDBA=="),
    ],
)
def test_the_words_of_the_specification(packet: Packet, segment: bytes) -> None:
    assert packet.segment == segment


@pytest.mark.parametrize(
    "segment",
    [
        "",
        "7",
        "9",
        "-1",
        "a",
        "{}",
        " 4",
        "٤x",
        "²",
        "\x00",
        "bY Q==",
        "bYQ==YQ==",
        "bYQ",
        "b=",
        "b==",
        "bYWJj=",
        "bYQ===",
        "b*",
        "bé",
    ],
)
def test_what_no_packet_is_gets_refused(segment: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_packet(segment)


@given(st.one_of(st.text(), st.binary()))
def test_decoding_anything_gives_a_packet_or_a_fault_of_the_peer(encoded: str | bytes) -> None:
    try:
        packet = decode_packet(encoded)
    except RemoteProtocolError:
        return
    assert isinstance(packet, Packet)


@given(st.binary(), st.integers(1, 20))
def test_splitting_anything_gives_texts_or_a_fault_of_the_peer(body: bytes, limit: int) -> None:
    try:
        segments = split_payload(body, limit)
    except RemoteProtocolError:
        return
    assert "\x1e".join(segments).encode() == body
    assert len(segments) <= limit


@pytest.mark.parametrize("count", [1, 2, 100])
def test_a_payload_may_hold_as_many_packets_as_allowed_and_no_more(count: int) -> None:
    body = encode_payload([NOOP] * count)
    assert len(split_payload(body, count)) == count
    if count > 1:
        with pytest.raises(RemoteProtocolError):
            split_payload(body, count - 1)


@pytest.mark.parametrize("body", [b"\xff", b"4\xc3", b"4\xed\xa0\x80", b"4\xc0\x80"])
def test_a_payload_is_strict_utf_8(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        split_payload(body, 10)


@given(PACKETS, PACKETS)
def test_packets_are_equal_by_value(one: Packet, other: Packet) -> None:
    same = Packet(one.type, one.data)
    assert one == same
    assert hash(one) == hash(same)
    assert (one == other) == ((one.type, one.data) == (other.type, other.data))


def test_text_and_bytes_differ_and_so_does_anything_else() -> None:
    assert message("") != message(b"")
    assert message("a") != "4a"
    assert repr(message("a")) == "Packet(MESSAGE, 'a')"


def test_wire_forms_are_made_once_for_all_receivers() -> None:
    packet = message("for everybody")
    assert packet.frame is packet.frame
    assert packet.segment is packet.segment
