"""What may happen, drawn by Hypothesis. In every text `#` stands for digits that are an example's own.

Users, companies, shops, orders and so on share their ids, so that a mix-up of them shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from tests.model.section4 import SUPER_ADMIN

Data = dict[str, Any]
SUBJECTS = ("#1", "#2")
"""Orders, products and transfers."""
PEOPLE = ("#1", "#2", "#1|company:#2")
"""Users; identity providers have ids with bars, and this one looks like the end of a room's name."""
COMPANIES = ("#1", "#2|user:#1")
SHOPS = ("#1", "#2")
CLERK = "clerk#"
ROLES = (CLERK, SUPER_ADMIN)
ROOMS = ("lobby#", "desk-#1", "desk-#2")
NOT_TO_JOIN = (
    *(f"{kind}:#{number}" for kind in ("user", "company", "shop", "order") for number in (1, 2)),
    *(f"role:{CLERK}", "product:#1", "transfer:#1", "order:#1|user:#1", "order:#1|super_admin", "super_admin"),
)
EMITTED_TO = (
    *(("user", each) for each in PEOPLE),
    *(("company", each) for each in COMPANIES),
    *(("shop", each) for each in SHOPS),
    *(("role", each) for each in ROLES),
    *(("room", each) for each in (*ROOMS, "user:#1", "company:#1", "shop:#1", "super_admin", "nowhere#")),
    *(("room", f"{kind}:{each}") for kind in ("order", "product") for each in SUBJECTS),
    ("all", ""),
)  # fmt: skip
PATTERNS = (
    "order:*", "!order:#1", "order:#2", "order:{userId}", "!order:{companyId}", "order:{shopId}",
    "transfer:*", "!transfer:#1", "product:#1", "!product:*", "*", "!*", "!lobby#", "desk-{companyId}",
    "!desk-{companyId}", "desk-{shopId}", "user:*", "company:#2", "super_admin", "{role}*", "or*",
)  # fmt: skip
REQUESTS = tuple(
    f"{verb}_{what}"
    for verb in ("subscribe", "subscribe", "unsubscribe")
    for what in ("order", "order", "inventory", "transfer")
)
UNSUBSCRIBE = {
    "order": "unsubscribe_order",
    "product": "unsubscribe_inventory",
    "transfer": "unsubscribe_transfer",
}
"""How rooms are left that are not left by name, by how their names begin."""
FORMS = ("bare", "envelope", "cloudevent")
TIMES = ("next", "next", "next", "earlier", "ahead")
"""When it is issued or happens, see `Story.time`."""


@dataclass(frozen=True)
class Claims:
    """A token to be issued; `spelling` chooses among the names of claims, `flaw` is what makes it useless."""

    user: str
    company: str | None = None
    shops: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    issued: str | None = None
    id: str | None = None
    spelling: int = 0
    flaw: str | None = None


@dataclass(frozen=True)
class Happening:
    """An event to be published; `numbers` is whether the product's id is a number."""

    domain: str
    action: str
    data: Data
    form: str
    at: str
    numbers: bool = False

    @property
    def kind(self) -> str:
        return f"{self.domain}.{self.action}"


def some(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    """A few of the values, in their order."""
    return st.sets(st.sampled_from(values), max_size=2).map(lambda few: tuple(sorted(few)))


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Something or nothing, more often something."""
    return st.one_of(strategy, strategy, st.none())


def mostly_empty(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    few = st.lists(st.sampled_from(values), min_size=1, max_size=3).map(tuple)
    return st.one_of(st.just(()), st.just(()), few)


people, companies, shops = st.sampled_from(PEOPLE), st.sampled_from(COMPANIES), st.sampled_from(SHOPS)
join_or_leave = st.sampled_from(("join_room", "join_room", "leave_room"))
rooms = st.one_of(*[st.sampled_from(ROOMS)] * 2, st.sampled_from(NOT_TO_JOIN))
asks = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(REQUESTS), st.sampled_from(SUBJECTS)),
        st.tuples(join_or_leave, rooms),
        st.tuples(st.just("refresh_token"), st.just("")),
    ),
    min_size=2,
    max_size=4,
)
"""What a client asks for before it is answered; the token that it refreshes with is drawn beside it."""
token_ids = st.sampled_from(("t#1", "t#2", "t#3"))
subjects, times = st.sampled_from(SUBJECTS), st.sampled_from(TIMES)
roles = st.just(()) | some(ROLES)

patterns = mostly_empty(PATTERNS)

claims = st.builds(
    Claims,
    user=people,
    company=maybe(companies),
    shops=some(SHOPS),
    roles=roles,
    patterns=patterns,
    issued=maybe(times),
    id=maybe(token_ids),
    spelling=st.integers(0, 2),
)
in_order = claims.map(lambda found: replace(found, patterns=(), issued=found.issued and "next"))
"""Tokens as most are."""
flaws = st.sampled_from(("token_expired", "token_invalid"))


def _data(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Data]:
    """Objects with these properties, without those that come out as None, and with one nobody else may see."""

    def present(found: Data) -> Data:
        return {name: value for name, value in found.items() if value is not None}

    return st.fixed_dictionaries({**fields, "margin": st.just(0.31)}).map(present)


def _events(domain: str, actions: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Happening]:
    return st.builds(
        Happening,
        domain=st.just(domain),
        action=st.sampled_from(actions.split()),
        data=_data(**fields),
        form=st.sampled_from(FORMS),
        at=times,
        numbers=st.booleans(),
    )


_owners = {"companyId": maybe(companies), "shopId": maybe(shops)}
_order = {
    **_owners,
    "orderId": subjects,
    "userId": maybe(people),
    "status": st.none() | st.none() | st.just("on_hold"),
}
_stock = {
    "productId": subjects,
    "productName": maybe(st.just("Café")),
    "quantity": st.integers(0, 9),
    "companyId": maybe(companies),
    "shopId": maybe(shops),
}
_transfer = {
    "transferId": subjects,
    "companyId": maybe(companies),
    "fromShopId": maybe(shops),
    "toShopId": maybe(shops),
}
_words = {"subject": st.just("Hello"), "content": st.just("See inside.")}
orders = st.one_of(
    _events("order", "created confirmed shipped updated status_changed", **_order),
    _events("order", "shipped updated", orderId=subjects),
    _events("order", "shipped updated", orderId=subjects, customerId=people),
    _events("payment", "success failed updated", **_order, paymentId=st.just("p#"), amount=st.just(9.5)),
    _events("payment", "success", paymentId=st.just("p#"), customerId=people),
)
owned = st.one_of(
    _events("order", "created updated", orderId=subjects, **_owners, userId=maybe(people)),
    _events("order", "created updated", orderId=subjects, userId=people),
    _events("order", "created updated", orderId=subjects, companyId=companies),
    _events("order", "created updated", orderId=subjects, shopId=shops),
)


def _of_one_order(found: tuple[str, list[Happening]]) -> list[Happening]:
    subject, several = found
    return [replace(each, data={**each.data, "orderId": subject}) for each in several]


life_of_an_order = st.tuples(subjects, st.lists(owned | orders, min_size=1, max_size=4)).map(_of_one_order)
HANDS = (
    *({"userId": each} for each in PEOPLE),
    *({"companyId": each} for each in COMPANIES),
    *({"shopId": each, "fromShopId": each} for each in SHOPS),
)
"""Whose an order or a transfer may be, as the event says it."""
stock = _events("inventory", "updated low_stock out_of_stock", **_stock)
others = st.one_of(
    _events("inventory", "transfer.sent", **_transfer),
    _events("transfer", "sent received updated", **_transfer),
    _events("notification", "created", **_words, userId=people),
    _events("notification", "created", **_words, userIds=st.lists(people, min_size=1, max_size=2, unique=True)),
    _events("notification", "created", **_words, role=st.sampled_from(ROLES)),
    _events("notification", "created", **_words, **_owners),
    _events("notification", "created announcement", **_words),
    _events("announcement", "published", **_words),
    _events("user", "created updated password_changed", userId=people, name=st.just("Ann")),
    _events("company", "updated", companyId=companies, plan=st.just("gold")),
    _events("shop", "closed", shopId=shops, till=st.just("18:00")),
    _events("product", "updated", productId=subjects, price=st.just(9.5)),
)
revocations = st.one_of(
    st.tuples(st.just("user"), people),
    st.tuples(st.just("company"), companies),
    st.tuples(st.just("jti"), token_ids),
)
events = st.one_of(orders, stock, others)
at_once = st.tuples(orders | others, others | stock, others).flatmap(st.permutations)
"""Events of which none changes what another one finds."""

KEEP = "keep"
_FOLLOWED = [(what, each) for what in ("order", "inventory", "transfer") for each in SUBJECTS]
followed = st.just(_FOLLOWED) | st.just(_FOLLOWED[:2]) | st.lists(st.sampled_from(_FOLLOWED), max_size=3)
"""What a client subscribes to as soon as it has come."""

places = st.fixed_dictionaries(
    {
        "companyId": st.one_of(st.just(KEEP), companies, companies, st.none()),
        "shopIds": st.one_of(st.just(KEEP), some(SHOPS).map(list)),
        "role": st.one_of(st.just(KEEP), st.sampled_from(ROLES), st.none()),
    }
).map(lambda found: {name: value for name, value in found.items() if value != KEEP})
"""What `user.updated` says of a user's places."""
