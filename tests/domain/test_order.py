"""Order events to emissions."""

from __future__ import annotations

from typing import Any

import pytest

from rtwist.domain.emission import Emission, Note
from rtwist.domain.event import DomainEvent
from rtwist.domain.order import order_emissions
from rtwist.domain.owners import UNKNOWN, Owners
from rtwist.errors import BadEvent

OWNERS = Owners("u1", "c1", "s1")
SCOPES = ("order:7|user:u1", "order:7|company:c1", "order:7|shop:s1", "order:7|super_admin")
WHEN = "2024-10-24T08:30:00.000Z"


def emissions(kind: str, owners: Owners = OWNERS, **data: Any) -> list[Emission]:
    answers = order_emissions(DomainEvent(kind, data, None, WHEN), owners)
    return [answer for answer in answers if isinstance(answer, Emission)]


def notes(kind: str, owners: Owners = UNKNOWN, **data: Any) -> list[str]:
    answers = order_emissions(DomainEvent(kind, data, None, WHEN), owners)
    return [answer.text for answer in answers if isinstance(answer, Note)]


def test_a_shipped_order() -> None:
    told = {
        "orderId": "7",
        "orderNumber": "ORD-12345",
        "status": "shipped",
        "message": "Your order #ORD-12345 is now shipped",
        "timestamp": WHEN,
    }
    assert emissions("order.shipped", orderId=7, orderNumber="ORD-12345", total=9.5) == [
        Emission("order:status_updated", told, ("user:u1",)),
        Emission("order:update", {"total": 9.5, **told}, SCOPES),
    ]


def test_a_created_order_is_news_to_company_and_shop() -> None:
    found = emissions("order.created", orderId="7", status="pending", total=9.5)
    assert [(emission.event, emission.rooms) for emission in found] == [
        ("order:new_order", ("company:c1", "super_admin")),
        ("order:shop_order", ("shop:s1",)),
        ("order:status_updated", ("user:u1",)),
        ("order:update", SCOPES),
    ]
    assert found[0].data == found[1].data
    assert found[0].data == {
        "orderId": "7",
        "status": "pending",
        "total": 9.5,
        "message": "New order #7",
        "timestamp": WHEN,
    }
    assert found[2].data["message"] == found[3].data["message"] == "Your order #7 is now pending"


def test_extra_fields_reach_everybody_but_the_customer() -> None:
    found = emissions("order.created", orderId="7", margin=0.4, orderNumber={"secret": 1}, status="new")
    told = {emission.event: set(emission.data) for emission in found}
    assert told.pop("order:status_updated") == {"orderId", "status", "message", "timestamp"}
    assert all("margin" in fields for fields in told.values())


def test_the_event_s_own_words_do_not_replace_the_documented_fields() -> None:
    update = emissions("order.shipped", orderId="7", message="?", timestamp=0)[-1]
    assert update.data["message"] == "Your order #7 is now shipped"
    assert update.data["timestamp"] == WHEN


def test_an_update_without_a_status_is_none_for_the_customer() -> None:
    (update,) = emissions("order.updated", orderId="7")
    assert update.event == "order:update"
    assert update.data["message"] == "Your order #7 has been updated"
    assert "status" not in update.data


@pytest.mark.parametrize(
    ("owners", "events"),
    [
        (Owners(user="u1"), ["order:status_updated", "order:update"]),
        (Owners(company="c1"), ["order:new_order", "order:update"]),
        (Owners(shop="s1"), ["order:shop_order", "order:update"]),
        (UNKNOWN, ["order:update"]),
    ],
)
def test_without_an_address_the_rest_is_still_sent(owners: Owners, events: list[str]) -> None:
    found = emissions("order.created", owners, orderId="7")
    assert [emission.event for emission in found] == events
    assert all(emission.rooms for emission in found)


def test_only_an_ownerless_event_addresses_the_plain_room() -> None:
    assert emissions("order.shipped", UNKNOWN, orderId="7")[-1].rooms == ("order:7", "order:7|super_admin")


@pytest.mark.parametrize("data", [{}, {"orderId": None}, {"orderId": ""}, {"orderId": 1.5}, {"orderId": "a|b"}])
def test_the_order_must_be_named(data: dict[str, Any]) -> None:
    with pytest.raises(BadEvent, match="orderId"):
        emissions("order.shipped", **data)


@pytest.mark.parametrize(
    ("owners", "unreached"),
    [
        (OWNERS, []),
        (Owners(company="c1"), ["order:shop_order", "order:status_updated"]),
        (UNKNOWN, ["order:new_order", "order:shop_order", "order:status_updated"]),
    ],
)
def test_who_cannot_be_addressed_is_noted(owners: Owners, unreached: list[str]) -> None:
    assert [note.partition(" ")[0] for note in notes("order.created", owners, orderId="7")] == unreached


def test_only_new_orders_are_for_the_company_and_the_shop() -> None:
    assert notes("order.shipped", Owners("u1"), orderId="7") == []
    assert notes("order.updated", UNKNOWN, orderId="7") == []
