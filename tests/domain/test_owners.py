"""Owners of orders and the memory of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.domain.event import read_event
from rtwist.domain.owners import UNKNOWN, OrderBook, Owners, owners_in
from rtwist.errors import BadEvent

OWNERS = Owners("u1", "c1", "s1")
STRANGER = {"user_id": "u2", "company_id": None, "shop_ids": (), "super_admin": False}


def test_events_name_owners() -> None:
    event = read_event({"orderId": 7, "customerId": 1, "companyId": "c1", "shopId": None}, now=0)
    assert owners_in(event) == Owners("1", "c1", None)
    with pytest.raises(BadEvent, match="companyId"):
        owners_in(read_event({"orderId": 7, "companyId": []}, now=0))


def test_gaps_are_filled_field_by_field() -> None:
    assert Owners("u2").or_else(OWNERS) == Owners("u2", "c1", "s1")
    assert OWNERS.or_else(Owners("u2", "c2", "s2")) == OWNERS
    assert UNKNOWN.or_else(UNKNOWN) == UNKNOWN


@pytest.mark.parametrize(
    "changes", [{"user_id": "u1"}, {"company_id": "c1"}, {"shop_ids": ("s0", "s1")}, {"super_admin": True}]
)
def test_each_kind_of_owner_is_entitled(changes: dict[str, object]) -> None:
    assert OWNERS.entitles(**{**STRANGER, **changes})  # type: ignore[arg-type]


def test_strangers_are_not_entitled() -> None:
    assert not OWNERS.entitles(user_id="u2", company_id="c2", shop_ids=("s2",), super_admin=False)
    assert not OWNERS.entitles(user_id="c1", company_id="s1", shop_ids=("u1",), super_admin=False)


def test_nobody_but_super_admins_is_entitled_to_an_unknown_order() -> None:
    assert not UNKNOWN.known
    assert not UNKNOWN.entitles(user_id=None, company_id=None, shop_ids=(), super_admin=False)
    assert UNKNOWN.entitles(user_id=None, company_id=None, shop_ids=(), super_admin=True)


def test_the_book_remembers_and_forgets_the_order_least_spoken_of() -> None:
    book = OrderBook(max_orders=2)
    book.remember("1", OWNERS)
    book.remember("2", OWNERS)
    book.recall("1")
    book.remember("3", OWNERS)
    assert book.recall("1") == book.recall("3") == OWNERS
    assert book.recall("2") == UNKNOWN


def test_asking_for_unknown_orders_fills_nothing() -> None:
    book = OrderBook()
    for number in range(1000):
        book.recall(str(number))
    assert len(book) == 0


def test_a_book_needs_a_page() -> None:
    with pytest.raises(ValueError, match="max_orders"):
        OrderBook(max_orders=0)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9).map(str))))
def test_the_book_never_outgrows_its_bound(steps: list[tuple[bool, str]]) -> None:
    book = OrderBook(max_orders=3)
    latest = ""
    for write, order_id in steps:
        if write:
            book.remember(order_id, Owners(order_id))
            latest = order_id
        else:
            assert book.recall(order_id) in (UNKNOWN, Owners(order_id))
    assert len(book) <= 3
    assert not latest or latest in [str(n) for n in range(10) if book.recall(str(n)).known]
