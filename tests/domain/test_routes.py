"""Declared rules: rooms filled from the event, and the fields that are passed on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.domain.owners import UNKNOWN, Owners
from rtwist.domain.routes import Route, Routes
from rtwist.errors import BadEvent
from tests.domain.answers import WHEN, Answers


def answers(*rooms: str, fields: tuple[str, ...] = ("*",), owners: Owners = UNKNOWN, **data: Any) -> Answers:
    return Answers(Route("a:b", rooms, fields), "a.b", data, owners)


@pytest.mark.parametrize(
    ("template", "data", "rooms"),
    [
        ("user:{userId}", {"userId": 7}, ("user:7",)),
        ("user:{customer.id}", {"customer": {"id": "u1"}}, ("user:u1",)),
        ("user:{a.b.c-d}", {"a": {"b": {"c-d": "u1"}}}, ("user:u1",)),
        ("team-{company}-{team}", {"company": "c", "team": 1}, ("team-c-1",)),
        ("ops", {}, ("ops",)),
        ("super_admin", {}, ("super_admin",)),
        ("company:{companyId}", {"companyId": "c1"}, ("company:c1", "super_admin")),
        ("{room}", {"room": "company:c1"}, ("company:c1", "super_admin")),
        ("order:{orderId}", {"orderId": 7}, ("order:7", "order:7|super_admin")),
        (
            "transfer:{transferId}",
            {"transferId": 7, "companyId": "c1", "fromShopId": "s1"},
            ("transfer:7|company:c1", "transfer:7|shop:s1", "transfer:7|super_admin"),
        ),
    ],
)
def test_rooms_are_filled(template: str, data: dict[str, Any], rooms: tuple[str, ...]) -> None:
    assert answers(template, **data).addressed == {"a:b": rooms}


def test_followers_of_an_order_are_its_owners() -> None:
    owners = Owners("u1", "c1")
    scopes = ("order:7|user:u1", "order:7|company:c1", "order:7|super_admin")
    assert answers("order:{orderId}", owners=owners, orderId="7").addressed == {"a:b": scopes}
    other = answers("order:{related.id}", owners=owners, orderId="7", related={"id": "8"})
    assert other.addressed == {"a:b": ("order:8", "order:8|super_admin")}


@pytest.mark.parametrize("value", [None, ""])
def test_a_room_that_is_not_filled_is_left_out_and_noted(value: object) -> None:
    found = answers("user:{userId}", "shop:{shopId}", userId=value, shopId="s1")
    assert found.addressed == {"a:b": ("shop:s1",)}
    assert found.notes == ["a:b is not emitted to user:{userId}: the event does not fill it"]


@pytest.mark.parametrize("data", [{}, {"customer": "u1"}, {"customer": {}}, {"customer": {"id": None}}])
def test_when_no_room_is_filled_nobody_gets_it(data: dict[str, Any]) -> None:
    found = answers("user:{customer.id}", **data)
    assert found.emissions == []
    assert len(found.notes) == 1


@pytest.mark.parametrize("value", [{}, [], True, 1.5, " ", "a|b", "x" * 201, "\n"])
def test_what_is_no_id_fills_no_room(value: object) -> None:
    with pytest.raises(BadEvent, match=r"^customer\.id must"):
        answers("shop:{shopId}", "user:{customer.id}", shopId="s1", customer={"id": value})


def test_the_fields_that_are_listed_are_passed_on_as_they_are() -> None:
    found = answers("ops", fields=("a", "b", "c"), a=None, b={"deep": [1]}, secret=1)
    assert found["a:b"] == {"a": None, "b": {"deep": [1]}, "timestamp": WHEN}
    assert answers("ops", a=1, timestamp=5)["a:b"] == {"a": 1, "timestamp": WHEN}


def test_everyone_must_be_said() -> None:
    found = Answers(Route("a:b", (), ("a",), everyone=True), "a.b", {"a": 1, "secret": 2})
    assert found.emissions[0].everyone
    assert found["a:b"] == {"a": 1, "timestamp": WHEN}


def test_several_routes_answer_one_after_the_other() -> None:
    both = Routes((Route("a", ("x",), ("*",)), Route("b", ("y",), ())))
    assert Answers(both, "a.b", {}).addressed == {"a": ("x",), "b": ("y",)}


@given(
    st.lists(st.sampled_from(["user:{a}", "company:{b}", "order:{a.b}", "transfer:{c}", "{a}-{b}"]), min_size=1),
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "orderId", "companyId"]), st.none() | st.text() | st.integers()
    ),
)
def test_no_room_is_ever_left_empty(rooms: list[str], data: dict[str, Any]) -> None:
    try:
        found = answers(*rooms, **data)
    except BadEvent:
        return
    for emission in found.emissions:
        assert emission.rooms
        assert not {"user:", "company:", "order:", "transfer:"} & {*emission.rooms}
        assert all(placeholder not in room for room in emission.rooms for placeholder in ("{a}", "{b}", "{c}"))
