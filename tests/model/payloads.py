"""What each emission says, written a second time from the table of events and emissions and what explains it."""

from __future__ import annotations

from typing import Any

Data = dict[str, Any]
SAYS_NO_STATUS = {"updated", "changed", "status", "status_updated", "status_changed"}


def only(data: Data, *names: str) -> Data:
    """Those of the named fields that are there."""
    return {name: data[name] for name in names if data.get(name) is not None}


def status_in(action: str, data: Data) -> str | None:
    """The status that an event of this action tells."""
    return data.get("status") or (None if action in SAYS_NO_STATUS else action)


def _words(status: str | None) -> str:
    return f"is now {status.replace('_', ' ')}" if status else "has been updated"


def order(action: str, data: Data, at: str) -> Data:
    """What the customer gets."""
    status = status_in(action, data)
    message = f"Your order #{data.get('orderNumber') or data['orderId']} {_words(status)}"
    told = {**only(data, "orderId", "orderNumber"), "status": status, "message": message, "timestamp": at}
    return only(told, *told)


def new_order(action: str, data: Data, at: str) -> Data:
    """What company and shop get."""
    return {
        **data,
        **order(action, data, at),
        "message": f"New order #{data.get('orderNumber') or data['orderId']}",
    }


def payment(action: str, data: Data, at: str) -> Data:
    """What the customer gets."""
    status = status_in(action, data)
    about = f" for order #{data.get('orderNumber') or data['orderId']}" if data.get("orderId") else ""
    told = only(data, "paymentId", "orderId", "orderNumber", "amount", "currency")
    told |= {"message": f"Payment{about}: {(status or 'updated').replace('_', ' ')}", "timestamp": at}
    return told | ({"status": status} if status else {})


def stock(data: Data, at: str) -> Data:
    """What those get who watch the product; its id is text."""
    named = only(data, "productName", "quantity")
    return {"productId": str(data["productId"]), **named, "timestamp": at}


def shortage(action: str, data: Data, at: str) -> Data:
    """What everybody may know of a shortage."""
    name, left = data.get("productName") or data["productId"], data.get("quantity")
    if action == "out_of_stock":
        news = {"severity": "critical", "message": f"{name} is out of stock", "quantity": left or 0}
    else:
        guessed = "critical" if left is not None and left <= 0 else "warning"
        given = data.get("severity")
        news = {
            "severity": given if given in ("info", "warning", "critical") else guessed,
            "message": f"{name} is running low" + ("" if left is None else f" ({left} remaining)"),
        }
    return {**stock(data, at), **news}


def transfer(action: str, data: Data, at: str) -> Data:
    """What shops and followers get."""
    status = status_in(action, data)
    message = f"Transfer #{data['transferId']} {_words(status)}"
    return {**data, **({"status": status} if status else {}), "message": message, "timestamp": at}


def notification(data: Data, at: str) -> Data:
    """What the addressees get; a bare event names its kind under `type`, which is not the notification's."""
    told = only(data, "type", "priority", "subject", "content", "metadata")
    if "." in told.get("type", ""):
        del told["type"]
    return {"type": "info", "priority": "normal", **told, "timestamp": at}


def user(data: Data, at: str) -> Data:
    """What the user gets."""
    told = {**only(data, "userId", "name", "email", "status"), "timestamp": at}
    told |= {name: data[name] for name in ("companyId", "shopIds") if name in data}
    if "role" in data:
        told["roles"] = [data["role"]] if data["role"] else []
    return told


def product(data: Data, at: str) -> Data:
    """What those get who watch the product; its id is text."""
    told = only(data, "productName", "name", "price", "currency", "status")
    return {**told, "productId": str(data["productId"]), "timestamp": at}
