"""The built-in rules together, and a third party's beside them."""

from __future__ import annotations

import pytest

from rtwist.domain.emission import Emission
from rtwist.domain.event import DomainEvent, read_event
from rtwist.domain.owners import OrderBook, Owners
from rtwist.domain.router import Router
from rtwist.domain.rules import BUILT_IN
from rtwist.errors import UnknownKind


def test_an_order_s_life() -> None:
    router = Router(BUILT_IN, OrderBook())
    created = {"type": "order.created", "data": {"orderId": "7", "userId": "u1", "companyId": "c1"}}
    router.route(read_event(created, now=0))
    status, update = router.route(read_event({"orderId": "7", "status": "shipped"}, now=0))
    assert status.rooms == ("user:u1",)
    assert update.rooms == ("order:7|user:u1", "order:7|company:c1", "order:7|super_admin")
    payment = router.route(read_event({"orderId": "7"}, now=0, routing_key="payment.success"))
    assert [emission.event for emission in payment] == ["payment:status_updated", "payment:update"]


def greeting(event: DomainEvent, owners: Owners) -> list[Emission]:
    return [Emission("greeting", event.data, everyone=True)]


@pytest.mark.parametrize("pattern", ["order.#", "order.created"])
def test_a_third_party_replaces_a_rule(pattern: str) -> None:
    router = Router({**BUILT_IN, pattern: greeting}, OrderBook())
    (emission,) = router.route(read_event({"type": "order.created", "orderId": "7"}, now=0))
    assert emission.event == "greeting"


def test_a_third_party_adds_a_rule() -> None:
    event = read_event({"type": "invoice.paid", "data": {"invoiceId": 1}}, now=0)
    with pytest.raises(UnknownKind):
        Router(BUILT_IN, OrderBook()).route(event)
    assert Router({**BUILT_IN, "invoice.#": greeting}, OrderBook()).route(event)
