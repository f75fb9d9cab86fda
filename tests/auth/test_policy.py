"""What clients may name, and the table of rooms."""

from __future__ import annotations

from typing import Any

import pytest

from rtwist.auth.identity import Identity
from rtwist.auth.patterns import read_patterns
from rtwist.auth.policy import (
    CUSTOM_ROOMS,
    REQUESTS,
    TABLE,
    Entry,
    Kind,
    Policy,
    Room,
    Who,
    kind_of,
    room_named,
    rooms_held,
    rooms_within,
    subject,
)
from rtwist.domain.owners import UNKNOWN, Owners
from rtwist.domain.rooms import RESERVED_PREFIXES
from rtwist.errors import Refused

OTHERS = Owners("u2", "c2", "s2")


def is_socket_id(name: str) -> bool:
    return name == "sid1"


def identity(company: str | None = None, *shops: str, **more: Any) -> Identity:
    patterns = read_patterns("rooms", list(more.get("rooms", ())))
    return Identity("u1", company, shops, tuple(more.get("roles", ())), 0, patterns=patterns)


ADMIN = identity(roles=("super_admin",))


class TestNames:
    @pytest.mark.parametrize(
        "name", ["chat", "a|b", "users", "user", "7:order:", "Order:7", ":", ":order", "super_admins", "scope"]
    )
    def test_custom_rooms(self, name: str) -> None:
        assert room_named(name, is_socket_id) == Room(Kind.CUSTOM, name)

    def test_numbers_are_names(self) -> None:
        assert room_named(7, is_socket_id).name == "7"

    @pytest.mark.parametrize("prefix", RESERVED_PREFIXES)
    def test_what_the_server_makes_is_known_by_its_beginning(self, prefix: str) -> None:
        for name in (prefix, f"{prefix}7"):
            assert room_named(name, is_socket_id) == Room(Kind(prefix), name)

    def test_other_kinds(self) -> None:
        assert room_named("super_admin", is_socket_id).kind is Kind.SUPER_ADMIN
        assert room_named("sid1", is_socket_id).kind is Kind.SOCKET
        assert kind_of("sid1") is Kind.CUSTOM
        assert {kind_of("order:7|user:u1"), kind_of("transfer:7|shop:s1")} == {Kind.SCOPE}
        assert kind_of("user:auth0|7") is Kind.USER

    @pytest.mark.parametrize("name", [None, True, 1.5, [], {}, "", " ", "x" * 201, "a\x00", "a\n", "\ud800"])
    def test_what_cannot_be_a_name(self, name: object) -> None:
        with pytest.raises(Refused, match="the room must") as caught:
            room_named(name, is_socket_id)
        assert caught.value.code == "bad_request"

    @pytest.mark.parametrize(("value", "text"), [("order-123", "order-123"), (7, "7"), ("order:7", "order:7")])
    def test_subjects(self, value: object, text: str) -> None:
        room = subject(Kind.ORDER, value)
        assert (room.name, room.id) == (f"order:{text}", text)

    @pytest.mark.parametrize("value", [None, False, 0.5, [], {}, "", "x" * 201, "a\x7f", "\udfff", "7|user:u1"])
    def test_what_cannot_be_an_id(self, value: object) -> None:
        with pytest.raises(Refused, match="the id must") as caught:
            subject(Kind.ORDER, value)
        assert caught.value.code == "bad_request"


class TestTheTable:
    def test_every_kind_has_its_row(self) -> None:
        assert set(TABLE) == set(Kind)

    def test_what_can_be_asked_for_is_asked_for_in_one_way(self) -> None:
        for kind, row in TABLE.items():
            asked = [who for who in (row.join, row.subscribe) if who is not Who.NOBODY]
            assert len(asked) == (kind in REQUESTS), kind
            assert (row.leave is Who.ANYBODY) == (row.join is not Who.NOBODY)
            assert (row.unsubscribe is Who.ANYBODY) == (row.subscribe is not Who.NOBODY)

    def test_the_operator_chooses_about_custom_rooms_only(self) -> None:
        for word, who in CUSTOM_ROOMS.items():
            policy = Policy(word)
            assert policy.row(Kind.CUSTOM) == TABLE[Kind.CUSTOM]._replace(join=who)
            assert all(policy.row(kind) is TABLE[kind] for kind in Kind if kind is not Kind.CUSTOM)


ORDER, PRODUCT, TRANSFER = subject(Kind.ORDER, 7), subject(Kind.PRODUCT, 7), subject(Kind.TRANSFER, 7)
CHAT = Room(Kind.CUSTOM, "chat")


class TestEntry:
    @pytest.mark.parametrize(
        ("who", "owners", "entry"),
        [
            (identity(), Owners("u1"), Entry.ADMITTED),
            (identity("c1"), Owners("u2", "c1"), Entry.ADMITTED),
            (identity(None, "s1"), Owners(shop="s1"), Entry.ADMITTED),
            (ADMIN, UNKNOWN, Entry.ADMITTED),
            (ADMIN, OTHERS, Entry.ADMITTED),
            (identity("c1", "s1"), UNKNOWN, Entry.PENDING),
            (identity("c1", "s1", roles=("admin",)), OTHERS, Entry.REFUSED),
            (identity(rooms=["order:*"]), OTHERS, Entry.GRANTED),
            (identity(rooms=["order:7"]), UNKNOWN, Entry.GRANTED),
            (identity(rooms=["order:70", "*"]), OTHERS, Entry.REFUSED),
            (identity(rooms=["!order:*"]), Owners("u1"), Entry.REFUSED),
            (identity(rooms=["!*"]), UNKNOWN, Entry.REFUSED),
            (identity(roles=("super_admin",), rooms=["!order:7"]), UNKNOWN, Entry.REFUSED),
        ],
    )
    def test_orders(self, who: Identity, owners: Owners, entry: Entry) -> None:
        assert Policy().entry(who, ORDER, owners) is entry

    @pytest.mark.parametrize("kind", sorted(set(Kind) - set(REQUESTS), key=str))
    def test_no_grant_opens_what_nobody_may_ask_for(self, kind: Kind) -> None:
        room = Room(kind, f"{kind.value}7")
        who = identity(rooms=["*", f"{kind.value}*", room.name])
        assert Policy(asked=Kind).entry(who, room) is Entry.REFUSED

    @pytest.mark.parametrize(
        ("option", "without", "with_grant", "asked"),
        [
            ("open", Entry.ADMITTED, Entry.GRANTED, Entry.ASK),
            ("granted", Entry.REFUSED, Entry.GRANTED, Entry.ASK),
            ("closed", Entry.REFUSED, Entry.REFUSED, Entry.REFUSED),
        ],
    )
    def test_custom_rooms(self, option: str, without: Entry, with_grant: Entry, asked: Entry) -> None:
        assert Policy(option).entry(identity(), CHAT) is without
        assert Policy(option).entry(ADMIN, CHAT) is without
        assert Policy(option).entry(identity(rooms=["!chat"]), CHAT) is Entry.REFUSED
        assert Policy(option).entry(identity(rooms=["chat"]), CHAT) is with_grant
        assert Policy(option, [Kind.CUSTOM]).entry(identity(), CHAT) is asked
        assert Policy(option, [Kind.ORDER]).entry(identity(), CHAT) is without

    def test_the_token_comes_before_the_authorization_url_and_that_before_the_table(self) -> None:
        policy = Policy(asked=[Kind.ORDER, Kind.PRODUCT, Kind.TRANSFER])
        for room in (ORDER, PRODUCT, TRANSFER):
            assert policy.entry(ADMIN, room, Owners("u1")) is Entry.ASK
            assert policy.entry(identity(rooms=[room.name]), room) is Entry.GRANTED
            assert policy.entry(identity(rooms=["!*"]), room) is Entry.REFUSED

    def test_placeholders_are_filled_from_the_identity(self) -> None:
        who = identity("c1", "s1", "s2", roles=("r",), rooms=["{userId}{companyId}{shopId}", "of-{role}"])
        found = {name for name in ("u1c1s1", "u1c1s2", "u1c1s3", "of-r") if _granted(who, name)}
        assert found == {"u1c1s1", "u1c1s2", "of-r"}

    def test_transfers_and_products(self) -> None:
        entries = [
            (identity(), Entry.REFUSED, Entry.ADMITTED),
            (identity("c1"), Entry.PENDING, Entry.ADMITTED),
            (identity(None, "s1"), Entry.PENDING, Entry.ADMITTED),
            (ADMIN, Entry.PENDING, Entry.ADMITTED),
            (identity("c1", rooms=["!transfer:7", "!product:*"]), Entry.REFUSED, Entry.REFUSED),
            (identity(rooms=["transfer:*", "product:7"]), Entry.GRANTED, Entry.GRANTED),
        ]
        for who, transfer, product in entries:
            assert Policy().entry(who, TRANSFER) is transfer
            assert Policy().entry(who, PRODUCT) is product


def _granted(who: Identity, name: str) -> bool:
    return Policy("granted").entry(who, Room(Kind.CUSTOM, name)) is Entry.GRANTED


class TestRooms:
    def test_an_order_is_followed_in_its_scopes_and_by_the_admitted_in_its_room(self) -> None:
        scopes = ("order:7|user:u1", "order:7|company:c1", "order:7|shop:s1")
        assert rooms_within(identity("c1", "s1"), ORDER, Entry.PENDING) == scopes
        assert rooms_within(identity("c1", "s1"), ORDER, Entry.ADMITTED) == ("order:7", *scopes)
        assert rooms_within(identity("c1", "s1"), ORDER, Entry.GRANTED) == ("order:7", "order:7|super_admin")

    def test_transfers(self) -> None:
        assert rooms_within(identity(), TRANSFER, Entry.PENDING) == ()
        assert rooms_within(identity("c1", "s1"), TRANSFER, Entry.PENDING) == (
            "transfer:7|company:c1",
            "transfer:7|shop:s1",
        )
        for who, entry in ((ADMIN, Entry.PENDING), (identity(), Entry.GRANTED)):
            assert rooms_within(who, TRANSFER, entry) == ("transfer:7|super_admin",)

    def test_the_refused_are_nowhere(self) -> None:
        for room in (ORDER, PRODUCT, TRANSFER, CHAT):
            assert rooms_within(ADMIN, room, Entry.REFUSED) == rooms_within(ADMIN, room, Entry.ASK) == ()

    def test_what_is_held_for_a_room(self) -> None:
        present = ["order:7", "order:7|user:u1", "order:70", "chat", "chat|2", "product:7"]
        assert rooms_held(ORDER, present) == ["order:7", "order:7|user:u1"]
        assert rooms_held(CHAT, present) == ["chat"]
        assert rooms_held(PRODUCT, present) == ["product:7"]
        assert rooms_held(TRANSFER, present) == []
