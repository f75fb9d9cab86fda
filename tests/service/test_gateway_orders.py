"""Who hears of an order: each pair of an order's owner and somebody who must not hear a thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.service.peers import Client, fresh
from tests.service.servers import Service


@dataclass(frozen=True)
class Order:
    """An order with the ids of its owners, all of its own."""

    id: str
    user: str
    company: str
    shop: str

    @property
    def data(self) -> dict[str, Any]:
        return {"orderId": self.id, "userId": self.user, "companyId": self.company, "shopId": self.shop}

    def __getitem__(self, name: str) -> Any:
        return self.data[name]


@pytest.fixture
def order() -> Order:
    return Order(fresh("o"), fresh("u"), fresh("c"), fresh("s"))


Join = Callable[[Service, Order], Client]

ENTITLED: dict[str, Join] = {
    "the customer": lambda service, order: service.join(order.user),
    "a member of the company": lambda service, order: service.join(fresh("u"), order.company),
    "a member of the shop": lambda service, order: service.join(fresh("u"), None, fresh("s"), order.shop),
    "a super admin": lambda service, order: service.join(fresh("u"), role="super_admin"),
}
STRANGERS: dict[str, Join] = {
    "nobody in particular": lambda service, order: service.join(fresh("u")),
    "of another company and shop": lambda service, order: service.join(fresh("u"), fresh("c"), fresh("s")),
    "whose company is called as the customer": lambda service, order: service.join(
        order.company, order.user, order.user
    ),
    "whose ids are called as the rooms": lambda service, order: service.join(
        f"user:{order.user}", f"company:{order.company}", f"shop:{order.shop}"
    ),
    "an admin that is no super admin": lambda service, order: service.join(fresh("u"), role="admin"),
    "whose role names the customer": lambda service, order: service.join(fresh("u"), role=f"user:{order.user}"),
}
entitled = pytest.mark.parametrize("join", ENTITLED.values(), ids=ENTITLED.keys())
strangers = pytest.mark.parametrize("join", STRANGERS.values(), ids=STRANGERS.keys())


def everything_happens(service: Service, order: Order) -> None:
    """The order's whole life: events that name its owners, some of them, and none."""
    service.publish_kind("order.created", **order.data, secret="x")
    service.publish_kind("order.confirmed", orderId=order.id, userId=order.user)
    service.publish_kind("order.shipped", orderId=order.id)
    service.publish_kind("payment.success", orderId=order.id, paymentId="p", amount=5)
    service.publish_kind("payment.failed", orderId=order.id, paymentId="p", userId=order.user)
    service.publish({"orderId": order.id, "status": "delivered"})


class TestStrangers:
    @strangers
    def test_who_guessed_the_id_before_the_order_was_known_never_hears_of_it(
        self, service: Service, order: Order, join: Join
    ) -> None:
        stranger = join(service, order)
        answer = stranger.succeed("subscribe_order", order.id)
        assert answer == {"room": f"order:{order.id}", "pending": True}
        everything_happens(service, order)
        assert stranger.events() == []

    @strangers
    def test_who_asks_for_a_known_order_is_refused_and_hears_nothing(
        self, service: Service, order: Order, join: Join
    ) -> None:
        service.publish_kind("order.created", **order.data)
        stranger = join(service, order)
        code, message = stranger.refused("subscribe_order", order.id)
        assert code == "forbidden"
        assert not any(owner in message for owner in (order.user, order.company, order.shop))
        everything_happens(service, order)
        assert stranger.events() == []

    @strangers
    def test_an_order_without_known_owners_is_told_to_none_of_them(
        self, service: Service, order: Order, join: Join
    ) -> None:
        stranger = join(service, order)
        stranger.succeed("subscribe_order", order.id)
        service.publish_kind("order.shipped", orderId=order.id)
        service.publish_kind("payment.success", orderId=order.id, paymentId="p")
        assert stranger.events() == []

    def test_a_typing_note_cannot_be_sent_into_an_order_by_a_stranger(
        self, service: Service, order: Order
    ) -> None:
        service.publish_kind("order.created", **order.data)
        stranger, customer = service.join(fresh("u")), service.join(order.user)
        customer.succeed("subscribe_order", order.id)
        for room in (f"order:{order.id}", f"order:{order.id}|user:{order.user}"):
            assert stranger.refused("typing", {"roomId": room, "isTyping": True})[0] == "forbidden"
        assert customer.events() == []

    def test_one_part_of_the_owners_known_does_not_let_strangers_in(self, service: Service, order: Order) -> None:
        service.publish_kind("order.created", orderId=order.id, shopId=order.shop)
        assert service.join(order.user).refused("subscribe_order", order.id)[0] == "forbidden"
        assert service.join(fresh("u"), order.company).refused("subscribe_order", order.id)[0] == "forbidden"


class TestOwners:
    @entitled
    def test_who_may_see_the_order_follows_it_at_once(self, service: Service, order: Order, join: Join) -> None:
        service.publish_kind("order.created", **order.data)
        owner = join(service, order)
        assert owner.succeed("subscribe_order", order.id) == {"room": f"order:{order.id}"}
        service.publish_kind("order.shipped", orderId=order.id)
        service.publish_kind("payment.success", orderId=order.id, paymentId="p")
        updates = [name for name in owner.names() if name.endswith(":update")]
        assert updates == ["order:update", "payment:update"]

    @entitled
    def test_who_subscribed_early_hears_of_it_once_an_event_entitles(
        self, service: Service, order: Order, join: Join
    ) -> None:
        owner = join(service, order)
        answer = owner.succeed("subscribe_order", order.id)
        is_admin = "super_admin" in owner.connected["rooms"]
        assert answer.get("pending", False) is not is_admin
        service.publish_kind("order.shipped", orderId=order.id, marked=1)
        assert owner.names() == (["order:update"] if is_admin else [])
        service.publish_kind("order.delivered", **order.data)
        service.publish_kind("order.archived", orderId=order.id)
        assert owner.names().count("order:update") == 2

    @entitled
    def test_who_unsubscribes_hears_no_more_updates(self, service: Service, order: Order, join: Join) -> None:
        owner = join(service, order)
        for known in (False, True):
            owner.succeed("subscribe_order", order.id)
            owner.succeed("unsubscribe_order", order.id)
            assert service.publish_kind("order.shipped", **order.data)["accepted"] == 1, known
            assert "order:update" not in owner.names(), known

    @entitled
    def test_nobody_gets_the_same_emission_twice(self, service: Service, order: Order, join: Join) -> None:
        service.publish_kind("order.created", **order.data)
        owner = join(service, order)
        owner.succeed("subscribe_order", order.id)
        owner.succeed("subscribe_order", order.id)
        service.publish_kind("order.created", **order.data)
        names = owner.names()
        assert len(names) == len(set(names)), names

    def test_who_is_everything_at_once_gets_each_emission_once(self, service: Service, order: Order) -> None:
        owner = service.join(order.user, order.company, order.shop, role="super_admin")
        owner.succeed("subscribe_order", order.id)
        service.publish_kind("order.created", **order.data)
        assert owner.names() == [
            "order:new_order",
            "order:shop_order",
            "order:status_updated",
            "order:update",
        ]
        assert service.push({"company": order.company}, "x") == 1

    def test_super_admins_hear_the_news_of_every_company_once(self, service: Service, order: Order) -> None:
        admin = service.join(fresh("u"), role="super_admin")
        admin_inside = service.join(fresh("u"), order.company, role="super_admin")
        service.publish_kind("order.created", **order.data)
        assert admin.names() == ["order:new_order"]
        assert admin_inside.names() == ["order:new_order"]

    def test_who_was_an_owner_at_the_subscription_hears_nothing_once_it_is_another(
        self, service: Service, order: Order
    ) -> None:
        service.publish_kind("order.created", orderId=order.id, userId=order.user)
        former = service.join(order.user)
        former.succeed("subscribe_order", order.id)
        service.publish_kind("order.shipped", orderId=order.id, userId=fresh("u"))
        service.publish_kind("order.delivered", orderId=order.id)
        assert former.events() == []

    def test_an_owner_named_later_takes_the_place_of_the_former(self, service: Service, order: Order) -> None:
        former, latter = service.join(order.user), service.join(fresh("u"))
        for client in (former, latter):
            client.succeed("subscribe_order", order.id)
        service.publish_kind("order.created", orderId=order.id, userId=order.user)
        service.publish_kind("order.shipped", orderId=order.id, userId=latter.connected["userId"])
        assert former.names() == ["order:status_updated", "order:update"]
        assert latter.names() == ["order:status_updated", "order:update"]
        service.publish_kind("order.delivered", orderId=order.id)
        assert former.names() == []
        assert latter.names() == ["order:status_updated", "order:update"]

    def test_a_payment_by_another_does_not_take_the_order_away(self, service: Service, order: Order) -> None:
        customer, payer = service.join(order.user), service.join(fresh("u"))
        for client in (customer, payer):
            client.succeed("subscribe_order", order.id)
        service.publish_kind("order.created", **order.data)
        service.publish_kind("payment.success", orderId=order.id, userId=payer.connected["userId"])
        assert payer.names() == ["payment:status_updated"]
        assert customer.names() == ["order:status_updated", "order:update", "payment:update"]

    def test_the_id_may_be_a_number_in_the_event_and_a_text_at_the_subscriber(self, service: Service) -> None:
        user, number = fresh("u"), int(fresh("90000"))
        client = service.join(user)
        client.succeed("subscribe_order", str(number))
        service.publish_kind("order.shipped", orderId=number, userId=user)
        assert client.names() == ["order:status_updated", "order:update"]


class TestWhatIsTold:
    def told(self, client: Client) -> dict[str, Any]:
        return {event.name: event.data for event in client.events()}

    def test_a_new_order_is_told_as_documented(self, service: Service, order: Order) -> None:
        customer, company = service.join(order.user), service.join(fresh("u"), order.company)
        shop = service.join(fresh("u"), None, order.shop)
        event = {**order.data, "orderNumber": "ORD-12345", "note": "ring twice"}
        service.publish(
            {"type": "order.created", "data": event, "timestamp": "2024-10-24T08:30:00+02:00", "id": fresh("e")}
        )
        status = {
            "orderId": order.id,
            "orderNumber": "ORD-12345",
            "status": "created",
            "message": "Your order #ORD-12345 is now created",
            "timestamp": "2024-10-24T06:30:00.000Z",
        }
        news = {**event, **status, "message": "New order #ORD-12345"}
        assert self.told(customer) == {"order:status_updated": status}
        assert self.told(company) == {"order:new_order": news}
        assert self.told(shop) == {"order:shop_order": news}

    def test_extra_fields_go_to_subscribers_and_never_to_the_customers_notice(
        self, service: Service, order: Order
    ) -> None:
        customer, clerk = service.join(order.user), service.join(fresh("u"), None, order.shop)
        for client in (customer, clerk):
            client.succeed("subscribe_order", order.id)
        extra = {"margin": 12, "orderNumber": {"nested": "secret"}}
        service.publish_kind("order.shipped", **order.data, **extra)
        service.publish_kind("payment.refunded", **order.data, **extra, amount={"nested": "secret"})
        told = self.told(customer)
        for name in ("order:status_updated", "payment:status_updated"):
            assert "margin" not in told[name]
            assert "secret" not in str(told[name])
        assert told["order:update"]["margin"] == told["payment:update"]["margin"] == 12
        assert self.told(clerk)["order:update"]["margin"] == 12

    def test_every_receiver_of_a_shared_emission_gets_the_same(self, service: Service, order: Order) -> None:
        clients = [join(service, order) for join in ENTITLED.values()]
        for client in clients:
            client.succeed("subscribe_order", order.id)
        service.publish_kind("order.shipped", **order.data, amount=10**30, text="ü\u2028\ud83d\ude00")
        updates = [self.told(client)["order:update"] for client in clients]
        assert all(update == updates[0] for update in updates)
        assert (updates[0]["amount"], updates[0]["text"]) == (10**30, "ü\u2028😀")


class TestOwnersThatChange:
    """The plain room of an order follows its owners; a refused batch makes nobody an owner."""

    def test_a_former_owner_hears_no_more(self, service: Service) -> None:
        order, former, owner = fresh("order"), fresh("u"), fresh("u")
        service.publish({"type": "order.created", "data": {"orderId": order, "userId": former}})
        client, other = service.join(former), service.join(owner)
        assert "pending" not in client.succeed("subscribe_order", order)
        assert service.push({"room": f"order:{order}"}, "still yours") == 1
        service.publish({"type": "order.updated", "data": {"orderId": order, "userId": owner}})
        client.events()
        assert service.push({"room": f"order:{order}"}, "private") == 0
        assert client.refused("typing", {"roomId": f"order:{order}", "isTyping": True})[0] == "forbidden"
        assert client.events() == []
        assert other.names() == []

    def test_who_turns_out_to_be_the_owner_is_a_member_from_then_on(self, service: Service) -> None:
        order, user = fresh("order"), fresh("u")
        client, stranger = service.join(user), service.join(fresh("u"))
        for one in (client, stranger):
            assert one.succeed("subscribe_order", order)["pending"] is True
        assert service.push({"room": f"order:{order}"}, "too early") == 0
        service.publish({"type": "order.created", "data": {"orderId": order, "userId": user}})
        assert service.push({"room": f"order:{order}"}, "for members") == 1
        assert client.names() == ["order:status_updated", "order:update", "for members"]
        assert stranger.names() == []

    def test_a_refused_array_makes_nobody_an_owner(self, service: Service) -> None:
        order, user = fresh("order"), fresh("u")
        event = {"type": "order.created", "data": {"orderId": order, "userId": user}}
        assert service.post("/events", [event, 7]).status == 400
        assert service.join(fresh("u")).succeed("subscribe_order", order)["pending"] is True

    def test_owners_learnt_earlier_in_an_array_count_for_its_later_events(self, service: Service) -> None:
        order, user = fresh("order"), fresh("u")
        client = service.join(user)
        client.succeed("subscribe_order", order)
        created = {"type": "order.created", "data": {"orderId": order, "userId": user}}
        shipped = {"type": "order.shipped", "data": {"orderId": order}}
        assert service.post("/events", [created, shipped]).status == 200
        assert client.names() == ["order:status_updated", "order:update"] * 2
