"""Publishing with confirms: what the publisher hears of each message."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from rtwist.errors import (
    BrokerBusy,
    BrokerLost,
    BrokerProtocolError,
    BrokerTimeout,
    LocalProtocolError,
    PublishNacked,
    Unroutable,
)
from rtwist.intake.amqp import Properties
from rtwist.intake.amqp.frames import content_frames
from rtwist.intake.amqp.message import read_properties, write_properties
from tests.intake.amqp.fakes import Broker, frame_of, outcome


def publisher(**options: Any) -> Broker:
    broker = Broker.ready(**options)
    done = Deferred.fromCoroutine(broker.client.confirm())
    broker.say("confirm.select-ok")
    assert outcome(done) is None
    broker.take()
    return broker


def returned(
    body: bytes, properties: Properties | None = None, exchange: str = "e", routing_key: str = "k"
) -> bytes:
    head = frame_of(
        "basic.return", reply_code=312, reply_text="NO_ROUTE", exchange=exchange, routing_key=routing_key
    )
    return head + b"".join(content_frames(1, write_properties(properties or Properties()), body, 131072))


def test_a_message_goes_out_in_frames_the_broker_takes() -> None:
    broker = publisher(frame_max=4096)
    body, properties = b"\xff" * 9000, Properties(delivery_mode=2, headers={"n": -1, "t": True})
    broker.client.publish("é", "k", body, properties)
    method, header, *bodies = broker.take_frames()
    assert method[2].endswith("\x02é\x01k\x01".encode())
    assert int.from_bytes(header[2][4:12], "big") == 9000
    assert read_properties(header[2][12:]) == properties
    assert [len(payload) for _, _, payload in bodies] == [4088, 4088, 824]
    assert b"".join(payload for _, _, payload in bodies) == body


def test_an_empty_body_has_no_body_frame() -> None:
    broker = publisher()
    broker.client.publish("e", "k", b"", mandatory=False)
    assert [kind for kind, _, _ in broker.take_frames()] == [1, 2]


def test_confirms_one_by_one_in_any_order_and_many_at_once() -> None:
    broker = publisher()
    done = [broker.client.publish("e", "k", b"%d" % number) for number in range(6)]
    broker.say("basic.ack", delivery_tag=2)
    assert [outcome(one) for one in done[:3]] == ["waiting", None, "waiting"]
    broker.say("basic.ack", delivery_tag=4, multiple=True)
    assert [outcome(one) for one in done] == [None, None, None, None, "waiting", "waiting"]
    broker.say("basic.nack", delivery_tag=5)
    assert isinstance(outcome(done[4]), PublishNacked)
    broker.say("basic.ack", delivery_tag=0, multiple=True)
    assert outcome(done[5]) is None
    broker.clock.advance(10)
    assert broker.clock.getDelayedCalls() == []
    assert broker.client.reason is None


def test_a_message_that_reaches_no_queue_is_an_error() -> None:
    broker = publisher()
    fine, lost = (broker.client.publish("e", "k", b"x", Properties(message_id=name)) for name in "ab")
    broker.write(returned(b"x", Properties(message_id="b")))
    broker.say("basic.ack", delivery_tag=2, multiple=True)
    error = outcome(lost)
    assert isinstance(error, Unroutable)
    assert (error.code, error.text) == (312, "NO_ROUTE")
    assert outcome(fine) is None


def test_a_return_of_something_unknown_harms_nobody() -> None:
    broker = publisher()
    done = broker.client.publish("e", "k", b"x")
    broker.write(returned(b"y"))
    broker.write(returned(b"x", exchange="other"))
    assert outcome(done) == "waiting"
    assert broker.client.reason is None


def test_the_end_of_the_connection_is_the_end_of_all() -> None:
    broker = publisher()
    done = [broker.client.publish("e", "k", b"x") for _ in range(3)]
    broker.hang_up()
    assert [type(outcome(one)) for one in done] == [BrokerLost] * 3
    assert isinstance(outcome(broker.client.publish("e", "k", b"x")), BrokerLost)
    assert broker.clock.getDelayedCalls() == []


def test_one_timer_for_all_and_a_late_confirm_ends_the_connection() -> None:
    broker = publisher(call_timeout=10)
    first = broker.client.publish("e", "k", b"1")
    broker.clock.advance(5)
    second = broker.client.publish("e", "k", b"2")
    assert len(broker.clock.getDelayedCalls()) == 1
    broker.say("basic.ack", delivery_tag=1)
    broker.clock.advance(5)
    assert (outcome(first), outcome(second)) == (None, "waiting")
    broker.clock.advance(5)
    assert isinstance(outcome(second), BrokerTimeout)
    assert broker.wire.ended == "aborted"


def test_a_blocked_broker_is_said_at_once() -> None:
    broker, heard = publisher(call_timeout=10), []
    broker.client.on_blocked = heard.append
    before = broker.client.publish("e", "k", b"1")
    broker.say("connection.blocked", 0, reason="low on memory")
    assert broker.client.blocked == "low on memory"
    broker.take_frames()
    error = outcome(broker.client.publish("e", "k", b"2"))
    assert isinstance(error, BrokerBusy)
    assert "low on memory" in str(error)
    assert broker.take_frames() == []
    broker.clock.advance(10)
    assert isinstance(outcome(before), BrokerBusy)
    assert broker.client.reason is None, "a blocked broker is slow, not gone"
    broker.say("connection.unblocked", 0)
    after = broker.client.publish("e", "k", b"3")
    broker.say("basic.ack", delivery_tag=2, multiple=True)
    assert (outcome(after), heard) == (None, ["low on memory", None])


def test_too_many_waiting_are_refused() -> None:
    broker = publisher(max_unconfirmed=2)
    done = [broker.client.publish("e", "k", b"x") for _ in range(3)]
    assert [type(outcome(one)) for one in done] == [str, str, BrokerBusy]


def test_too_many_bytes_waiting_are_refused_but_one_large_body_goes_out() -> None:
    broker = publisher(max_unconfirmed_bytes=1000)
    large = broker.client.publish("e", "k", b"x" * 5000)
    assert isinstance(outcome(broker.client.publish("e", "k", b"y")), BrokerBusy)
    broker.say("basic.ack", delivery_tag=1)
    assert outcome(large) is None
    done = [broker.client.publish("e", "k", b"x" * 600) for _ in range(2)]
    assert [type(outcome(one)) for one in done] == [str, BrokerBusy]
    broker.write(returned(b"x" * 600))
    assert broker.client.confirms.size == 0


def test_a_publisher_that_gives_up_disturbs_nobody() -> None:
    broker = publisher()
    first, second = (broker.client.publish("e", "k", b"x") for _ in range(2))
    first.addErrback(lambda _: None)
    first.cancel()
    broker.say("basic.ack", delivery_tag=2, multiple=True)
    assert outcome(second) is None


def test_a_confirm_of_what_was_never_published() -> None:
    broker = publisher()
    broker.say("basic.ack", delivery_tag=1)
    assert isinstance(broker.client.reason, BrokerProtocolError)


@pytest.mark.parametrize(
    ("key", "properties"), [("x" * 256, Properties()), ("k", Properties(headers={"x": "y" * 200_000}))]
)
def test_what_cannot_be_sent_is_not_counted(key: str, properties: Properties) -> None:
    broker = publisher()
    with pytest.raises(LocalProtocolError):
        broker.client.publish("e", key, b"x", properties)
    assert broker.take_frames() == []
    done = broker.client.publish("e", "k", b"x")
    broker.say("basic.ack", delivery_tag=1)
    assert outcome(done) is None


def test_confirm_comes_first() -> None:
    with pytest.raises(LocalProtocolError, match="after confirm"):
        Broker.ready().client.publish("e", "k", b"x")
