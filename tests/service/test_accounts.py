"""What events about accounts do to sockets that are connected: they go, or move to other rooms."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.peers import Client, fresh
from tests.service.servers import Service


@pytest.fixture
def user() -> str:
    return fresh("u")


def moved(service: Service, user: str, **data: Any) -> None:
    service.publish_kind("user.updated", userId=user, **data)


def hears(service: Service, client: Client, **to: str) -> bool:
    service.push(to, "ping")
    return "ping" in client.names()


class TestGone:
    @pytest.mark.parametrize("action", ["deactivated", "deleted"])
    def test_every_socket_of_the_user_is_told_and_disconnected(
        self, service: Service, user: str, action: str
    ) -> None:
        clients, witness = [service.join(user), service.join(user, fresh("c"))], service.join(fresh("u"))
        service.publish_kind(f"user.{action}", userId=user)
        for client in clients:
            told, *rest = client.rest()
            assert told.startswith(f'42["user:{action}",')
            assert rest == ["41"], "disconnected from the namespace, then closed"
        assert witness.events() == []
        assert service.request("GET", f"/user-status/{user}").json()["data"]["isConnected"] is False

    def test_the_company_sees_the_user_leave(self, service: Service, user: str) -> None:
        company = fresh("c")
        colleague = service.join(fresh("u"), company)
        service.join(user, company)
        service.publish_kind("user.deactivated", userId=user)
        assert colleague.presence() == [("online", user), ("offline", user)]

    def test_other_events_about_a_user_disconnect_nobody(self, service: Service, user: str) -> None:
        client = service.join(user)
        service.publish_kind("user.created", userId=user)
        service.publish_kind("shop.deleted", shopId=user)
        service.publish_kind("company.deactivated", companyId=user, userId=user)
        assert client.names() == ["user:created"]


class TestMoved:
    def test_a_new_company(self, service: Service, user: str) -> None:
        old, new = fresh("c"), fresh("c")
        client = service.join(user, old)
        moved(service, user, companyId=new)
        assert client.names() == ["user:updated"]
        assert not hears(service, client, company=old)
        assert hears(service, client, company=new)
        assert hears(service, client, user=user)

    def test_no_company_any_more(self, service: Service, user: str) -> None:
        client = service.join(user, company := fresh("c"), shop := fresh("s"))
        moved(service, user, companyId=None)
        assert not hears(service, client, company=company)
        assert hears(service, client, shop=shop)

    def test_new_shops_and_roles(self, service: Service, user: str) -> None:
        old, kept, new = fresh("s"), fresh("s"), fresh("s")
        client = service.join(user, company := fresh("c"), old, kept, role="clerk")
        moved(service, user, shopIds=[kept, new], role="manager")
        client.events()
        assert [hears(service, client, shop=shop) for shop in (old, kept, new)] == [False, True, True]
        assert not hears(service, client, role="clerk")
        assert hears(service, client, role="manager")
        assert hears(service, client, company=company)

    def test_becoming_super_admin_and_ceasing_to_be(self, service: Service, user: str) -> None:
        client = service.join(user)
        moved(service, user, role="super_admin")
        assert hears(service, client, company=fresh("c"))
        assert client.succeed("subscribe_order", fresh("o")).get("pending") is None
        moved(service, user, role=None)
        client.events()
        assert not hears(service, client, company=fresh("c"))
        assert client.succeed("subscribe_order", fresh("o"))["pending"] is True

    def test_all_sockets_of_the_user_and_no_others(self, service: Service, user: str) -> None:
        old, new = fresh("c"), fresh("c")
        mine, other = [service.join(user, old), service.join(user)], service.join(fresh("u"), old)
        moved(service, user, companyId=new)
        assert all(hears(service, client, company=new) for client in mine)
        assert not hears(service, other, company=new)
        assert hears(service, other, company=old)

    def test_an_event_that_says_nothing_of_places_moves_nobody(self, service: Service, user: str) -> None:
        client = service.join(user, company := fresh("c"), shop := fresh("s"), role="clerk")
        moved(service, user, name="Ann")
        client.events()
        assert all(
            hears(service, client, **to) for to in ({"company": company}, {"shop": shop}, {"role": "clerk"})
        )

    def test_rooms_it_asked_for_stay(self, service: Service, user: str) -> None:
        client, product = service.join(user, fresh("c")), fresh("p")
        client.succeed("join_room", room := fresh("room"))
        client.succeed("subscribe_inventory", product)
        moved(service, user, companyId=fresh("c"))
        client.events()
        assert hears(service, client, room=room)
        assert hears(service, client, room=f"product:{product}")

    def test_its_requests_are_judged_by_the_new_place(self, service: Service, user: str) -> None:
        old, new = fresh("c"), fresh("c")
        of_old, of_new = fresh("o"), fresh("o")
        service.publish_kind("order.created", orderId=of_old, companyId=old)
        service.publish_kind("order.created", orderId=of_new, companyId=new)
        client = service.join(user, old)
        assert client.refused("subscribe_order", of_new)[0] == "forbidden"
        moved(service, user, companyId=new)
        assert client.succeed("subscribe_order", of_new) == {"room": f"order:{of_new}"}
        assert client.refused("subscribe_order", of_old)[0] == "forbidden"


class TestWhatItFollows:
    def followed(self, client: Client, service: Service, order: str) -> bool:
        service.publish_kind("order.shipped", orderId=order)
        return "order:update" in client.names()

    def test_an_order_of_the_company_it_left(self, service: Service, user: str) -> None:
        order, old = fresh("o"), fresh("c")
        service.publish_kind("order.created", orderId=order, companyId=old)
        client = service.join(user, old)
        client.succeed("subscribe_order", order)
        assert self.followed(client, service, order)
        moved(service, user, companyId=fresh("c"))
        assert not self.followed(client, service, order)
        moved(service, user, companyId=old)
        assert not self.followed(client, service, order), "it has to ask again"

    def test_an_order_of_its_own_is_followed_wherever_it_goes(self, service: Service, user: str) -> None:
        order = fresh("o")
        service.publish_kind("order.created", orderId=order, userId=user, companyId=fresh("c"))
        client = service.join(user, fresh("c"))
        client.succeed("subscribe_order", order)
        moved(service, user, companyId=fresh("c"), shopIds=[fresh("s")])
        assert self.followed(client, service, order)

    def test_a_pending_order_waits_for_the_new_company_instead_of_the_old(
        self, service: Service, user: str
    ) -> None:
        of_old, of_new, old, new = fresh("o"), fresh("o"), fresh("c"), fresh("c")
        client = service.join(user, old)
        client.succeed("subscribe_order", of_old)
        client.succeed("subscribe_order", of_new)
        moved(service, user, companyId=new)
        client.events()
        service.publish_kind("order.shipped", orderId=of_old, companyId=old)
        service.publish_kind("order.shipped", orderId=of_new, companyId=new)
        assert [event.data["orderId"] for event in client.events()] == [of_new]

    def test_an_order_nobody_is_known_to_own_is_lost_with_the_rights_of_a_super_admin(
        self, service: Service, user: str
    ) -> None:
        order, client = fresh("o"), service.join(user, role="super_admin")
        client.succeed("subscribe_order", order)
        moved(service, user, role="clerk")
        assert not self.followed(client, service, order)

    def test_a_transfer_is_followed_as_far_as_it_concerns_the_new_place(
        self, service: Service, user: str
    ) -> None:
        transfer, old, new = fresh("t"), fresh("s"), fresh("s")
        client = service.join(user, None, old)
        client.succeed("subscribe_transfer", transfer)
        moved(service, user, shopIds=[new])
        client.events()
        service.publish_kind("transfer.sent", transferId=transfer, fromShopId=old)
        assert client.names() == []
        service.publish_kind("transfer.received", transferId=transfer, toShopId=new)
        assert client.names() == ["transfer:status_update"]

    def test_what_is_more_than_a_socket_may_ask_for_is_followed_no_longer(
        self, service: Service, user: str
    ) -> None:
        client = service.join(user)
        orders = [fresh("o") for _ in range(9)]
        for order in orders:
            client.succeed("subscribe_order", order)
        moved(service, user, shopIds=[fresh("s") for _ in range(3)])
        client.events()
        for order in orders:
            service.publish_kind("order.shipped", orderId=order, userId=user)
        assert client.names().count("order:update") == 5, "20 rooms, 4 for each order"
        assert client.refused("subscribe_order", fresh("o"))[0] == "too_many"


class TestPresence:
    def test_the_old_company_sees_it_leave_and_the_new_one_sees_it_come(
        self, service: Service, user: str
    ) -> None:
        old, new = fresh("c"), fresh("c")
        former, next_one = service.join(fresh("u"), old), service.join(fresh("u"), new)
        admin = service.join(fresh("u"), role="super_admin")
        service.join(user, old)
        assert former.presence() == [("online", user)]
        moved(service, user, companyId=new)
        assert former.presence() == [("offline", user)]
        assert next_one.presence() == [("online", user)]
        assert [one for one in admin.presence() if one[1] == user] == [("online", user)]

    def test_moving_within_a_company_is_neither(self, service: Service, user: str) -> None:
        company = fresh("c")
        colleague, _ = service.join(fresh("u"), company), service.join(user, company)
        colleague.presence()
        moved(service, user, companyId=company, shopIds=[fresh("s")])
        assert colleague.presence() == []
