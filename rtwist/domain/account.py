"""Events about users, companies, shops and products, each to the room of its id; users' live sockets follow."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from rtwist.domain.emission import Answer, Disconnect, Emission, Reassign, Revoke
from rtwist.domain.event import DomainEvent
from rtwist.domain.fields import Id, Ids, SubjectId, is_empty, read
from rtwist.domain.owners import Owners
from rtwist.domain.rooms import company_audience, product_room, shop_room, user_room
from rtwist.domain.timestamps import read_timestamp, seconds_of
from rtwist.domain.wording import scalars
from rtwist.errors import BadEvent

_GONE = ("deactivated", "deleted")
_REVOKED = "revoked"
_SHOPS = frozenset({"shopIds", "shops"})
_ROLES = frozenset({"role", "roles"})


class Account(msgspec.Struct, frozen=True, rename="camel"):
    """A user with what the event says of their company, shops and roles."""

    user_id: Id
    company_id: Id | None = None
    shop_ids: Ids | None = None
    shops: Ids | None = None
    role: Ids | None = None
    roles: Ids | None = None


class Company(msgspec.Struct, frozen=True, rename="camel"):
    """A company that something happened to."""

    company_id: Id


class Shop(msgspec.Struct, frozen=True, rename="camel"):
    """A shop that something happened to."""

    shop_id: Id


class Product(msgspec.Struct, frozen=True, rename="camel"):
    """A product that something happened to."""

    product_id: SubjectId


def user_answers(event: DomainEvent, _owners: Owners) -> list[Answer]:
    """Relay a `user.*` event to the user, and let the user's live sockets follow it.

    The user gets `userId`, `name`, `email`, `status`, `companyId`, `shopIds`, `roles` and `timestamp`.
    `deactivated` and `deleted` disconnect them. `updated` moves them: `companyId`, `shopIds` and `role` are
    what the user has from now on, null means none, and what is not there stays as it is. `revoked` calls their
    tokens back: those issued up to `issuedBefore`, or to the event's own time, or the one with the id `jti`.
    Raises `BadEvent` without a `userId`, for ids that are none and a time that is none.
    """
    account = read(event, Account)
    moved = _reassignment(event, account)
    told: dict[str, Any] = {"userId": account.user_id, **scalars(event.data, "name", "email", "status")}
    places = {"companyId": moved.company_id, "shopIds": moved.shop_ids, "roles": moved.roles}
    told |= {name: value for name, value in places.items() if value is not UNSET}
    told["timestamp"] = event.timestamp
    answers: list[Answer] = [Emission(f"user:{event.action}", told, (user_room(account.user_id),))]
    if event.action in _GONE:
        answers.append(Disconnect(account.user_id))
    elif event.action == "updated" and not moved.is_empty:
        answers.append(moved)
    elif event.action == _REVOKED:
        answers.append(Revoke(account.user_id, None, event.id_of("jti"), _issued_before(event)))
    return answers


def company_emissions(event: DomainEvent, _owners: Owners) -> list[Answer]:
    """Relay a `company.*` event with all it holds to the company; raises `BadEvent` without a `companyId`.

    `revoked` calls all tokens of the company back that were issued up to `issuedBefore`, or to the event's own
    time.
    """
    company = read(event, Company).company_id
    answers: list[Answer] = [_relayed(event, {"companyId": company}, company_audience(company))]
    if event.action == _REVOKED:
        answers.append(Revoke(None, company, None, _issued_before(event)))
    return answers


def shop_emissions(event: DomainEvent, _owners: Owners) -> list[Answer]:
    """Relay a `shop.*` event with all it holds to the shop; raises `BadEvent` without a `shopId`."""
    shop = read(event, Shop).shop_id
    return [_relayed(event, {"shopId": shop}, (shop_room(shop),))]


def product_emissions(event: DomainEvent, _owners: Owners) -> list[Answer]:
    """Relay a `product.*` event to the product's subscribers; raises `BadEvent` without a `productId`.

    They can be anybody, and get `productId`, `productName`, `name`, `price`, `currency`, `status` and
    `timestamp`.
    """
    product = read(event, Product).product_id
    told = scalars(event.data, "productName", "name", "price", "currency", "status")
    told = {"productId": product, **told, "timestamp": event.timestamp}
    return [Emission(f"product:{event.action}", told, (product_room(product),))]


def _relayed(event: DomainEvent, named: dict[str, Any], rooms: tuple[str, ...]) -> Emission:
    data = {**event.data, **named, "timestamp": event.timestamp}
    return Emission(f"{event.domain}:{event.action}", data, rooms)


def _reassignment(event: DomainEvent, account: Account) -> Reassign:
    named = event.data.keys()
    return Reassign(
        account.user_id,
        account.company_id if "companyId" in named else UNSET,
        (account.shop_ids or account.shops or ()) if named & _SHOPS else UNSET,
        (account.role or account.roles or ()) if named & _ROLES else UNSET,
        seconds_of(event.timestamp),
    )


def _issued_before(event: DomainEvent) -> float:
    given = event.data.get("issuedBefore")
    timestamp = event.timestamp if is_empty(given) else read_timestamp(given)
    if timestamp is None:
        raise BadEvent("issuedBefore must be an ISO 8601 time, or seconds since 1970")
    return seconds_of(timestamp)
