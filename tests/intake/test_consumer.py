"""From RabbitMQ to a browser's socket: order, duplicates, acknowledgements, and a clean stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.intake.brokered import Brokered, Names, order, until
from tests.service.peers import Client
from tests.support.rabbitmq import RabbitMQ


def order_ids(client: Client, count: int) -> list[str]:
    return [client.next_event().data["orderId"] for _ in range(count)]


class TestEvents:
    def test_an_order_reaches_its_customer(self, brokered: Brokered) -> None:
        client = brokered.join()
        brokered.publish(order(1, status="shipped", orderNumber="ORD-1"), "order.shipped")
        event = client.next_event()
        assert (event.name, event.data["status"]) == ("order:status_updated", "shipped")
        assert event.data["message"] == "Your order #ORD-1 is now shipped"

    def test_they_come_in_order(self, brokered: Brokered) -> None:
        client = brokered.join()
        for number in range(1500):
            brokered.publish(order(number))
        assert order_ids(client, 1500) == [f"o{number}" for number in range(1500)]
        until(lambda: brokered.node.queues()[brokered.names.queue] == 0)

    def test_bad_ones_between_do_not_change_the_order(self, brokered: Brokered) -> None:
        client = brokered.join()
        for number in range(200):
            brokered.publish(order(number))
            brokered.publish(b"nonsense")
        assert order_ids(client, 200) == [f"o{number}" for number in range(200)]
        assert len(brokered.wait_for_dead(200)) == 200
        until(lambda: brokered.node.queues()[brokered.names.queue] == 0)

    def test_a_message_of_one_megabyte(self, brokered: Brokered) -> None:
        client = brokered.join()
        brokered.publish({"type": "user", "userId": "u1", "subject": "s", "content": "é" * 500_000},
                         "notification.created")  # fmt: skip
        assert client.next_event().data["content"] == "é" * 500_000

    def test_by_the_default_exchange_the_event_says_its_kind(self, brokered: Brokered) -> None:
        client = brokered.join()
        body = {"type": "order.shipped", "data": order(7)}
        brokered.publish(body, brokered.names.queue, exchange="")
        assert client.next_event().data["orderId"] == "o7"

    def test_patterns_of_own_rules_are_bound_when_asked(self, rabbitmq: RabbitMQ, tmp_path: Path) -> None:
        routes = tmp_path / "routes.toml"
        rooms = 'rooms = ["user:{userId}"]'
        routes.write_text(f'[[route]]\npattern = "invoice.#"\nemit = "invoice:new"\nfields = "*"\n{rooms}\n')
        with Brokered(rabbitmq, "--routes", str(routes), "--rabbitmq-bind-rules") as brokered:
            client = brokered.join()
            brokered.publish({"userId": "u1", "total": 3}, "invoice.created")
            assert client.next_event().name == "invoice:new"


def same(number: int, **properties: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"type": "order.shipped", "data": order(number), "id": "e-1"}, properties


class TestDuplicates:
    CLOUD = {  # noqa: RUF012
        "specversion": "1.0", "id": "c-1", "source": "/shop", "type": "order.shipped", "data": order("cloud"),
    }  # fmt: skip

    @pytest.mark.parametrize(
        "twice",
        [
            [(order(1), {"message_id": "m-1"}), (order(1), {"message_id": "m-1"})],
            [same(1), same(1)],
            [same(1, message_id="m-1"), same(1, message_id="m-2")],
            [same(1, message_id="m-1"), (order(1), {"message_id": "m-1"})],
            [(order(1), {"message_id": "e-1"}), same(1)],
            [(CLOUD, {}), (CLOUD, {"message_id": "m-1"})],
        ],
        ids=["message id", "envelope id", "envelope id under two message ids", "message id of an envelope",
             "envelope id as message id", "CloudEvents id"],
    )  # fmt: skip
    def test_a_repeated_event_is_emitted_once(
        self, brokered: Brokered, twice: list[tuple[Any, dict[str, Any]]]
    ) -> None:
        client = brokered.join()
        for body, properties in twice:
            brokered.publish(body, **properties)
        brokered.publish(order("last"))
        seen = [client.next_event().data["orderId"]]
        while seen[-1] != "olast":
            seen.append(client.next_event().data["orderId"])
        assert len(seen) == 2
        assert brokered.counts()["duplicates"] == 1
        assert brokered.queued() == 0

    def test_whichever_way_it_comes(self, brokered: Brokered) -> None:
        client = brokered.join()
        body, properties = same(1)
        brokered.publish(body, **properties)
        assert order_ids(client, 1) == ["o1"]
        assert brokered.service.publish(body)["duplicates"] == 1
        assert client.names() == []

    def test_different_events_without_ids_are_all_emitted(self, brokered: Brokered) -> None:
        client = brokered.join()
        for _ in range(3):
            brokered.publish(order(1))
        assert order_ids(client, 3) == ["o1"] * 3


class TestStopping:
    def test_what_was_emitted_is_acknowledged_and_the_rest_stays(self, rabbitmq: RabbitMQ) -> None:
        names = Names()
        with Brokered(rabbitmq, "--rabbitmq-prefetch", "7", names=names) as brokered:
            client = brokered.join()
            for number in range(3000):
                brokered.publish(order(number), message_id=f"m{number}")
            client.next_event()
            brokered.program.process.terminate()
            seen = 1 + sum('"order:status_updated"' in text for text in client.rest())
            assert brokered.program.wait() == 0
            rest = rabbitmq.queues()[names.queue]
            assert seen + rest == 3000
            assert rest > 0
            _, _, body = brokered.channel.basic_get(names.queue)
            assert json.loads(body)["orderId"] == f"o{seen}"

    def test_it_stops_in_time_while_there_is_no_broker(self, rabbitmq: RabbitMQ) -> None:
        brokered = Brokered(rabbitmq, env={"RABBITMQ_URL": "amqp://127.0.0.1:1"})
        brokered.start(wait=False)
        until(lambda: "refused" in brokered.ready()["broker"])
        answer = brokered.service.request("GET", "/ready")
        assert (answer.status, answer.json()["status"]) == (503, "NOT_READY")
        assert answer.json()["broker"].startswith("connecting: ")
        assert brokered.stop() == 0
