"""A day of the platform: what its services publish, hour by hour, and what its clients do in between.

Pure: the same arguments make the same day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

from tests.day.happenings import Happening, Teller
from tests.day.world import Person, Seat, World
from tests.model.section4 import Viewer

OPENS = datetime(2026, 3, 2, 7, 0, tzinfo=timezone.utc)
ORDER_EVERY = 9
"""Of so many events one is about a new order."""
SAY_AGAIN = 0.01
"""How many events are published twice, as after a broken connection of the publisher."""
COME_AND_GO = 10
"""Clients that leave and come in each break, each."""


@dataclass(frozen=True)
class Ask:
    """A client subscribes or unsubscribes."""

    viewer: Viewer
    request: str
    subject: str


@dataclass
class Hour:
    """First clients go, come and ask, in this order; then the events are published, the last one to everyone."""

    leave: list[Viewer] = field(default_factory=list)
    join: list[Seat] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    events: list[Happening] = field(default_factory=list)


class Day:
    """`clients` clients, and hours of so many events each, drawn from `seed`."""

    def __init__(self, seed: int, *, clients: int, hours: Sequence[int]) -> None:
        self._chance = Random(seed)
        self._hours = hours
        self.world = World(self._chance, clients, orders=sum(hours) // ORDER_EVERY + 1)
        self._teller = Teller(self._chance, self.world)
        self._here = {seat.viewer.name: seat for seat in self.world.seats}
        self._told = 0

    def hours(self) -> Iterator[Hour]:
        """The hours, each to be taken once; the first begins with everybody's coming."""
        for number, events in enumerate(self._hours):
            hour = Hour()
            if number == 0:
                hour.join = self.world.seats
                for seat in hour.join:
                    hour.asks += self._opening(seat.viewer)
            else:
                self._break(hour)
            hour.events = [*self._published(events)]
            yield hour

    # Clients

    def _opening(self, viewer: Viewer) -> Iterator[Ask]:
        """What a client asks for when it comes; of orders nothing is known yet."""
        chance, world = self._chance, self.world
        mine = [order for order in self._some_orders(60) if self._concerns(viewer, order)]
        orders = {order.id for order in mine[:3]} | {order.id for order in self._some_orders(1)}
        yield from (Ask(viewer, "subscribe_order", each) for each in sorted(orders))
        for product in sorted({chance.choice(world.products) for _ in range(2)}):
            yield Ask(viewer, "subscribe_inventory", product)
        if viewer.company or chance.random() < 0.1:
            yield Ask(viewer, "subscribe_transfer", self._teller.some_transfer())

    def _some_orders(self, count: int) -> list[Any]:
        return self._chance.sample(self.world.orders, min(count, len(self.world.orders)))

    def _concerns(self, viewer: Viewer, order: Any) -> bool:
        return order.customer == viewer.user or order.company == viewer.company or order.shop in viewer.shops

    def _break(self, hour: Hour) -> None:
        """Some leave, some come, and many change what they follow: also what is not theirs, and is refused."""
        chance = self._chance
        for user in self._teller.sent_away():
            self._here = {name: seat for name, seat in self._here.items() if seat.viewer.user != user}
        plain = [name for name, seat in self._here.items() if seat.mode is None]
        hour.leave = [self._here.pop(name).viewer for name in chance.sample(plain, COME_AND_GO)]
        people: list[Person] = chance.choices([*self.world.people.values()], k=COME_AND_GO)
        hour.join = [self.world.seat(person) for person in people]
        for seat in hour.join:
            self._here[seat.viewer.name] = seat
            hour.asks += self._opening(seat.viewer)
        for name in chance.sample(plain, len(plain) // 3):
            if name in self._here:
                hour.asks += self._changes(self._here[name].viewer)

    def _changes(self, viewer: Viewer) -> Iterator[Ask]:
        # Not from what it follows now: that is for the model to say.
        orders = [order.id for order in self._some_orders(40) if self._concerns(viewer, order)][:2]
        orders += [order.id for order in self._some_orders(2)]
        for order in dict.fromkeys(orders):
            yield Ask(viewer, self._chance.choice(("subscribe_order", "unsubscribe_order")), order)
        product = self._chance.choice(self.world.products)
        yield Ask(viewer, self._chance.choice(("subscribe_inventory", "unsubscribe_inventory")), product)
        transfer = self._teller.some_transfer()
        yield Ask(viewer, self._chance.choice(("subscribe_transfer", "unsubscribe_transfer")), transfer)

    # Events

    def _published(self, count: int) -> Iterator[Happening]:
        again: list[Happening] = []
        for _ in range(count - 1):
            if again and self._chance.random() < 0.2:
                yield again.pop()
                continue
            happening = self._teller.next(self._now())
            if self._chance.random() < SAY_AGAIN:
                again.append(happening)
            yield happening
        yield self._teller.bell(self._now())

    def _now(self) -> datetime:
        self._told += 1
        return OPENS + timedelta(seconds=7 * self._told, milliseconds=self._told % 1000)
