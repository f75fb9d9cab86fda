"""What may happen to the consumer: each ends in a fresh, working one within seconds, and in words for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.intake.brokered import Brokered, Names, order, until
from tests.support.rabbitmq import RabbitMQ


class TestTheQueue:
    def test_one_that_is_deleted_is_made_again(self, brokered: Brokered) -> None:
        client = brokered.join()
        brokered.channel.queue_delete(brokered.names.queue)
        until(lambda: brokered.counts()["connections"] == 2)
        brokered.wait_for_broker()
        brokered.publish(order(1))
        assert client.next_event().data["orderId"] == "o1"
        assert brokered.program.wait_for_output("the broker ended the consumer: queue")

    def test_a_connection_that_the_operator_closes(self, brokered: Brokered) -> None:
        client = brokered.join()
        until(lambda: "rtwist" in brokered.node.ctl("list_connections", "client_properties"))
        brokered.node.ctl("close_all_connections", "away with you")
        until(lambda: brokered.counts()["connections"] == 2)
        brokered.wait_for_broker()
        brokered.publish(order(1))
        assert client.next_event().data["orderId"] == "o1"


class TestTopology:
    def test_what_is_made(self, brokered: Brokered) -> None:
        node, names = brokered.node, brokered.names
        rows = node.ctl("list_queues", "name", "durable", "arguments").splitlines()
        (row,) = [row for row in rows if row.startswith(f"{names.queue}\t")]
        assert "true" in row
        assert "x-single-active-consumer" in row
        assert names.dlx in row
        bindings = node.ctl("list_bindings", "source_name", "destination_name", "routing_key").splitlines()
        keys = [row.split("\t")[2] for row in bindings if row.startswith(f"{names.exchange}\t{names.queue}\t")]
        assert len(keys) == 10
        assert "order.#" in keys
        assert f"{names.dlx}\t{names.dead}\t#" in bindings

    def refusal(self, rabbitmq: RabbitMQ, names: Names, *options: str) -> str:
        brokered = Brokered(rabbitmq, *options, names=names)
        brokered.start(wait=False)
        try:
            brokered.program.wait_for_output("consumer: cannot connect")
            until(lambda: "first attempt" not in brokered.ready()["broker"])
            said: str = brokered.ready()["broker"]
            assert brokered.service.request("GET", "/ready").status == 503
        finally:
            brokered.stop()
        return said

    def test_a_queue_with_other_arguments_is_explained(self, rabbitmq: RabbitMQ) -> None:
        names = Names()
        channel = Brokered(rabbitmq, names=names).channel
        channel.queue_declare(names.queue, durable=True)
        said = self.refusal(rabbitmq, names)
        assert said.startswith(
            f"connecting: queue {names.queue} exists with another type or other arguments (broker: "
        )
        assert "406 PRECONDITION_FAILED" in said
        assert "set --rabbitmq-declare check to use it as it is, or --rabbitmq-queue to another name" in said

    def test_an_exchange_of_another_type_is_explained(self, rabbitmq: RabbitMQ) -> None:
        names = Names()
        Brokered(rabbitmq, names=names).channel.exchange_declare(names.exchange, "fanout", durable=True)
        said = self.refusal(rabbitmq, names)
        assert f"exchange {names.exchange} exists with another type" in said
        assert "--rabbitmq-exchange to another name" in said

    def test_checking_says_what_is_missing(self, rabbitmq: RabbitMQ) -> None:
        names = Names()
        said = self.refusal(rabbitmq, names, "--rabbitmq-declare", "check")
        assert f"exchange {names.exchange} does not exist" in said
        assert "set --rabbitmq-declare declare" in said

    @pytest.mark.parametrize("mode", ["check", "none"])
    def test_what_is_there_is_used_as_it_is(self, rabbitmq: RabbitMQ, mode: str) -> None:
        names = Names()
        brokered = Brokered(rabbitmq, "--rabbitmq-declare", mode, names=names)
        channel = brokered.channel
        channel.exchange_declare(names.exchange, "direct", durable=False)
        channel.queue_declare(names.queue, durable=False)
        channel.queue_bind(names.queue, names.exchange, "order.shipped")
        if mode == "check":
            channel.exchange_declare(names.dlx, "topic")
            channel.queue_declare(names.dead)
        with brokered:
            client = brokered.join()
            brokered.publish(order(1))
            assert client.next_event().data["orderId"] == "o1"


@pytest.fixture
def own_node() -> Iterator[RabbitMQ]:
    """A node that a test may block."""
    with RabbitMQ() as node:
        yield node


class TestTheNode:
    def test_an_alarm_does_not_stop_consuming(self, own_node: RabbitMQ) -> None:
        with Brokered(own_node, "--to-broker") as brokered:
            client = brokered.join()
            for number in range(3):
                brokered.publish(order(number))
            assert [client.next_event().data["orderId"] for _ in range(3)] == ["o0", "o1", "o2"]
            own_node.ctl("set_vm_memory_high_watermark", "0.00001")
            refused = brokered.service.post("/events", order("blocked"))
            assert (refused.status, refused.header("Retry-After")) == (503, "5")
            assert refused.json()["error"]["code"] == "unavailable"
            until(lambda: brokered.ready()["broker"].startswith("blocked: "))
            assert brokered.service.request("GET", "/ready").status == 200
            own_node.ctl("set_vm_memory_high_watermark", "0.4")
            until(lambda: brokered.service.post("/events", order("after")).status == 200)


class TestSettling:
    def test_events_stay_in_the_queue_until_clients_had_their_time(self, rabbitmq: RabbitMQ) -> None:
        names = Names()
        with Brokered(rabbitmq, names=names) as before:
            before.join()
        after = Brokered(rabbitmq, "--rabbitmq-settle", "3", names=names)
        after.publish(order(1))
        after.start(wait=False)
        try:
            until(lambda: after.ready()["broker"] == "settling")
            assert after.service.request("GET", "/ready").status == 200
            assert (after.queued(), after.counts()["delivered"]) == (1, 0)
            assert after.join().next_event().data["orderId"] == "o1"
            assert after.ready()["broker"] == "connected"
        finally:
            after.stop()

    def test_a_connection_that_ends_meanwhile_is_replaced(self, rabbitmq: RabbitMQ) -> None:
        settling = Brokered(rabbitmq, "--rabbitmq-settle", "3")
        settling.start(wait=False)
        try:
            until(lambda: settling.ready()["broker"] == "settling")
            until(lambda: "rtwist" in rabbitmq.ctl("list_connections", "client_properties"))
            rabbitmq.ctl("close_all_connections", "away with you")
            settling.forget_channel()
            until(lambda: settling.counts()["connections"] == 2)
            settling.wait_for_broker()
            client = settling.join()
            settling.publish(order(1))
            assert client.next_event().data["orderId"] == "o1"
        finally:
            assert settling.stop() == 0

    def test_it_can_be_stopped_meanwhile(self, rabbitmq: RabbitMQ) -> None:
        settling = Brokered(rabbitmq, "--rabbitmq-settle", "3600")
        settling.start(wait=False)
        until(lambda: settling.ready()["broker"] == "settling")
        assert settling.stop() == 0


class TestPublishing:
    @pytest.fixture
    def publishing(self, rabbitmq: RabbitMQ) -> Iterator[Brokered]:
        with Brokered(rabbitmq, "--to-broker") as running:
            yield running

    def post(self, publishing: Brokered, *events: Any) -> Any:
        return publishing.service.post("/events", events[0] if len(events) == 1 else list(events))

    def test_what_is_posted_goes_round_by_the_broker(self, publishing: Brokered) -> None:
        client = publishing.join()
        answer = self.post(publishing, *({"type": "order.shipped", "data": order(number)} for number in range(5)))
        assert (answer.status, answer.json()["data"]) == (200, {"published": 5})
        assert [client.next_event().data["orderId"] for _ in range(5)] == [f"o{number}" for number in range(5)]
        assert publishing.counts()["delivered"] == 5

    def test_an_event_posted_twice_is_emitted_once(self, publishing: Brokered) -> None:
        client = publishing.join()
        event = {"type": "order.shipped", "id": "é" * 190, "data": order(1)}
        for _ in range(2):
            assert self.post(publishing, event).status == 200
        publishing.wait_for_counts(delivered=2, duplicates=1)
        assert client.names() == ["order:status_updated"]

    def test_a_bad_event_is_refused_and_nothing_is_published(self, publishing: Brokered) -> None:
        answer = self.post(
            publishing, {"type": "order.shipped", "data": order(1)}, {"type": "weather.changed", "data": {}}
        )
        assert answer.status == 400
        assert "event 2 of 2: unknown kind" in answer.json()["error"]["message"]
        assert publishing.counts()["published"] == 0

    def test_without_a_queue_it_is_unroutable(self, rabbitmq: RabbitMQ) -> None:
        with Brokered(rabbitmq, "--to-broker", "--rabbitmq-bindings", "payment.#") as publishing:
            answer = self.post(publishing, {"type": "order.shipped", "data": order(1)})
            assert (answer.status, answer.json()["error"]["code"]) == (422, "unroutable")

    def test_one_that_a_full_queue_rejects_may_be_posted_again(self, publishing: Brokered) -> None:
        audit = f"{publishing.names.queue}.audit"
        full = {"x-max-length": 1, "x-overflow": "reject-publish"}
        publishing.channel.queue_declare(audit, arguments=full)
        publishing.channel.queue_bind(audit, publishing.names.exchange, "order.#")
        client = publishing.join()
        event = {"type": "order.shipped", "id": "e-1", "data": order(1)}
        publishing.publish(order("first"))
        for _ in range(2):
            answer = self.post(publishing, event)
            assert (answer.status, answer.header("Retry-After")) == (503, "5")
            error = answer.json()["error"]
            assert error["code"] == "unavailable"
            assert error["message"] == (
                "not confirmed by the broker, try again with the same id: the broker could not take the message "
                "over (basic.nack): a queue is full, or it has a fault"
            )
        publishing.channel.queue_purge(audit)
        assert self.post(publishing, event).status == 200
        publishing.wait_for_counts(delivered=4, duplicates=2, published=1, unpublished=2)
        assert [event.data["orderId"] for event in client.events()] == ["ofirst", "o1"], "once"

    def test_without_a_broker_it_is_unavailable(self, rabbitmq: RabbitMQ) -> None:
        publishing = Brokered(rabbitmq, "--to-broker", env={"RABBITMQ_URL": "amqp://127.0.0.1:1"})
        publishing.start(wait=False)
        answer = self.post(publishing, {"type": "order.shipped", "data": order(1)})
        assert (answer.status, answer.header("Retry-After")) == (503, "5")
        publishing.stop()
