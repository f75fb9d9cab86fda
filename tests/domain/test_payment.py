"""Payment events to emissions."""

from __future__ import annotations

from typing import Any

import pytest

from rtwist.domain.emission import Emission, Note
from rtwist.domain.event import DomainEvent
from rtwist.domain.owners import UNKNOWN, Owners
from rtwist.domain.payment import payment_emissions
from rtwist.errors import BadEvent

WHEN = "2024-10-24T08:30:00.000Z"


def emissions(kind: str, owners: Owners = UNKNOWN, **data: Any) -> list[Emission]:
    answers = payment_emissions(DomainEvent(kind, data, None, WHEN), owners)
    return [answer for answer in answers if isinstance(answer, Emission)]


def notes(kind: str, owners: Owners = UNKNOWN, **data: Any) -> list[str]:
    answers = payment_emissions(DomainEvent(kind, data, None, WHEN), owners)
    return [answer.text for answer in answers if isinstance(answer, Note)]


def test_a_payment_for_an_order() -> None:
    told = {
        "paymentId": "p1",
        "orderId": "7",
        "orderNumber": "ORD-12345",
        "status": "success",
        "amount": 99.5,
        "currency": "EUR",
        "message": "Payment for order #ORD-12345: success",
        "timestamp": WHEN,
    }
    data = {name: told[name] for name in ("orderId", "orderNumber", "amount", "currency")}
    assert emissions("payment.success", Owners("u1", shop="s1"), paymentId="p1", card="1234", **data) == [
        Emission("payment:status_updated", told, ("user:u1",)),
        Emission(
            "payment:update",
            {**told, "card": "1234"},
            ("order:7|user:u1", "order:7|shop:s1", "order:7|super_admin"),
        ),
    ]


def test_the_payer_the_event_names_is_told_rather_than_the_order_s_customer() -> None:
    status, update = emissions("payment.failed", Owners("u1"), orderId="7", userId="u2")
    assert status.rooms == ("user:u2",)
    assert update.rooms == ("order:7|user:u1", "order:7|super_admin")


def test_a_payment_without_an_order_is_the_customer_s_alone() -> None:
    (status,) = emissions("payment.refunded", customerId="u1", paymentId=5)
    assert status == Emission(
        "payment:status_updated",
        {"paymentId": "5", "status": "refunded", "message": "Payment: refunded", "timestamp": WHEN},
        ("user:u1",),
    )


def test_a_payment_without_a_status_is_told_to_subscribers_only() -> None:
    (update,) = emissions("payment.updated", Owners("u1"), orderId="7")
    assert update.event == "payment:update"
    assert update.data["message"] == "Payment for order #7: updated"


def test_a_payment_that_addresses_nobody_is_refused() -> None:
    with pytest.raises(BadEvent, match="orderId and userId are both missing"):
        emissions("payment.success", paymentId="p1")


@pytest.mark.parametrize("name", ["orderId", "userId", "paymentId"])
def test_bad_ids_are_refused_by_name(name: str) -> None:
    with pytest.raises(BadEvent, match=name):
        emissions("payment.success", UNKNOWN, **{"orderId": "7", "userId": "u1", name: [1]})


def test_who_cannot_be_addressed_is_noted() -> None:
    (note,) = notes("payment.success", UNKNOWN, orderId="7")
    assert note.startswith("payment:status_updated ")
    assert note.endswith("the event has no userId")
    (note,) = notes("payment.success", userId="u1")
    assert note.endswith("the event has no orderId")
    assert notes("payment.success", userId="u1", orderId="7") == []
