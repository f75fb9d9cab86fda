"""Socket.IO packets on the wire and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.errors import LocalProtocolError, RemoteProtocolError
from rtwist.socketio.packet import ABSENT, RESERVED_EVENTS, Decoder, Packet, PacketType, encode, event_data
from tests.socketio.strategies import PACKETS, joined

PLACE = '{"_placeholder":true,"num":%s}'
CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR = list(PacketType)[:5]


def decoder(max_attachments: int = 10, max_depth: int = 64) -> Decoder:
    return Decoder(max_attachments=max_attachments, max_depth=max_depth)


def decode(*parts: str | bytes, **limits: int) -> Packet | None:
    """The packet of the last part; nothing may be complete before."""
    reader = decoder(**limits)
    *first, last = parts
    assert [reader.add(part) for part in first] == [None] * len(first)
    return reader.add(last)


@given(PACKETS)
def test_packets_come_back_as_they_were(packet: Packet) -> None:
    parts = [part.data for part in encode(packet)]
    found = decode(*parts, max_attachments=1000, max_depth=1000)
    assert found is not None
    expected = Packet(packet.type, packet.namespace, joined(packet.data), packet.id)
    assert Packet(found.type, found.namespace, joined(found.data), found.id) == expected


@given(st.lists(PACKETS, max_size=5))
def test_packets_follow_each_other_on_one_decoder(packets: list[Packet]) -> None:
    reader = decoder(1000, 1000)
    found = [reader.add(part.data) for packet in packets for part in encode(packet)]
    assert [packet.type for packet in found if packet is not None] == [packet.type for packet in packets]


@pytest.mark.parametrize(
    ("packet", "parts"),
    [
        (Packet(CONNECT), ["0"]),
        (Packet(CONNECT, "/admin", {"sid": "x"}), ['0/admin,{"sid":"x"}']),
        (Packet(DISCONNECT, "/admin"), ["1/admin,"]),
        (Packet(EVENT, "/", ["foo"]), ['2["foo"]']),
        (Packet(EVENT, "/admin", ["bar"], 12), ['2/admin,12["bar"]']),
        (Packet(ACK, "/admin", [], 13), ["3/admin,13[]"]),
        (Packet(CONNECT_ERROR, "/", {"message": "no"}), ['4{"message":"no"}']),
        (Packet(EVENT, "/", ["baz", b"\x01"]), [f'51-["baz",{PLACE % 0}]', b"\x01"]),
        (Packet(ACK, "/a", [b"x", {"y": b"y"}], 3), [f'62-/a,3[{PLACE % 0},{{"y":{PLACE % 1}}}]', b"x", b"y"]),
    ],
)
def test_the_examples_of_the_specification(packet: Packet, parts: list[str | bytes]) -> None:
    assert [part.data for part in encode(packet)] == parts
    assert decode(*parts) == packet


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0/admin", Packet(CONNECT, "/admin")),
        ("0/,{}", Packet(CONNECT, "/", {})),
        ("1", Packet(DISCONNECT)),
        ("3[]", Packet(ACK, "/", [])),
        ('2[1,"x"]', Packet(EVENT, "/", [1, "x"])),
        ('2["x",[[[]]],{}]', Packet(EVENT, "/", ["x", [[[]]], {}])),
        ('50-["x"]', Packet(EVENT, "/", ["x"])),
        ("60-7[]", Packet(ACK, "/", [], 7)),
        ('2000["x"]', Packet(EVENT, "/", ["x"], 0)),
        ("2" + "9" * 15 + '["x"]', Packet(EVENT, "/", ["x"], 10**15 - 1)),
        ('2/a b/ü?q=1,["x"]', Packet(EVENT, "/a b/ü?q=1", ["x"])),
        ("0/" + "n" * 199, Packet(CONNECT, "/" + "n" * 199)),
        ("4", None),
        ('2["x"]', Packet(EVENT, "/", ["x"])),
    ],
)
def test_what_is_allowed_is_read(text: str, packet: Packet | None) -> None:
    if packet is None:
        with pytest.raises(RemoteProtocolError):
            decode(text)
    else:
        assert decode(text) == packet


@pytest.mark.parametrize(
    "text",
    [
        "", "7", "9", "a", "-1", "٢", " 2", "2", "2[]", "2{}", "2null", "2[null]", "2[true]",
        '2[{"toString":"foo"}]', "2[[]]",
        *(f'2["{name}"]' for name in sorted(RESERVED_EVENTS)), '51-["disconnect"]', "0[]", '0"x"', "0null",
        "0true", "1{}", "1[]", "1null",
        "3", "3{}", '3"x"', "30", "4", "4[]", "40", "4null", "5", "6", "51", "5a-", "51.23-", "5-1-",
        "5٣-", "5+1-", "51_0-", "5 1-",
        "5999999999-", '5999999999-["x"]', '59999999999-["x"]', '511-["x"]', '5["x"]', "6[]",
        '5-["x"]', "51-", "51-{}", "51-[]", "61-{}",
        "2" + "9" * 16 + '["x"]', "2" + "9" * 400 + '["x"]', '2-1["x"]', '2+1["x"]',
        '2٣["x"]', '2²["x"]', '21_0["x"]', '21.5["x"]',
        "0/" + "n" * 200, "0/" + "n" * 100_000, '2["x"', '2["x"]]', '2["x"]3', '2["x",]', "2[NaN]",
        '2["x",Infinity]', '2["' + "\n" + '"]',
        '2["x",' + "[" * 64 + "]" * 64 + "]",
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_a_fault_of_the_peer(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(text)


@pytest.mark.parametrize(
    "number", ["-1", "1", "10", "true", "false", "0.0", "1.0", '"splice"', '"0"', "null", "[]", "9" * 400]
)
def test_placeholders_must_name_an_attachment(number: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(f'51-["hello",{PLACE % number}]', b"x")


def test_a_placeholder_without_a_number_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        decode('51-["hello",{"_placeholder":true}]', b"x")


def test_a_placeholder_in_a_text_packet_is_plain_data() -> None:
    assert decode(f'2["x",{PLACE % 0}]') == Packet(EVENT, "/", ["x", {"_placeholder": True, "num": 0}])


def test_ten_attachments_are_allowed_and_eleven_are_not() -> None:
    places = ",".join(PLACE % number for number in range(10))
    parts = [b"%d" % number for number in range(10)]
    assert decode(f'510-["x",{places}]', *parts) == Packet(EVENT, "/", ["x", *parts])
    with pytest.raises(RemoteProtocolError):
        decode('511-["x"]')


def test_text_while_attachments_are_missing_and_binary_that_nobody_announced() -> None:
    with pytest.raises(RemoteProtocolError):
        decode('52-["x"]', b"one", '2["y"]')
    with pytest.raises(RemoteProtocolError):
        decode(b"unannounced")
    reader = decoder()
    assert reader.add('50-["x"]') == Packet(EVENT, "/", ["x"])
    with pytest.raises(RemoteProtocolError):
        reader.add(b"one too many")


WORDS = st.sampled_from(
    ["0", "1", "2", "3", "5", "6", "-", ",", "/a", "10", "[", "]", "{", "}",
    '"x"', '"_placeholder":true', '"num":0', ":", "[]", '["x"]', "\ud800", "٣"]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(WORDS, max_size=12).map("".join))


@given(st.lists(st.one_of(TEXTS, st.binary(max_size=4)), max_size=6))
def test_any_messages_give_packets_or_a_fault_of_the_peer(messages: list[str | bytes]) -> None:
    reader = decoder()
    for message in messages:
        try:
            packet = reader.add(message)
        except RemoteProtocolError:
            return
        assert packet is None or isinstance(packet, Packet)


@pytest.mark.parametrize("name", sorted(RESERVED_EVENTS))
def test_reserved_names_cannot_be_sent(name: str) -> None:
    with pytest.raises(LocalProtocolError, match=name):
        event_data(name, ())


@pytest.mark.parametrize("name", [1, None, b"x"])
def test_event_names_are_strings(name: Any) -> None:
    with pytest.raises(LocalProtocolError):
        event_data(name, ())


def test_data_without_a_json_form_is_a_type_error() -> None:
    holding_itself: list[Any] = []
    holding_itself.append(holding_itself)
    for value in (object(), holding_itself, [b"x", holding_itself]):
        with pytest.raises(TypeError):
            encode(Packet(EVENT, "/", ["x", value]))


def test_nan_is_null_beside_attachments_and_surrogates() -> None:
    text, attachment = encode(Packet(EVENT, "/", ["x", float("nan"), "\ud800", b"y"]))
    assert text.data == f'51-["x",null,"\\ud800",{PLACE % 0}]'
    assert attachment.data == b"y"


def test_absent_data_says_so() -> None:
    assert repr(ABSENT) == "ABSENT"
    assert encode(Packet(DISCONNECT))[0].data == "1"
