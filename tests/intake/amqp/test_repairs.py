"""What is wrong in txAMQP 0.8.2, each shown on txAMQP as it is, and that it is right here.

Where a test has two halves, both get the same bytes or the same arguments.
"""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from txamqp.codec import Codec
from txamqp.content import Content
from txamqp.endpoint import AMQEndpoint
from txamqp.factory import AMQFactory
from txamqp.spec import DEFAULT_SPEC

import rtwist.intake.amqp
from rtwist.errors import BrokerClosed, BrokerProtocolError, BrokerTimeout, ConfigError, LocalProtocolError
from rtwist.intake.amqp import BrokerEndpoint, BrokerFactory, Properties, read_urls, stock
from rtwist.intake.amqp.codec import field, longstr, read_table, shortstr, table
from rtwist.intake.amqp.frames import content_frames
from rtwist.intake.amqp.message import write_properties
from tests.intake.amqp.fakes import START, Broker, Sent, delivery, frame_of, outcome, split_frames

pytestmark = pytest.mark.filterwarnings("ignore:.*returnValue:DeprecationWarning")
SPECIFICATION_FILE = Path(rtwist.intake.amqp.__file__).parent / "amqp0-9-1.xml"


class CountingClock(Clock):
    """Remembers how many timers were made."""

    made = 0

    def callLater(self, *args: Any, **kwargs: Any) -> Any:  # noqa: N802
        self.made += 1
        return super().callLater(*args, **kwargs)


class Stock:
    """txAMQP's client as it is, but for the specification file that it lacks."""

    def __init__(self, *, heartbeat: int = 0, frame_max: int = 131072) -> None:
        self.clock = CountingClock()
        factory = AMQFactory(spec=str(SPECIFICATION_FILE), clock=self.clock)
        factory.set_heartbeat(heartbeat)
        self.client = factory.buildProtocol(None)
        self.wire = StringTransport()
        self.client.makeConnection(self.wire)
        self.greeting = self.wire.value()
        self.wire.clear()
        self.entering = self.client.authenticate("guest", "guest", "PLAIN")
        self.write(frame_of("connection.start", 0, **START))
        self.write(frame_of("connection.tune", 0, channel_max=9, frame_max=frame_max, heartbeat=60))
        self.write(frame_of("connection.open-ok", 0))
        self.channel = outcome(self.client.channel(1))

    def write(self, data: bytes) -> None:
        self.client.dataReceived(data)

    def sent(self) -> list[Sent]:
        return [Sent(channel, payload) for kind, channel, payload in split_frames(self.wire.value()) if kind == 1]

    def consumed(self, data: bytes) -> Any:
        """The first message in the consumer's queue after `data`, or "waiting"."""
        self.write(data)
        return outcome(outcome(self.client.queue("rtwist-1")).get())

    def encoded(self, kind: str, value: object) -> bytes:
        stream = BytesIO()
        Codec(stream).encode(kind, value)
        return stream.getvalue()

    def decoded(self, kind: str, data: bytes) -> Any:
        return Codec(BytesIO(data)).decode(kind)


def received(data: bytes, **options: Any) -> list[Any]:
    """What a consumer here gets of `data`."""
    broker = Broker.ready(**options)
    found, _ = broker.consume()
    broker.write(data)
    return found


class TestSpecification:
    def test_txamqp_comes_without_one(self) -> None:
        assert not Path(DEFAULT_SPEC).exists()
        with pytest.raises(ValueError, match="unknown url type"):
            AMQFactory()

    def test_here_it_is_packaged_with_the_extensions_of_rabbitmq(self) -> None:
        found = stock.load_specification()
        for name in (
            "connection_blocked",
            "connection_unblocked",
            "basic_nack",
            "confirm_select",
            "basic_cancel",
        ):
            assert hasattr(found.klass, name)
        flags = [field.name for klass in found.classes for method in klass.methods for field in method.fields]
        assert "no-wait" not in flags
        assert "nowait" in flags

    def test_another_version_of_txamqp_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stock.metadata, "version", lambda name: "0.8.3")
        with pytest.raises(ConfigError, match=r"0\.8\.2.*installed is 0\.8\.3.*pip install txamqp==0\.8\.2"):
            stock.check_version()


class TestGreeting:
    def test_txamqp_asks_for_0_9(self) -> None:
        assert Stock().greeting == b"AMQP\x01\x01\x00\x09"

    def test_here_it_is_0_9_1(self) -> None:
        assert Broker().greeting == b"AMQP\x00\x00\x09\x01"

    def test_txamqp_says_nothing_of_what_it_understands(self) -> None:
        assert Stock().sent()[0].arguments["client_properties"] == {}

    def test_here_the_broker_learns_it(self) -> None:
        broker = Broker()
        broker.log_in()
        capabilities = broker.take()[0].arguments["client_properties"]["capabilities"]
        assert {"consumer_cancel_notify", "connection.blocked", "publisher_confirms", "basic.nack",
                "authentication_failure_close"} <= set(capabilities)  # fmt: skip


class TestStrings:
    def test_txamqp_counts_characters(self) -> None:
        assert Stock().encoded("shortstr", "é") == b"\x01\xc3\xa9"
        assert Stock().encoded("longstr", "é") == b"\x00\x00\x00\x01\xc3\xa9"
        with pytest.raises(struct.error):
            Stock().encoded("shortstr", "x" * 256)

    def test_here_it_is_bytes(self) -> None:
        assert shortstr("é") == b"\x02\xc3\xa9"
        assert longstr("é") == b"\x00\x00\x00\x02\xc3\xa9"
        with pytest.raises(LocalProtocolError):
            shortstr("x" * 256)


class TestBodies:
    ACCENT = delivery("é".encode())
    MIXED = delivery(b"a" * 4088 + b"\xff" * 10, frame_max=4096)
    EMPTY = delivery(b"")

    def test_txamqp_waits_for_ever_for_a_body_with_an_accent(self) -> None:
        assert Stock().consumed(self.ACCENT) == "waiting"

    def test_here_it_comes(self) -> None:
        assert received(self.ACCENT)[0].body == "é".encode()

    def test_txamqp_loses_the_text_before_the_first_frame_that_is_none(self) -> None:
        assert Stock().consumed(self.MIXED).content.body == b"\xff" * 10

    def test_here_nothing_is_lost(self) -> None:
        assert received(self.MIXED)[0].body == b"a" * 4088 + b"\xff" * 10

    def test_txamqp_makes_an_empty_body_text(self) -> None:
        assert Stock().consumed(self.EMPTY).content.body == ""

    def test_here_it_is_bytes(self) -> None:
        assert received(self.EMPTY)[0].body == b""

    def test_txamqp_counts_the_characters_of_what_it_sends(self) -> None:
        assert Content("é").size() == 1

    def test_here_only_bytes_are_sent(self) -> None:
        header = content_frames(1, write_properties(Properties()), "é".encode(), 4096)[0]
        assert header.endswith(b"\x02")

    def test_txamqp_has_no_limit(self) -> None:
        assert len(Stock().consumed(delivery(b"x" * 2000)).content.body) == 2000

    def test_here_there_is_one(self) -> None:
        (found,) = received(delivery(b"x" * 2000), max_body=1999)
        assert (found.too_large, found.body) == (True, b"")


class TestTables:
    LONG = table({"x-delivery-count": 1 << 40})
    NEGATIVE = table({"n": -1})

    @pytest.mark.parametrize(
        "value",
        [1 << 40, [1], 0.5, None, b"x", pytest.param("T", id="timestamp"), pytest.param("D", id="decimal")],
    )
    def test_txamqp_loses_the_connection_over_a_header(self, value: object) -> None:
        raw = {"T": b"T" + b"\x00" * 8, "D": b"D" + b"\x00" * 5}.get(str(value)) or field(value)
        data = (len(raw) + 2).to_bytes(4, "big") + b"\x01k" + raw
        with pytest.raises(ValueError, match="b'"):
            Stock().decoded("table", data)
        assert "k" in read_table(data)

    def test_in_txamqp_the_exception_leaves_data_received(self) -> None:
        with pytest.raises(ValueError, match="b'l'"):
            Stock().consumed(delivery(b"x", properties=Properties(headers={"x-delivery-count": 1 << 40})))

    def test_here_it_is_read(self) -> None:
        (found,) = received(delivery(b"x", properties=Properties(headers={"x-delivery-count": 1 << 40})))
        assert found.properties.headers == {"x-delivery-count": 1 << 40}

    def test_txamqp_reads_integers_unsigned(self) -> None:
        assert Stock().decoded("table", self.NEGATIVE) == {"n": 4294967295}
        assert read_table(self.NEGATIVE) == {"n": -1}

    def test_txamqp_sends_true_as_1_and_nothing_negative_or_nested(self) -> None:
        assert Stock().encoded("table", {"k": True}).endswith(b"I\x00\x00\x00\x01")
        for value in (-1, {"a": 1}, [1], 0.5):
            with pytest.raises((struct.error, TypeError)):
                Stock().encoded("table", {"k": value})

    def test_here_all_of_it_comes_back(self) -> None:
        fields = {"k": True, "n": -1, "t": {"a": [1, 0.5]}}
        assert read_table(table(fields)) == fields
        assert read_table(table(fields))["k"] is True

    def test_txamqp_takes_what_is_cut_off(self) -> None:
        assert Stock().decoded("shortstr", b"\x0aabc") == "abc"

    def test_here_it_is_an_error(self) -> None:
        with pytest.raises(BrokerProtocolError):
            read_table(b"\x00\x00\x00\x05\x0aabc")


class TestSending:
    def test_txamqp_sends_nothing_more_after_one_bad_argument(self) -> None:
        broken = Stock()
        broken.wire.clear()
        broken.channel.basic_publish(routing_key="x" * 256, content=Content(b""))
        broken.channel.basic_ack(1)
        assert broken.wire.value() == b""

    def test_here_the_caller_hears_of_it_and_the_next_call_goes_out(self) -> None:
        broker = Broker.ready()
        bad = Deferred.fromCoroutine(broker.client.bind_queue("q", "e", "x" * 256))
        assert isinstance(outcome(bad), LocalProtocolError)
        broker.client.ack(1)
        assert [sent.name for sent in broker.take()] == ["basic.ack"]


class TestFraming:
    HUGE = b"\x01\x00\x01\xff\xff\xff\xff"

    def test_txamqp_believes_any_length(self) -> None:
        believing = Stock()
        believing.write(self.HUGE + b"x" * 100_000)
        with pytest.raises(AttributeError, match="frameLengthExceeded"):
            believing.write(b"x" * 100_000)

    def test_here_it_ends_the_connection_at_once(self) -> None:
        broker = Broker.ready()
        broker.write(self.HUGE + b"x")
        assert isinstance(broker.client.reason, BrokerProtocolError)

    def test_txamqp_takes_no_limit_for_a_limit_of_nothing(self) -> None:
        assert Stock(frame_max=0).client.MAX_LENGTH == 0

    def test_here_it_is_no_limit(self) -> None:
        broker = Broker()
        broker.log_in(frame_max=0)
        assert broker.client.frame_max == 131072

    def test_txamqp_goes_on_after_a_broken_frame_on_a_channel_that_is_not_there(self) -> None:
        deaf = Stock()
        with capturedLogs():
            deaf.write(b"\x03\x00\x07\x00\x00\x00\x01x\xce")
        assert deaf.client.closed is False

    def test_here_it_ends_the_connection(self) -> None:
        broker = Broker.ready()
        broker.write(b"\x03\x00\x07\x00\x00\x00\x01x\xce")
        assert isinstance(broker.client.reason, BrokerProtocolError)


class TestTimers:
    def test_txamqp_makes_three_timers_for_each_delivery(self) -> None:
        busy = Stock(heartbeat=20)
        before = busy.clock.made
        for tag in range(1, 101):
            busy.write(delivery(b"x", tag))
        assert busy.clock.made - before >= 300

    def test_here_none(self) -> None:
        broker = Broker.ready(heartbeat=20)
        broker.consume()
        before = broker.clock.getDelayedCalls()
        for tag in range(1, 101):
            broker.write(delivery(b"x", tag))
        assert broker.clock.getDelayedCalls() == before
        assert len(before) == 2

    def test_txamqp_insists_on_its_own_heartbeat_and_waits_for_three(self) -> None:
        stubborn = Stock(heartbeat=100)
        assert stubborn.sent()[1].arguments["heartbeat"] == 100
        stubborn.clock.advance(299)
        assert not stubborn.wire.disconnecting
        assert stubborn.client.closed is False

    def test_txamqp_has_no_deadline(self) -> None:
        patient = Stock()
        call = patient.channel.queue_declare(queue="q")
        patient.clock.advance(1e6)
        assert outcome(call) == "waiting"

    def test_here_every_call_has_one(self) -> None:
        broker = Broker.ready()
        call = Deferred.fromCoroutine(broker.client.declare_queue("q"))
        broker.clock.advance(10)
        assert isinstance(outcome(call), BrokerTimeout)


class TestNewsFromTheBroker:
    CLOSE = frame_of("channel.close", reply_code=406, reply_text="PRECONDITION_FAILED")

    def test_in_txamqp_a_consumer_waits_for_ever_on_a_dead_channel(self) -> None:
        assert Stock().consumed(self.CLOSE) == "waiting"

    def test_here_the_connection_ends_with_the_reason(self) -> None:
        broker = Broker.ready()
        broker.consume()
        broker.write(self.CLOSE)
        assert isinstance(broker.client.reason, BrokerClosed)
        assert str(broker.client.reason) == "406 PRECONDITION_FAILED"

    @pytest.mark.parametrize(
        "data",
        [
            frame_of("basic.cancel", consumer_tag="rtwist-1", nowait=True),
            frame_of("basic.ack", delivery_tag=1),
            frame_of("basic.nack", delivery_tag=1),
            frame_of("connection.blocked", 0, reason="memory"),
            frame_of("connection.unblocked", 0),
        ],
        ids=["cancel", "ack", "nack", "blocked", "unblocked"],
    )
    def test_txamqp_closes_the_connection_over_an_extension_and_here_it_lives(self, data: bytes) -> None:
        closing = Stock()
        with capturedLogs():
            closing.write(data)
        assert closing.client.closed is True
        broker = Broker.ready()
        broker.consume()
        confirming = Deferred.fromCoroutine(broker.client.confirm())
        broker.say("confirm.select-ok")
        assert outcome(confirming) is None
        outcome(broker.client.publish("e", "k", b""))
        broker.write(data)
        assert broker.client.reason is None

    def test_txamqp_makes_a_queue_for_whatever_consumer_the_broker_names(self) -> None:
        credulous = Stock()
        credulous.write(delivery(b"x", consumer="nobody"))
        assert "nobody" in credulous.client.queues

    def test_here_it_is_an_error(self) -> None:
        broker = Broker.ready()
        broker.write(delivery(b"x", consumer="nobody"))
        assert isinstance(broker.client.reason, BrokerProtocolError)


class TestUrls:
    def test_txamqp_speaks_amqps_in_clear(self) -> None:
        reactor = MemoryReactorClock()
        AMQEndpoint.from_uri(reactor, "amqps://127.0.0.1:5671/v").connect(AMQFactory(str(SPECIFICATION_FILE)))
        host, port, factory, *_ = reactor.tcpClients[0]
        assert (host, port) == ("127.0.0.1", 5671)
        protocol = factory.buildProtocol(None)
        wire = StringTransport()
        protocol.makeConnection(wire)
        assert wire.value().startswith(b"AMQP")

    def test_here_it_is_tls(self) -> None:
        reactor = MemoryReactorClock()
        BrokerEndpoint(reactor, read_urls("amqps://127.0.0.1/v")).connect(BrokerFactory(clock=reactor))
        _, port, factory, *_ = reactor.tcpClients[0]
        protocol = factory.buildProtocol(None)
        wire = StringTransport()
        protocol.makeConnection(wire)
        assert port == 5671
        assert wire.value().startswith(b"\x16\x03"), "the first record of TLS"

    @pytest.mark.parametrize(
        ("url", "user", "password", "host", "vhost"),
        [
            ("amqp://u:p%40ss@h/v", "u", "p@ss", "h", "v"),
            ("amqp://u:p@h:5673/v", "u", "p", "h", "v"),
            ("amqp://u:p@h/%2f", "u", "p", "h", "/"),
            ("amqp://u:p@h", "u", "p", "h", "/"),
            ("amqp://u:a:b@h/v", "u", "a:b", "h", "v"),
            ("amqp://u@h/v", "u", "guest", "h", "v"),
            ("amqp://u:p@[::1]/v", "u", "p", "::1", "v"),
        ],
    )
    def test_txamqp_misreads_what_is_read_here(
        self, url: str, user: str, password: str, host: str, vhost: str
    ) -> None:
        wanted = (user, password, host, vhost)
        try:
            found = AMQEndpoint.from_uri(MemoryReactorClock(), url)
        except Exception:
            misread: object = None
        else:
            misread = (found._username, found._password, found._host, found._vhost)
        assert misread != wanted
        (address,) = read_urls(url)
        assert (address.user, address.password, address.host, address.vhost) == wanted
