"""Events about users, companies, shops and products to emissions, and to effects on live sockets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import UNSET

from rtwist.domain.account import company_emissions, product_emissions, shop_emissions, user_answers
from rtwist.domain.emission import Disconnect, Reassign, Revoke
from rtwist.domain.timestamps import seconds_of
from rtwist.errors import BadEvent
from tests.domain.answers import WHEN, Answers


def user(action: str, **data: Any) -> Answers:
    return Answers(user_answers, f"user.{action}", data)


def test_the_user_gets_the_documented_fields_only() -> None:
    data = {
        "userId": 7,
        "name": "Ann",
        "email": "a@b.example",
        "status": "active",
        "companyId": 8,
        "role": "clerk",
    }
    found = user("updated", **data, shops=[{"id": 9}], passwordHash="x")
    assert found.addressed == {"user:updated": ("user:7",)}
    assert found["user:updated"] == {
        "userId": "7",
        "name": "Ann",
        "email": "a@b.example",
        "status": "active",
        "companyId": "8",
        "shopIds": ("9",),
        "roles": ("clerk",),
        "timestamp": WHEN,
    }


@pytest.mark.parametrize("action", ["deactivated", "deleted"])
def test_who_is_gone_hears_of_it_and_is_then_disconnected(action: str) -> None:
    found = user(action, userId="u1", companyId="c2")
    assert [type(answer).__name__ for answer in found.all] == ["Emission", "Disconnect"]
    assert found.addressed == {f"user:{action}": ("user:u1",)}
    assert found.effects == [Disconnect("u1")]


@pytest.mark.parametrize(
    ("data", "moved"),
    [
        ({"companyId": 8}, Reassign("u1", company_id="8")),
        ({"companyId": None}, Reassign("u1", company_id=None)),
        ({"companyId": ""}, Reassign("u1", company_id=None)),
        ({"shopIds": [1, "2"]}, Reassign("u1", shop_ids=("1", "2"))),
        ({"shopIds": []}, Reassign("u1", shop_ids=())),
        ({"shops": [{"id": 1}]}, Reassign("u1", shop_ids=("1",))),
        ({"shopIds": None, "shops": [3]}, Reassign("u1", shop_ids=("3",))),
        ({"role": "manager"}, Reassign("u1", roles=("manager",))),
        ({"roles": ["a", "b"]}, Reassign("u1", roles=("a", "b"))),
        ({"role": None}, Reassign("u1", roles=())),
        ({"companyId": 1, "shopIds": 2, "role": 3}, Reassign("u1", "1", ("2",), ("3",))),
    ],
)
def test_an_update_moves_the_user_s_sockets(data: dict[str, Any], moved: Reassign) -> None:
    assert user("updated", userId="u1", **data).effects == [replace(moved, at=seconds_of(WHEN))]


def test_what_is_not_there_stays_as_it_is() -> None:
    assert Reassign("u1") == Reassign("u1", UNSET, UNSET, UNSET, None)
    assert user("updated", userId="u1", name="Ann").effects == []


@pytest.mark.parametrize(
    ("data", "revoke"),
    [
        ({}, Revoke("u1", issued_before=seconds_of(WHEN))),
        ({"jti": 7}, Revoke("u1", token_id="7", issued_before=seconds_of(WHEN))),
        ({"jti": "", "issuedBefore": ""}, Revoke("u1", issued_before=seconds_of(WHEN))),
        ({"issuedBefore": 1_700_000_000}, Revoke("u1", issued_before=1_700_000_000.0)),
        ({"issuedBefore": "2023-11-14T22:13:20Z"}, Revoke("u1", issued_before=1_700_000_000.0)),
    ],
)
def test_the_tokens_of_a_user_are_called_back(data: dict[str, Any], revoke: Revoke) -> None:
    found = user("revoked", userId="u1", **data)
    assert found.addressed == {"user:revoked": ("user:u1",)}
    assert found.effects == [revoke]
    assert isinstance(found.all[-1], Revoke), "whom it concerns hears of it before"


def test_the_tokens_of_a_company_are_called_back() -> None:
    found = Answers(company_emissions, "company.revoked", {"companyId": 7})
    assert found.addressed == {"company:revoked": ("company:7", "super_admin")}
    assert found.effects == [Revoke(company_id="7", issued_before=seconds_of(WHEN))]
    assert Answers(company_emissions, "company.closed", {"companyId": 7}).effects == []


@pytest.mark.parametrize("given", ["soon", True, [], {}, -1, 10**400])
@pytest.mark.parametrize(("rule", "name"), [(user_answers, "user"), (company_emissions, "company")])
def test_a_time_of_issue_must_be_one(rule: Any, name: str, given: Any) -> None:
    with pytest.raises(BadEvent, match="issuedBefore must be an ISO 8601 time"):
        Answers(rule, f"{name}.revoked", {f"{name}Id": "x", "issuedBefore": given})


@pytest.mark.parametrize("action", ["created", "role.changed", "logged_in"])
def test_other_events_move_nobody(action: str) -> None:
    found = user(action, userId="u1", companyId="c2", role="super_admin")
    assert found.effects == []
    assert [*found.addressed] == [f"user:{action}"]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"userId": []},
        {"userId": "u", "companyId": {}},
        {"userId": "u", "shopIds": ["a\n"]},
        {"userId": "u", "role": [""]},
        {"userId": "u", "roles": True},
    ],
)
def test_bad_ids_are_refused_by_name(data: dict[str, Any]) -> None:
    with pytest.raises(BadEvent, match=[*data, "userId"][-1 if len(data) < 2 else 1]):
        user("updated", **data)


@pytest.mark.parametrize(
    ("rule", "domain", "rooms"),
    [
        (company_emissions, "company", ("company:7", "super_admin")),
        (shop_emissions, "shop", ("shop:7",)),
    ],
)
def test_companies_and_shops_get_all_there_is(rule: Any, domain: str, rooms: tuple[str, ...]) -> None:
    found = Answers(rule, f"{domain}.closed", {f"{domain}Id": 7, "why": {"deep": 1}})
    assert found.addressed == {f"{domain}:closed": rooms}
    assert found[f"{domain}:closed"] == {f"{domain}Id": "7", "why": {"deep": 1}, "timestamp": WHEN}
    with pytest.raises(BadEvent, match=f"{domain}Id is missing"):
        Answers(rule, f"{domain}.closed", {})


def test_subscribers_of_a_product_get_the_documented_fields_only() -> None:
    data = {"productId": 7, "name": "iPhone 15", "price": 9.5, "currency": "EUR", "cost": 5, "status": ["x"]}
    found = Answers(product_emissions, "product.price_changed", data)
    assert found.addressed == {"product:price_changed": ("product:7",)}
    assert found["product:price_changed"] == {
        "productId": "7",
        "name": "iPhone 15",
        "price": 9.5,
        "currency": "EUR",
        "timestamp": WHEN,
    }
