"""Tables, strings and arguments on the wire."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone
from decimal import Decimal
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.errors import BrokerProtocolError, LocalProtocolError
from rtwist.intake.amqp import Timestamp
from rtwist.intake.amqp.codec import (
    MAX_DEPTH,
    Reader,
    field,
    longstr,
    read_arguments,
    read_table,
    shortstr,
    table,
    write_arguments,
)
from tests.intake.amqp.strategies import NAMES, TABLES, TEXTS

KINDS = st.lists(
    st.sampled_from(["bit", "octet", "short", "long", "longlong", "timestamp", "shortstr", "longstr", "table"])
)


def types_within(value: Any) -> Any:
    """The same value with its types beside it: True is not 1, and a Timestamp no int."""
    if isinstance(value, dict):
        return {name: types_within(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [types_within(inner) for inner in value]
    return type(value), value


@given(TABLES)
def test_a_table_comes_back_as_it_was(fields: dict[str, Any]) -> None:
    assert types_within(read_table(table(fields))) == types_within(fields)


@given(TABLES, st.data())
def test_a_table_that_is_cut_off_is_an_error(fields: dict[str, Any], data: st.DataObject) -> None:
    raw = table(fields)
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(BrokerProtocolError):
        read_table(raw[:cut])


@given(st.binary())
def test_bytes_are_a_table_or_a_protocol_error(data: bytes) -> None:
    with suppress(BrokerProtocolError):
        read_table(len(data).to_bytes(4, "big") + data)
    with suppress(BrokerProtocolError):
        read_table(data)


@given(KINDS, st.binary())
def test_bytes_are_arguments_or_a_protocol_error(kinds: list[str], data: bytes) -> None:
    with suppress(BrokerProtocolError):
        read_arguments(kinds, data)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"t\x01", True),
        (b"t\x00", False),
        (b"b\xff", -1),
        (b"B\xff", 255),
        (b"s\xff\xfe", -2),
        (b"u\xff\xfe", 65534),
        (b"I\xff\xff\xff\xff", -1),
        (b"i\xff\xff\xff\xff", 4294967295),
        (b"l" + b"\xff" * 8, -1),
        (b"L" + b"\xff" * 8, -1),
        (b"f" + pack(">f", 0.5), 0.5),
        (b"d" + pack(">d", 0.1), 0.1),
        (b"D\x02\x00\x00\x04\xd2", Decimal("12.34")),
        (b"D\x01\xff\xff\xff\xf1", Decimal("-1.5")),
        (b"S\x00\x00\x00\x02\xc3\xa9", "é"),
        (b"S\x00\x00\x00\x01\xff", b"\xff"),
        (b"x\x00\x00\x00\x02\xc3\xa9", b"\xc3\xa9"),
        (b"T" + pack(">Q", 1 << 40), Timestamp(1 << 40)),
        (b"V", None),
        (b"A\x00\x00\x00\x03Vt\x01", [None, True]),
        (b"F\x00\x00\x00\x05\x01kb\x07V"[:-1] + b"", "cut"),
        (b"F\x00\x00\x00\x04\x01kb\x07", {"k": 7}),
    ],
)
def test_every_type_of_rabbitmq(raw: bytes, value: object) -> None:
    if value == "cut":
        with pytest.raises(BrokerProtocolError):
            Reader(raw).field()
    else:
        assert types_within(Reader(raw).field()) == types_within(value)


@pytest.mark.parametrize(
    "raw", [b"?", b"U\x00\x01", b"", b"S\x00\x00\x00\x05abcd", b"A\x00\x00\x00\x02V", b"I\x00"]
)
def test_what_is_no_field(raw: bytes) -> None:
    with pytest.raises(BrokerProtocolError):
        Reader(raw).field()


def test_an_inner_table_stays_within_the_outer_one() -> None:
    with pytest.raises(BrokerProtocolError):
        read_table(b"\x00\x00\x00\x09\x01kF\x00\x00\x00\x09\x01k" + b"b\x01\x02\x03")


def test_depth_has_an_end_in_both_directions() -> None:
    raw: bytes = b"V"
    value: Any = None
    for _ in range(MAX_DEPTH + 1):
        raw = b"A" + len(raw).to_bytes(4, "big") + raw
        value = [value]
    with pytest.raises(BrokerProtocolError, match="deep"):
        Reader(raw).field()
    with pytest.raises(LocalProtocolError, match="deep"):
        field(value)
    assert Reader(field(value[0])).field() == value[0]


@given(TEXTS)
def test_strings_are_counted_in_bytes(text: str) -> None:
    raw = text.encode()
    assert longstr(text) == len(raw).to_bytes(4, "big") + raw
    if len(raw) <= 255:
        assert shortstr(text) == bytes((len(raw),)) + raw
    else:
        with pytest.raises(LocalProtocolError, match="255"):
            shortstr(text)


@given(st.binary(max_size=255))
def test_names_that_are_not_utf8_come_back_as_they_were(raw: bytes) -> None:
    name = Reader(bytes((len(raw),)) + raw).shortstr()
    assert shortstr(name) == bytes((len(raw),)) + raw


@pytest.mark.parametrize("value", [True, False, -1, 1 << 31, -(1 << 31), -(1 << 63)])
def test_integers_take_the_smallest_type_and_bools_their_own(value: int) -> None:
    assert types_within(Reader(field(value)).field()) == types_within(value)
    assert field(value)[:1] == (
        b"t" if isinstance(value, bool) else b"I" if -(1 << 31) <= value < 1 << 31 else b"l"
    )


def test_a_moment_is_a_timestamp() -> None:
    moment = datetime(2025, 6, 1, tzinfo=timezone.utc)
    assert Reader(field(moment)).field() == int(moment.timestamp())


@pytest.mark.parametrize(
    "value",
    [1 << 63, object(), {1: 2}, Decimal("NaN"), Decimal(1 << 40), datetime(2025, 6, 1), "\ud800", [{2}],
     Timestamp(-1), {"x" * 256: 1}],
)  # fmt: skip
def test_what_cannot_be_sent(value: object) -> None:
    with pytest.raises(LocalProtocolError):
        field(value)


@given(st.lists(st.booleans(), max_size=20), NAMES, st.lists(st.booleans(), max_size=3))
def test_bits_share_octets_until_another_argument_comes(first: list[bool], name: str, last: list[bool]) -> None:
    kinds = ["bit"] * len(first) + ["shortstr"] + ["bit"] * len(last)
    values = [*first, name, *last]
    raw = write_arguments(kinds, values)
    assert len(raw) == -(-len(first) // 8) + 1 + len(name.encode()) + -(-len(last) // 8)
    assert read_arguments(kinds, raw) == tuple(values)


def test_arguments_fill_their_method() -> None:
    with pytest.raises(BrokerProtocolError, match="more bytes"):
        read_arguments(["octet"], b"\x01\x02")
    with pytest.raises(LocalProtocolError):
        write_arguments(["octet"], [256])
