"""What becomes of events and clients while Redis is away, and when it is back."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.intake.brokered import Brokered, Names, order, until
from tests.nodes.conftest import joined, node
from tests.service.servers import refused
from tests.support.proxy import Proxy
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import Redis

QUICK = ("--redis-heartbeat", "0.3", "--redis-timeout", "0.7", "--redis-check", "0.5", "--redis-lease", "2")


def orders(number: int) -> dict[str, object]:
    return {"type": "order.shipped", "id": f"e{number}", "data": order(number)}


def state(running: Brokered) -> tuple[int, str, str]:
    """The status of /ready, of the broker and of Redis, each by its first word."""
    answer = running.service.request("GET", "/ready")
    body = answer.json()
    return answer.status, body["broker"].partition(":")[0], body["redis"].partition(":")[0]


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis({"appendonly": "no"}) as running:
        yield running


def nodes(rabbitmq: RabbitMQ, redis: Redis, stack: ExitStack, *options: str) -> list[Brokered]:
    names = Names()
    found = [node(rabbitmq, redis, names, *QUICK, *options) for _ in range(2)]
    for one in found:
        stack.enter_context(one)
        joined(one)
    return found


def test_events_stay_in_rabbitmq_until_all_nodes_can_hear_of_them(rabbitmq: RabbitMQ, redis: Redis) -> None:
    with ExitStack() as stack:
        both = nodes(rabbitmq, redis, stack)
        clients = [one.join("u1") for one in both]
        redis.kill()
        for one in both:
            until(lambda one=one: state(one) == (503, "held", "connecting"), says=lambda one=one: state(one))
        for number in range(3):
            both[0].publish(orders(number))
        until(lambda: both[0].queued() == 3)
        assert refused(both[0].service.post("/events", orders(9)))[:2] == (503, "unavailable")
        emission = {"to": {"user": "u1"}, "event": "news", "data": 1}
        assert refused(both[0].service.post("/emit", emission))[:2] == (503, "unavailable")
        redis.start()
        for client in clients:
            assert [client.next_event().data["orderId"] for _ in range(3)] == ["o0", "o1", "o2"]
        for one in both:
            until(lambda one=one: state(one) == (200, "connected", "connected"), says=lambda one=one: state(one))
        assert both[0].service.post("/emit", emission).status == 200
        assert [client.next_event().name for client in clients] == ["news", "news"]
        both[0].publish(orders(4))
        assert [client.next_event().data["orderId"] for client in clients] == ["o4", "o4"]


def test_one_that_stands_still_counts_as_away(rabbitmq: RabbitMQ, redis: Redis) -> None:
    with ExitStack() as stack:
        both = nodes(rabbitmq, redis, stack)
        clients = [one.join("u1") for one in both]
        redis.signal(signal.SIGSTOP)
        emission = {"to": {"user": "u1"}, "event": "news", "data": 1}
        status, code, message = refused(both[0].service.post("/emit", emission))
        assert (status, code) == (503, "unavailable"), "while it has not been noticed yet"
        assert message.startswith("clients of this node have it, those of others may not: ")
        assert clients[0].next_event().name == "news"
        for one in both:
            until(lambda one=one: state(one)[:2] == (503, "held"), says=lambda one=one: state(one))
        both[0].publish(orders(1))
        until(lambda: both[0].queued() == 1)
        redis.signal(signal.SIGCONT)
        assert [client.next_event().data["orderId"] for client in clients] == ["o1", "o1"]


def test_a_revocation_is_confirmed_when_all_nodes_can_know(rabbitmq: RabbitMQ, redis: Redis) -> None:
    with ExitStack() as stack:
        both = nodes(rabbitmq, redis, stack)
        clients = [one.join("u1") for one in both]
        redis.kill()
        for one in both:
            until(lambda one=one: state(one) == (503, "held", "connecting"), says=lambda one=one: state(one))
        status, code, message = refused(both[0].service.post("/revoke", {"user": "u1"}))
        assert (status, code) == (503, "unavailable")
        assert message.startswith("called back at this node; ")
        assert "auth:revoked" in clients[0].rest()[-2]
        redis.start()
        assert "auth:revoked" in clients[1].rest()[-2]
        answer = both[0].service.post("/revoke", {"user": "u1"})
        assert answer.status == 200, answer


class Cable:
    """The way of one node to Redis, on a thread of its own."""

    def __init__(self, redis: Redis) -> None:
        self._loop = asyncio.new_event_loop()
        self._proxy = Proxy(redis.port)
        self.url = f"redis://127.0.0.1:{self._proxy.port}"
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Cable:
        self._thread.start()
        self.plug()
        return self

    def __exit__(self, *exc: object) -> None:
        self.pull()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def plug(self) -> None:
        self._run(self._proxy.accept())

    def pull(self) -> None:
        self._run(self._pulled())

    async def _pulled(self) -> None:
        self._proxy.refuse()
        self._proxy.cut()

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=20)


def test_who_was_called_back_while_a_node_was_cut_off_gets_nothing_late(rabbitmq: RabbitMQ, redis: Redis) -> None:
    names = Names()
    with ExitStack() as stack:
        cable = stack.enter_context(Cable(redis))
        near, far = node(rabbitmq, redis, names, *QUICK), node(rabbitmq, cable, names, *QUICK)
        for one in (near, far):
            stack.enter_context(one)
            joined(one)
        revoked = far.join("u1")
        cable.pull()
        until(lambda: state(far) == (503, "held", "connecting"), says=lambda: state(far))
        until(lambda: state(near) == (200, "connected", "connected"), says=lambda: state(near))
        near.publish(orders(1))
        until(lambda: near.counts()["delivered"] == 1, says=near.counts)
        assert near.service.post("/revoke", {"user": "u1"}).status == 200
        near.publish(orders(2))
        until(lambda: near.counts()["delivered"] == 2, says=near.counts)
        cable.plug()
        told = revoked.rest()
        assert "auth:revoked" in told[-2]
        assert [text for text in told if "order:" in text] == []


def test_with_local_a_node_serves_its_own_clients_meanwhile(rabbitmq: RabbitMQ, redis: Redis) -> None:
    with ExitStack() as stack:
        both = nodes(rabbitmq, redis, stack, "--redis-away", "local")
        clients = [one.join("u1") for one in both]
        redis.kill()
        for one in both:
            until(lambda one=one: state(one) == (200, "connected", "connecting"), says=lambda one=one: state(one))
        both[0].publish(orders(1))
        until(lambda: sum(one.counts()["delivered"] for one in both) == 1)
        assert sum(one.name == "order:status_updated" for client in clients for one in client.events()) == 1
        redis.start()
        for one in both:
            joined(one)
        both[0].publish(orders(2))
        for client in clients:
            until(lambda client=client: "o2" in [one.data["orderId"] for one in client.events()])


def test_a_node_that_starts_without_redis_listens_and_is_not_ready(rabbitmq: RabbitMQ, redis: Redis) -> None:
    redis.kill()
    running = node(rabbitmq, redis, Names(), *QUICK)
    running.start(wait=False)
    try:
        until(lambda: state(running) == (503, "held", "connecting"), says=lambda: state(running))
        client = running.join("u1")
        redis.start()
        running.wait_for_broker()
        running.publish(orders(1))
        assert client.next_event().data["orderId"] == "o1"
    finally:
        running.stop()
