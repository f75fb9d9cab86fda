"""A connection over memory: logging in, calls and their deadlines, endings."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactor
from twisted.logger import capturedLogs

from rtwist.errors import (
    BrokerClosed,
    BrokerLost,
    BrokerProtocolError,
    BrokerRefused,
    BrokerTimeout,
    ConfigError,
    LocalProtocolError,
)
from rtwist.intake.amqp import BrokerAddress, BrokerFactory, BrokerOptions
from rtwist.intake.amqp.codec import read_table
from rtwist.intake.amqp.frames import ack_frame
from tests.intake.amqp.fakes import START, Broker, delivery, frame_of, outcome

CLOSE = {
    "reply_code": 406,
    "reply_text": "PRECONDITION_FAILED - unknown delivery tag 1",
    "class_id": 60,
    "method_id": 80,
}


class TestLoggingIn:
    def test_it_says_who_it_is_and_what_it_understands(self) -> None:
        broker = Broker(BrokerAddress(user="é", password="pässword", vhost="ü"), name="n")
        assert outcome(broker.log_in(heartbeat=60)) is None
        start_ok, tune_ok, open_, channel_open = broker.take()
        assert start_ok.arguments["mechanism"] == "PLAIN"
        assert start_ok.arguments["response"] == "\0é\0pässword".encode()
        properties = start_ok.arguments["client_properties"]
        assert properties["connection_name"] == "n"
        assert properties["capabilities"]["consumer_cancel_notify"] is True
        assert properties["capabilities"]["connection.blocked"] is True
        assert tune_ok.arguments == {"channel_max": 2047, "frame_max": 131072, "heartbeat": 20}
        assert open_.arguments["virtual_host"] == "ü"
        assert (channel_open.name, channel_open.channel) == ("channel.open", 1)
        assert broker.client.server_properties == {"product": "RabbitMQ"}

    @pytest.mark.parametrize(
        ("ours", "brokers", "agreed"), [(20, 60, 20), (20, 5, 5), (20, 0, 20), (0, 60, 0), (0, 0, 0)]
    )
    def test_the_shorter_heartbeat_holds(self, ours: int, brokers: int, agreed: int) -> None:
        broker = Broker(BrokerAddress(heartbeat=ours), heartbeat=7)
        broker.log_in(heartbeat=brokers)
        assert broker.take()[1].arguments["heartbeat"] == agreed

    @pytest.mark.parametrize(("brokers", "agreed"), [(0, 131072), (8192, 8192), (1 << 20, 131072)])
    def test_the_smaller_frame_holds_and_0_is_no_limit(self, brokers: int, agreed: int) -> None:
        broker = Broker()
        broker.log_in(frame_max=brokers)
        assert broker.take()[1].arguments["frame_max"] == agreed
        assert broker.client.frame_max == agreed

    def test_a_limit_below_the_protocol_s_own_is_an_error(self) -> None:
        broker = Broker()
        assert isinstance(outcome(broker.log_in(frame_max=100)), BrokerProtocolError)

    @pytest.mark.parametrize(
        ("code", "text"), [(403, "ACCESS_REFUSED - Login was refused"), (530, "NOT_ALLOWED - vhost")]
    )
    def test_a_refusal_says_so(self, code: int, text: str) -> None:
        broker = Broker()
        done = Deferred.fromCoroutine(broker.client.authenticate())
        broker.say("connection.start", 0, **START)
        broker.say("connection.close", 0, reply_code=code, reply_text=text)
        error = outcome(done)
        assert isinstance(error, BrokerRefused)
        assert (error.code, error.text) == (code, text)
        assert broker.take()[-1].name == "connection.close-ok"
        assert broker.wire.ended == "lost"

    @pytest.mark.parametrize(
        ("change", "why"), [({"mechanisms": b"EXTERNAL"}, "only by EXTERNAL"), ({"version_minor": 8}, "AMQP 0-8")]
    )
    def test_a_broker_that_cannot_be_talked_to(self, change: dict[str, Any], why: str) -> None:
        broker = Broker()
        done = Deferred.fromCoroutine(broker.client.authenticate())
        broker.say("connection.start", 0, **{**START, **change})
        error = outcome(done)
        assert isinstance(error, BrokerProtocolError)
        assert why in str(error)

    @pytest.mark.parametrize("name", ["connection.start", "connection.tune"])
    def test_nobody_can_begin_twice(self, name: str) -> None:
        broker = Broker.ready()
        broker.say(name, 0, **(START if name == "connection.start" else {}))
        assert isinstance(broker.client.reason, BrokerProtocolError)
        assert str(broker.client.reason) == f"the broker sent {name} when neither start nor tune was due"
        assert broker.take() == []

    def test_limits_are_not_agreed_on_before_the_start(self) -> None:
        broker = Broker()
        done = Deferred.fromCoroutine(broker.client.authenticate())
        broker.say("connection.tune", 0)
        assert str(outcome(done)) == "the broker sent connection.tune when connection.start was due"

    def test_a_broker_that_speaks_another_protocol_version_answers_with_its_header(self) -> None:
        broker = Broker()
        done = Deferred.fromCoroutine(broker.client.authenticate())
        broker.write(b"AMQP\x00\x01\x00\x00")
        assert isinstance(outcome(done), BrokerProtocolError)

    @pytest.mark.parametrize("steps", [0, 1, 2, 3])
    def test_every_step_has_a_deadline(self, steps: int) -> None:
        broker = Broker(call_timeout=3)
        done = Deferred.fromCoroutine(broker.client.authenticate())
        says: list[tuple[str, int, dict[str, Any]]] = [
            ("connection.start", 0, START), ("connection.tune", 0, {}), ("connection.open-ok", 0, {}),
        ]  # fmt: skip
        for name, channel, arguments in says[:steps]:
            broker.say(name, channel, **arguments)
        broker.clock.advance(2.9)
        assert outcome(done) == "waiting"
        broker.clock.advance(0.1)
        assert isinstance(broker.client.reason, BrokerTimeout)
        assert broker.wire.ended == "aborted"

    def test_a_connection_lost_meanwhile(self) -> None:
        broker = Broker()
        done = Deferred.fromCoroutine(broker.client.authenticate())
        broker.hang_up()
        error = outcome(done)
        assert isinstance(error, BrokerLost)
        assert "amqp://localhost:5672" in str(error)
        assert "guest" not in str(error)


class TestCalls:
    def test_answers_belong_to_calls_in_their_order(self) -> None:
        broker = Broker.ready()
        first = Deferred.fromCoroutine(broker.client.declare_queue("a"))
        second = Deferred.fromCoroutine(
            broker.client.declare_queue("b", arguments={"x-max-length": -1, "x": True})
        )
        assert [sent.arguments["queue"] for sent in broker.take()] == ["a", "b"]
        broker.say("queue.declare-ok", queue="a", message_count=5, consumer_count=1)
        assert (outcome(first).name, outcome(second)) == ("a", "waiting")
        broker.say("queue.declare-ok", queue="b")
        assert outcome(second).messages == 0
        assert broker.clock.getDelayedCalls() == []

    def test_a_call_without_an_answer_ends_the_connection(self) -> None:
        broker = Broker.ready(call_timeout=5)
        late = Deferred.fromCoroutine(broker.client.bind_queue("q", "e", "#"))
        other = Deferred.fromCoroutine(broker.client.qos(5))
        broker.clock.advance(5)
        error = outcome(late)
        assert isinstance(error, BrokerTimeout)
        assert "queue.bind" in str(error)
        assert outcome(other) is error
        assert isinstance(outcome(Deferred.fromCoroutine(broker.client.qos(1))), BrokerTimeout)
        assert broker.wire.ended == "aborted"

    def test_a_caller_that_gives_up_does_not_disturb_the_next(self) -> None:
        broker = Broker.ready()
        first = Deferred.fromCoroutine(broker.client.declare_queue("a"))
        second = Deferred.fromCoroutine(broker.client.declare_queue("b"))
        first.cancel()
        assert isinstance(outcome(first), CancelledError)
        broker.say("queue.declare-ok", queue="a")
        broker.say("queue.declare-ok", queue="b")
        assert outcome(second).name == "b"

    def test_what_cannot_be_sent_is_the_callers_error_and_nothing_is_sent(self) -> None:
        broker = Broker.ready()
        for name, arguments in (("x" * 256, {}), ("q", {"x": object()}), ("q", {"x": "y" * 200_000})):
            done = Deferred.fromCoroutine(broker.client.declare_queue(name, arguments=arguments))  # type: ignore[arg-type]
            assert isinstance(outcome(done), LocalProtocolError)
        assert broker.take() == []
        fine = Deferred.fromCoroutine(broker.client.declare_queue("é"))
        broker.say("queue.declare-ok", queue="é")
        assert outcome(fine).name == "é"

    @pytest.mark.parametrize(
        "data",
        [
            frame_of("queue.bind-ok"),
            frame_of("queue.declare", queue="q"),
            frame_of("channel.close-ok"),
            frame_of("connection.unblocked", 1),
            frame_of("queue.declare-ok", 0),
            b"\x01\x00\x01\x00\x00\x00\x04\x00\x63\x00\x01\xce",
            b"\x01\x00\x01\x00\x00\x00\x04\x00\x32\x00\x0b\xce",
            frame_of("basic.ack", delivery_tag=1),
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
        ],
    )
    def test_a_broker_that_breaks_the_protocol_is_left(self, data: bytes) -> None:
        broker = Broker.ready()
        waiting = Deferred.fromCoroutine(broker.client.declare_queue("q"))
        broker.write(data)
        assert isinstance(outcome(waiting), BrokerProtocolError)
        assert broker.wire.ended == "aborted"
        broker.hang_up()
        assert broker.clock.getDelayedCalls() == []


class TestEndings:
    def test_the_death_of_the_channel_is_that_of_the_connection(self) -> None:
        broker = Broker.ready()
        waiting = Deferred.fromCoroutine(broker.client.declare_queue("q"))
        lost = broker.client.when_lost()
        broker.take()
        broker.say("channel.close", **CLOSE)
        error = outcome(waiting)
        assert isinstance(error, BrokerClosed)
        assert (error.code, error.text) == (406, CLOSE["reply_text"])
        assert [sent.name for sent in broker.take()] == ["channel.close-ok", "connection.close"]
        assert broker.wire.ended == "lost"
        assert outcome(lost) == "waiting"
        broker.hang_up()
        assert outcome(broker.client.when_lost()) is error

    def test_the_broker_ends_the_connection(self) -> None:
        broker = Broker.ready()
        lost = broker.client.when_lost()
        broker.say("connection.close", 0, reply_code=320, reply_text="CONNECTION_FORCED - bye")
        broker.hang_up()
        error = outcome(lost)
        assert type(error) is BrokerClosed
        assert str(error) == "320 CONNECTION_FORCED - bye"

    def test_a_peer_that_does_not_close_its_side_is_cut_off(self) -> None:
        broker = Broker.ready()
        broker.say("channel.close", **CLOSE)
        broker.wire.ended = None
        broker.clock.advance(3)
        assert broker.wire.ended == "aborted"

    def test_nothing_is_written_or_delivered_once_it_has_ended(self) -> None:
        broker = Broker.ready()
        found, _ = broker.consume()
        broker.take()
        broker.write(frame_of("connection.close", 0, reply_code=320) + delivery(b"late"))
        broker.take()
        broker.client.ack(1)
        broker.client.reject(1)
        assert (found, broker.take()) == ([], [])

    def test_a_polite_goodbye(self) -> None:
        broker = Broker.ready()
        found, _ = broker.consume()
        done = Deferred.fromCoroutine(broker.client.close())
        assert broker.take()[-1].name == "connection.close"
        broker.write(delivery(b"late"))
        assert found == []
        broker.say("connection.close-ok", 0)
        broker.hang_up()
        assert outcome(done) is None
        assert str(broker.client.reason) == "closed by this side"
        assert broker.clock.getDelayedCalls() == []
        assert outcome(Deferred.fromCoroutine(broker.client.close())) is None

    def test_a_goodbye_that_nobody_answers(self) -> None:
        broker = Broker.ready()
        done = Deferred.fromCoroutine(broker.client.close(within=2))
        broker.clock.advance(2)
        assert broker.wire.ended == "aborted"
        broker.hang_up()
        assert outcome(done) is None


class TestHeartbeat:
    def beating(self) -> Broker:
        broker = Broker(BrokerAddress(heartbeat=10))
        broker.log_in(heartbeat=60)
        broker.take()
        return broker

    def test_it_beats_at_half_the_interval(self) -> None:
        broker = self.beating()
        broker.clock.pump([5, 5, 5])
        assert broker.take_frames() == [(8, 0, b"")] * 3

    def test_silence_of_twice_the_interval_ends_the_connection(self) -> None:
        broker = self.beating()
        broker.clock.pump([1] * 7)
        broker.write(b"\x08\x00\x00")
        broker.clock.pump([1] * 19)
        assert broker.client.reason is None
        broker.clock.advance(1)
        assert isinstance(broker.client.reason, BrokerTimeout)
        assert broker.wire.ended == "aborted"
        assert broker.clock.getDelayedCalls() == []

    def test_any_byte_is_a_sign_of_life(self) -> None:
        broker = self.beating()
        for _ in range(20):
            broker.write(b"\x08\x00\x00\x00\x00\x00\x00\xce")
            broker.clock.pump([1] * 19)
        assert broker.client.reason is None

    def test_two_timers_whatever_the_traffic(self) -> None:
        broker = self.beating()
        found, _ = broker.consume()
        for tag in range(1, 1001):
            broker.write(delivery(b"x", tag))
        assert len(found) == 1000
        assert len(broker.clock.getDelayedCalls()) == 2

    def test_a_process_that_slept_reads_first_what_came_meanwhile(self) -> None:
        broker = self.beating()
        broker.clock.advance(300)
        assert broker.client.reason is None
        broker.clock.advance(5)
        assert isinstance(broker.client.reason, BrokerTimeout)


class TestConsuming:
    def test_an_acknowledgement_does_not_wait_for_the_turn_of_the_reactor(self) -> None:
        class Plain(FileDescriptor):
            connected = True
            taken = b""
            takes = 1000

            @property
            def socket(self) -> Plain:
                return self

            def send(self, data: bytes) -> int:
                if self.takes == 0:
                    raise ConnectionResetError
                self.taken += data[: self.takes]
                return min(len(data), self.takes)

        broker = Broker.ready()
        wire = broker.client.transport = Plain(MemoryReactor())
        broker.client.ack(7, multiple=True)
        assert wire.taken == ack_frame(1, 7, True)
        assert wire.reactor.getWriters() == []
        wire.takes = 0
        broker.client.ack(8)
        assert wire in wire.reactor.getWriters(), "it is the reactor's to find out"

    def test_deliveries_and_acknowledgements(self) -> None:
        broker = Broker.ready()
        found, _ = broker.consume(exclusive=True, arguments={"x-priority": 5})
        broker.write(delivery(b"1", 1) + delivery(b"2", 2))
        assert [one.body for one in found] == [b"1", b"2"]
        broker.client.ack(1)
        broker.client.ack(2, multiple=True)
        broker.client.reject(3)
        broker.client.reject(4, requeue=True, multiple=True)
        assert [(sent.name, *sent.arguments.values()) for sent in broker.take()] == [
            ("basic.ack", 1, False),
            ("basic.ack", 2, True),
            ("basic.nack", 3, False, False),
            ("basic.nack", 4, True, True),
        ]

    def test_deliveries_that_come_with_the_answer(self) -> None:
        broker, found = Broker.ready(), []
        done = Deferred.fromCoroutine(broker.client.consume("q", found.append, on_cancelled=print))
        broker.write(frame_of("basic.consume-ok", consumer_tag="rtwist-1") + delivery(b"1"))
        assert outcome(done) == "rtwist-1"
        assert len(found) == 1

    def test_the_end_of_each_read_that_brought_deliveries_is_told(self) -> None:
        broker, batches = Broker.ready(), []
        found, _ = broker.consume()
        broker.client.on_batch = lambda: batches.append(len(found))
        broker.write(delivery(b"1", 1) + delivery(b"2", 2) + delivery(b"3", 3)[:5])
        broker.write(delivery(b"3", 3)[5:])
        broker.write(b"\x08\x00\x00\x00\x00\x00\x00\xce")
        assert batches == [2, 3]

    def test_the_broker_cancels(self) -> None:
        broker = Broker.ready()
        _, cancelled = broker.consume()
        broker.take()
        broker.say("basic.cancel", consumer_tag="rtwist-1", nowait=True)
        assert (cancelled, broker.take(), broker.client.reason) == (["rtwist-1"], [], None)

    def test_the_client_cancels(self) -> None:
        broker = Broker.ready()
        found, cancelled = broker.consume()
        done = Deferred.fromCoroutine(broker.client.cancel("rtwist-1"))
        broker.write(delivery(b"on its way"))
        broker.say("basic.cancel-ok", consumer_tag="rtwist-1")
        assert (outcome(done), len(found), cancelled) == (None, 1, [])
        broker.write(delivery(b"never"))
        assert isinstance(broker.client.reason, BrokerProtocolError)

    def test_an_exception_of_a_consumer_is_logged_and_the_next_delivery_comes(self) -> None:
        broker, found = Broker.ready(), []

        def take(one: Any) -> None:
            found.append(one)
            raise ValueError("broken")

        Deferred.fromCoroutine(broker.client.consume("q", take, on_cancelled=print))
        with capturedLogs() as logs:
            broker.write(delivery(b"1", 1) + delivery(b"2", 2))
        assert [event["log_failure"].type for event in logs] == [ValueError, ValueError]
        assert len(found) == 2
        assert broker.client.reason is None


@pytest.mark.parametrize(
    "options",
    [{"call_timeout": 0}, {"call_timeout": float("nan")}, {"heartbeat": -1}, {"heartbeat": 65536},
     {"frame_max": 4095}, {"max_body": 0}, {"max_unconfirmed": 0}],
)  # fmt: skip
def test_options_that_cannot_work(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        BrokerOptions(**options)


def test_a_factory_wants_to_know_the_address() -> None:
    with pytest.raises(TypeError, match="BrokerEndpoint"):
        BrokerFactory(clock=Broker().clock).buildProtocol(None)


def test_headers_of_the_client_are_a_whole_table() -> None:
    broker = Broker()
    broker.log_in()
    _, _, payload = broker.take_frames()[0]
    size = 4 + int.from_bytes(payload[4:8], "big")
    assert read_table(payload[4 : 4 + size])["product"] == "rtwist"
