"""The names of rooms, all in one place.

Order subscribers join *scoped* rooms, one for each identity they have (`order:7|user:u1`), and an event about
the order addresses the scopes of its owners. So a guessed order id is worth nothing, also while the order is
not known yet and also when another node knows it. The plain `order:7` holds entitled subscribers only, and is
addressed when nobody knows an owner. The scope `order:7|super_admin` holds those who hear of the order whoever
owns it: super admins, and others who were let in by a grant.
"""

from __future__ import annotations

from collections.abc import Iterable

from rtwist.domain.owners import Owners

SUPER_ADMIN = "super_admin"
"""Both the role and the room of those who see what every company sees."""

ORDER_PREFIX = "order:"
TRANSFER_PREFIX = "transfer:"

RESERVED_PREFIXES = ("user:", "company:", "shop:", "role:", "order:", "product:", "transfer:")
"""Beginnings of the names made here; nobody may join such a room by its name."""


def user_room(user_id: str) -> str:
    """Every socket of the user."""
    return f"user:{user_id}"


def company_room(company_id: str) -> str:
    """Users whose token names the company."""
    return f"company:{company_id}"


def shop_room(shop_id: str) -> str:
    """Users whose token names the shop."""
    return f"shop:{shop_id}"


def role_room(role: str) -> str:
    """Users with the role."""
    return f"role:{role}"


def order_room(order_id: str) -> str:
    """Subscribers who were entitled to the order when they subscribed."""
    return f"order:{order_id}"


def product_room(product_id: str) -> str:
    """Subscribers of the product's stock."""
    return f"product:{product_id}"


def transfer_room(transfer_id: str) -> str:
    """Subscribers of the stock transfer."""
    return f"transfer:{transfer_id}"


def company_audience(company_id: str) -> tuple[str, ...]:
    """The rooms for what is addressed to a company: super admins hear it too."""
    return company_room(company_id), SUPER_ADMIN


def order_scopes_of_owners(order_id: str, owners: Owners) -> tuple[str, ...]:
    """The rooms for an event about an order with these owners; the plain room only if none is known."""
    rooms = ((user_room, owners.user), (company_room, owners.company), (shop_room, owners.shop))
    scopes = [_scope(order_room(order_id), room(owner)) for room, owner in rooms if owner is not None]
    return (*(scopes or [order_room(order_id)]), _scope(order_room(order_id), SUPER_ADMIN))


def order_scopes_of_subscriber(
    order_id: str, user_id: str, company_id: str | None, shop_ids: Iterable[str], super_admin: bool
) -> tuple[str, ...]:
    """The scoped rooms a subscriber of an order joins, entitled or not; the plain room is not among them."""
    identities = [user_room(user_id)]
    if company_id is not None:
        identities.append(company_room(company_id))
    identities += map(shop_room, shop_ids)
    if super_admin:
        identities.append(SUPER_ADMIN)
    return tuple(_scope(order_room(order_id), identity) for identity in identities)


def transfer_scopes_of_subscriber(
    transfer_id: str, company_id: str | None, shop_ids: Iterable[str], super_admin: bool
) -> tuple[str, ...]:
    """The scoped rooms a subscriber of a stock transfer joins: transfers concern companies and shops."""
    identities = [] if company_id is None else [company_room(company_id)]
    identities += map(shop_room, shop_ids)
    if super_admin:
        identities.append(SUPER_ADMIN)
    return tuple(_scope(transfer_room(transfer_id), identity) for identity in identities)


def transfer_scopes_of_owners(
    transfer_id: str, company_id: str | None, shop_ids: Iterable[str]
) -> tuple[str, ...]:
    """The rooms for an event about a transfer of this company between these shops: its subscribers there."""
    return transfer_scopes_of_subscriber(transfer_id, company_id, shop_ids, super_admin=True)


def scope_of_all(room: str) -> str:
    """The scope of an order's or a transfer's room that every event about it addresses."""
    return _scope(room, SUPER_ADMIN)


def subjects_in(rooms: Iterable[str], prefix: str) -> list[str]:
    """The ids of the orders or transfers, as `prefix` says, that somebody in `rooms` follows, each once."""
    found = (name.removeprefix(prefix).partition("|")[0] for name in rooms if name.startswith(prefix))
    return list(dict.fromkeys(found))


def scopes_of(room: str, rooms: Iterable[str]) -> list[str]:
    """Those of `rooms` that are `room` itself or a scope of it."""
    scope = _scope(room, "")
    return [name for name in rooms if name.startswith(room) and (name == room or name.startswith(scope))]


def _scope(room: str, identity: str) -> str:
    return f"{room}|{identity}"
