"""`python -m rtwist dead-letters`: what is listed, and what is put back."""

from __future__ import annotations

import signal

import pytest

from tests.intake.brokered import Brokered, order, until
from tests.support.rabbitmq import RabbitMQ


def test_an_empty_queue(brokered: Brokered) -> None:
    assert brokered.tool("dead-letters") == (0, "0 dead letters\n")
    assert brokered.tool("dead-letters", "requeue")[0] == 0


class TestListing:
    def test_each_has_its_reason(self, brokered: Brokered) -> None:
        brokered.publish(b"non\x1bsense", message_id="m-1")
        until(lambda: brokered.queued(brokered.names.dead) == 1)
        brokered.publish([1], message_id="m-2")
        until(lambda: brokered.queued(brokered.names.dead) == 2)
        status, text = brokered.tool("dead-letters", "list")
        lines = text.splitlines()
        assert status == 0
        assert lines[0].startswith("1  20")
        assert lines[0].endswith("  order.shipped  id m-1  9 bytes")
        assert lines[1] == "   reason: the body is not JSON: invalid character (byte 4)"
        assert lines[2] == "   body: 'non\\x1bsense'"
        assert lines[-1] == "2 dead letters"
        assert brokered.tool("dead-letters", "--limit", "1")[1].endswith("\n1 dead letters\n")
        assert "m-1" not in brokered.tool("dead-letters", "--id", "m-2")[1]
        assert brokered.queued(brokered.names.dead) == 2, "they are all still there"

    def test_what_the_broker_wrote_itself(self, rabbitmq: RabbitMQ) -> None:
        with Brokered(rabbitmq, env={"RTWIST_RABBITMQ_MAX_BODY": "10"}) as brokered:
            brokered.publish(b"x" * 11)
            until(lambda: brokered.queued(brokered.names.dead) == 1)
            text = brokered.tool("dead-letters")[1]
            assert "order.shipped" in text
            assert "reason: rejected (11 bytes; --rabbitmq-max-body is less)" in text


class TestPuttingBack:
    def test_after_a_fix_they_are_emitted_as_what_they_were(self, rabbitmq: RabbitMQ) -> None:
        with Brokered(rabbitmq, env={"RTWIST_RABBITMQ_MAX_BODY": "10"}) as brokered:
            brokered.publish(order(1), "order.shipped", message_id="m-1", headers={"trace": "t"})
            until(lambda: brokered.queued(brokered.names.dead) == 1)
            brokered.stop()
            brokered.env["RTWIST_RABBITMQ_MAX_BODY"] = "1000"
            brokered.start()
            client = brokered.join()
            status, text = brokered.tool("dead-letters", "requeue")
            assert (status, text) == (0, f"1 of 1 dead letters put back into {brokered.names.queue}\n")
            assert client.next_event().name == "order:status_updated"
            assert brokered.queued(brokered.names.dead) == 0

    def test_only_those_named(self, brokered: Brokered) -> None:
        for number in range(3):
            brokered.publish(b"bad", message_id=f"m-{number}")
        until(lambda: brokered.queued(brokered.names.dead) == 3)
        brokered.stop()
        assert brokered.tool("dead-letters", "requeue", "--id", "m-1")[1].startswith("1 of 1 ")
        assert brokered.queued(brokered.names.dead) == 2
        got, properties, _ = brokered.channel.basic_get(brokered.names.queue, auto_ack=True)
        assert (got.routing_key, properties.message_id) == (brokered.names.queue, "m-1")
        assert properties.headers == {
            "x-rtwist-exchange": brokered.names.exchange, "x-rtwist-routing-key": "order.shipped",
        }  # fmt: skip

    def test_one_that_is_still_bad_comes_back(self, brokered: Brokered) -> None:
        brokered.publish(b"bad", message_id="m-1")
        until(lambda: brokered.queued(brokered.names.dead) == 1)
        assert brokered.tool("dead-letters", "requeue")[0] == 0
        brokered.wait_for_counts(dead={"not_json": 2})
        ((_, properties, _),) = brokered.wait_for_dead()
        assert properties.headers["x-rtwist-routing-key"] == "order.shipped"


class TestMistakes:
    @pytest.mark.parametrize(
        ("env", "says"),
        [
            ({"RABBITMQ_URL": ""}, "set RABBITMQ_URL"),
            ({"RABBITMQ_URL": "amqp://127.0.0.1:1"}, "refused"),
            ({"RTWIST_RABBITMQ_DEAD_LETTER_QUEUE": "no-such-queue"}, "404"),
        ],
    )
    def test_are_said_in_a_line(self, rabbitmq: RabbitMQ, env: dict[str, str], says: str) -> None:
        status, text = Brokered(rabbitmq, env=env).tool("dead-letters")
        assert status == 1
        assert says in text
        assert "Traceback" not in text


DYING = """
import os, signal, sys
from rtwist.__main__ import main
from rtwist.intake.amqp import BrokerConnection

def ack(connection, tag, multiple=False):
    if tag == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    acknowledge(connection, tag, multiple)

acknowledge, BrokerConnection.ack = BrokerConnection.ack, ack
sys.exit(main(["dead-letters", "requeue"]))
"""
"""The command, killed when the broker has the copy of the second letter and is about to hear so."""


class TestKilledWhilePuttingBack:
    def test_nothing_is_lost_and_nothing_emitted_twice(self, rabbitmq: RabbitMQ) -> None:
        with Brokered(rabbitmq, env={"RTWIST_RABBITMQ_MAX_BODY": "10"}) as brokered:
            for number in range(4):
                brokered.publish(order(number), message_id=f"m-{number}")
            until(lambda: brokered.queued(brokered.names.dead) == 4)
            brokered.stop()
            brokered.env["RTWIST_RABBITMQ_MAX_BODY"] = "1000"
            brokered.start()
            client = brokered.join()
            assert brokered.python("-c", DYING)[0] == -signal.SIGKILL
            until(lambda: brokered.queued(brokered.names.dead) == 3)
            assert brokered.tool("dead-letters", "requeue")[1].startswith("3 of 3 dead letters put back")
            brokered.wait_for_counts(delivered=5, accepted=4, duplicates=1)
            assert [event.data["orderId"] for event in client.events()] == ["o0", "o1", "o2", "o3"]
            assert brokered.queued(brokered.names.dead) == 0
