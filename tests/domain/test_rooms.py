"""Room names, and who meets whom in the scoped ones."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rtwist.domain import rooms
from rtwist.domain.owners import UNKNOWN, Owners

IDS = st.sampled_from(["1", "2", "3"])


def test_names() -> None:
    made = [
        *(rooms.user_room("1"), rooms.company_room("1"), rooms.shop_room("1"), rooms.role_room("1")),
        *(rooms.order_room("1"), rooms.product_room("1"), rooms.transfer_room("1")),
    ]
    assert made == ["user:1", "company:1", "shop:1", "role:1", "order:1", "product:1", "transfer:1"]
    assert all(name.startswith(rooms.RESERVED_PREFIXES) for name in made)


def test_super_admins_hear_what_a_company_hears() -> None:
    assert rooms.company_audience("c1") == ("company:c1", "super_admin")


def test_scopes_of_owners() -> None:
    assert rooms.order_scopes_of_owners("7", Owners("u1", "c1", "s1")) == (
        *("order:7|user:u1", "order:7|company:c1", "order:7|shop:s1", "order:7|super_admin"),
    )
    assert rooms.order_scopes_of_owners("7", Owners(shop="s1")) == ("order:7|shop:s1", "order:7|super_admin")


def test_the_plain_room_is_addressed_only_without_any_owner() -> None:
    assert rooms.order_scopes_of_owners("7", UNKNOWN) == ("order:7", "order:7|super_admin")


def test_scopes_of_a_subscriber() -> None:
    assert rooms.order_scopes_of_subscriber("7", "u1", None, (), False) == ("order:7|user:u1",)
    assert rooms.order_scopes_of_subscriber("7", "u1", "c1", ("s1", "s2"), True) == (
        *("order:7|user:u1", "order:7|company:c1", "order:7|shop:s1", "order:7|shop:s2"),
        "order:7|super_admin",
    )


@given(
    st.builds(Owners, st.none() | IDS, st.none() | IDS, st.none() | IDS),
    st.fixed_dictionaries(
        {
            "user_id": IDS,
            "company_id": st.none() | IDS,
            "shop_ids": st.lists(IDS),
            "super_admin": st.booleans(),
        }
    ),
)
def test_subscriber_and_event_meet_exactly_when_entitled(owners: Owners, subscriber: dict[str, Any]) -> None:
    joined = rooms.order_scopes_of_subscriber("7", **subscriber)
    assert bool({*joined} & {*rooms.order_scopes_of_owners("7", owners)}) == owners.entitles(**subscriber)
    assert not {*joined} & {*rooms.order_scopes_of_owners("70", owners)}


@given(
    st.none() | IDS,
    st.lists(IDS),
    st.fixed_dictionaries(
        {"company_id": st.none() | IDS, "shop_ids": st.lists(IDS), "super_admin": st.booleans()}
    ),
)
def test_followers_of_a_transfer_meet_it_exactly_when_it_concerns_them(
    company: str | None, shops: list[str], subscriber: dict[str, Any]
) -> None:
    joined = rooms.transfer_scopes_of_subscriber("7", **subscriber)
    of_company = company is not None and company == subscriber["company_id"]
    of_shop = bool({*shops} & {*subscriber["shop_ids"]})
    meets = bool({*joined} & {*rooms.transfer_scopes_of_owners("7", company, shops)})
    assert meets == (of_company or of_shop or subscriber["super_admin"])


def test_what_somebody_follows() -> None:
    mine = ["user:u", "order:7", "order:7|user:u", "order:8|company:c", "order", "transfer:7|shop:s", "x"]
    assert rooms.subjects_in(mine, "order:") == ["7", "8"]
    assert rooms.subjects_in(mine, "transfer:") == ["7"]
