"""Messages that cannot be used end in the dead-letter queue with their reasons, and none holds up the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pika
import pytest

from tests.intake.brokered import Brokered, order, site_with_rules, until
from tests.support.rabbitmq import RabbitMQ

BAD = {
    "empty": (b"", "the body is empty"),
    "no JSON": (b"{nonsense", "not JSON"),
    "no UTF-8": (b'{"orderId": "\xff"}', "not UTF-8"),
    "a list": ([order(1)], "must be a JSON object, not an array"),
    "a text": ("order", "must be a JSON object, not a string"),
    "too deep": (b"[" * 5000 + b"]" * 5000, "nested deeper than 64"),
    "an id of a wrong type": ({"orderId": {"x": 1}, "userId": "u1"}, "orderId must be a string or an integer"),
    "no order id": ({"userId": "u1"}, "orderId is missing"),
}


class TestReasons:
    @pytest.mark.parametrize(("body", "reason"), BAD.values(), ids=BAD)
    def test_it_is_written_on_the_dead_letter(self, brokered: Brokered, body: Any, reason: str) -> None:
        client = brokered.join()
        headers = {"trace": "t-1", "CC": ["elsewhere"]}
        brokered.publish(body, message_id="m-1", headers=headers, expiration="600000", user_id="guest")
        brokered.publish(order("next"))
        assert client.next_event().data["orderId"] == "onext"
        ((delivered, properties, content),) = brokered.wait_for_dead()
        assert content == (body if isinstance(body, bytes) else json.dumps(body).encode())
        assert reason in properties.headers["x-rtwist-reason"]
        assert properties.headers["x-rtwist-exchange"] == brokered.names.exchange
        assert properties.headers["x-rtwist-routing-key"] == delivered.routing_key == "order.shipped"
        assert properties.headers["trace"] == "t-1"
        assert (properties.message_id, properties.delivery_mode) == ("m-1", 2)
        assert any(reason in line and "dead letter" in line for line in brokered.program.output)
        assert sum(brokered.counts()["dead"].values()) == 1

    def test_an_unknown_kind(self, brokered: Brokered) -> None:
        brokered.publish({"type": "weather.changed", "data": {}}, brokered.names.queue, exchange="")
        ((_, properties, _),) = brokered.wait_for_dead()
        assert "unknown kind 'weather.changed'" in properties.headers["x-rtwist-reason"]
        assert brokered.counts()["dead"] == {"unknown_kind": 1}

    def test_the_queue_is_empty_afterwards(self, brokered: Brokered) -> None:
        for body, _ in BAD.values():
            brokered.publish(body)
        brokered.wait_for_dead(len(BAD))
        until(lambda: brokered.node.queues()[brokered.names.queue] == 0)


class TestSizes:
    def test_what_is_too_large_is_rejected_and_the_log_says_why(self, rabbitmq: RabbitMQ) -> None:
        with Brokered(rabbitmq, "--rabbitmq-max-body", "5000") as brokered:
            client = brokered.join()
            brokered.publish(b"x" * 5001)
            brokered.publish(order("next"))
            assert client.next_event().data["orderId"] == "onext"
            ((_, properties, content),) = brokered.wait_for_dead()
            assert content == b"x" * 5001, "the broker kept it"
            assert properties.headers["x-death"][0]["reason"] == "rejected"
            assert brokered.program.wait_for_output("5001 bytes; --rabbitmq-max-body is 5000")
            assert brokered.counts()["dead"] == {"too_large": 1}


RULES = """
from pathlib import Path
from rtwist.domain.emission import Emission

def rule(event, owners):
    tries = Path(event.data["file"])
    count = int(tries.read_text() or 0) + 1
    tries.write_text(str(count))
    if count <= event.data["failures"]:
        raise RuntimeError(f"failure {count}")
    return [Emission("invoice:new", {"orderId": event.data["orderId"]}, ("user:u1",))]

RULES = {"order.invoiced": rule}
"""


@pytest.fixture
def with_rule(rabbitmq: RabbitMQ, tmp_path: Path) -> Any:
    """A service with a package's rule, which fails as often as its event says."""
    brokered = Brokered(rabbitmq, env=site_with_rules(tmp_path, RULES))
    brokered.start()
    yield brokered
    brokered.stop()


def invoice(tmp_path: Path, failures: int) -> dict[str, Any]:
    (tmp_path / "tries").write_text("")
    return {**order("invoice"), "file": str(tmp_path / "tries"), "failures": failures}


class TestFailingRules:
    def test_one_that_recovers_is_emitted_in_its_place(self, with_rule: Brokered, tmp_path: Path) -> None:
        client = with_rule.join()
        with_rule.publish(invoice(tmp_path, 2), "order.invoiced", message_id="m-1")
        with_rule.publish(order("next"))
        assert [client.next_event().data["orderId"] for _ in "12"] == ["oinvoice", "onext"]
        assert with_rule.counts()["retries"] == 2
        assert with_rule.counts()["dead"] == {}

    def test_one_that_does_not_becomes_a_dead_letter(self, with_rule: Brokered, tmp_path: Path) -> None:
        client = with_rule.join()
        with_rule.publish(invoice(tmp_path, 100), "order.invoiced")
        with_rule.publish(order("next"))
        assert client.next_event().data["orderId"] == "onext"
        ((_, properties, _),) = with_rule.wait_for_dead()
        assert properties.headers["x-rtwist-reason"] == "its rule failed 4 times: RuntimeError: failure 4"
        assert (tmp_path / "tries").read_text() == "4"


def test_a_message_of_a_quorum_queue_that_never_finishes(rabbitmq: RabbitMQ) -> None:
    options = ("--rabbitmq-queue-type", "quorum", "--rabbitmq-max-deliveries", "3")
    with Brokered(rabbitmq, *options) as brokered:
        brokered.service.close_clients()
        brokered.stop()
        brokered.publish(order(1), message_id="m-1")
        for _ in range(3):  # consumers that end without an acknowledgement
            connection = pika.BlockingConnection(pika.URLParameters(rabbitmq.url))
            channel = connection.channel()
            next(channel.consume(brokered.names.queue, inactivity_timeout=20))
            connection.close()
        brokered.start()
        ((_, properties, _),) = brokered.wait_for_dead()
        assert properties.headers["x-rtwist-reason"] == "delivered 4 times and never finished"
