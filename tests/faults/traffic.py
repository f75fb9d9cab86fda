"""Who is connected, what is published, and who is to hear of it: rooms and events as they are documented."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.faults.checker import Published, Told

STATUSES = ("confirmed", "processing", "packed", "shipped", "delivered")
EVERYONE = "*"
FOR_ALL = 105
"""Of `Platform.for_all` events this one goes to everyone."""


class Platform(NamedTuple):
    """How much there is of everything; one of `for_all` events is for everyone."""

    orders: int = 300
    users: int = 16
    companies: int = 4
    shops: int = 8
    for_all: int = 200

    def owners(self, order: int) -> tuple[str, str, str]:
        """The customer, company and shop of an order; shops belong to companies in turn."""
        return f"u{order % self.users}", f"c{order % self.companies}", f"s{order % self.shops}"


SMALL = Platform()


class Identity(NamedTuple):
    """Who a client is, and what it asks for once it is connected."""

    user: str
    company: str | None = None
    shops: tuple[str, ...] = ()
    role: str | None = None
    orders: tuple[int, ...] = ()
    products: tuple[int, ...] = ()
    platform: Platform = SMALL

    @property
    def rooms(self) -> frozenset[str]:
        """The rooms it is in as far as it is entitled."""
        rooms = {EVERYONE, f"user:{self.user}", *(f"shop:{shop}" for shop in self.shops)}
        if self.company is not None:
            rooms.add(f"company:{self.company}")
        if self.role is not None:
            rooms.add(self.role)
        rooms |= {f"order:{number}" for number in self.orders if self._may_see(number)}
        return frozenset(rooms | {f"product:{number}" for number in self.products})

    def _may_see(self, number: int) -> bool:
        user, company, shop = self.platform.owners(number)
        return self.user == user or self.company == company or shop in self.shops or self.role == "super_admin"


def population(platform: Platform = SMALL) -> list[Identity]:
    """Customers with one device or two, shops, companies, super admins, and strangers; some forty in all."""
    _, users, companies, shops, _ = platform
    every_order = range(platform.orders)
    customers = [
        Identity(f"u{number}", orders=tuple(every_order[number::users])[:8], platform=platform)
        for number in range(users)
    ]
    managers = [
        Identity(f"m{number}", f"c{number % companies}", (f"s{number}",),
                 orders=tuple(every_order[number::shops])[-4:], products=(number,), platform=platform)
        for number in range(shops)
    ]  # fmt: skip
    accountants = [Identity(f"a{number}", f"c{number}") for number in range(companies)]
    admins = [Identity(f"admin{number}", role="super_admin", orders=(0, 1, 2)) for number in range(2)]
    # They follow orders that are none of theirs, by ids which they have guessed.
    strangers = [Identity(f"x{number}", "elsewhere", ("away",), orders=tuple(range(20))) for number in range(4)]
    return [*customers, *customers[:2], *managers, *accountants, *admins, *strangers]


@dataclass(frozen=True)
class Event:
    """What is published: under which key, with which body; and whom it must reach."""

    key: str
    body: dict[str, Any]
    published: Published

    @property
    def number(self) -> int:
        return self.published.number


def event(number: int, *, with_bad: bool = False, platform: Platform = SMALL) -> Event:
    """The event of this number; each tells it in a field that every audience gets.

    `with_bad`, one in a hundred cannot be used and becomes a dead letter.
    """
    if with_bad and number % 100 == 50:
        return _made(number, "order.shipped", "dead letters", {"orderNumber": str(number)})
    if number % 10 == 7:
        return _stock(number, platform)
    if number % 20 == 3:
        return _notification(number, platform)
    if number % platform.for_all == FOR_ALL:
        return _made(number, "announcement.created", "announcements", {"content": str(number)},
                     ("announcement:new", {EVERYONE}))  # fmt: skip
    return _order(number, platform)


def number_in(name: str, data: dict[str, Any]) -> int:
    """The number of the event that caused an emission."""
    field = {"order": "orderNumber", "inventory": "quantity"}.get(name.partition(":")[0], "content")
    return int(data[field])


def _order(number: int, platform: Platform) -> Event:
    order, turn = number % platform.orders, number // platform.orders
    user, company, shop = platform.owners(order)
    status = STATUSES[turn % len(STATUSES)] if turn else "created"
    body = {
        "orderId": str(order),
        "orderNumber": str(number),
        "userId": user,
        "companyId": company,
        "shopId": shop,
    }
    news = [("order:new_order", {f"company:{company}", "super_admin"}), ("order:shop_order", {f"shop:{shop}"})]
    told = [("order:status_updated", {f"user:{user}"}), ("order:update", {f"order:{order}"})]
    return _made(number, f"order.{status}", f"order {order}", body, *(told if turn else news + told))


def _stock(number: int, platform: Platform) -> Event:
    shop = number // 10 % platform.shops
    company = f"c{shop % platform.companies}"
    body = {"productId": str(shop), "quantity": number, "companyId": company, "shopId": f"s{shop}"}
    return _made(
        number, "inventory.updated", f"product {shop}", body,
        ("inventory:updated", {f"company:{company}", "super_admin"}),
        ("inventory:shop_update", {f"shop:s{shop}"}),
        ("inventory:stock_changed", {f"product:{shop}"}),
    )  # fmt: skip


def _notification(number: int, platform: Platform) -> Event:
    user = f"u{number // 20 % platform.users}"
    body = {"userId": user, "subject": "news", "content": str(number)}
    return _made(number, "notification.created", f"user {user}", body, ("notification:new", {f"user:{user}"}))


def _made(number: int, key: str, subject: str, body: dict[str, Any], *told: tuple[str, Iterable[str]]) -> Event:
    emissions = tuple(Told(name, frozenset(rooms)) for name, rooms in told)
    return Event(key, body, Published(number, subject, emissions))
