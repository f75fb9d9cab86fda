"""Who receives what of an event, written a second time and independently of rtwist.

It knows the table of events and emissions, clients with their claims and subscriptions, and no room at all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.model import payloads
from tests.model.payloads import Data, status_in

SUPER_ADMIN = "super_admin"
NOBODY: frozenset[Viewer] = frozenset()
Owners = dict[str, str | None]


@dataclass(eq=False)
class Viewer:
    """A client: who it is by its token or by what has happened since, and what it subscribed to."""

    name: str
    user: str
    company: str | None = None
    shops: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    orders: set[str] = field(default_factory=set)
    products: set[str] = field(default_factory=set)
    transfers: set[str] = field(default_factory=set)

    @property
    def admin(self) -> bool:
        return SUPER_ADMIN in self.roles

    def facts(self) -> Iterator[tuple[str, str]]:
        """By what an event can mean this client."""
        yield "user", self.user
        if self.company is not None:
            yield "company", self.company
        of = {"shop": self.shops, "role": self.roles, "product": self.products, "order": self.orders}
        for what, ids in (*of.items(), ("transfer", self.transfers)):
            for each in ids:
                yield what, each


class Told(NamedTuple):
    """One emission, and who gets it; what is not `certain` may be left out."""

    emission: str
    data: Any
    to: Set[Viewer]
    certain: bool = True


Received = Counter[tuple[str, str]]
"""How often each client, by name, gets each emission."""


def received(told: Iterable[Told]) -> Received:
    """Who gets what, whatever it says and in whatever order."""
    return Counter((viewer.name, one.emission) for one in told for viewer in one.to)


class Section4:
    """The table of events and emissions; remembers who owns which order."""

    def __init__(self, viewers: Iterable[Viewer] = ()) -> None:
        self.viewers: set[Viewer] = set()
        self._meant: dict[tuple[str, str], set[Viewer]] = defaultdict(set)
        self._owners: dict[str, Owners] = {}
        for viewer in viewers:
            self._add(viewer)

    def receive(self, domain: str, action: str, data: Data, at: str = "") -> Iterator[Told]:
        """What an event causes whose ids are texts, in order; to be looked at one by one."""
        if domain == "inventory" and action.startswith("transfer."):
            domain, action = "transfer", action.removeprefix("transfer.")
        if domain == "notification" and action == "announcement":
            domain = "announcement"
        found: Iterator[Told] = getattr(self, f"_{domain}")(action, data, at)
        return found

    def _add(self, viewer: Viewer) -> None:
        self.viewers.add(viewer)
        for fact in viewer.facts():
            self._meant[fact].add(viewer)

    def _remove(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)
        for fact in viewer.facts():
            self._meant[fact].discard(viewer)

    def _who(self, what: str, each: str | None) -> Set[Viewer]:
        return self._meant.get((what, each), NOBODY) if each else NOBODY

    def _company_and_admins(self, company: str | None) -> Set[Viewer]:
        return self._who("company", company) | self._who("role", SUPER_ADMIN) if company else NOBODY

    # Orders

    def _order(self, action: str, data: Data, at: str) -> Iterator[Told]:
        owners = self._learn(data, data | {"userId": _customer(data)}, overrule=True)
        if action == "created":
            news = payloads.new_order(action, data, at)
            yield Told("order:new_order", news, self._company_and_admins(owners["companyId"]))
            yield Told("order:shop_order", news, self._who("shop", owners["shopId"]))
        told = payloads.order(action, data, at)
        if status_in(action, data):
            yield Told("order:status_updated", told, self._who("user", owners["userId"]))
        yield Told("order:update", {**data, **told}, self._followers(data["orderId"]))

    def _payment(self, action: str, data: Data, at: str) -> Iterator[Told]:
        payer, owners = _customer(data), Owners()
        if data.get("orderId"):
            owners = self._learn(data, data | {"userId": payer}, overrule=False)
        told = payloads.payment(action, data, at)
        if status_in(action, data):
            yield Told("payment:status_updated", told, self._who("user", payer or owners.get("userId")))
        if data.get("orderId"):
            yield Told("payment:update", {**data, **told}, self._followers(data["orderId"]))

    def _learn(self, data: Data, told: Data, *, overrule: bool) -> Owners:
        owners = self._owners.setdefault(data["orderId"], dict.fromkeys(("userId", "companyId", "shopId")))
        for name in owners:
            if told.get(name) and (overrule or owners[name] is None):
                owners[name] = told[name]
        return owners

    def _followers(self, order: str) -> Set[Viewer]:
        return {viewer for viewer in self._who("order", order) if self.entitled(viewer, order)}

    def known(self, order: str) -> bool:
        """Whether an event has named an owner of the order."""
        return any(self._owners.get(order, {}).values())

    def entitled(self, viewer: Viewer, order: str) -> bool:
        """Whether the order is one that the viewer may see, as far as is known."""
        owners = self._owners.get(order, {})
        mine = viewer.user == owners.get("userId") or owners.get("shopId") in viewer.shops
        of_company = viewer.company is not None and viewer.company == owners.get("companyId")
        return mine or of_company or viewer.admin

    # Stock

    def _inventory(self, action: str, data: Data, at: str) -> Iterator[Told]:
        company, shop = data.get("companyId"), data.get("shopId")
        if action in ("low_stock", "out_of_stock"):
            public = payloads.shortage(action, data, at)
            concerned = self._company_and_admins(company) | self._who("shop", shop)
            yield Told("inventory:low_stock_alert", {**data, **public}, concerned)
            if action == "out_of_stock":
                yield Told("inventory:alert", public, self.viewers)
            return
        public = payloads.stock(data, at)
        yield Told("inventory:updated", {**data, **public}, self._company_and_admins(company))
        yield Told("inventory:shop_update", {**data, **public}, self._who("shop", shop))
        yield Told("inventory:stock_changed", public, self._who("product", str(data["productId"])))

    def _transfer(self, action: str, data: Data, at: str) -> Iterator[Told]:
        shops = {data.get("fromShopId"), data.get("toShopId")}
        to = {viewer for viewer in self._who("transfer", data["transferId"]) if self._concerned(viewer, data)}
        to |= {viewer for shop in shops for viewer in self._who("shop", shop)}
        yield Told("transfer:status_update", payloads.transfer(action, data, at), to)

    def _concerned(self, viewer: Viewer, transfer: Data) -> bool:
        """Whether a follower may hear of the transfer; members of its shops hear of it anyway."""
        concerned = viewer.company is not None and viewer.company == transfer.get("companyId")
        return concerned or viewer.admin

    # Words

    def _notification(self, action: str, data: Data, at: str) -> Iterator[Told]:
        told, shop, company = payloads.notification(data, at), data.get("shopId"), data.get("companyId")
        if users := _customer(data) or data.get("userIds"):
            to = {viewer for user in _listed(users) for viewer in self._who("user", user)}
        elif role := data.get("role"):
            to = {*self._who("role", role)}
        elif shop or company:
            to = {*(self._who("shop", shop) if shop else self._company_and_admins(company))}
        else:
            yield Told("notification:broadcast", told, self.viewers)
            return
        yield Told("notification:new", told, to)

    def _announcement(self, action: str, data: Data, at: str) -> Iterator[Told]:
        yield Told("announcement:new", payloads.notification(data, at), self.viewers)

    # Relays

    def _user(self, action: str, data: Data, at: str) -> Iterator[Told]:
        yield Told(f"user:{action}", payloads.user(data, at), self._who("user", data["userId"]))

    def _company(self, action: str, data: Data, at: str) -> Iterator[Told]:
        told = {**data, "timestamp": at}
        yield Told(f"company:{action}", told, self._company_and_admins(data["companyId"]))

    def _shop(self, action: str, data: Data, at: str) -> Iterator[Told]:
        yield Told(f"shop:{action}", {**data, "timestamp": at}, self._who("shop", data["shopId"]))

    def _product(self, action: str, data: Data, at: str) -> Iterator[Told]:
        to = self._who("product", str(data["productId"]))
        yield Told(f"product:{action}", payloads.product(data, at), to)


def _customer(data: Data) -> str | None:
    return data.get("userId") or data.get("customerId")


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
