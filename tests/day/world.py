"""The people of a shop platform, where they work, what they buy, and the clients they look through."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.model.section4 import SUPER_ADMIN, Viewer

ADMINS = 3
STAFF_SHARE = 0.4
STAFF_OF_COMPANY = 5
SHOPS_OF_COMPANY = 2
SECOND_SOCKET = 0.1
"""How many of the clients belong to somebody who has one already."""
POLLING = 12
NODE_MODES = ("websocket", "upgrade", "polling", "websocket", "upgrade", "polling")
ROLES = ("manager", "clerk", "picker", "support", "buyer")


@dataclass
class Person:
    """A user, as the platform's own records have them now."""

    user: str
    company: str | None = None
    shops: tuple[str, ...] = ()
    role: str | None = None


@dataclass
class Seat:
    """A client to be: who it is, and over what it connects; `mode` is that of socket.io-client in Node."""

    viewer: Viewer
    transport: str = "websocket"
    mode: str | None = None


@dataclass(frozen=True)
class Order:
    """An order of the day, before anything of it is published."""

    id: str
    number: str
    customer: str
    company: str
    shop: str


class World:
    """Everybody and everything; drawn from `chance`."""

    def __init__(self, chance: Random, clients: int, orders: int) -> None:
        self._chance = chance
        self._seats = 0
        staff = int(clients * STAFF_SHARE)
        self.companies = [f"c{number}" for number in range(max(2, staff // STAFF_OF_COMPANY))]
        self.shops = {
            company: [f"{company}-s{number}" for number in range(SHOPS_OF_COMPANY)] for company in self.companies
        }
        # Numbers are as good as texts, and publishers send both.
        self.products = [str(10_000 + number) for number in range(8 * len(self.companies))]
        self.admins = [Person(f"a{number}", role=SUPER_ADMIN) for number in range(ADMINS)]
        self.staff = [self._employee(number) for number in range(staff)]
        self.customers = [Person(f"u{number}") for number in range(clients - staff - ADMINS)]
        self.people = {person.user: person for person in (*self.admins, *self.staff, *self.customers)}
        self.orders = [self._order(number) for number in range(orders)]
        self.seats = self._all_seats(clients)

    def seat(self, person: Person) -> Seat:
        """A new client of this person, with a token that says what is so now."""
        self._seats += 1
        roles = (person.role,) if person.role else ()
        viewer = Viewer(f"{person.user}/{self._seats}", person.user, person.company, person.shops, roles)
        return Seat(viewer)

    def _employee(self, number: int) -> Person:
        company = self.companies[number % len(self.companies)]
        shops = tuple(self._chance.sample(self.shops[company], self._chance.choice((0, 1, 1, 1, 2))))
        return Person(f"w{number}", company, shops, self._chance.choice(ROLES))

    def _order(self, number: int) -> Order:
        company = self._chance.choice(self.companies)
        shop = self._chance.choice(self.shops[company])
        return Order(f"o{number}", f"ORD-{number:06}", self._chance.choice(self.customers).user, company, shop)

    def _all_seats(self, clients: int) -> list[Seat]:
        people = [*self.staff, *self.customers]
        self._chance.shuffle(people)
        people = [*self.admins, *people]
        alone = clients - int(clients * SECOND_SOCKET)
        seats = [self.seat(person) for person in people[:alone]]
        seats += [self.seat(self._chance.choice(people[:alone])) for _ in range(clients - alone)]
        others = self._chance.sample(seats[ADMINS:], POLLING + len(NODE_MODES))
        for seat in others[:POLLING]:
            seat.transport = "polling"
        for seat, mode in zip(others[POLLING:], NODE_MODES, strict=True):
            seat.mode = mode
        return sorted(seats, key=lambda seat: seat.mode is None)  # those in Node come first
