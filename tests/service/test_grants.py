"""What patterns in tokens open and close, with each setting of custom rooms, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.service.peers import Client, fresh, token
from tests.service.servers import ANYWHERE, Service, complaints, twistd

NOT_TO_JOIN = ("forbidden", "this room is not yours to join")


def joined(service: Service, *rooms: str, **claims: Any) -> Client:
    client = service.open()
    assert client.connect(token(**{"userId": fresh("u"), "rooms": list(rooms), **claims})) is None
    return client


def receivers(service: Service, room: str) -> int:
    return service.push({"room": room}, "x")


@pytest.mark.parametrize("rooms", [[7], {}, "a*b", ["order:*", "!"], ["{claims}"], ["x" * 201], ["a"] * 101])
def test_a_token_with_a_pattern_that_is_none_is_refused(service: Service, rooms: Any) -> None:
    refusal = service.open().connect(token("u1", rooms=rooms))
    assert refusal == {"message": "Invalid or expired token", "data": {"code": "token_invalid"}}


class TestOrders:
    def test_who_is_granted_an_order_follows_it_whoever_owns_it(self, service: Service) -> None:
        agent, order = joined(service, "order:*"), fresh("o")
        assert agent.succeed("subscribe_order", order) == {"room": f"order:{order}"}
        service.publish_kind("order.shipped", orderId=order)
        service.publish_kind("order.created", orderId=order, userId=fresh("u"), companyId=fresh("c"))
        service.publish_kind("order.shipped", orderId=order, userId=fresh("u"))
        service.publish_kind("payment.success", orderId=order, paymentId="p")
        assert agent.names() == ["order:update"] * 3 + ["payment:update"]
        assert receivers(service, f"order:{order}") == 1
        agent.succeed("unsubscribe_order", order)
        service.publish_kind("order.delivered", orderId=order)
        assert agent.names() == ["x"]

    def test_a_grant_tells_nobody_what_only_the_customer_or_the_company_hears(self, service: Service) -> None:
        agent, order = joined(service, "order:*", "*"), fresh("o")
        agent.succeed("subscribe_order", order)
        service.publish_kind("order.created", orderId=order, userId=fresh("u"), companyId=fresh("c"))
        assert agent.names() == ["order:update"]

    def test_a_grant_by_company_goes_with_the_company(self, service: Service) -> None:
        user, old, new = fresh("u"), fresh("c"), fresh("c")
        agent = joined(service, "order:{companyId}-*", userId=user, companyId=old)
        service.publish_kind("order.created", orderId=f"{old}-1", userId=fresh("u"))
        service.publish_kind("order.created", orderId=f"{new}-1", userId=fresh("u"))
        agent.succeed("subscribe_order", f"{old}-1")
        assert agent.refused("subscribe_order", f"{new}-1")[0] == "forbidden"
        service.publish_kind("user.updated", userId=user, companyId=new)
        agent.events()
        agent.succeed("subscribe_order", f"{new}-1")
        for order in (f"{old}-1", f"{new}-1"):
            service.publish_kind("order.shipped", orderId=order)
        assert [event.data["orderId"] for event in agent.events()] == [f"{new}-1"]
        assert receivers(service, f"order:{old}-1") == 0

    def test_a_refusal_by_company_comes_with_the_company(self, service: Service) -> None:
        user, company, order = fresh("u"), fresh("c"), fresh("o")
        room = f"of-{company}"
        client = joined(service, "!of-{companyId}", userId=user)
        client.succeed("join_room", room)
        client.succeed("subscribe_order", order)
        service.publish_kind("user.updated", userId=user, companyId=company)
        assert receivers(service, room) == 0
        assert client.refused("join_room", room) == NOT_TO_JOIN
        service.publish_kind("order.created", orderId=order, companyId=company)
        assert client.names() == ["user:updated", "order:new_order", "order:update"], "what is not refused stays"


@pytest.fixture(scope="module")
def running_granted() -> Iterator[Service]:
    with twistd("--listen", ANYWHERE, "--custom-rooms", "granted") as program:
        yield Service(program)
    assert complaints(program.output) == []


class TestCustomRoomsByGrant:
    @pytest.fixture
    def service(self, running_granted: Service) -> Iterator[Service]:
        yield running_granted
        running_granted.close_clients()

    def test_only_who_is_granted_a_room_joins_it(self, service: Service) -> None:
        granted, room = joined(service, "chat-*", "support:{userId}"), fresh("chat-")
        granted.succeed("join_room", room)
        user = granted.connected["userId"]
        granted.succeed("join_room", f"support:{user}")
        assert receivers(service, room) == receivers(service, f"support:{user}") == 1
        for other in (joined(service), joined(service, role="super_admin"), joined(service, "order:*", "chat")):
            assert other.refused("join_room", room) == NOT_TO_JOIN
            assert other.refused("join_room", f"support:{user}") == NOT_TO_JOIN
            other.succeed("leave_room", room)
        assert receivers(service, room) == 1

    def test_a_grant_that_is_lost_by_moving_takes_the_room_along(self, service: Service) -> None:
        user, old, new = fresh("u"), fresh("c"), fresh("c")
        client = joined(service, "desk-{companyId}", "lobby", userId=user, companyId=old)
        client.succeed("join_room", f"desk-{old}")
        client.succeed("join_room", "lobby")
        service.publish_kind("user.updated", userId=user, companyId=new)
        assert [receivers(service, room) for room in (f"desk-{old}", "lobby")] == [0, 1]
        assert client.refused("join_room", f"desk-{old}") == NOT_TO_JOIN
        client.succeed("join_room", f"desk-{new}")

    def test_products_and_orders_are_as_ever(self, service: Service) -> None:
        client = joined(service)
        client.succeed("subscribe_inventory", "p1")
        assert client.succeed("subscribe_order", fresh("o"))["pending"] is True


def test_no_custom_rooms_at_all() -> None:
    with twistd("--listen", ANYWHERE, "--custom-rooms", "closed") as program:
        service = Service(program)
        for client in (joined(service), joined(service, "*", "lobby"), joined(service, role="super_admin")):
            assert client.refused("join_room", "lobby") == NOT_TO_JOIN
            client.succeed("leave_room", "lobby")
        assert receivers(service, "lobby") == 0
        service.close_clients()
    assert complaints(program.output) == []
