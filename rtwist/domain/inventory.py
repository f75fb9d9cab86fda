"""Stock events: to the company and the shop, to those who watch the product, and shortages as alerts."""

from __future__ import annotations

from typing import Any

import msgspec

from rtwist.domain.emission import Answer, Emission, missing
from rtwist.domain.event import DomainEvent
from rtwist.domain.fields import Id, Number, SubjectId, read
from rtwist.domain.owners import Owners
from rtwist.domain.rooms import company_audience, product_room, shop_room
from rtwist.domain.wording import counted, scalars

SEVERITIES = ("info", "warning", "critical")


class Stock(msgspec.Struct, frozen=True, rename="camel"):
    """The stock of a product, and whose it is."""

    product_id: SubjectId
    quantity: Number | None = None
    threshold: Number | None = None
    company_id: Id | None = None
    shop_id: Id | None = None


def stock_emissions(event: DomainEvent, _owners: Owners) -> list[Answer]:
    """Return the emissions of `inventory.updated` and every other stock event that is no alert.

    Company and shop get all the event holds; the product's subscribers `productId`, `productName`,
    `quantity` and `timestamp`. Raises `BadEvent` without a `productId`, and for a quantity that is no number.
    """
    stock = read(event, Stock)
    told = _told(event, stock)
    everything = {**event.data, **told}
    return [
        Emission("inventory:updated", everything, company_audience(stock.company_id))
        if stock.company_id
        else missing("inventory:updated", "companyId"),
        Emission("inventory:shop_update", everything, (shop_room(stock.shop_id),))
        if stock.shop_id
        else missing("inventory:shop_update", "shopId"),
        Emission("inventory:stock_changed", told, (product_room(stock.product_id),)),
    ]


def low_stock_emissions(event: DomainEvent, _owners: Owners) -> list[Answer]:
    """Return the alert of `inventory.low_stock`.

    Its severity is the event's own if it is one of `SEVERITIES`; else `critical` when nothing is left, and
    `warning` before. Raises `BadEvent` as `stock_emissions` does.
    """
    stock = read(event, Stock)
    left = "" if stock.quantity is None else f" ({counted(stock.quantity)} remaining)"
    severity = event.data.get("severity")
    if severity not in SEVERITIES:
        severity = "critical" if stock.quantity is not None and stock.quantity <= 0 else "warning"
    return _alert(event, stock, severity=severity, message=f"{_name(event, stock)} is running low{left}")


def out_of_stock_emissions(event: DomainEvent, _owners: Owners) -> list[Answer]:
    """Return the emissions of `inventory.out_of_stock`: the critical alert, and word of it to everyone.

    Everyone gets `productId`, `productName`, `quantity`, `severity`, `message` and `timestamp`. Raises
    `BadEvent` as `stock_emissions` does.
    """
    stock = read(event, Stock)
    if stock.quantity is None:
        stock = msgspec.structs.replace(stock, quantity=0)
    news = {"severity": "critical", "message": f"{_name(event, stock)} is out of stock"}
    public = {**_told(event, stock), **news}
    return [*_alert(event, stock, **news), Emission("inventory:alert", public, everyone=True)]


def _alert(event: DomainEvent, stock: Stock, **news: str) -> list[Answer]:
    data = {**event.data, **_told(event, stock), **news}
    if stock.threshold is not None:
        data["threshold"] = stock.threshold
    rooms = company_audience(stock.company_id) if stock.company_id else ()
    if stock.shop_id:
        rooms += (shop_room(stock.shop_id),)
    answers: list[Answer] = []
    if rooms:
        answers.append(Emission("inventory:low_stock_alert", data, rooms))
    named = {"companyId": stock.company_id, "shopId": stock.shop_id}
    return answers + [missing("inventory:low_stock_alert", name) for name, value in named.items() if not value]


def _told(event: DomainEvent, stock: Stock) -> dict[str, Any]:
    told: dict[str, Any] = {"productId": stock.product_id, **scalars(event.data, "productName")}
    if stock.quantity is not None:
        told["quantity"] = stock.quantity
    told["timestamp"] = event.timestamp
    return told


def _name(event: DomainEvent, stock: Stock) -> Any:
    return scalars(event.data, "productName").get("productName") or stock.product_id
