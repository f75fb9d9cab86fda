"""What clients may name."""

from __future__ import annotations

import pytest

from rtwist.auth.identity import Identity
from rtwist.auth.policy import custom_room, order_rooms, subject_id, transfer_rooms
from rtwist.domain.owners import UNKNOWN, Owners
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


def identity(company: str | None = None, *shops: str, roles: tuple[str, ...] = ()) -> Identity:
    return Identity("u1", company, shops, roles, {}, 0)


@pytest.mark.parametrize(
    ("who", "owners", "plain"),
    [
        (identity(), Owners("u1"), True),
        (identity("c1"), Owners("u2", "c1"), True),
        (identity(None, "s1"), Owners(shop="s1"), True),
        (identity(roles=("super_admin",)), UNKNOWN, True),
        (identity("c1", "s1"), UNKNOWN, False),
    ],
)
def test_an_order_is_followed_in_its_scopes_and_by_the_entitled_in_its_room(
    who: Identity, owners: Owners, plain: bool
) -> None:
    rooms = order_rooms(who, "7", owners)
    assert (rooms[0] == "order:7") is plain
    assert "order:7|user:u1" in rooms
    assert len([room for room in rooms if "|" not in room]) == plain


def test_who_is_known_not_to_be_entitled_follows_nothing() -> None:
    assert order_rooms(identity("c1", "s1", roles=("admin",)), "7", Owners("u2", "c2", "s2")) == ()


def test_transfers_are_followed_by_companies_shops_and_super_admins() -> None:
    assert transfer_rooms(identity(), "7") == ()
    assert transfer_rooms(identity("c1", "s1"), "7") == ("transfer:7|company:c1", "transfer:7|shop:s1")
    assert transfer_rooms(identity(roles=("super_admin",)), "7") == ("transfer:7|super_admin",)
