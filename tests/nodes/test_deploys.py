"""A node that stops, or reads its configuration again, while others go on."""

from __future__ import annotations

import signal
from contextlib import suppress

import pytest

from tests.intake.brokered import Brokered, order, until
from tests.nodes.conftest import joined, node
from tests.nodes.test_one_service import mark, told, users
from tests.service.peers import fresh, token
from tests.service.servers import granted
from tests.service.test_deploys import departures
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import Redis
from tests.support.wire import Ended

Two = tuple[Brokered, Brokered]


def reload(one: Brokered) -> list[str]:
    """Send SIGHUP; what the log says from then on until it is done."""
    del one.program.output[:]
    one.program.process.send_signal(signal.SIGHUP)
    one.program.wait_for_output("the configuration was read again")
    one.ready()
    return one.program.output


@pytest.fixture
def slow(rabbitmq: RabbitMQ, redis_server: Redis, two: Two) -> Brokered:
    """A third node, which lets its clients go so slowly that a test sees them wait."""
    one = node(rabbitmq, redis_server, two[0].names, "--drain-rate", "1", "--drain-timeout", "600")
    one.start()
    joined(one)
    return one


def test_clients_that_wait_for_their_turn_still_belong_to_the_cluster(two: Two, slow: Brokered) -> None:
    clients = [slow.join(fresh("u")) for _ in range(40)]
    slow.program.process.send_signal(signal.SIGTERM)
    first = next(departures(clients))
    mark(two[0])
    heard = 0
    for client in clients:
        with suppress(Ended):  # by now it may have had its turn
            heard += client.next_event().name == "marker"
    assert heard > 20
    until(lambda: first.connected["userId"] not in users(two[0]))
    assert users(two[0]) != []
    assert not slow.has_ended()
    slow.program.process.send_signal(signal.SIGTERM)
    assert slow.program.wait() == 0
    until(lambda: users(two[0]) == [])
    slow.service.close_clients()


def test_users_of_a_node_that_stops_go_unless_they_have_come_back(two: Two) -> None:
    watcher = two[0].service.join("boss", "c1")
    for user in ("u1", "u2"):
        two[1].service.join(user, "c1")
    assert {watcher.wait_for_presence() for _ in range(2)} == {("online", "u1"), ("online", "u2")}
    two[0].service.join("u1", "c1")
    assert two[1].program.stop() == 0
    assert watcher.wait_for_presence() == ("offline", "u2")
    assert users(two[0]) == ["boss", "u1"]
    two[1].service.close_clients()


def test_users_that_a_node_sends_away_to_others_have_not_gone(two: Two) -> None:
    watcher = two[0].service.join("boss", "c1")
    clients = [two[1].service.join(user, "c1") for user in ("u1", "u2")]
    assert {watcher.wait_for_presence() for _ in range(2)} == {("online", "u1"), ("online", "u2")}
    assert granted(two[1].service.post("/rebalance", {"share": 1})) == {"leaving": 2}
    for client in clients:
        client.rest()
    two[0].service.join("u1", "c1")
    assert watcher.wait_for_presence() == ("offline", "u2")
    assert users(two[0]) == ["boss", "u1"]


def test_after_sighup_a_node_belongs_to_the_cluster_as_before(two: Two) -> None:
    here, there = (one.join("u1") for one in two)
    assert not any("next start" in line for line in reload(two[0]))
    two[1].publish({"type": "order.shipped", "data": order(1)})
    assert [client.next_event().data["orderId"] for client in (here, there)] == ["o1", "o1"]
    mark(two[1])
    assert [told(client) for client in (here, there)] == [[], []], "once each"
    two[1].service.post("/revoke", {"user": "u1"})
    assert "auth:revoked" in here.rest()[-2]
    refusal = two[0].service.open().connect(token("u1", iat=1))
    assert refusal is not None
    assert refusal["data"]["code"] == "token_revoked"
