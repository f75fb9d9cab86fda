"""Stock transfers to emissions."""

from __future__ import annotations

from typing import Any

import pytest

from rtwist.domain.transfer import transfer_emissions
from rtwist.errors import BadEvent
from tests.domain.answers import WHEN, Answers


def answers(kind: str, **data: Any) -> Answers:
    return Answers(transfer_emissions, kind, data)


@pytest.mark.parametrize("kind", ["transfer.completed", "inventory.transfer.completed"])
def test_both_shops_and_the_followers_they_and_the_company_have(kind: str) -> None:
    data = {"transferId": 9, "companyId": "c1", "fromShopId": "s1", "toShopId": "s2", "items": [1]}
    found = answers(kind, **data)
    assert found.addressed == {
        "transfer:status_update": (
            *("shop:s1", "shop:s2", "transfer:9|company:c1", "transfer:9|shop:s1", "transfer:9|shop:s2"),
            "transfer:9|super_admin",
        )
    }
    assert found["transfer:status_update"] == {
        **data,
        "transferId": "9",
        "status": "completed",
        "message": "Transfer #9 is now completed",
        "timestamp": WHEN,
    }
    assert found.notes == []


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("transfer.updated", {}, "Transfer #9 has been updated"),
        ("inventory.transfer.updated", {}, "Transfer #9 has been updated"),
        ("transfer.updated", {"status": "in_transit"}, "Transfer #9 is now in transit"),
        ("transfer.completed", {"status": "received"}, "Transfer #9 is now received"),
    ],
)
def test_its_status_in_words(kind: str, data: dict[str, Any], message: str) -> None:
    told = answers(kind, transferId="9", **data)["transfer:status_update"]
    assert told["message"] == message
    assert told.get("status") == data.get("status")


def test_who_is_not_named_is_not_reached_and_that_is_noted() -> None:
    found = answers("transfer.completed", transferId="9", toShopId="s2")
    assert found.addressed == {
        "transfer:status_update": ("shop:s2", "transfer:9|shop:s2", "transfer:9|super_admin")
    }
    assert [note.rpartition(" ")[2] for note in found.notes] == ["companyId", "fromShopId"]


@pytest.mark.parametrize("data", [{"transferId": None}, {"transferId": "a|b"}, {"toShopId": []}])
def test_what_cannot_be_addressed_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(BadEvent, match=next(iter(data))):
        answers("transfer.completed", **{"transferId": 9, **data})
