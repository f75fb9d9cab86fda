"""Properties and headers of messages."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.errors import BrokerProtocolError, LocalProtocolError
from rtwist.intake.amqp import Properties
from rtwist.intake.amqp.message import Delivery, Headers, read_properties, write_properties
from tests.intake.amqp.strategies import PROPERTIES


@given(PROPERTIES)
def test_properties_come_back_as_they_were(properties: Properties) -> None:
    found = read_properties(write_properties(properties))
    assert found == properties
    assert write_properties(found) == write_properties(properties), "headers not looked at are sent as they came"


@given(st.binary())
def test_bytes_are_properties_or_a_protocol_error(data: bytes) -> None:
    with suppress(BrokerProtocolError):
        dict(read_properties(data).headers or {})


def test_headers_that_cannot_be_read_harm_only_those_who_look() -> None:
    raw = b"\x20\x00" + b"\x00\x00\x00\x03\x01k?"
    delivery = Delivery(1, False, "", "q", raw, 0, b"")
    headers = delivery.properties.headers
    assert isinstance(headers, Headers)
    for _ in range(2):
        with pytest.raises(BrokerProtocolError, match="unknown type"):
            headers.get("k")


@pytest.mark.parametrize(
    "raw", [b"", b"\x80", b"\x00\x02\x00\x00", b"\x00\x01\x00\x00", b"\x00\x00x", b"\x80\x00"]
)
def test_what_are_no_properties(raw: bytes) -> None:
    with pytest.raises(BrokerProtocolError):
        read_properties(raw)


@pytest.mark.parametrize(
    "properties",
    [
        Properties(priority=256),
        Properties(delivery_mode=-1),
        Properties(type="x" * 256),
        Properties(timestamp=-1),
    ],
)
def test_properties_that_cannot_be_sent(properties: Properties) -> None:
    with pytest.raises(LocalProtocolError):
        write_properties(properties)
