"""The events that the platform's services publish, each about something that goes on."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

from tests.day.world import ROLES, Order, Person, World
from tests.model.section4 import SUPER_ADMIN

BELL = "the bell"
"""The subject of the announcement that ends an hour."""
Data = dict[str, Any]
Said = tuple[str, str, Data]
LIFE = ("confirmed", "packed", "shipped", "delivered")
TRANSFER_LIFE = ("created", "sent", "in_transit", "received")
TRANSFERS = 400
EMPTY_SHELF, TO_ALL, MOVE, SEND_AWAY = 1 / 2500, 1 / 4000, 1 / 300, 1 / 1200
"""How many of the events are for everyone, move a user, or send one away."""
ACCENTS = ("Café crème", "Größe 42", "日本茶", "T-shirt", 'Screen 24"', "Emoji 🎁")


@dataclass(frozen=True)
class Happening:
    """One event: what the model needs to know of it, and what is published."""

    domain: str
    action: str
    data: Data
    id: str
    at: str
    body: str

    @property
    def kind(self) -> str:
        """Its routing key."""
        return f"{self.domain}.{self.action}"


class Teller:
    """Makes one event after the other; knows the state of every order, transfer and user."""

    def __init__(self, chance: Random, world: World) -> None:
        self._chance = chance
        self._world = world
        self._number = 0
        self._to_come = deque(world.orders)
        self._open: list[tuple[Order, int]] = []
        self._done: list[Order] = []
        self._transfers = [self._transfer_between(number) for number in range(TRANSFERS)]
        self._sent_away: list[str] = []
        self._promoted: Person | None = None
        self._kinds: dict[Callable[[], Said], int] = {
            self._new_order: 11, self._order: 27, self._payment: 17, self._stock: 22, self._low_stock: 3,
            self._transfer: 5, self._notification: 7, self._user: 2, self._company: 1, self._shop: 1,
            self._product: 4,
        }  # fmt: skip

    def next(self, now: datetime) -> Happening:
        """The next event."""
        chance = self._chance.random()
        for rate, tell in (
            (EMPTY_SHELF, self._out_of_stock), (TO_ALL, self._to_all), (MOVE, self._move),
            (SEND_AWAY, self._send_away),
        ):  # fmt: skip
            if chance < rate:
                return self._made(now, *tell())
            chance -= rate
        (tell,) = self._chance.choices([*self._kinds], [*self._kinds.values()])
        return self._made(now, *tell())

    def bell(self, now: datetime) -> Happening:
        """The announcement that ends an hour."""
        return self._made(now, "announcement", "published", {"subject": BELL, "content": "Until later."})

    def some_transfer(self) -> str:
        """The id of a transfer that goes on."""
        return str(self._chance.choice(self._transfers)[0]["transferId"])

    def sent_away(self) -> list[str]:
        """The users sent away since the last time."""
        gone, self._sent_away = self._sent_away, []
        return gone

    # The forms that events come in

    def _made(self, now: datetime, domain: str, action: str, data: Data) -> Happening:
        self._number += 1
        event_id, at = f"e{self._number}", now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        kind, form, said = f"{domain}.{action}", self._chance.random(), self._time(now, at)
        if form < 0.3 and "type" not in data:
            data = {**data, "type": kind, "eventId": event_id, "timestamp": said}
            value = data
        elif form < 0.8:
            value = {"type": kind, "id": event_id, "timestamp": said, "data": data}
        else:
            value = {
                "specversion": "1.0", "id": event_id, "source": "/platform", "time": at,
                "type": f"com.example.{kind}.v1", "data": data,
            }  # fmt: skip
        return Happening(domain, action, data, event_id, at, json.dumps(value, ensure_ascii=form < 0.5))

    def _time(self, now: datetime, at: str) -> Any:
        there = now.astimezone(timezone(timedelta(hours=2))).isoformat(timespec="milliseconds")
        return self._chance.choice((at, at, there, round(now.timestamp() * 1000)))

    # Orders and payments

    def _new_order(self) -> Said:
        if not self._to_come:
            return self._order()
        order = self._to_come.popleft()
        self._open.append((order, 0))
        if self._chance.random() < 0.04:  # its first event comes from a service that knows no owner
            return "order", "updated", {"orderId": order.id, "note": "imported"}
        total = self._chance.randint(100, 99_999) / 100
        data = self._of(order) | self._owned(order, all_of_it=self._chance.random() < 0.9)
        return "order", "created", {**data, "total": total, "items": [{"sku": "x", "count": 2}], "margin": 0.31}

    def _order(self) -> Said:
        if not self._open:
            return self._new_order() if self._to_come else self._stock()
        at = self._chance.randrange(len(self._open))
        order, stage = self._open[at]
        data, luck = self._of(order), self._chance.random()
        data |= self._owned(order) if luck < 0.5 else {}
        if 0.5 < luck < 0.505:  # given to somebody else
            return "order", "updated", {**data, "userId": self._chance.choice(self._world.customers).user}
        if 0.505 < luck < 0.56:
            return "order", "updated", {**data, "note": "gift wrapped"}
        if 0.56 < luck < 0.62:
            return "order", "status_changed", {**data, "status": "out_for_delivery", "courier": "Ann"}
        if luck > 0.97 or stage == len(LIFE) - 1:
            self._open[at] = self._open[-1]
            self._open.pop()
            self._done.append(order)
            return "order", "cancelled" if luck > 0.97 else LIFE[stage], data
        self._open[at] = (order, stage + 1)
        return "order", LIFE[stage], data

    def _payment(self) -> Said:
        known = [one for one in (self._open and self._chance.choice(self._open)[0], *self._done[-1:]) if one]
        payment = f"p{self._number}"
        data: Data = {"paymentId": payment, "amount": self._chance.randint(1, 9999) / 100, "currency": "EUR"}
        if not known or self._chance.random() < 0.05:
            payer = self._chance.choice(self._world.customers).user
            return "payment", "success", {**data, "customerId": payer, "fee": 0.3}
        order, luck = self._chance.choice(known), self._chance.random()
        data |= {"orderId": order.id, "orderNumber": order.number}
        if luck < 0.1:  # somebody else pays
            data["userId"] = self._chance.choice(self._world.customers).user
        elif luck < 0.4:
            data |= self._owned(order)
        action = self._chance.choice(("success", "success", "failed", "refunded", "updated", "status_changed"))
        return "payment", action, {**data, "status": "on_hold"} if action == "status_changed" else data

    def _of(self, order: Order) -> Data:
        return {"orderId": order.id, "orderNumber": order.number}

    def _owned(self, order: Order, *, all_of_it: bool = True) -> Data:
        customer = {self._chance.choice(("userId", "customerId")): order.customer}
        places = {"companyId": order.company, "shopId": order.shop}
        return {**customer, **places} if all_of_it else {**customer, "companyId": order.company, "shopId": None}

    # Stock

    def _item(self) -> Data:
        company = self._chance.choice(self._world.companies)
        product: Any = self._chance.choice(self._world.products)
        data: Data = {
            "productId": int(product) if self._chance.random() < 0.3 else product,
            "productName": self._chance.choice(ACCENTS),
            "quantity": self._chance.randint(1, 500),
            "companyId": company,
            "cost": 3.5,
        }
        return data | ({"shopId": self._chance.choice(self._world.shops[company])} if product[-1] != "3" else {})

    def _stock(self) -> Said:
        return "inventory", self._chance.choice(("updated", "updated", "adjusted")), self._item()

    def _low_stock(self) -> Said:
        severity = self._chance.choice(({}, {"severity": "info"}, {"severity": "critical"}, {"severity": "loud"}))
        data = {**self._item(), "quantity": self._chance.randint(0, 5), "threshold": 5, **severity}
        return "inventory", "low_stock", data

    def _out_of_stock(self) -> Said:
        return "inventory", "out_of_stock", {**self._item(), "quantity": 0}

    def _transfer_between(self, number: int) -> tuple[Data, list[int]]:
        company = self._chance.choice(self._world.companies)
        data: Data = {"transferId": f"t{number}", "companyId": company}
        return {**data, **dict(zip(("fromShopId", "toShopId"), self._world.shops[company], strict=False))}, [0]

    def _transfer(self) -> Said:
        data, stage = self._chance.choice(self._transfers)
        action = TRANSFER_LIFE[stage[0] % len(TRANSFER_LIFE)]
        stage[0] += 1
        whole = {**data, "carrier": "Night train"}
        if self._chance.random() < 0.3:
            return "inventory", f"transfer.{action}", whole
        return "transfer", action, whole

    # Words to people

    def _words(self) -> Data:
        words: Data = {"subject": self._chance.choice(ACCENTS), "content": "See inside.", "secret": "internal"}
        if self._chance.random() < 0.5:
            words |= {"type": "order", "priority": "high", "metadata": {"page": {"id": self._number}}}
        return words

    def _notification(self) -> Said:
        luck, people = self._chance.random(), [*self._world.people]
        company = self._chance.choice(self._world.companies)
        to: Data = {"userId": self._chance.choice(people)}
        if luck < 0.02:
            to = {"role": self._chance.choice((*ROLES, SUPER_ADMIN))}
        elif luck < 0.1:
            to = {"userIds": self._chance.sample(people, 3)}
        elif luck < 0.15:
            to = {"shopId": self._chance.choice(self._world.shops[company])}
        elif luck < 0.2:
            to = {"companyId": company}
        return "notification", "created", {**self._words(), **to}

    def _to_all(self) -> Said:
        kinds = (("announcement", "published"), ("notification", "announcement"), ("notification", "created"))
        return (*self._chance.choice(kinds), self._words())

    # Accounts

    def _somebody(self) -> Person:
        return self._chance.choice([*self._world.staff, *self._world.customers])

    def _user(self) -> Said:
        person = self._somebody()
        action = self._chance.choice(("updated", "updated", "created", "password_changed"))
        return "user", action, {"userId": person.user, "name": f"N. {person.user}", "password": "never"}

    def _move(self) -> Said:
        luck, company = self._chance.random(), self._chance.choice(self._world.companies)
        person = self._chance.choice(self._world.staff)
        data: Data = {"userId": person.user}
        if luck < 0.3:
            person.company, person.shops = company, tuple(self._world.shops[company][:1])
            data |= {"companyId": company, "shopIds": [*person.shops]}
        elif luck < 0.4:
            person.company, person.shops = None, ()
            data |= {"companyId": None, "shopIds": []}
        elif luck < 0.8 and person.company:
            shops = self._world.shops[person.company]
            person.shops = tuple(self._chance.sample(shops, self._chance.randint(0, len(shops))))
            data |= {"shopIds": [*person.shops]}
        else:
            return self._new_role(person)
        return "user", "updated", data

    def _new_role(self, person: Person) -> Said:
        # Now and then somebody may see everything, until somebody else gets a role.
        if self._promoted is not None:
            person, self._promoted = self._promoted, None
            person.role = self._chance.choice(ROLES)
        else:
            person.role = self._chance.choice((*ROLES, None, SUPER_ADMIN, SUPER_ADMIN))
            self._promoted = person if person.role == SUPER_ADMIN else None
        return "user", "updated", {"userId": person.user, "role": person.role}

    def _send_away(self) -> Said:
        person = self._somebody()
        self._sent_away.append(person.user)
        return "user", self._chance.choice(("deactivated", "deleted")), {"userId": person.user}

    # Relays

    def _company(self) -> Said:
        company = self._chance.choice(self._world.companies)
        return "company", self._chance.choice(("updated", "suspended")), {"companyId": company, "plan": "gold"}

    def _shop(self) -> Said:
        shop = self._chance.choice(self._world.shops[self._chance.choice(self._world.companies)])
        return "shop", self._chance.choice(("closed", "opened")), {"shopId": shop, "till": "18:00"}

    def _product(self) -> Said:
        product = self._chance.choice(self._world.products)
        data = {"productId": product, "name": self._chance.choice(ACCENTS), "price": 9.5, "supplier": "S."}
        return "product", self._chance.choice(("updated", "price_changed")), data
