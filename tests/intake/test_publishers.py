"""What backend services publish, every kind in every shape: exactly the right sockets get the right emissions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.intake.brokered import Brokered
from tests.intake.publishers import PUBLISHERS, Message
from tests.model.section4 import Received, Section4, Viewer, received
from tests.service.peers import Client, Event, token
from tests.support.rabbitmq import RabbitMQ

VIEWERS = [
    Viewer("customer", "1", orders={"1"}, products={"1"}),
    Viewer("other customer", "2", orders={"1", "2"}, products={"2"}),
    Viewer("clerk", "3", "1", ("1",), ("clerk",), orders={"1"}, transfers={"1"}),
    Viewer("manager", "4", "1", ("1", "2"), ("manager",), orders={"1"}, products={"1"}),
    Viewer("colleague", "5", "1"),
    Viewer("other shop", "6", "1", ("2",), transfers={"1"}),
    Viewer("other company", "7", "2", ("3",), ("manager",), orders={"1", "2"}, products={"1"}, transfers={"1"}),
    Viewer("admin", "8", roles=("super_admin",), orders={"1"}, products={"1"}, transfers={"1"}),
    Viewer("stranger", "9"),
]
LEAVERS = [Viewer("deactivated", "10"), Viewer("deleted", "11")]
"""Their connections end with what is told of them."""
ORDER = {"orderId": "1", "orderNumber": "ORD-1", "userId": "1", "companyId": "1", "shopId": "1", "total": 9.5}
PAYMENT = {"paymentId": "1", "orderId": "1", "userId": "1", "amount": 9.5}
STOCK = {
    "productId": "1",
    "productName": "iPhone 15",
    "quantity": 5,
    "threshold": 10,
    "companyId": "1",
    "shopId": "1",
}
TRANSFER = {"transferId": "1", "productId": "1", "companyId": "1", "fromShopId": "1", "toShopId": "2"}
WORDS = {"subject": "é", "content": "\U0001f600", "priority": "high"}
EVENTS: list[tuple[str, dict[str, Any]]] = [
    *((f"order.{action}", ORDER) for action in (
        "created", "confirmed", "processing", "shipped", "out_for_delivery", "delivered", "cancelled", "returned",
        "refunded", "updated", "status_changed",
    )),
    ("order.updated", {**ORDER, "status": "In transit"}),
    ("order.created", {"orderId": "2", "customerId": "2", "companyId": "2", "shopId": "3"}),
    ("order.shipped", {"orderId": "2"}),
    *((f"payment.{action}", PAYMENT) for action in ("success", "failed", "refunded", "pending", "updated")),
    ("payment.success", {"paymentId": "2", "userId": "2"}),
    ("payment.failed", {"paymentId": "3", "orderId": "2"}),
    *((f"inventory.{action}", STOCK) for action in ("updated", "low_stock", "out_of_stock", "restocked")),
    ("inventory.updated", {"productId": "2", "quantity": 0}),
    *((f"inventory.transfer.{action}", TRANSFER) for action in ("created", "sent", "received", "updated")),
    *((f"transfer.{action}", TRANSFER) for action in (
        "created", "approved", "in_transit", "completed", "cancelled", "updated",
    )),
    *((f"notification.{action}", {**WORDS, **who}) for action in ("created", "sent") for who in (
        {"userId": "1"}, {"role": "manager"}, {"companyId": "1"}, {"shopId": "2"}, {},
    )),
    ("notification.announcement", WORDS),
    *((f"announcement.{action}", WORDS) for action in ("created", "published")),
    *((f"user.{action}", {"userId": "1", "name": "Ada"}) for action in ("created", "updated", "verified")),
    *((f"company.{action}", {"companyId": "1"}) for action in ("created", "updated", "suspended")),
    *((f"shop.{action}", {"shopId": "1"}) for action in ("opened", "updated", "closed")),
    *((f"product.{action}", {"productId": "1", "price": 9}) for action in ("created", "updated", "deleted")),
]  # fmt: skip
"""Every row of the table of events and emissions, with all its audiences."""
LAST = [("user.deactivated", {"userId": "10"}), ("user.deleted", {"userId": "11"})]
SHAPES = ("bare", "envelope", "CloudEvents", "by type alone")
CONTENT_TYPES = (
    "application/json",
    "application/cloudevents+json; charset=utf-8",
    "text/plain",
    "",
    "é" * 20,
    None,
)
ENCODINGS = ("utf-8", "UTF-8", None, "", "identity")


def at(number: int) -> str:
    """The timestamp of an event: its emissions are told by it."""
    return f"2026-01-02T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000Z"


def in_shape(shape: str, kind: str, data: dict[str, Any], number: int) -> dict[str, Any]:
    event_id = f"e{number}"
    if shape == "bare":
        return {**data, "timestamp": at(number), "eventId": event_id}
    if shape == "CloudEvents":
        return {"specversion": "1.0", "id": event_id, "source": "/tests", "type": f"com.example.{kind}.v1",
                "time": at(number), "datacontenttype": "application/json", "data": data}  # fmt: skip
    return {"type": kind, "data": data, "id": event_id, "timestamp": at(number)}


class Audience:
    """The viewers as real clients."""

    def __init__(self, brokered: Brokered) -> None:
        self.clients = {viewer.name: self._join(brokered, viewer) for viewer in (*VIEWERS, *LEAVERS)}

    def _join(self, brokered: Brokered, viewer: Viewer) -> Client:
        client = brokered.service.open()
        claims = token(viewer.user, viewer.company, *viewer.shops, roles=list(viewer.roles))
        assert client.connect(claims) is None
        for request in ("order", "product", "transfer"):
            for followed in getattr(viewer, f"{request}s"):
                client.succeed(f"subscribe_{'inventory' if request == 'product' else request}", followed)
        return client

    def events(self) -> Iterator[tuple[str, Event]]:
        """Everything each client got, in its order."""
        for viewer in VIEWERS:
            yield from ((viewer.name, event) for event in self.clients[viewer.name].events())
        for viewer in LEAVERS:
            texts = [text for text in self.clients[viewer.name].rest() if text.startswith("42")]
            yield from ((viewer.name, Event(*json.loads(text[2:]))) for text in texts)


def published(names: Any) -> tuple[list[Message], list[tuple[str, dict[str, Any]]]]:
    """All messages, and the kind and data of each."""
    messages, meant = [], []
    for shape in SHAPES:
        for kind, data in EVENTS + (LAST if shape == SHAPES[-1] else []):
            number = len(messages)
            body = json.dumps(in_shape(shape, kind, data, number), ensure_ascii=number % 2 == 0).encode()
            options = {"content_type": CONTENT_TYPES[number % 6], "content_encoding": ENCODINGS[number % 5]}
            options = {name: value for name, value in options.items() if value is not None}
            where = ("", names.queue) if shape == "by type alone" else (names.exchange, kind)
            messages.append(Message(*where, body, options))
            meant.append((kind, data))
    return messages, meant


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_every_kind_in_every_shape(rabbitmq: RabbitMQ, publisher: str, tmp_path: Path) -> None:
    with Brokered(rabbitmq) as brokered:
        audience = Audience(brokered)
        messages, meant = published(brokered.names)
        PUBLISHERS[publisher](rabbitmq, messages, tmp_path)
        brokered.wait_for_counts(delivered=len(messages))
        counts = brokered.counts()
        assert (counts["accepted"], counts["dead"]) == (len(messages), {}), brokered.dead()
        arrived = list(audience.events())
        assert reached(arrived) == expected(meant)
        for name in audience.clients:
            moments = [event.data["timestamp"] for who, event in arrived if who == name]
            assert moments == sorted(moments), f"{name} got them out of order"
        check_payloads(arrived, meant)


def reached(arrived: list[tuple[str, Event]]) -> dict[str, Received]:
    """By the timestamp of the event: who got what of it."""
    found: dict[str, Received] = {}
    for name, event in arrived:
        found.setdefault(event.data["timestamp"], Counter())[name, event.name] += 1
    return found


def expected(meant: list[tuple[str, dict[str, Any]]]) -> dict[str, Received]:
    model = Section4([*VIEWERS, *LEAVERS])
    told = {
        at(number): received(model.receive(*kind.split(".", 1), data))
        for number, (kind, data) in enumerate(meant)
    }
    emissions = {emission for who in told.values() for _, emission in who}
    assert len(emissions) == 29, "every row of the table reaches somebody"
    return {moment: who for moment, who in told.items() if who}


def check_payloads(arrived: list[tuple[str, Event]], meant: list[tuple[str, dict[str, Any]]]) -> None:
    """The payloads that the contract spells out, whatever shape and client they came by."""
    numbers = {at(number): number for number in range(len(meant))}
    seen = 0
    for _, event in arrived:
        moment = event.data["timestamp"]
        kind, data = meant[numbers[moment]]
        told = {name: value for name, value in event.data.items() if name != "eventId"}
        if (kind, event.name, data.get("userId")) == ("order.shipped", "order:status_updated", "1"):
            assert told == {
                "orderId": "1", "orderNumber": "ORD-1", "status": "shipped", "timestamp": moment,
                "message": "Your order #ORD-1 is now shipped",
            }  # fmt: skip
        elif (kind, event.name) == ("inventory.low_stock", "inventory:low_stock_alert"):
            message = "iPhone 15 is running low (5 remaining)"
            assert told == {**STOCK, "severity": "warning", "message": message, "timestamp": moment}
        elif event.name in ("notification:broadcast", "announcement:new"):
            assert told == {**WORDS, "type": "info", "timestamp": moment}
        else:
            continue
        seen += 1
    assert seen > 50
