"""Who is connected, what is published, and who is to hear of it: rooms and events as they are documented."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.faults.checker import Published, Told

ORDERS, USERS, COMPANIES, SHOPS = 300, 16, 4, 8
STATUSES = ("confirmed", "processing", "packed", "shipped", "delivered")
EVERYONE = "*"
FOR_ALL = 105
"""Of two hundred events this one goes to everyone."""


class Identity(NamedTuple):
    """Who a client is, and what it asks for once it is connected."""

    user: str
    company: str | None = None
    shops: tuple[str, ...] = ()
    role: str | None = None
    orders: tuple[int, ...] = ()
    products: tuple[int, ...] = ()

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
        user, company, shop = owners(number)
        return self.user == user or self.company == company or shop in self.shops or self.role == "super_admin"


def owners(order: int) -> tuple[str, str, str]:
    """The customer, company and shop of an order; shops belong to companies in turn."""
    return f"u{order % USERS}", f"c{order % COMPANIES}", f"s{order % SHOPS}"


def population() -> list[Identity]:
    """Some forty clients: customers with one device or two, shops, companies, super admins, and strangers."""
    customers = [
        Identity(f"u{number}", orders=tuple(range(number, ORDERS, USERS))[:8]) for number in range(USERS)
    ]
    managers = [
        Identity(f"m{number}", f"c{number % COMPANIES}", (f"s{number}",),
                 orders=tuple(range(number, ORDERS, SHOPS))[-4:], products=(number,))
        for number in range(SHOPS)
    ]  # fmt: skip
    accountants = [Identity(f"a{number}", f"c{number}") for number in range(COMPANIES)]
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


def event(number: int, *, with_bad: bool = False) -> Event:
    """The event of this number; each tells it in a field that every audience gets.

    `with_bad`, one in a hundred cannot be used and becomes a dead letter.
    """
    if with_bad and number % 100 == 50:
        return _made(number, "order.shipped", "dead letters", {"orderNumber": str(number)})
    if number % 10 == 7:
        return _stock(number)
    if number % 20 == 3:
        return _notification(number)
    if number % 200 == FOR_ALL:
        return _made(number, "announcement.created", "announcements", {"content": str(number)},
                     ("announcement:new", {EVERYONE}))  # fmt: skip
    return _order(number)


def number_in(name: str, data: dict[str, Any]) -> int:
    """The number of the event that caused an emission."""
    field = {"order": "orderNumber", "inventory": "quantity"}.get(name.partition(":")[0], "content")
    return int(data[field])


def _order(number: int) -> Event:
    order, turn = number % ORDERS, number // ORDERS
    user, company, shop = owners(order)
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


def _stock(number: int) -> Event:
    shop = number // 10 % SHOPS
    company = f"c{shop % COMPANIES}"
    body = {"productId": str(shop), "quantity": number, "companyId": company, "shopId": f"s{shop}"}
    return _made(
        number, "inventory.updated", f"product {shop}", body,
        ("inventory:updated", {f"company:{company}", "super_admin"}),
        ("inventory:shop_update", {f"shop:s{shop}"}),
        ("inventory:stock_changed", {f"product:{shop}"}),
    )  # fmt: skip


def _notification(number: int) -> Event:
    user = f"u{number // 20 % USERS}"
    body = {"userId": user, "subject": "news", "content": str(number)}
    return _made(number, "notification.created", f"user {user}", body, ("notification:new", {f"user:{user}"}))


def _made(number: int, key: str, subject: str, body: dict[str, Any], *told: tuple[str, Iterable[str]]) -> Event:
    emissions = tuple(Told(name, frozenset(rooms)) for name, rooms in told)
    return Event(key, body, Published(number, subject, emissions))
