"""Finding an event's kind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.domain.kinds import action_in, cloudevents_kind, detected_kind, dotted_kind, spoken_kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("order.created", "order.created"),
        ("Order.Created", "order.created"),
        ("inventory.transfer.created", "inventory.transfer.created"),
        ("order", None),
        ("", None),
        ("order.", None),
        (".created", None),
        ("order..created", None),
        ("order.créé", None),
        ("order.\u212aind", None),
        ("order.created\n", None),
        ("order." + "x" * 250, None),
        (None, None),
        (7, None),
    ],
)
def test_a_kind_is_dotted_words(text: object, kind: str | None) -> None:
    assert dotted_kind(text) == kind


def test_a_domain_alone_takes_its_action_from_the_status() -> None:
    assert spoken_kind("payment", {"orderId": "7", "status": "failed"}) == "payment.failed"
    assert spoken_kind("events", {"status": "failed"}) is None


def test_a_stock_transfer_is_a_transfer() -> None:
    assert dotted_kind("stock_transfer.completed") == "transfer.completed"
    assert spoken_kind("stock_transfer", {"status": "completed"}) == "transfer.completed"
    assert cloudevents_kind("com.example.stock_transfer.completed.v2", {}) == "transfer.completed"
    assert dotted_kind("inventory.stock_transfer") == "inventory.stock_transfer"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("order.created", "order.created"),
        ("com.shop.order.created", "order.created"),
        ("com.example.order.created.v1", "order.created"),
        ("com.example.inventory.transfer.created", "transfer.created"),
        ("com.example.notification.announcement", "notification.announcement"),
        ("com.example.invoice.paid", "com.example.invoice.paid"),
        ("Created", None),
    ],
)
def test_cloudevents_types_are_understood_by_their_last_words(text: str, kind: str | None) -> None:
    assert cloudevents_kind(text, {}) == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"orderId": "7", "paymentId": "p", "status": "shipped"}, "order.shipped"),
        ({"orderId": "7"}, "order.updated"),
        ({"paymentId": "p", "status": "success"}, "payment.success"),
        ({"productId": "p", "quantity": 0}, "inventory.updated"),
        ({"productId": "p"}, "product.updated"),
        ({"productId": "p", "quantity": None}, "product.updated"),
        ({"paymentId": "p", "productId": "p", "quantity": 1}, "payment.updated"),
        ({"productId": "p", "quantity": 1, "transferId": 3}, "inventory.updated"),
        ({"transferId": 3, "productId": "p"}, "transfer.updated"),
        ({"announcementId": 1, "subject": "s", "content": "c"}, "announcement.updated"),
        ({"notificationId": 1, "userId": "u"}, "notification.updated"),
        ({"subject": "s", "content": "c", "userId": "u"}, "notification.updated"),
        ({"subject": "s", "userId": "u"}, "user.updated"),
        ({"shopId": "s", "companyId": "c", "userId": "u"}, "shop.updated"),
        ({"companyId": "c", "userId": "u", "status": "deleted"}, "company.deleted"),
        ({"userId": "u", "status": "deactivated"}, "user.deactivated"),
        ({"transferId": 3, "status": "In transit"}, "transfer.in_transit"),
        ({"orderId": "", "transferId": 3}, "transfer.updated"),
        ({}, None),
    ],
)
def test_properties_tell_the_kind_in_the_order_of_the_seed(data: dict[str, Any], kind: str | None) -> None:
    assert detected_kind(data) == kind


@given(st.one_of(st.text(), st.none(), st.integers(), st.text("aZ _-.é")))
def test_an_action_always_makes_a_kind(status: object) -> None:
    assert dotted_kind("order." + action_in({"status": status}))
