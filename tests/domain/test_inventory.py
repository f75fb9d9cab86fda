"""Stock events to emissions."""

from __future__ import annotations

from typing import Any

import pytest

from rtwist.domain.inventory import low_stock_emissions, out_of_stock_emissions, stock_emissions
from rtwist.errors import BadEvent
from tests.domain.answers import WHEN, Answers

PHONE = {"productId": "p1", "productName": "iPhone 15", "companyId": "c1", "shopId": "s1"}
RULES = {
    "inventory.updated": stock_emissions,
    "inventory.low_stock": low_stock_emissions,
    "inventory.out_of_stock": out_of_stock_emissions,
}


def answers(kind: str, **data: Any) -> Answers:
    return Answers(RULES[kind], kind, data)


def test_an_update_reaches_company_shop_and_subscribers() -> None:
    found = answers("inventory.updated", **PHONE, quantity=5, cost=700)
    assert found.addressed == {
        "inventory:updated": ("company:c1", "super_admin"),
        "inventory:shop_update": ("shop:s1",),
        "inventory:stock_changed": ("product:p1",),
    }
    everything = {**PHONE, "quantity": 5, "cost": 700, "timestamp": WHEN}
    assert found["inventory:updated"] == found["inventory:shop_update"] == everything
    assert found["inventory:stock_changed"] == {
        "productId": "p1",
        "productName": "iPhone 15",
        "quantity": 5,
        "timestamp": WHEN,
    }
    assert found.notes == []


def test_low_stock_is_told_as_documented() -> None:
    found = answers("inventory.low_stock", **PHONE, quantity=5, threshold=10)
    assert found.addressed == {"inventory:low_stock_alert": ("company:c1", "super_admin", "shop:s1")}
    assert found["inventory:low_stock_alert"] == {
        **PHONE,
        "quantity": 5,
        "threshold": 10,
        "severity": "warning",
        "message": "iPhone 15 is running low (5 remaining)",
        "timestamp": WHEN,
    }


@pytest.mark.parametrize(
    ("data", "severity", "message"),
    [
        ({"quantity": 5, "threshold": 10}, "warning", "p1 is running low (5 remaining)"),
        ({"quantity": 0, "threshold": 10}, "critical", "p1 is running low (0 remaining)"),
        ({"quantity": -2}, "critical", "p1 is running low (-2 remaining)"),
        ({"quantity": 2.0}, "warning", "p1 is running low (2 remaining)"),
        ({"quantity": 0.25}, "warning", "p1 is running low (0.25 remaining)"),
        ({}, "warning", "p1 is running low"),
        ({"quantity": 5, "severity": "critical"}, "critical", "p1 is running low (5 remaining)"),
        ({"quantity": 0, "severity": "info"}, "info", "p1 is running low (0 remaining)"),
        ({"quantity": 5, "severity": "mild"}, "warning", "p1 is running low (5 remaining)"),
        ({"quantity": 5, "severity": {}}, "warning", "p1 is running low (5 remaining)"),
        ({"quantity": 5, "productName": {"x": 1}}, "warning", "p1 is running low (5 remaining)"),
    ],
)
def test_severity_and_message_of_low_stock(data: dict[str, Any], severity: str, message: str) -> None:
    alert = answers("inventory.low_stock", productId="p1", shopId="s1", **data)["inventory:low_stock_alert"]
    assert (alert["severity"], alert["message"]) == (severity, message)


def test_out_of_stock_is_critical_and_everyone_hears_of_it_without_the_company_s_data() -> None:
    found = answers("inventory.out_of_stock", **PHONE, threshold=10, severity="info", cost=700)
    assert found.addressed == {
        "inventory:low_stock_alert": ("company:c1", "super_admin", "shop:s1"),
        "inventory:alert": (),
    }
    assert found.emissions[1].everyone
    public = {
        "productId": "p1",
        "productName": "iPhone 15",
        "quantity": 0,
        "severity": "critical",
        "message": "iPhone 15 is out of stock",
        "timestamp": WHEN,
    }
    assert found["inventory:alert"] == public
    assert found["inventory:low_stock_alert"] == {**PHONE, "cost": 700, "threshold": 10, **public}


@pytest.mark.parametrize(
    ("kind", "data", "reached", "unknown"),
    [
        ("inventory.updated", {}, ["inventory:stock_changed"], ["companyId", "shopId"]),
        (
            "inventory.updated",
            {"shopId": "s1"},
            ["inventory:shop_update", "inventory:stock_changed"],
            ["companyId"],
        ),
        ("inventory.low_stock", {}, [], ["companyId", "shopId"]),
        ("inventory.low_stock", {"companyId": "c1"}, ["inventory:low_stock_alert"], ["shopId"]),
        ("inventory.out_of_stock", {}, ["inventory:alert"], ["companyId", "shopId"]),
    ],
)
def test_without_an_address_the_rest_is_still_sent(
    kind: str, data: dict[str, Any], reached: list[str], unknown: list[str]
) -> None:
    found = answers(kind, productId="p1", quantity=1, **data)
    assert [*found.addressed] == reached
    assert [note.rpartition(" ")[2] for note in found.notes] == unknown


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize(
    "data", [{"productId": None}, {"quantity": "5"}, {"threshold": []}, {"companyId": {}}, {"shopId": "a\n"}]
)
def test_what_cannot_be_addressed_or_calculated_with_is_refused(kind: str, data: dict[str, Any]) -> None:
    with pytest.raises(BadEvent, match=next(iter(data))):
        answers(kind, **{**PHONE, "quantity": 5, **data})
