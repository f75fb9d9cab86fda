"""Order events: to the customer, to those who watch the order, and new ones to the company and the shop."""

from __future__ import annotations

from typing import Any

import msgspec

from rtwist.domain.emission import Answer, Emission, missing
from rtwist.domain.event import DomainEvent
from rtwist.domain.fields import SubjectId, read
from rtwist.domain.owners import Owners
from rtwist.domain.rooms import company_audience, order_scopes_of_owners, shop_room, user_room
from rtwist.domain.wording import scalars, spoken, status_of


class Order(msgspec.Struct, frozen=True, rename="camel"):
    """An order that something happened to; whose it is, `Owners` tell."""

    order_id: SubjectId


def order_emissions(event: DomainEvent, owners: Owners) -> list[Answer]:
    """Return the emissions of an `order.*` event.

    `order.created` goes to company and shop as news; every event goes to the order's subscribers, and to the
    customer if it tells a status. The customer gets `orderId`, `orderNumber`, `status`, `message` and
    `timestamp`; the others these and all else the event holds. Raises `BadEvent` without an `orderId`.
    """
    order_id = read(event, Order).order_id
    status = status_of(event)
    told = {"orderId": order_id, **scalars(event.data, "orderNumber")}
    name = told.get("orderNumber") or order_id
    if status:
        told["status"] = status
    told["message"] = f"Your order #{name} " + (f"is now {spoken(status)}" if status else "has been updated")
    told["timestamp"] = event.timestamp
    everything = {**event.data, **told}

    answers: list[Answer] = []
    if event.kind == "order.created":
        answers += _news({**everything, "message": f"New order #{name}"}, owners)
    if owners.user and status:
        answers.append(Emission("order:status_updated", told, (user_room(owners.user),)))
    elif status:
        answers.append(missing("order:status_updated", "userId"))
    answers.append(Emission("order:update", everything, order_scopes_of_owners(order_id, owners)))
    return answers


def _news(news: dict[str, Any], owners: Owners) -> list[Answer]:
    return [
        Emission("order:new_order", news, company_audience(owners.company))
        if owners.company
        else missing("order:new_order", "companyId"),
        Emission("order:shop_order", news, (shop_room(owners.shop),))
        if owners.shop
        else missing("order:shop_order", "shopId"),
    ]
