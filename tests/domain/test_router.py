"""Choosing the rule, and learning the owners of orders."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.domain.emission import Emission
from rtwist.domain.event import DomainEvent
from rtwist.domain.kinds import CACHED_KINDS
from rtwist.domain.owners import UNKNOWN, OrderBook, Owners
from rtwist.domain.router import Router, Rule
from rtwist.errors import BadEvent, ConfigError, UnknownKind


def event(kind: str, **data: Any) -> DomainEvent:
    return DomainEvent(kind, data, None, "")


def named(name: str) -> Rule:
    return lambda _event, _owners: [Emission(name, {}, everyone=True)]


def chosen(patterns: list[str], kind: str) -> str:
    router = Router({pattern: named(pattern) for pattern in patterns}, OrderBook())
    return router.route(event(kind))[0].event


@pytest.mark.parametrize(
    ("patterns", "kind", "winner"),
    [
        (["#", "order.#", "order.*", "order.created"], "order.created", "order.created"),
        (["#", "order.#", "order.*"], "order.created", "order.*"),
        (["#", "order.#", "order.*"], "order.item.added", "order.#"),
        (["#", "order.#"], "payment.failed", "#"),
        (["order.#", "*.created"], "order.created", "order.#"),
        (["#", "#.created"], "order.created", "#.created"),
        (["#.created", "*.created"], "order.created", "*.created"),
        (["order.#", "order.*.added"], "order.item.added", "order.*.added"),
        (["order.*.#", "order.*"], "order.created", "order.*"),
        (["a.#.z"], "a.z", "a.#.z"),
        (["a.#.z"], "a.b.c.z", "a.#.z"),
    ],
)
def test_the_most_specific_pattern_wins(patterns: list[str], kind: str, winner: str) -> None:
    assert chosen(patterns, kind) == winner
    assert chosen(patterns[::-1], kind) == winner


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        ("order.*", "order.item.added"),
        ("order.created", "order.created.late"),
        ("order.#", "orders.created"),
        ("*.created", "a.b.created"),
        ("a.#.z", "a.bz"),
    ],
)
def test_what_does_not_match(pattern: str, kind: str) -> None:
    with pytest.raises(UnknownKind, match=f"unknown kind '{kind}'"):
        chosen([pattern], kind)


@pytest.mark.parametrize(
    ("patterns", "says"),
    [
        (["payment.#", "order.#", "a.*"], "only a.*, order.*, payment.* have rules, or use POST /emit"),
        ([], "use POST /emit"),
    ],
)
def test_an_unknown_kind_is_told_what_is_known(patterns: list[str], says: str) -> None:
    with pytest.raises(UnknownKind) as caught:
        chosen(patterns, "weather.changed")
    assert str(caught.value) == f"unknown kind 'weather.changed': there is no rule for it; {says}"


def matches(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(matches(pattern[1:], words[start:]) for start in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and matches(pattern[1:], words[1:])


@given(
    st.lists(st.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=6),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6),
)
def test_patterns_match_as_the_broker_s_do(pattern: list[str], words: list[str]) -> None:
    router = Router({".".join(pattern): named("")}, OrderBook())
    try:
        router.route(event(".".join(words)))
    except UnknownKind:
        assert not matches(pattern, words)
    else:
        assert matches(pattern, words)


@pytest.mark.parametrize("pattern", ["", "order.", "order..x", "order.cre*", "Order.created", "order/created"])
def test_a_malformed_pattern_is_refused_at_once(pattern: str) -> None:
    with pytest.raises(ConfigError, match="is no pattern"):
        Router({pattern: named("")}, OrderBook())


def test_made_up_kinds_do_not_fill_memory() -> None:
    router = Router({"order.#": named("")}, OrderBook())
    for number in range(2 * CACHED_KINDS):
        router.route(event(f"order.x{number}"))
    assert router._rule_for.cache_info().currsize == CACHED_KINDS


def owners_seen(router_events: list[DomainEvent], book: OrderBook) -> list[Owners]:
    seen = []

    def rule(_event: DomainEvent, owners: Owners) -> list[Emission]:
        seen.append(owners)
        return []

    router = Router({"#": rule}, book)
    for each in router_events:
        router.route(each)
    return seen


def test_order_events_teach_owners_field_by_field() -> None:
    book = OrderBook()
    seen = owners_seen(
        [
            event("order.created", orderId=7, userId="u1", companyId="c1"),
            event("order.shipped", orderId="7", customerId="u2"),
            event("order.shipped", orderId="7", shopId="s1", userId=None),
        ],
        book,
    )
    assert seen == [Owners("u1", "c1"), Owners("u2", "c1"), Owners("u2", "c1", "s1")]
    assert book.recall("7") == seen[-1]


def test_payment_events_fill_gaps_only() -> None:
    book = OrderBook()
    book.remember("7", Owners("u1"))
    seen = owners_seen([event("payment.success", orderId="7", userId="u2", shopId="s1")], book)
    assert seen == [Owners("u1", None, "s1")]
    assert book.recall("7") == seen[0]


def test_other_events_learn_nothing_but_are_told_the_owners() -> None:
    book = OrderBook()
    book.remember("7", Owners("u1"))
    seen = owners_seen([event("notification.created", orderId="7", userId="u2", companyId="c9")], book)
    assert seen == [Owners("u1")]
    assert book.recall("7") == Owners("u1")


def test_without_an_order_there_are_no_owners() -> None:
    assert owners_seen([event("payment.success", userId="u1")], OrderBook()) == [UNKNOWN]


def test_nothing_is_learnt_from_an_event_its_rule_refuses() -> None:
    def refuse(_event: DomainEvent, _owners: Owners) -> list[Emission]:
        raise BadEvent("status must be a string")

    book = OrderBook()
    with pytest.raises(BadEvent):
        Router({"#": refuse}, book).route(event("order.created", orderId="7", userId="u1"))
    assert book.recall("7") == UNKNOWN


def test_ownerless_orders_take_no_place_in_memory() -> None:
    book = OrderBook()
    owners_seen([event("order.shipped", orderId="7")], book)
    assert len(book) == 0
