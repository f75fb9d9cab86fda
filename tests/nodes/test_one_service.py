"""Two nodes are one service: whoever is connected where, the outcome is that of a single node."""

from __future__ import annotations

from typing import Any

import pytest

from tests.intake.brokered import Brokered, Names, order, until
from tests.nodes.conftest import joined, node
from tests.service.peers import Client
from tests.service.servers import granted
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import Redis

Two = tuple[Brokered, Brokered]


def event(kind: str, number: int = 1, **data: Any) -> dict[str, Any]:
    return {"type": kind, "id": f"e{number}", "data": data}


def told(client: Client) -> list[tuple[str, Any]]:
    """Events but those of presence, until a marker that was sent behind all that concerns the client."""
    found = []
    while (one := client.next_event()).name != "marker":
        if not one.name.startswith("presence:"):
            found.append((one.name, one.data))
    return found


def mark(node: Brokered) -> None:
    node.service.push({"all": True}, "marker")


def users(node: Brokered) -> list[str]:
    found: list[str] = granted(node.service.request("GET", "/connected-users"))["users"]
    return found


class TestEvents:
    def test_from_rabbitmq_reach_the_sockets_of_both_and_nobody_else(self, two: Two) -> None:
        here, there = (one.join("u1") for one in two)
        strangers = [one.join("u2") for one in two]
        two[0].publish({"type": "order.shipped", "data": order(1)})
        for client in (here, there):
            assert client.next_event().data["orderId"] == "o1"
        mark(two[0])
        assert [told(one) for one in (*strangers, here, there)] == [[], [], [], []]

    def test_from_rest_reach_the_sockets_of_both(self, two: Two) -> None:
        clients = [one.join("u1") for one in two]
        for index, one in enumerate(two):
            one.service.publish({"type": "order.shipped", "data": order(index)})
            assert [client.next_event().data["orderId"] for client in clients] == [f"o{index}"] * 2

    def test_that_one_node_has_seen_are_seen_by_the_other(self, two: Two) -> None:
        client = two[1].join("u1")
        assert two[0].service.publish({"type": "order.shipped", "id": "same", "data": order(1)})["accepted"] == 1
        assert (
            two[1].service.publish({"type": "order.shipped", "id": "same", "data": order(1)})["duplicates"] == 1
        )
        mark(two[1])
        assert len(told(client)) == 1

    def test_wait_for_the_other_node_that_takes_the_queue_over(self, two: Two) -> None:
        first = next(one for one in two if one.counts()["delivered"] or _has_the_queue(one))
        second = two[1] if first is two[0] else two[0]
        client = second.join("u1")
        first.program.process.kill()
        first.program.wait()
        second.publish({"type": "order.shipped", "data": order(2)})
        assert client.next_event().data["orderId"] == "o2"
        first.service.close_clients()


def _has_the_queue(node: Brokered) -> bool:
    before = node.counts()["delivered"]
    node.publish({"type": "order.shipped", "data": order(0, user="nobody")})
    until(lambda: node.queued() == 0)
    try:
        until(lambda: node.counts()["delivered"] > before, seconds=2.0)
    except AssertionError:
        return False
    return True


class TestUsers:
    def test_of_both_nodes_are_connected_for_both(self, two: Two) -> None:
        two[0].join("u1")
        two[1].join("u2")
        for one in two:
            until(lambda one=one: users(one) == ["u1", "u2"])
            status = granted(one.service.request("GET", "/user-status/u2"))
            assert status == {"userId": "u2", "isConnected": True}

    def test_come_with_the_first_socket_and_go_with_the_last(self, two: Two) -> None:
        watcher = two[0].service.join("boss", "c1")
        first, second = two[0].service.join("u1", "c1"), two[1].service.join("u1", "c1")
        assert watcher.wait_for_presence() == ("online", "u1")
        until(lambda: users(two[0]) == ["boss", "u1"])
        first.close()
        two[0].service.join("u2", "c1")
        assert watcher.wait_for_presence() == ("online", "u2"), "u1 has a socket at the other node"
        second.close()
        assert watcher.wait_for_presence() == ("offline", "u1")

    def test_of_a_killed_node_go_when_its_lease_ends(self, two: Two) -> None:
        watcher = two[0].service.join("boss", "c1")
        two[1].service.join("u1", "c1")
        assert watcher.wait_for_presence() == ("online", "u1")
        two[1].program.process.kill()
        two[1].program.wait()
        assert watcher.wait_for_presence() == ("offline", "u1")
        assert users(two[0]) == ["boss"]
        two[1].service.close_clients()

    def test_of_a_stopped_node_go_at_once(self, two: Two) -> None:
        watcher = two[0].service.join("boss", "c1")
        two[1].service.join("u1", "c1")
        assert watcher.wait_for_presence() == ("online", "u1")
        two[1].service.close_clients()
        two[1].program.stop()
        assert watcher.wait_for_presence() == ("offline", "u1")


class TestWhatBecomesOfUsers:
    def test_a_revocation_disconnects_at_both_and_counts_at_both(self, two: Two) -> None:
        clients = [one.join("u1") for one in two]
        answer = two[0].service.post("/revoke", {"user": "u1"})
        assert answer.status == 200, answer
        for client in clients:
            assert "auth:revoked" in client.rest()[-2]

    @pytest.mark.parametrize("kind", ["user.deactivated", "user.deleted"])
    def test_an_account_that_ends_is_disconnected_at_both(self, two: Two, kind: str) -> None:
        clients = [one.join("u1") for one in two]
        two[0].service.publish(event(kind, userId="u1"))
        for client in clients:
            assert client.rest()[-1] == "41"

    def test_an_account_that_moves_is_moved_at_both(self, two: Two) -> None:
        clients = [one.service.join("u1", "c1") for one in two]
        two[0].service.publish(event("user.updated", userId="u1", companyId="c2"))
        for one in two:
            until(lambda one=one: one.service.push({"company": "c2"}, "hello") == 1)
            assert one.service.push({"company": "c1"}, "hello") == 0
        assert all("hello" in client.names() for client in clients)

    def test_who_owns_an_order_is_known_at_both(self, two: Two) -> None:
        two[0].service.publish({"type": "order.created", "data": order(7)})
        owner, stranger = two[1].join("u1"), two[1].join("u2")
        until(lambda: "pending" not in owner.succeed("subscribe_order", "o7"))
        assert stranger.call("subscribe_order", "o7")["success"] is False


def test_another_database_is_another_clusters(rabbitmq: RabbitMQ, redis_server: Redis) -> None:
    names = Names()
    here = node(rabbitmq, redis_server, names)
    there = node(rabbitmq, redis_server, names, "--cluster-key", "another", database=1)
    with here, there:
        joined(here)
        joined(there)
        watcher = here.service.join("boss", "c1")
        there.service.join("u1", "c1")
        until(lambda: users(there) == ["u1"])
        here.service.join("u2", "c1")
        assert watcher.wait_for_presence() == ("online", "u2"), "nobody of the other cluster"
