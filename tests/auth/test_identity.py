"""Reading an identity from claims."""

from __future__ import annotations

from typing import Any

import pytest

from rtwist.auth.identity import MAX_ROLES, MAX_SHOPS, ClaimNames, Identity, identity_from_claims
from rtwist.auth.patterns import read_patterns


def identity(**claims: Any) -> Identity:
    return identity_from_claims(claims, expires_at=1.0)


def test_all_claims() -> None:
    claims = {"userId": 1, "companyId": "c1", "shopIds": ["s1", 2], "role": "manager"}
    assert identity(**claims) == Identity("1", "c1", ("s1", "2"), ("manager",), 1.0, granted_company="c1")


def test_a_user_is_enough() -> None:
    assert identity(sub="u1") == Identity("u1", None, (), (), 1.0)


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({"userId": "a", "user_id": "b", "sub": "c", "id": "d"}, "a"),
        ({"user_id": "b", "sub": "c", "id": "d"}, "b"),
        ({"sub": "c", "id": "d"}, "c"),
        ({"id": "d"}, "d"),
        ({"userId": None, "sub": "c"}, "c"),
        ({"userId": 0, "sub": "c"}, "0"),
    ],
)
def test_the_first_claim_present_names_the_user(claims: dict[str, Any], user: str) -> None:
    assert identity(**claims).user_id == user


@pytest.mark.parametrize(
    ("claims", "shops"),
    [
        ({"shopIds": ["s1"], "shops": ["s2"]}, ("s1",)),
        ({"shops": [{"id": "s1", "name": "North"}, {"id": 2}]}, ("s1", "2")),
        ({"shop_ids": ["s1", "s2", "s1"]}, ("s1", "s2")),
        ({"shopIds": "s1"}, ("s1",)),
        ({"shopIds": [], "shops": ["s2"]}, ()),
        ({"shopIds": None}, ()),
    ],
)
def test_shops_are_ids_or_objects_with_an_id(claims: dict[str, Any], shops: tuple[str, ...]) -> None:
    assert identity(sub="u1", **claims).shop_ids == shops


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"role": "manager"}, ("manager",)),
        ({"roles": ["manager", "super_admin"]}, ("manager", "super_admin")),
        ({"role": "manager", "roles": ["other"]}, ("manager",)),
    ],
)
def test_roles_are_one_or_several(claims: dict[str, Any], roles: tuple[str, ...]) -> None:
    assert identity(sub="u1", **claims).roles == roles


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({}, "no claim names the user"),
        ({"sub": None}, "no claim names the user"),
        ({"sub": ""}, "sub must not be empty"),
        ({"userId": "", "sub": "u1"}, "userId must not be empty"),
        ({"sub": "\ud800"}, "sub must not contain"),
        ({"sub": True}, "sub must be a string or an integer, not a boolean"),
        ({"sub": 1.5}, "not a fraction"),
        ({"sub": ["u1"]}, "not an array"),
        ({"sub": "u1\n"}, "control characters"),
        ({"sub": "x" * 201}, "longer than 200"),
        ({"sub": "u1", "companyId": {}}, "companyId must be"),
        ({"sub": "u1", "shops": [{"name": "North"}]}, "shops must be"),
        ({"sub": "u1", "shopIds": [["s1"]]}, "shopIds must be"),
        ({"sub": "u1", "role": False}, "role must be"),
        ({"sub": "u1", "shopIds": list(range(MAX_SHOPS + 1))}, "shopIds must not hold more"),
        ({"sub": "u1", "roles": list(range(MAX_ROLES + 1))}, "roles must not hold more"),
    ],
)
def test_unusable_claims_are_refused_by_name(claims: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        identity(**claims)


def test_claim_names_are_configurable() -> None:
    names = ClaimNames(user=("uid",), shops=("stores",))
    found = identity_from_claims({"uid": 5, "sub": "x", "stores": ["s1"]}, expires_at=1.0, names=names)
    assert (found.user_id, found.shop_ids) == ("5", ("s1",))


def test_rooms_stand_in_a_stable_order() -> None:
    found = identity(sub="u1", companyId="c1", shopIds=["s1", "s2"], roles=["super_admin", "manager"])
    assert found.is_super_admin
    assert found.rooms == (
        *("user:u1", "company:c1", "shop:s1", "shop:s2", "role:super_admin", "role:manager", "super_admin"),
    )


def test_others_are_no_super_admins() -> None:
    found = identity(sub="super_admin", companyId="super_admin", roles=["admin"])
    assert not found.is_super_admin
    assert found.rooms == ("user:super_admin", "company:super_admin", "role:admin")


def test_what_is_not_used_of_a_token_is_not_kept() -> None:
    found = identity(sub="u1", email="someone@example.com")
    assert "example.com" not in repr(found)


def test_patterns_of_rooms() -> None:
    assert identity(sub="u1", rooms=["order:*", "!order:7"]).patterns == read_patterns(
        "rooms", ["order:*", "!order:7"]
    )
    assert identity(sub="u1", rooms=None).patterns == identity(sub="u1", rooms=[]).patterns == ()
    names = ClaimNames(rooms=("scope", "grants"))
    found = identity_from_claims({"sub": "u1", "grants": "a", "rooms": "b"}, expires_at=1.0, names=names)
    assert found.patterns == read_patterns("grants", "a")


@pytest.mark.parametrize("rooms", [[7], 7, {}, "", "a*b", ["fine", "!"], ["{user}"], [None], ["a"] * 101, True])
def test_a_token_with_a_pattern_that_is_none_is_not_used_in_part(rooms: Any) -> None:
    with pytest.raises(ValueError, match="rooms"):
        identity(sub="u1", rooms=rooms)
