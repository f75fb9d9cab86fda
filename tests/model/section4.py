"""Who receives what of an event, written a second time and independently of rtwist.

It knows the table of events and emissions, clients with their claims and subscriptions, and no room at all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

Received = Counter[tuple[str, str]]
"""How often each client, by name, gets each emission."""

SAYS_NO_STATUS = {"updated", "changed", "status", "status_updated", "status_changed"}


@dataclass(frozen=True)
class Viewer:
    """A client: who it is by its token, and what it subscribed to before anything happened."""

    name: str
    user: str
    company: str | None = None
    shops: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    transfers: tuple[str, ...] = ()

    @property
    def admin(self) -> bool:
        return "super_admin" in self.roles


class Section4:
    """The table of events and emissions; remembers who owns which order."""

    def __init__(self, viewers: list[Viewer]) -> None:
        self._viewers = viewers
        self._owners: dict[str, dict[str, str | None]] = {}

    def receive(self, domain: str, action: str, data: dict[str, Any]) -> Received:
        """What everybody gets of an event whose ids are texts."""
        given = {name: value for name, value in data.items() if value not in (None, "")}
        self._received: Received = Counter()
        if domain == "inventory" and action.startswith("transfer."):
            domain, action = "transfer", action.removeprefix("transfer.")
        if domain == "notification" and action == "announcement":
            domain = "announcement"
        getattr(self, f"_{domain}")(action, given)
        return self._received

    def _tell(self, emission: str, who: Any) -> None:
        self._received.update((viewer.name, emission) for viewer in self._viewers if who(viewer))

    def _order(self, action: str, data: dict[str, Any]) -> None:
        owners = self._learn(data, data | {"userId": data.get("userId") or data.get("customerId")}, overrule=True)
        if action == "created":
            self._tell(
                "order:new_order", lambda v: owners["companyId"] and self._in_company(v, owners["companyId"])
            )
            self._tell("order:shop_order", lambda v: owners["shopId"] in v.shops)
        if "status" in data or action not in SAYS_NO_STATUS:
            self._tell("order:status_updated", lambda v: v.user == owners["userId"])
        self._tell("order:update", lambda v: self._follows(v, data["orderId"], owners))

    def _payment(self, action: str, data: dict[str, Any]) -> None:
        payer = data.get("userId") or data.get("customerId")
        owners: dict[str, str | None] = {}
        if "orderId" in data:
            owners = self._learn(data, data | {"userId": payer}, overrule=False)
            self._tell("payment:update", lambda v: self._follows(v, data["orderId"], owners))
        if "status" in data or action not in SAYS_NO_STATUS:
            self._tell("payment:status_updated", lambda v: v.user == (payer or owners.get("userId")))

    def _learn(self, data: dict[str, Any], told: dict[str, Any], *, overrule: bool) -> dict[str, str | None]:
        owners = self._owners.setdefault(data["orderId"], dict.fromkeys(("userId", "companyId", "shopId")))
        for name in owners:
            if told.get(name) and (overrule or owners[name] is None):
                owners[name] = told[name]
        return owners

    def _follows(self, viewer: Viewer, order: str, owners: dict[str, str | None]) -> bool:
        entitled = viewer.user == owners["userId"] or owners["shopId"] in viewer.shops
        in_company = viewer.company is not None and viewer.company == owners["companyId"]
        return order in viewer.orders and (entitled or in_company or viewer.admin)

    def _in_company(self, viewer: Viewer, company: str) -> bool:
        return viewer.company == company or viewer.admin

    def _inventory(self, action: str, data: dict[str, Any]) -> None:
        company, shop = data.get("companyId"), data.get("shopId")
        if action in ("low_stock", "out_of_stock"):
            self._tell(
                "inventory:low_stock_alert",
                lambda v: (company and self._in_company(v, company)) or shop in v.shops,
            )
            self._tell("inventory:alert", lambda v: action == "out_of_stock")
            return
        self._tell("inventory:updated", lambda v: company and self._in_company(v, company))
        self._tell("inventory:shop_update", lambda v: shop in v.shops)
        self._tell("inventory:stock_changed", lambda v: data["productId"] in v.products)

    def _transfer(self, action: str, data: dict[str, Any]) -> None:
        shops = {data.get("fromShopId"), data.get("toShopId")}

        def follows(viewer: Viewer) -> bool:
            concerned = viewer.company is not None and viewer.company == data.get("companyId")
            return data["transferId"] in viewer.transfers and (concerned or viewer.admin)

        self._tell("transfer:status_update", lambda v: shops & {*v.shops} or follows(v))

    def _notification(self, action: str, data: dict[str, Any]) -> None:
        role, company, shop = (data.get(name) for name in ("role", "companyId", "shopId"))
        user = data.get("userId") or data.get("customerId")
        if user:
            self._tell("notification:new", lambda v: v.user == user)
        elif role:
            self._tell("notification:new", lambda v: role in v.roles)
        elif shop or company:
            self._tell(
                "notification:new", lambda v: shop in v.shops if shop else self._in_company(v, str(company))
            )
        else:
            self._tell("notification:broadcast", lambda v: True)

    def _announcement(self, action: str, data: dict[str, Any]) -> None:
        self._tell("announcement:new", lambda v: True)

    def _user(self, action: str, data: dict[str, Any]) -> None:
        self._tell(f"user:{action}", lambda v: v.user == data["userId"])

    def _company(self, action: str, data: dict[str, Any]) -> None:
        self._tell(f"company:{action}", lambda v: self._in_company(v, data["companyId"]))

    def _shop(self, action: str, data: dict[str, Any]) -> None:
        self._tell(f"shop:{action}", lambda v: data["shopId"] in v.shops)

    def _product(self, action: str, data: dict[str, Any]) -> None:
        self._tell(f"product:{action}", lambda v: data["productId"] in v.products)
