"""Where a user belongs when tokens and events disagree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from rtwist.auth.identity import Identity, identity_from_claims
from rtwist.auth.moves import is_older, moved, renewed
from rtwist.domain.emission import Reassign

NOW = 1000.0


def signed(iat: float | None, **claims: Any) -> Identity:
    dated = {} if iat is None else {"iat": iat}
    return identity_from_claims({"sub": "u1", "companyId": "c1", **dated, **claims}, expires_at=2000.0)


def company(name: str | None, at: float | None) -> Reassign:
    return Reassign("u1", company_id=name, at=at)


@pytest.mark.parametrize(
    ("iat", "at", "belongs_to"),
    [
        (100.0, 101.0, "c2"),
        (100.0, 100.0, "c2"),
        (100.0, 99.0, "c1"),
        (None, 5.0, "c2"),
        (100.0, None, "c2"),
        # A publisher whose clock is ahead does not outrank the tokens of tomorrow, nor one behind those of today.
        (100.0, 1e9, "c2"),
        (NOW + 5, 1e9, "c1"),
    ],
)
def test_the_newer_of_token_and_event_counts(iat: float | None, at: float | None, belongs_to: str) -> None:
    assert moved(signed(iat), company("c2", at), NOW).company_id == belongs_to


def test_what_the_event_does_not_say_stays() -> None:
    identity = signed(1.0, shopIds=["s1"], role="clerk")
    after = moved(identity, Reassign("u1", UNSET, ("s2",), UNSET, 50.0), NOW)
    assert (after.company_id, after.shop_ids, after.roles) == ("c1", ("s2",), ("clerk",))
    assert after.granted_company == "c1"


def test_an_event_that_comes_late_does_not_undo_a_newer_one() -> None:
    newest = moved(signed(1.0), company("c3", 60.0), NOW)
    assert moved(newest, company("c2", 50.0), NOW).company_id == "c3"
    both = moved(newest, Reassign("u1", "c2", ("s2",), UNSET, 50.0), NOW)
    assert (both.company_id, both.shop_ids) == ("c3", ("s2",))


@pytest.mark.parametrize(("iat", "belongs_to"), [(49.0, "c2"), (50.0, "c2"), (51.0, "c9"), (None, "c2")])
def test_a_new_token_and_an_event_before_it(iat: float | None, belongs_to: str) -> None:
    former = moved(signed(1.0), company("c2", 50.0), NOW)
    fresh = renewed(former, signed(iat, companyId="c9"))
    assert fresh.company_id == belongs_to


def test_each_place_has_its_own_newest_word() -> None:
    former = moved(signed(1.0), company("c2", 50.0), NOW)
    former = moved(former, Reassign("u1", UNSET, UNSET, ("boss",), 70.0), NOW)
    fresh = renewed(former, signed(60.0, companyId="c9", role="clerk"))
    assert (fresh.company_id, fresh.roles) == ("c9", ("boss",))
    assert renewed(fresh, signed(80.0, companyId="c8", role="clerk")).roles == ("clerk",)


@pytest.mark.parametrize(
    ("fresh", "former", "older"), [(1.0, 2.0, True), (2.0, 2.0, False), (3.0, 2.0, False),
                                   (None, 2.0, False), (1.0, None, False), (None, None, False)]
)  # fmt: skip
def test_which_token_is_older(fresh: float | None, former: float | None, older: bool) -> None:
    assert is_older(signed(fresh), signed(former)) is older


@given(
    st.permutations(
        [
            company("c2", 10.0),
            company("c3", 20.0),
            company("c4", 30.0),
            Reassign("u1", UNSET, ("s1",), UNSET, 15.0),
            Reassign("u1", None, (), UNSET, 5.0),
        ]
    )
)
def test_the_order_in_which_events_arrive_does_not_matter(events: list[Reassign]) -> None:
    identity = signed(1.0)
    for event in events:
        identity = moved(identity, event, NOW)
    assert (identity.company_id, identity.shop_ids, len(identity.moves)) == ("c4", ("s1",), 2)
