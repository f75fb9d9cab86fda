"""What clients may name."""

from __future__ import annotations

import pytest

from rtwist.auth.policy import custom_room, subject_id
from rtwist.domain.rooms import RESERVED_PREFIXES
from rtwist.errors import Refused


def is_socket_id(name: str) -> bool:
    return name == "sid1"


@pytest.mark.parametrize(("name", "room"), [("chat", "chat"), (7, "7"), ("a|b", "a|b"), ("users", "users")])
def test_custom_rooms(name: object, room: str) -> None:
    assert custom_room(name, is_socket_id) == room


@pytest.mark.parametrize("name", ["super_admin", "sid1", *(prefix + "x" for prefix in RESERVED_PREFIXES)])
def test_rooms_of_the_server_are_forbidden(name: str) -> None:
    with pytest.raises(Refused) as caught:
        custom_room(name, is_socket_id)
    assert caught.value.code == "forbidden"


@pytest.mark.parametrize("name", [None, True, 1.5, [], {}, "", " ", "x" * 201, "a\x00", "a\n", "\ud800"])
def test_what_cannot_be_a_name(name: object) -> None:
    with pytest.raises(Refused, match="the room must") as caught:
        custom_room(name, is_socket_id)
    assert caught.value.code == "bad_request"


@pytest.mark.parametrize(("value", "text"), [("order-123", "order-123"), (7, "7")])
def test_subject_ids(value: object, text: str) -> None:
    assert subject_id(value) == text


@pytest.mark.parametrize("value", [None, False, 0.5, [], {}, "", "x" * 201, "a\x7f", "\udfff", "7|user:u1"])
def test_what_cannot_be_an_id(value: object) -> None:
    with pytest.raises(Refused, match="the id must") as caught:
        subject_id(value)
    assert caught.value.code == "bad_request"
