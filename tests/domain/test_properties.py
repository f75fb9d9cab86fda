"""What holds for every built-in rule, whatever an event is made of."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rtwist.domain.emission import Emission
from rtwist.domain.event import means_somebody, read_event
from rtwist.domain.owners import OrderBook
from rtwist.domain.router import Router
from rtwist.domain.rules import BUILT_IN
from rtwist.errors import BadEvent
from rtwist.socketio.jsoncodec import dumps

ACTIONS = ("created", "updated", "deleted", "low_stock", "out_of_stock", "transfer.sent", "announcement", "x.y")
KINDS = [f"{pattern.partition('.')[0]}.{action}" for pattern in BUILT_IN for action in ACTIONS]
IDS = (
    "orderId",
    "paymentId",
    "productId",
    "transferId",
    "userId",
    "customerId",
    "userIds",
    "companyId",
    "shopId",
)
NAMES = (
    *IDS,
    "fromShopId",
    "toShopId",
    "role",
    "roles",
    "shopIds",
    "quantity",
    "threshold",
    "severity",
    "status",
)
TEXTS = ("subject", "content", "type", "priority", "name", "email", "productName", "orderNumber", "message")
PUBLIC = {
    "inventory:stock_changed": {"productId", "productName", "quantity", "timestamp"},
    "inventory:alert": {"productId", "productName", "quantity", "severity", "message", "timestamp"},
    "notification:new": {"type", "priority", "subject", "content", "metadata", "timestamp"},
    "notification:broadcast": {"type", "priority", "subject", "content", "metadata", "timestamp"},
    "announcement:new": {"type", "priority", "subject", "content", "metadata", "timestamp"},
    "order:status_updated": {"orderId", "orderNumber", "status", "message", "timestamp"},
    "payment:status_updated": {
        *("paymentId", "orderId", "orderNumber", "status", "amount", "currency", "message", "timestamp"),
    },
    "user:": {"userId", "name", "email", "status", "companyId", "shopIds", "roles", "timestamp"},
    "product:": {"productId", "productName", "name", "price", "currency", "status", "timestamp"},
}
TO_EVERYONE = {"inventory:alert", "notification:broadcast", "announcement:new"}

ids = st.sampled_from(["1", "u", 7, "x" * 200])
junk = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5) | st.lists(ids, max_size=2)
values = ids | ids | ids | junk | st.dictionaries(st.just("id"), ids)
events = st.dictionaries(st.sampled_from([*NAMES, *TEXTS, "metadata", "secret", "user", "recipient"]), values)


@settings(max_examples=500)
@given(st.sampled_from(KINDS), events)
def test_audiences_and_fields(kind: str, data: dict[str, Any]) -> None:
    try:
        answers = Router(BUILT_IN, OrderBook()).route(read_event({"type": kind, "data": data}, now=0))
    except BadEvent:
        return
    for emission in answers:
        if not isinstance(emission, Emission):
            continue
        assert bool(emission.rooms) is not emission.everyone
        assert not emission.everyone or emission.event in TO_EVERYONE
        assert all("None" not in room and not room.endswith(":") for room in emission.rooms)
        allowed = next((fields for name, fields in PUBLIC.items() if emission.event.startswith(name)), None)
        assert allowed is None or set(emission.data) <= allowed
        assert emission.data["timestamp"] == "1970-01-01T00:00:00.000Z"
        dumps(emission.data)


@given(events)
def test_a_notification_for_everyone_names_nobody(data: dict[str, Any]) -> None:
    try:
        (answer,) = Router(BUILT_IN, OrderBook()).route(
            read_event({"type": "notification.created", "data": data}, now=0)
        )
    except BadEvent:
        return
    assert isinstance(answer, Emission)
    assert answer.everyone is not any(means_somebody(name) for name in data)
