"""What is wrong in txredisapi 1.6, each shown on it as it is, and that it is right here."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import txredisapi
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from rtwist.errors import RedisBusy, RedisLost, RedisReplyError, RedisTimeout
from rtwist.redis.address import Login
from rtwist.redis.wire import SubscriberWire, Wire, WireOptions
from tests.support.processes import ROOT

OPTIONS = WireOptions(heartbeat=3, timeout=5, max_waiting=3)
MESSAGE = b"*3\r\n$7\r\nmessage\r\n$2\r\n42\r\n$5\r\n1_000\r\n"


class Transport(StringTransport):
    """Ends at once."""

    def __init__(self, protocol: Any) -> None:
        super().__init__()
        self._protocol = protocol
        protocol.makeConnection(self)

    def abortConnection(self) -> None:  # noqa: N802
        super().abortConnection()
        self._protocol.connectionLost(Failure(ConnectionDone()))


def wired() -> tuple[Wire, Transport, Clock]:
    clock = Clock()
    wire = Wire(clock, OPTIONS, "there")
    return wire, Transport(wire), clock


def subscriber(heard: list[Any]) -> SubscriberWire:
    def message(push: list[Any]) -> None:
        heard.append(push)
        if push[-1] == b"bad":
            raise ValueError("a handler's fault")

    wire = SubscriberWire(Clock(), OPTIONS, "there", message=message)
    Transport(wire)
    return wire


def outcome(answer: Deferred[Any]) -> list[Any]:
    found: list[Any] = []
    answer.addBoth(found.append)
    return [each.value if isinstance(each, Failure) else each for each in found]


class StockSubscriber(txredisapi.SubscriberProtocol):  # type: ignore[misc]
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heard: list[Any] = []

    def messageReceived(self, pattern: Any, channel: Any, message: Any) -> None:
        self.heard.append((channel, message))
        if message == "bad":
            raise ValueError("a handler's fault")


def stock_subscriber() -> StockSubscriber:
    made = StockSubscriber()
    Transport(made)
    return made


def test_messages_and_channels_stay_bytes() -> None:
    stock = stock_subscriber()
    stock.dataReceived(MESSAGE)
    assert stock.heard == [(42, 1000)]
    heard: list[Any] = []
    subscriber(heard).dataReceived(MESSAGE)
    assert heard == [[b"message", b"42", b"1_000"]]


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"$3\r\n007\r\n", b"007"),
        (b"+OK\r\n", b"OK"),
        (b":7\r\n", 7),
        (b"$-1\r\n", None),
        (b"*1\r\n$1\r\n1\r\n", [b"1"]),
    ],
)
def test_answers_stay_as_they_are(data: bytes, value: Any) -> None:
    wire, _, _ = wired()
    answer = wire.call("GET", "x")
    for at in range(len(data)):
        wire.dataReceived(data[at : at + 1])
    assert outcome(answer) == [value]


def test_a_handler_that_fails_costs_no_other_message_and_not_the_connection() -> None:
    rest = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\nbad\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$4\r\ngood\r\n"
    stock = stock_subscriber()
    with pytest.raises(ValueError, match="fault"):
        stock.dataReceived(rest)
    heard: list[Any] = []
    wire = subscriber(heard)
    with capturedLogs() as events:
        wire.dataReceived(rest)
    assert [push[-1] for push in heard] == [b"bad", b"good"]
    assert wire.reason is None
    assert len(events) == 1


def test_answers_are_those_of_their_questions_with_messages_between() -> None:
    heard: list[Any] = []
    wire = subscriber(heard)
    answers = [wire.call("SUBSCRIBE", "42"), wire.call("PING")]
    wire.dataReceived(
        b"*3\r\n$9\r\nsubscribe\r\n$2\r\n42\r\n:1\r\n" + MESSAGE + b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
    )
    assert [outcome(each) for each in answers] == [[[b"subscribe", b"42", 1]], [[b"pong", b""]]]
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"-ERR max number of clients reached\r\n", "max number of clients"),
        (b"+OK\r\n", "answer to nothing"),
        (b"HTTP/1.1 400 Bad Request\r\n", "not the protocol"),
        (b"$-5\r\n", "not the protocol"),
    ],
)
def test_what_nobody_asked_for_ends_the_connection(data: bytes, said: str) -> None:
    for wire in (wired()[0], subscriber([])):
        wire.dataReceived(data)
        assert said in str(wire.reason)


def test_a_subscription_that_redis_ends_ends_the_connection() -> None:
    wire = subscriber([])
    wire.dataReceived(b"*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n")
    assert "ended a subscription" in str(wire.reason)


def test_an_error_is_told_by_its_code() -> None:
    wire, _, _ = wired()
    answer = wire.call("GET", "x")
    wire.dataReceived(b"-WRONGTYPE Operation against a key\r\n")
    (error,) = outcome(answer)
    assert isinstance(error, RedisReplyError)
    assert (error.code, error.text) == ("WRONGTYPE", "Operation against a key")


def test_commands_wait_within_a_bound() -> None:
    wire, transport, _ = wired()
    answers = [wire.call("GET", str(number)) for number in range(4)]
    assert [type(each) for each in outcome(answers[3])] == [RedisBusy]
    assert transport.value().count(b"GET") == 3
    wire.dataReceived(b"+0\r\n+1\r\n+2\r\n")
    assert [outcome(each) for each in answers[:3]] == [[b"0"], [b"1"], [b"2"]]


class Answers:
    """Waits for answers."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    def callback(self, answer: Any) -> None:
        self.all.append(answer)


def test_answers_without_a_deferred_come_in_the_order_of_all() -> None:
    wire, transport, _ = wired()
    answers = Answers()
    assert wire.tell(answers, "PUBLISH", "c", b"1") is None
    call = wire.call("GET", "a")
    assert wire.tell(answers, "PUBLISH", "c", b"2") is None
    assert transport.value().count(b"PUBLISH") == 2
    wire.dataReceived(b":1\r\n+a\r\n-NOPERM no permission\r\n")
    assert outcome(call) == [b"a"]
    number, error = answers.all
    assert number == 1
    explained = wire.explained(error)
    assert isinstance(explained, RedisReplyError)
    assert explained.code == "NOPERM"


def test_what_is_told_is_within_the_bound_and_is_lost_with_the_connection() -> None:
    wire, _, _ = wired()
    answers = Answers()
    refused = [wire.tell(answers, "PUBLISH", "c", b"1") for _ in range(4)]
    assert [type(each) for each in refused] == [type(None)] * 3 + [RedisBusy]
    wire.connectionLost(Failure(ConnectionDone()))
    assert [wire.explained(each) for each in answers.all] == [wire.reason] * 3
    assert wire.tell(answers, "PUBLISH", "c", b"1") is wire.reason
    assert len(answers.all) == 3


def test_a_call_that_is_given_up_keeps_its_place() -> None:
    wire, _, _ = wired()
    first, second = wire.call("GET", "a"), wire.call("GET", "b")
    first.cancel()
    assert len(outcome(first)) == 1
    wire.dataReceived(b"+a\r\n+b\r\n")
    assert outcome(second) == [b"b"]


def test_what_waits_when_the_connection_ends_fails_with_the_reason_and_what_comes_then_at_once() -> None:
    wire, _, _ = wired()
    before, lost = wire.call("GET", "a"), wire.when_lost()
    wire.connectionLost(Failure(ConnectionDone()))
    errors = [*outcome(before), *outcome(wire.call("GET", "b")), *outcome(lost), *outcome(wire.when_lost())]
    assert errors == [wire.reason] * 4
    assert isinstance(wire.reason, RedisLost)


def test_silence_is_noticed_and_an_error_is_a_sign_of_life() -> None:
    wire, transport, clock = wired()
    wire.beat()
    clock.advance(4.9)
    wire.dataReceived(b"-NOPERM no permission\r\n")
    clock.advance(2.9)
    assert transport.value().count(b"PING") == 1
    clock.advance(0.1)
    assert transport.value().count(b"PING") == 2
    clock.advance(4.9)
    assert wire.reason is None
    clock.advance(0.1)
    assert isinstance(wire.reason, RedisTimeout)
    assert clock.getDelayedCalls() == []


def test_a_login_that_is_lost_leaves_reconnecting_to_the_link() -> None:
    factory = txredisapi.RedisFactory(None, None, 1, password="secret")
    told: list[Failure] = []
    factory.deferred.addErrback(told.append)
    stock = factory.buildProtocol(None)
    transport = Transport(stock)
    assert b"AUTH" in transport.value()
    stock.connectionLost(Failure(ConnectionDone()))
    assert factory.stopped
    assert "could not auth" in told[0].getErrorMessage()
    wire, _, _ = wired()
    entering = Deferred.fromCoroutine(wire.enter(Login(None, "secret"), "name"))
    wire.connectionLost(Failure(ConnectionDone()))
    assert outcome(entering) == [wire.reason]


def test_without_hiredis_the_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['hiredis'] = None; import rtwist.redis.client"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "ImportError: for Redis, install both: pip install txredisapi hiredis" in done.stderr
