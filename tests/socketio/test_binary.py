"""Binary values out of a packet and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from rtwist.errors import RemoteProtocolError
from rtwist.socketio.binary import deconstruct, has_binary, reconstruct
from tests.socketio.strategies import JSON, WITH_BINARY


@given(WITH_BINARY)
def test_what_is_taken_apart_comes_together_again(value: Any) -> None:
    attachments: list[bytes] = []
    bare = deconstruct(value, attachments)
    assert has_binary(value) is bool(attachments)
    assert not has_binary(bare)
    assert reconstruct(bare, attachments) == value


@given(JSON)
def test_values_without_binary_stay_as_they_are(value: Any) -> None:
    attachments: list[bytes] = []
    assert not has_binary(value)
    assert deconstruct(value, attachments) == value
    assert attachments == []


def test_every_kind_of_bytes_is_binary_and_in_reading_order() -> None:
    attachments: list[bytes] = []
    value = [b"a", {"b": bytearray(b"b"), "c": (memoryview(b"c"), [b"d"])}]
    assert has_binary(value)
    bare = deconstruct(value, attachments)
    assert attachments == [b"a", b"b", b"c", b"d"]
    assert all(type(one) is bytes for one in attachments)
    assert bare[0] == {"_placeholder": True, "num": 0}


@pytest.mark.parametrize(
    "number", [-1, -2, 2, 10, 1.0, 0.0, 1.5, True, False, "splice", "0", None, [0], {}, 10**400]
)
def test_a_placeholder_must_name_an_attachment_by_its_number(number: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        reconstruct(["event", {"_placeholder": True, "num": number}], [b"x", b"y"])


def test_a_placeholder_without_a_number_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        reconstruct({"_placeholder": True}, [b"x"])


@pytest.mark.parametrize("mark", [1, "true", False, None, [True]])
def test_only_true_makes_a_placeholder(mark: Any) -> None:
    value = {"_placeholder": mark, "num": 0}
    assert reconstruct(value, [b"x"]) == value


def test_an_attachment_stands_in_one_place_only() -> None:
    place = {"_placeholder": True, "num": 0}
    with pytest.raises(RemoteProtocolError):
        reconstruct([place, {"a": place}], [b"x"])


def test_attachments_may_stand_in_any_order_or_nowhere() -> None:
    attachments = [b"x", b"y", b"z"]
    assert reconstruct([{"_placeholder": True, "num": num} for num in (2, 0)], attachments) == [b"z", b"x"]
    assert attachments == [b"x", b"y", b"z"]
