"""What is called back, for how long, and whom it concerns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.auth.identity import Identity, identity_from_claims
from rtwist.auth.revocation import RevokedTokens, covers, dated, read_revocation
from rtwist.domain.emission import Revoke
from rtwist.errors import Refused

NOW = 1000.0


def signed(
    user: str = "u1", company: str | None = "c1", jti: str | None = "t1", iat: float | None = 500.0
) -> Identity:
    claims: dict[str, Any] = {"sub": user, "companyId": company, "jti": jti, "iat": iat}
    return identity_from_claims(claims, expires_at=2000.0)


CASES: list[tuple[Revoke, Identity, bool]] = [
    (Revoke(user_id="u1", issued_before=500.0), signed(), True),
    (Revoke(user_id="u1", issued_before=499.9), signed(), False),
    (Revoke(user_id="u1", issued_before=1.0), signed(iat=None), True),
    (Revoke(user_id="u2", issued_before=600.0), signed(), False),
    (Revoke(company_id="c1", issued_before=600.0), signed(), True),
    (Revoke(company_id="c1", issued_before=400.0), signed(), False),
    (Revoke(company_id="c1", issued_before=600.0), signed(company=None), False),
    (Revoke(token_id="t1", issued_before=1.0), signed(), True),
    (Revoke(token_id="t1", issued_before=600.0), signed(jti=None), False),
    (Revoke(token_id="t2", issued_before=600.0), signed(), False),
    (Revoke(user_id="u1", token_id="t1", issued_before=1.0), signed(), True),
    (Revoke(user_id="u2", token_id="t1", issued_before=600.0), signed(), False),
    (Revoke(user_id="u1", token_id="t1", issued_before=600.0), signed(jti="t2"), False),
    (Revoke(issued_before=500.0), signed(), True),
    (Revoke(issued_before=500.0), signed(user="u2", company=None, jti=None, iat=None), True),
    (Revoke(issued_before=499.0), signed(), False),
]  # fmt: skip


@pytest.mark.parametrize(("revoke", "identity", "concerned"), CASES)
def test_whom_it_concerns(revoke: Revoke, identity: Identity, concerned: bool) -> None:
    store = RevokedTokens()
    store.add(revoke, NOW)
    assert store.cover(identity, NOW) is concerned
    assert covers(revoke, identity) is concerned
    assert RevokedTokens().cover(identity, NOW) is False


def test_a_company_is_that_of_the_token_and_the_one_of_now() -> None:
    identity = replace(signed(), company_id="c2")
    for company, concerned in (("c1", True), ("c2", True), ("c3", False)):
        revoke, store = Revoke(company_id=company, issued_before=600.0), RevokedTokens()
        store.add(revoke, NOW)
        assert covers(revoke, identity) is store.cover(identity, NOW) is concerned


def test_an_issuer_whose_clock_is_ahead() -> None:
    revoke, identity = Revoke(user_id="u1", issued_before=490.0), signed()
    store = RevokedTokens(leeway=10.0)
    store.add(revoke, NOW)
    assert store.cover(identity, NOW)
    assert covers(revoke, identity, leeway=10.0)
    assert not covers(revoke, identity, leeway=9.0)


def test_it_is_forgotten_when_no_token_lives_any_more() -> None:
    store = RevokedTokens(seconds=60.0)
    store.add(Revoke(user_id="u1", issued_before=NOW), NOW)
    assert store.cover(signed(), NOW + 59.9)
    assert not store.cover(signed(), NOW + 60.0)
    store.add(Revoke(user_id="u2", issued_before=NOW), NOW + 61.0)
    assert len(store) == 1


def test_the_oldest_is_forgotten_when_there_are_too_many() -> None:
    store = RevokedTokens(size=2)
    for user in ("u1", "u2", "u1", "u3"):
        store.add(Revoke(user_id=user, issued_before=NOW), NOW)
    assert len(store) == 2
    assert [store.cover(signed(user), NOW) for user in ("u1", "u2", "u3")] == [True, False, True]


def test_an_earlier_time_does_not_take_a_later_one_back() -> None:
    store = RevokedTokens()
    store.add(Revoke(user_id="u1", issued_before=600.0), NOW)
    store.add(Revoke(user_id="u1", issued_before=100.0), NOW)
    assert store.cover(signed(), NOW)


@pytest.mark.parametrize(("given", "used"), [(None, NOW), (1.0, 1.0), (NOW + 1e9, NOW)])
def test_a_time_ahead_is_now(given: float | None, used: float) -> None:
    assert dated(Revoke(user_id="u1", issued_before=given), NOW) == Revoke(user_id="u1", issued_before=used)


IDS = st.sampled_from(["a", "b"]) | st.none()
REVOKES = st.builds(Revoke, IDS, IDS, IDS, st.sampled_from([100.0, 500.0]))
IDENTITIES = st.builds(
    signed, st.sampled_from("ab"), IDS, IDS, st.sampled_from([100.0, 101.0, 501.0]) | st.none()
)


@given(st.lists(REVOKES, max_size=6), IDENTITIES)
def test_the_store_covers_what_any_of_its_revocations_covers(revokes: list[Revoke], identity: Identity) -> None:
    store = RevokedTokens()
    for revoke in revokes:
        store.add(revoke, NOW)
    assert store.cover(identity, NOW) is any(covers(revoke, identity) for revoke in revokes)


@pytest.mark.parametrize(
    ("body", "revoke"),
    [
        ({"user": "u1"}, Revoke(user_id="u1")),
        ({"user": 7}, Revoke(user_id="7")),
        ({"company": "c1", "issuedBefore": "1970-01-01T00:00:05Z"}, Revoke(company_id="c1", issued_before=5.0)),
        ({"jti": "t1"}, Revoke(token_id="t1")),
        ({"all": True, "issuedBefore": 1_700_000_000}, Revoke(issued_before=1_700_000_000.0)),
        ({"all": True, "issuedBefore": 1_700_000_000_500}, Revoke(issued_before=1_700_000_000.5)),
    ],
)
def test_what_a_request_may_ask_for(body: Any, revoke: Revoke) -> None:
    assert read_revocation(body) == revoke


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], 'send {"user": "u1"}'),
        ("u1", 'send {"user": "u1"}'),
        ({}, "with exactly one target"),
        ({"issuedBefore": 5}, "with exactly one target"),
        ({"user": "u1", "company": "c1"}, "with exactly one target"),
        ({"users": "u1"}, "with exactly one target"),
        ({"user": None}, "user must be a string or an integer, not null"),
        ({"company": ["c1"]}, "company must be a string or an integer, not an array"),
        ({"jti": " "}, "jti must not be empty"),
        ({"jti": "x" * 201}, "jti must not be longer than 200"),
        ({"all": 1}, "all must be true"),
        ({"all": False}, "all must be true"),
        ({"user": "u1", "issuedBefore": "yesterday"}, "issuedBefore must be an ISO 8601 time"),
        ({"user": "u1", "issuedBefore": None}, "issuedBefore must be an ISO 8601 time"),
        ({"user": "u1", "issuedBefore": True}, "issuedBefore must be an ISO 8601 time"),
        ({"user": "u1", "issuedBefore": 10**400}, "issuedBefore must be an ISO 8601 time"),
    ],
)
def test_a_request_that_asks_for_nothing_clear(body: Any, says: str) -> None:
    with pytest.raises(Refused) as caught:
        read_revocation(body)
    assert caught.value.code == "bad_request"
    assert says in caught.value.message
