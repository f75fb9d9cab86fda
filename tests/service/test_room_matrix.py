"""Everybody tries everything with every kind of room; a model written from the rules says what must come of it.

The model knows no table and no room of the server's making: it is told facts about a person and a room.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.service.peers import Client, fresh, token
from tests.service.servers import Service

OK, PENDING, FORBIDDEN, BAD_REQUEST = "ok", "pending", "forbidden", "bad_request"


@dataclass
class World:
    """A shop with an order, all of its own, and the witness who is everything in it."""

    user: str = field(default_factory=lambda: fresh("u"))
    company: str = field(default_factory=lambda: fresh("c"))
    shop: str = field(default_factory=lambda: fresh("s"))
    role: str = field(default_factory=lambda: fresh("r"))
    thing: str = field(default_factory=lambda: fresh("t"))

    @property
    def owners(self) -> dict[str, str]:
        return {"userId": self.user, "companyId": self.company, "shopId": self.shop}


@dataclass(frozen=True)
class Person:
    """Facts: what they are to the world, and for which things their token grants or refuses more."""

    claims: Callable[[World], dict[str, Any]]
    customer: bool = False
    company: bool = False
    shop: bool = False
    role: bool = False
    super_admin: bool = False
    elsewhere: bool = False
    granted: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    moved_by: Callable[[World], dict[str, Any]] | None = None

    @property
    def owner(self) -> bool:
        return self.customer or self.company or self.shop

    @property
    def somewhere(self) -> bool:
        return self.company or self.shop or self.super_admin or self.elsewhere


THINGS = frozenset({"order", "product", "transfer", "custom"})
CUSTOMER = Person(lambda w: {"userId": w.user}, customer=True)
MEMBER = Person(lambda w: {"companyId": w.company}, company=True)
CLERK = Person(lambda w: {"shopIds": [fresh("s"), w.shop]}, shop=True)
COLLEAGUE = Person(lambda w: {"role": w.role}, role=True)
ADMIN = Person(lambda w: {"role": "super_admin"}, super_admin=True)
STRANGER = Person(lambda w: {})
COMPETITOR = Person(lambda w: {"companyId": fresh("c"), "shopIds": [fresh("s")], "role": "admin"}, elsewhere=True)


def with_rooms(person: Person, *patterns: str, granted: str = "", denied: str = "") -> Person:
    """The person with these patterns in the token; `granted` and `denied` is what they come to."""
    return replace(
        person,
        claims=lambda w: {
            **person.claims(w),
            "rooms": [pattern.replace("THING", w.thing) for pattern in patterns],
        },
        granted=frozenset(granted.split()),
        denied=frozenset(denied.split()),
    )


def moved(person: Person, to: Callable[[World], dict[str, Any]], **facts: bool) -> Person:
    """The person, connected and then moved by an event about them; `facts` are new."""
    return replace(person, moved_by=to, **facts)


PEOPLE: dict[str, Person] = {
    "the customer": CUSTOMER,
    "a member of the company": MEMBER,
    "a clerk of the shop": CLERK,
    "of the same role": COLLEAGUE,
    "a super admin": ADMIN,
    "a stranger": STRANGER,
    "of another company and shop": COMPETITOR,
    "whose ids are called as the rooms": Person(
        lambda w: {"userId": f"user:{w.user}", "companyId": f"company:{w.company}", "shopIds": [f"x|{w.shop}"]},
        elsewhere=True,
    ),
    "whose company is called as the customer": Person(
        lambda w: {"userId": w.company, "companyId": w.user, "shopIds": [w.user], "role": w.shop}, elsewhere=True
    ),
    "granted every order": with_rooms(COMPETITOR, "order:*", granted="order"),
    "granted this order": with_rooms(STRANGER, "order:THING", granted="order"),
    "granted another order": with_rooms(COMPETITOR, "order:THING0", "order:x*"),
    "granted transfers": with_rooms(STRANGER, "transfer:THING", granted="transfer"),
    "granted all that has any name": with_rooms(STRANGER, "*", granted="custom"),
    "granted what cannot be": with_rooms(
        *(STRANGER, "user:*", "company:*", "shop:*", "role:*", "super_admin", "super_*", "order:THING|*"),
    ),
    "granted everything": with_rooms(
        COMPETITOR, "*", "order:*", "product:*", "transfer:*", granted="order product transfer custom"
    ),
    "an owner refused orders": with_rooms(CUSTOMER, "!order:*", denied="order"),
    "a member refused this order": with_rooms(MEMBER, "!order:THING", denied="order"),
    "a super admin refused everything": with_rooms(ADMIN, "!*", denied=" ".join(THINGS)),
    "a clerk with an exception": with_rooms(
        CLERK, "!*", "order:THING", granted="order", denied="custom product transfer"
    ),
    "granted and then refused": with_rooms(STRANGER, "order:*", "!order:THING", denied="order"),
    "refused custom rooms": with_rooms(STRANGER, "!THING", denied="custom"),
    "refused products and transfers": with_rooms(MEMBER, "!product:*", "!transfer:*", denied="product transfer"),
    "who has come into the company": moved(COMPETITOR, lambda w: {"companyId": w.company}, company=True),
    "who has come into the shop": moved(STRANGER, lambda w: {"shopIds": [w.shop]}, shop=True, elsewhere=True),
    "who has become super admin": moved(STRANGER, lambda w: {"role": "super_admin"}, super_admin=True),
    "who has left the company": moved(MEMBER, lambda w: {"companyId": fresh("c")}, company=False, elsewhere=True),
    "who has left all": moved(
        replace(CLERK, claims=lambda w: {"companyId": w.company, "shopIds": [w.shop], "role": "super_admin"}),
        lambda w: {"companyId": None, "shopIds": [], "role": None},
        shop=False,
    ),
    "whose grant has come true by moving": moved(
        with_rooms(COMPETITOR, "order:THING", "{companyId}", granted="order"),
        lambda w: {"companyId": w.company},
        company=True,
    ),
    "who has moved with a refusal": moved(
        with_rooms(COMPETITOR, "!order:*", denied="order"), lambda w: {"companyId": w.company}, company=True
    ),
}


# The model


@dataclass(frozen=True)
class Expected:
    """What a person may do with a room; `subscribe` is None where there is no such request."""

    automatic: bool = False
    join: str = FORBIDDEN
    subscribe: str | None = None
    hears: bool = False
    """Events about it, once the person has asked for it."""
    types_before: bool = False
    types_after: bool = False


def of_a_place(inside: bool, *, typing: bool = True) -> Expected:
    return Expected(automatic=inside, types_before=inside and typing, types_after=inside and typing)


def of_an_order(person: Person, known: bool) -> Expected:
    if "order" in person.denied:
        return Expected(subscribe=FORBIDDEN)
    if "order" in person.granted or person.super_admin or (known and person.owner):
        return Expected(subscribe=OK, hears=True, types_after=True)
    if known:
        return Expected(subscribe=FORBIDDEN)
    # The event that comes then tells who owns it.
    return Expected(subscribe=PENDING, hears=person.owner, types_after=person.owner)


def of_a_transfer(person: Person) -> Expected:
    told_as_a_shop = person.shop
    if "transfer" in person.denied:
        return Expected(subscribe=FORBIDDEN, hears=told_as_a_shop)
    if "transfer" in person.granted:
        return Expected(subscribe=OK, hears=True)
    if not person.somewhere:
        return Expected(subscribe=FORBIDDEN)
    return Expected(subscribe=PENDING, hears=person.company or person.shop or person.super_admin)


def of_a_product(person: Person) -> Expected:
    allowed = "product" not in person.denied
    return Expected(subscribe=OK if allowed else FORBIDDEN, hears=allowed)


def of_a_custom_room(person: Person) -> Expected:
    allowed = "custom" not in person.denied
    return Expected(join=OK if allowed else FORBIDDEN, hears=allowed, types_after=allowed)


# The rooms


@dataclass(frozen=True)
class Target:
    """A room: its name, how to ask for it, what happens in it, and what the model says."""

    name: Callable[[World], str]
    expected: Callable[[Person], Expected]
    topic: str | None = None
    """Of the request: subscribe_order for "order"."""
    happens: Callable[[Service, World], object] | None = None
    emission: str = "ping"
    known: bool = False


def order_ships(service: Service, world: World) -> None:
    service.publish_kind("order.shipped", orderId=world.thing, **world.owners)


def stock_changes(service: Service, world: World) -> None:
    service.publish_kind("inventory.updated", productId=world.thing, quantity=1)


def transfer_leaves(service: Service, world: World) -> None:
    places = {"companyId": world.company, "fromShopId": world.shop}
    service.publish_kind("transfer.sent", transferId=world.thing, **places)


TARGETS: dict[str, Target] = {
    "a user": Target(lambda w: f"user:{w.user}", lambda p: of_a_place(p.customer)),
    "a company": Target(lambda w: f"company:{w.company}", lambda p: of_a_place(p.company)),
    "a shop": Target(lambda w: f"shop:{w.shop}", lambda p: of_a_place(p.shop)),
    "a role": Target(lambda w: f"role:{w.role}", lambda p: of_a_place(p.role, typing=False)),
    "the super admins": Target(lambda w: "super_admin", lambda p: of_a_place(p.super_admin)),
    "an order": Target(
        *(lambda w: f"order:{w.thing}", lambda p: of_an_order(p, known=True), "order"),
        *(order_ships, "order:update", True),
    ),
    "an order not known yet": Target(
        *(lambda w: f"order:{w.thing}", lambda p: of_an_order(p, known=False), "order"),
        *(order_ships, "order:update"),
    ),
    "the customer's scope of an order": Target(
        lambda w: f"order:{w.thing}|user:{w.user}", lambda p: Expected(), None, order_ships, "order:update", True
    ),
    "the company's scope of a transfer": Target(
        *(lambda w: f"transfer:{w.thing}|company:{w.company}", lambda p: Expected(hears=p.shop), None),
        *(transfer_leaves, "transfer:status_update"),
    ),
    "a product": Target(
        *(lambda w: f"product:{w.thing}", of_a_product, "inventory"),
        *(stock_changes, "inventory:stock_changed"),
    ),
    "a transfer": Target(
        *(lambda w: f"transfer:{w.thing}", of_a_transfer, "transfer"),
        *(transfer_leaves, "transfer:status_update"),
    ),
    "a custom room": Target(lambda w: w.thing, of_a_custom_room),
}
MESSAGES = {
    "join_room": "this room is not yours to join",
    "leave_room": "this room is not yours to leave",
    "subscribe_order": "this order is not yours to follow",
    "subscribe_inventory": "this product is not yours to follow",
    "subscribe_transfer": "this transfer is not yours to follow",
    "typing": "this room is not yours to type in",
}
"""One text for all refusals of a request, so that it tells nothing."""


@dataclass
class Cell:
    """One person before one room, and the witness inside of it."""

    service: Service
    world: World
    target: Target
    client: Client
    witness: Client

    @property
    def room(self) -> str:
        return self.target.name(self.world)

    def ask(self, request: str, value: Any) -> str:
        """How it is answered."""
        answer = self.client.call(request, value)
        if answer["success"]:
            return PENDING if answer.get("pending") else OK
        code = answer["error"]["code"]
        assert code != FORBIDDEN or answer["error"]["message"] == MESSAGES[request], answer
        return str(code)

    def is_told(self) -> bool:
        """Whether the client hears what is emitted to the room by its name."""
        self.client.events()
        self.service.push({"room": self.room}, "ping")
        return "ping" in self.client.names()

    def hears(self) -> bool:
        """Whether the client hears what happens in the room."""
        self.client.events()
        if self.target.happens is None:
            return self.is_told()
        self.target.happens(self.service, self.world)
        return self.target.emission in self.client.names()

    def types(self) -> bool:
        """Whether the client may type there; the witness hears exactly that."""
        self.witness.events()
        answer = self.ask("typing", {"roomId": self.room, "isTyping": True})
        assert answer in (OK, FORBIDDEN)
        heard = [event.data["roomId"] for event in self.witness.events() if event.name == "typing"]
        assert heard == ([self.room] if answer == OK else [])
        return answer == OK


def connected(service: Service, world: World, person: Person) -> Client:
    claims = person.claims(world)
    user = claims.setdefault("userId", fresh("u"))
    client = service.open()
    assert client.connect(token(**claims)) is None
    if person.moved_by is not None:
        service.publish_kind("user.updated", userId=user, **person.moved_by(world))
        assert "user:updated" in client.names()
    return client


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(params=TARGETS.values(), ids=TARGETS.keys())
def target(request: pytest.FixtureRequest) -> Target:
    found: Target = request.param
    return found


@pytest.fixture
def witness(service: Service, world: World, target: Target) -> Client:
    client = service.open()
    role = [world.role, "super_admin"]
    places = {"companyId": world.company, "shopIds": [world.shop], "roles": role}
    assert client.connect(token(userId=world.user, **places)) is None
    if target.known:
        service.publish_kind("order.created", orderId=world.thing, **world.owners)
    if target.topic is not None:
        client.succeed(f"subscribe_{target.topic}", world.thing)
    client.succeed("join_room", world.thing)
    return client


@pytest.mark.parametrize("person", PEOPLE.values(), ids=PEOPLE.keys())
def test_the_matrix(service: Service, world: World, target: Target, witness: Client, person: Person) -> None:
    cell = Cell(service, world, target, connected(service, world, person), witness)
    expected = target.expected(person)
    room, requests = cell.room, [] if target.topic is None else [f"subscribe_{target.topic}"]

    assert cell.is_told() is expected.automatic
    assert cell.types() is expected.types_before
    assert cell.ask("join_room", room) == expected.join
    for request in requests:
        assert cell.ask(request, world.thing) == expected.subscribe
    assert cell.hears() is (expected.hears or expected.automatic)
    assert cell.types() is expected.types_after

    assert cell.ask("leave_room", room) == (OK if target is TARGETS["a custom room"] else FORBIDDEN)
    for request in requests:
        assert cell.ask(f"un{request}", world.thing) == OK
    assert cell.is_told() is expected.automatic
    assert cell.types() is expected.types_before


@pytest.mark.parametrize("person", PEOPLE.values(), ids=PEOPLE.keys())
def test_the_rooms_of_sockets(service: Service, world: World, person: Person) -> None:
    client, other = connected(service, world, person), service.join(fresh("u"))
    for socket_id in (client.id, other.id):
        for request in ("join_room", "leave_room"):
            assert client.refused(request, socket_id) == (FORBIDDEN, MESSAGES[request])
        note = {"roomId": socket_id, "isTyping": True}
        assert client.refused("typing", note) == (FORBIDDEN, MESSAGES["typing"])
    assert service.push({"room": other.id}, "x") == 1
    assert other.names() == ["x"]
