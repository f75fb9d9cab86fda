"""Thousands of mixed events: the rules with their rooms reach exactly whom the model without rooms tells."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from rtwist.auth.identity import Identity
from rtwist.auth.policy import Kind, Policy, Room, rooms_within
from rtwist.domain.emission import Emission
from rtwist.domain.event import read_event
from rtwist.domain.owners import OrderBook
from rtwist.domain.rooms import product_room
from rtwist.domain.router import Router
from rtwist.domain.rules import BUILT_IN
from tests.model.section4 import Received, Section4, Viewer, received

EVENTS = 3000
ACTIONS = {
    "order": ("created", "confirmed", "shipped", "updated", "status_changed"),
    "payment": ("success", "failed", "updated"),
    "inventory": ("updated", "low_stock", "out_of_stock", "adjusted", "transfer.sent", "transfer.updated"),
    "transfer": ("sent", "received", "updated"),
    "notification": ("created", "announcement"),
    "announcement": ("published",),
    "user": ("updated", "deleted", "created"),
    "company": ("updated", "suspended"),
    "shop": ("closed", "updated"),
    "product": ("updated", "price_changed"),
}
SUBJECT = {
    "order": "orderId",
    "inventory": "productId",
    "transfer": "transferId",
    "user": "userId",
    "company": "companyId",
    "shop": "shopId",
    "product": "productId",
}
IDS = ("1", "2", "3")
"""The same for users, companies, shops and so on, so that a mix-up of them shows."""
ADDRESSES = ("userId", "customerId", "companyId", "shopId", "fromShopId", "toShopId")
PRIVATE = ("margin", "cost", "companyId", "shopId", "threshold")
"""Fields that only the company, the shop and an order's followers may get."""
PUBLIC = ("inventory:stock_changed", "inventory:alert", "notification:", "announcement:", "product:")
TO_USERS = ("order:status_updated", "payment:status_updated")


def viewers(chance: random.Random) -> list[Viewer]:
    def some(values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(value for value in values if chance.random() < 0.4)

    return [
        Viewer(
            f"viewer {number}",
            chance.choice(IDS),
            chance.choice((None, *IDS)),
            some(IDS),
            some(("manager", "clerk", "super_admin")) if number % 3 == 0 else some(("manager", "1")),
            *({*some(IDS)} for _ in range(3)),
        )
        for number in range(12)
    ]


def rooms_of(viewer: Viewer) -> set[str]:
    """The rooms that a client is in who subscribed before anything was known."""
    identity = Identity(viewer.user, viewer.company, viewer.shops, viewer.roles, 0)
    rooms = {*identity.rooms, *map(product_room, viewer.products)}
    policy = Policy()
    for kind, ids in ((Kind.ORDER, viewer.orders), (Kind.TRANSFER, viewer.transfers)):
        for room in (Room(kind, kind.value + each) for each in ids):
            rooms |= {*rooms_within(identity, room, policy.entry(identity, room))}
    return rooms


def event(chance: random.Random) -> tuple[str, str, dict[str, Any]]:
    domain = chance.choice([*ACTIONS])
    action = chance.choice(ACTIONS[domain])
    data: dict[str, Any] = {"margin": 1, "cost": 2}
    for name in ADDRESSES:
        if chance.random() < 0.4:
            data[name] = chance.choice((*IDS, *(() if domain == "notification" else (None, ""))))
    if chance.random() < 0.3:
        data["role"] = chance.choice(("manager", "clerk", "super_admin"))
    if domain in ("inventory", "product"):
        data |= {"quantity": chance.randint(0, 9), "threshold": 5}
    if domain in ("order", "payment", "transfer") and chance.random() < 0.3:
        data["status"] = "delayed"
    if domain == "payment":
        data |= {"orderId": chance.choice(IDS)} if chance.random() < 0.8 else {"userId": chance.choice(IDS)}
    subject = "transferId" if action.startswith("transfer.") else SUBJECT.get(domain)
    if subject:
        data[subject] = chance.choice(IDS)
    return domain, action, data


def published(chance: random.Random, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """The event in one of its shapes; numbers are as good as texts."""
    data = {name: int(value) if value in IDS and chance.random() < 0.3 else value for name, value in data.items()}
    if chance.random() < 0.3:
        return {**data, "type": kind}
    if chance.random() < 0.5:
        return {"specversion": "1.0", "id": "1", "source": "/", "type": f"com.example.{kind}.v1", "data": data}
    return {"type": kind, "data": data}


def heard(emissions: list[Emission], members: dict[str, set[str]]) -> Received:
    return Counter(
        (name, emission.event)
        for emission in emissions
        for name, rooms in members.items()
        if emission.everyone or rooms & {*emission.rooms}
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_rules_tell_whom_the_model_tells(seed: int) -> None:
    chance = random.Random(seed)
    clients = viewers(chance)
    members = {viewer.name: rooms_of(viewer) for viewer in clients}
    model, router = Section4(clients), Router(BUILT_IN, OrderBook())
    reached: Received = Counter()
    for number in range(EVENTS):
        domain, action, data = event(chance)
        value = published(chance, f"{domain}.{action}", data)
        answers = router.route(read_event(value, now=0))
        emissions = [answer for answer in answers if isinstance(answer, Emission)]
        got = heard(emissions, members)
        told = model.receive(domain, action, data)
        assert got == received(told), (number, value)
        reached.update(got)
        assert not [one for one in emissions if leaks(one)], value
    assert len({emission for _, emission in reached}) > 20, "every kind of emission reached somebody"


def leaks(emission: Emission) -> bool:
    """Whether a public audience or a user gets what is the company's alone; users may know their own places."""
    private = PRIVATE if emission.event.startswith(PUBLIC + TO_USERS) else ("margin", "cost")
    scoped = emission.rooms and not any(room.startswith(("user:", "product:")) for room in emission.rooms)
    return not scoped and not {*private}.isdisjoint(emission.data)
