"""From a domain event to what is emitted: name, data, rooms; None for everyone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Answer = tuple[str, dict[str, Any], "list[str] | None"]
Data = dict[str, Any]

DOMAINS = (
    "order", "payment", "inventory", "product", "notification", "user", "company", "shop", "transfer",
    "announcement",
)  # fmt: skip


def order(kind: str, data: Data, timestamp: str) -> Iterator[Answer]:
    number, status = data.get("orderNumber"), data.get("status")
    told = {"orderId": data["orderId"], "orderNumber": number, "status": status}
    told |= {"message": f"Your order #{number} is now {status}", "timestamp": timestamp}
    update = {**data, **told}
    yield "order:update", update, [f"order:{data['orderId']}"]
    if customer := data.get("userId") or data.get("customerId"):
        yield "order:status_updated", told, [f"user:{customer}"]
    if kind == "order.created":
        news = {**update, "message": f"New order #{number}"}
        if "companyId" in data:
            yield "order:new_order", news, [f"company:{data['companyId']}", "super_admin"]
        if "shopId" in data:
            yield "order:shop_order", news, [f"shop:{data['shopId']}"]


def payment(_kind: str, data: Data, timestamp: str) -> Iterator[Answer]:
    update = {**data, "timestamp": timestamp}
    yield "payment:update", update, [f"order:{data.get('orderId')}"]
    if "userId" in data:
        yield "payment:status_updated", update, [f"user:{data['userId']}"]


def alerts(kind: str, data: Data, timestamp: str) -> Iterator[Answer]:
    severity = "critical" if kind == "inventory.out_of_stock" else "warning"
    told = {name: data.get(name) for name in ("productId", "productName", "quantity", "threshold")}
    message = f"{data.get('productName')} is running low ({data.get('quantity')} remaining)"
    alert = {**told, "severity": severity, "message": message, "timestamp": timestamp}
    rooms = [f"company:{data['companyId']}", "super_admin"] if "companyId" in data else []
    rooms += [f"shop:{data['shopId']}"] if "shopId" in data else []
    if rooms:
        yield "inventory:low_stock_alert", alert, rooms
    if severity == "critical":
        yield "inventory:alert", alert, None


def inventory(kind: str, data: Data, timestamp: str) -> Iterator[Answer]:
    if kind in ("inventory.low_stock", "inventory.out_of_stock"):
        yield from alerts(kind, data, timestamp)
        return
    told = {name: data.get(name) for name in ("productId", "productName", "quantity")}
    told["timestamp"] = timestamp
    update = {**data, **told}
    if "companyId" in data:
        yield "inventory:updated", update, [f"company:{data['companyId']}", "super_admin"]
    if "shopId" in data:
        yield "inventory:shop_update", update, [f"shop:{data['shopId']}"]
    yield "inventory:stock_changed", told, [f"product:{data['productId']}"]


def _told(data: Data, timestamp: str) -> Data:
    told = {"type": "info", "priority": "normal"}
    told |= {name: data[name] for name in ("type", "priority", "subject", "content", "metadata") if name in data}
    return {**told, "timestamp": timestamp}


def notification(_kind: str, data: Data, timestamp: str) -> Iterator[Answer]:
    told = _told(data, timestamp)
    if "userId" in data:
        yield "notification:new", told, [f"user:{data['userId']}"]
    elif "role" in data:
        yield "notification:new", told, [f"role:{data['role']}"]
    else:
        yield "notification:broadcast", told, None


def announcement(_kind: str, data: Data, timestamp: str) -> Iterator[Answer]:
    yield "announcement:new", _told(data, timestamp), None


def transfer(_kind: str, data: Data, timestamp: str) -> Iterator[Answer]:
    rooms = [f"transfer:{data['transferId']}"]
    rooms += [f"shop:{data[name]}" for name in ("fromShopId", "toShopId") if name in data]
    yield "transfer:status_update", {**data, "timestamp": timestamp}, rooms


def relay(kind: str, data: Data, timestamp: str) -> Iterator[Answer]:
    domain, _, action = kind.partition(".")
    yield f"{domain}:{action}", {**data, "timestamp": timestamp}, [f"{domain}:{data.get(f'{domain}Id')}"]


RULES: dict[str, Callable[[str, Data, str], Iterator[Answer]]] = {
    "order": order, "payment": payment, "inventory": inventory, "notification": notification,
    "announcement": announcement, "transfer": transfer,
}  # fmt: skip


def emissions_of(key: str, message: Data, now: Callable[[], str]) -> Iterator[Answer]:
    """The emissions of one message; its routing key says what it is."""
    data = message.get("data", message)
    timestamp = message.get("timestamp") or now()
    return RULES.get(key.partition(".")[0], relay)(key, data, timestamp)
