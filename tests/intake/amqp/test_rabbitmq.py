"""With a real RabbitMQ: what is published comes back identical, and every bad end has its reason."""

from __future__ import annotations

import os
import signal
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pika
import pytest
from pytest_twisted import ensureDeferred
from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as TwistedConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import PrivateCertificate
from twisted.logger import LogLevel, capturedLogs

from rtwist.errors import (
    BrokerBusy,
    BrokerClosed,
    BrokerError,
    BrokerLost,
    BrokerRefused,
    BrokerTimeout,
    PublishNacked,
    Unroutable,
)
from rtwist.intake.amqp import (
    BrokerConnection,
    BrokerEndpoint,
    BrokerFactory,
    BrokerOptions,
    Delivery,
    Properties,
    Timestamp,
    factory,
    read_urls,
)
from tests.intake.amqp.peers import PERSISTENT, Consumer, connect, connected, pause, reactor, unique, until
from tests.intake.amqp.test_codec import types_within
from tests.support.certificates import Authority
from tests.support.clients import run_node
from tests.support.processes import free_port
from tests.support.rabbitmq import RabbitMQ

BODIES = {
    "empty": b"",
    "accent": "é".encode(),
    "emoji": "\U0001f600".encode(),
    "frame-1": b"x" * 131063,
    "frame": b"x" * 131064,
    "frame+1": b"x" * 131065,
    "1MB": b"y" * 1_000_000,
    "random": os.urandom(300_000),
}
HEADERS: dict[str, Any] = {
    "string": "é", "bytes": b"\xff\x00", "true": True, "false": False, "int": -1, "long": 1 << 40, "none": None,
    "decimal": Decimal("-12.34"), "list": [1, "two", [None]], "table": {"deep": {"deeper": [True]}},
}  # fmt: skip
MOMENT = datetime(2025, 6, 15, tzinfo=timezone.utc)


def publish_by_pika(
    broker: RabbitMQ, queue: str, body: bytes, properties: pika.BasicProperties | None = None
) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    connection.channel().basic_publish("", queue, body, properties)
    connection.close()


class TestMessages:
    @ensureDeferred
    async def test_bodies_come_back_identical(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url) as connection:
            await connection.confirm()
            consumer = await Consumer.start(connection)
            for body in BODIES.values():
                await connection.publish("", consumer.queue, body, PERSISTENT)
                found = await consumer.next()
                assert found.body == body
                connection.ack(found.tag)
            await pause(0.05)
            state = await connection.declare_queue(consumer.queue, passive=True)
            assert (state.messages, state.consumers) == (0, 1)

    @ensureDeferred
    async def test_bodies_of_pika(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url) as connection:
            consumer = await Consumer.start(connection)
            for body in BODIES.values():
                publish_by_pika(rabbitmq, consumer.queue, body)
                assert (await consumer.next()).body == body

    @ensureDeferred
    async def test_a_stream_cut_into_single_bytes(
        self, rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Cutting(BrokerConnection):
            def dataReceived(self, data: bytes) -> None:
                for at in range(len(data)):
                    super().dataReceived(data[at : at + 1])

        monkeypatch.setattr(factory, "BrokerConnection", Cutting)
        async with connected(rabbitmq.url) as connection:
            assert isinstance(connection, Cutting)
            await connection.confirm()
            consumer = await Consumer.start(connection)
            for body in (b"", b"abc", BODIES["random"]):
                await connection.publish("", consumer.queue, body, Properties(headers=HEADERS))
                found = await consumer.next()
                assert found.body == body
                assert found.properties.headers == HEADERS

    @ensureDeferred
    async def test_headers_and_properties_come_back_identical(self, rabbitmq: RabbitMQ) -> None:
        properties = Properties(
            content_type="text/plain", content_encoding="utf-8", headers=HEADERS, delivery_mode=2, priority=3,
            correlation_id="c", reply_to="r", expiration="60000", message_id="é", timestamp=1750000000, type="t",
            user_id="guest", app_id="a",
        )  # fmt: skip
        async with connected(rabbitmq.url) as connection:
            await connection.confirm()
            consumer = await Consumer.start(connection)
            await connection.publish("", consumer.queue, b"", properties)
            found = (await consumer.next()).properties
            assert found == properties
            assert types_within(dict(found.headers or {})) == types_within(HEADERS)

    @ensureDeferred
    async def test_headers_of_pika(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url) as connection:
            consumer = await Consumer.start(connection)
            properties = pika.BasicProperties(headers={**HEADERS, "moment": MOMENT}, delivery_mode=2)
            publish_by_pika(rabbitmq, consumer.queue, b"", properties)
            found = await consumer.next()
            expected = {**HEADERS, "moment": Timestamp(MOMENT.timestamp())}
            assert types_within(dict(found.properties.headers or {})) == types_within(expected)

    @ensureDeferred
    async def test_headers_of_amqplib(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url) as connection:
            consumer = await Consumer.start(connection)
            output, status = run_node(["amqp_publish.js", rabbitmq.url, "", consumer.queue])
            assert status == 0, output
            found = await consumer.next()
            assert found.body.decode() == "from amqplib: \U0001f600"
            assert (found.properties.message_id, found.properties.timestamp) == ("m-1", 1750000000)
            assert types_within(dict(found.properties.headers or {})) == types_within({
                "string": "é", "null": None, "bool": True, "array": [1, "two", None, {"three": 3}],
                "table": {"deep": {"deeper": [False]}}, "bytes": b"\x00\xff\xfe", "int8": -1, "uint8": 255,
                "int16": -2, "uint16": 65535, "int32": -3, "uint32": 4294967295, "int64": -4, "float": 0.5,
                "double": 0.1, "timestamp": Timestamp(1750000000), "decimal": Decimal("12.34"), "small": 5,
                "medium": 30000, "large": 1 << 40,
            })  # fmt: skip

    @ensureDeferred
    async def test_a_dead_letter_says_how_it_died(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url) as connection:
            await connection.confirm()
            graves = await Consumer.start(connection)
            consumer = await Consumer.start(
                connection, x_dead_letter_exchange="", x_dead_letter_routing_key=graves.queue
            )
            await connection.publish("", consumer.queue, b"bad", Properties(headers={"mine": [1]}))
            connection.reject((await consumer.next()).tag)
            headers: Any = (await graves.next()).properties.headers
            (death,) = headers["x-death"]
            assert (death["count"], death["reason"], death["queue"]) == (1, "rejected", consumer.queue)
            assert isinstance(death["time"], Timestamp)
            assert headers["mine"] == [1]

    @ensureDeferred
    async def test_a_quorum_queue_counts_deliveries(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url) as connection:
            await connection.confirm()
            consumer = await Consumer.start(connection, x_queue_type="quorum")
            await connection.publish("", consumer.queue, b"again", PERSISTENT)
            first = await consumer.next()
            connection.reject(first.tag, requeue=True)
            second = await consumer.next()
            assert (first.redelivered, second.redelivered) == (False, True)
            assert second.properties.headers == {"x-delivery-count": 1}
            connection.ack(second.tag)

    @ensureDeferred
    async def test_a_message_that_is_too_large_is_dead_lettered_and_the_next_one_comes(
        self, rabbitmq: RabbitMQ
    ) -> None:
        async with connected(rabbitmq.url) as other, connected(rabbitmq.url, max_body=500_000) as connection:
            graves = await Consumer.start(other)
            consumer = await Consumer.start(
                connection, x_dead_letter_exchange="", x_dead_letter_routing_key=graves.queue
            )
            for body in (BODIES["1MB"], b"small"):
                publish_by_pika(rabbitmq, consumer.queue, body)
            large = await consumer.next()
            assert (large.too_large, large.size, large.body) == (True, 1_000_000, b"")
            connection.reject(large.tag)
            assert (await consumer.next()).body == b"small"
            assert (await graves.next()).body == BODIES["1MB"]

    @ensureDeferred
    async def test_prefetch_holds_deliveries_back(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url) as connection:
            await connection.confirm()
            await connection.qos(3)
            consumer = await Consumer.start(connection)
            for number in range(5):
                await connection.publish("", consumer.queue, b"%d" % number)
            await pause(0.1)
            assert [one.body for one in consumer.deliveries] == [b"0", b"1", b"2"]
            connection.ack(consumer.deliveries[1].tag, multiple=True)
            await until(lambda: len(consumer.deliveries) == 5)

    @ensureDeferred
    async def test_a_topic_brings_messages_until_the_consumer_is_cancelled(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url) as connection:
            await connection.confirm()
            exchange, consumer = unique("events"), await Consumer.start(connection)
            await connection.declare_exchange(exchange, auto_delete=True)
            await connection.bind_queue(consumer.queue, exchange, "order.#")
            await connection.publish(exchange, "order.créé", b"1")
            found = await consumer.next()
            assert (found.exchange, found.routing_key) == (exchange, "order.créé")
            await connection.cancel(consumer.tag)
            await connection.publish(exchange, "order.created", b"2")
            await pause(0.05)
            assert consumer.deliveries == []


class TestPublishing:
    @ensureDeferred
    async def test_thousand_at_once_are_confirmed(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url) as connection:
            await connection.confirm()
            queue = (await connection.declare_queue(unique("q"))).name
            done = [connection.publish("", queue, b"%d" % number, PERSISTENT) for number in range(1000)]
            for one in done:
                await one
            assert (await connection.declare_queue(queue, passive=True)).messages == 1000

    @ensureDeferred
    async def test_only_what_reaches_no_queue_is_an_error(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url) as connection:
            await connection.confirm()
            queue = (await connection.declare_queue(unique("q"))).name
            keys = [queue if number % 3 else "nowhere" for number in range(60)]
            done = [connection.publish("", key, BODIES["frame+1"]) for key in keys]
            for key, one in zip(keys, done, strict=True):
                if key == queue:
                    await one
                else:
                    with pytest.raises(Unroutable, match="312 NO_ROUTE"):
                        await one
            await connection.publish("", "nowhere", b"", mandatory=False)

    @ensureDeferred
    async def test_a_full_queue_that_rejects(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url) as connection:
            await connection.confirm()
            arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}
            queue = (await connection.declare_queue(unique("q"), arguments=arguments)).name
            await connection.publish("", queue, b"1")
            with pytest.raises(PublishNacked):
                await connection.publish("", queue, b"2")

    @ensureDeferred
    async def test_a_missing_exchange_ends_the_connection(self, rabbitmq: RabbitMQ) -> None:
        connection = await connect(rabbitmq.url)
        await connection.confirm()
        with pytest.raises(BrokerClosed, match="404 NOT_FOUND"):
            await connection.publish("nowhere", "k", b"")
        assert isinstance(await connection.when_lost(), BrokerClosed)

    @ensureDeferred
    async def test_an_alarm_blocks_publishes_and_consuming_goes_on(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url) as publisher, connected(rabbitmq.url) as connection:
            await publisher.confirm()
            consumer = await Consumer.start(connection)
            await publisher.publish("", consumer.queue, b"before")
            heard: list[str | None] = []
            publisher.on_blocked = heard.append
            rabbitmq.ctl("set_vm_memory_high_watermark", "0.00001")
            try:
                publisher.publish("", consumer.queue, b"while").addErrback(lambda _: None)
                await until(lambda: heard)
                with pytest.raises(BrokerBusy, match="memory"):
                    await publisher.publish("", consumer.queue, b"refused")
                connection.ack((await consumer.next()).tag)
                await connection.declare_queue(consumer.queue, passive=True)
            finally:
                rabbitmq.ctl("set_vm_memory_high_watermark", "0.4")
            await until(lambda: heard[-1] is None)
            await publisher.publish("", consumer.queue, b"after")


class TestEndings:
    @ensureDeferred
    async def test_a_double_acknowledgement(self, rabbitmq: RabbitMQ) -> None:
        connection = await connect(rabbitmq.url)
        await connection.confirm()
        consumer = await Consumer.start(connection)
        await connection.publish("", consumer.queue, b"")
        found = await consumer.next()
        connection.ack(found.tag)
        connection.ack(found.tag)
        reason = await connection.when_lost()
        assert isinstance(reason, BrokerClosed)
        assert reason.code == 406
        assert "unknown delivery tag" in reason.text

    @ensureDeferred
    async def test_a_queue_that_is_like_nothing_asked_for(self, rabbitmq: RabbitMQ) -> None:
        connection = await connect(rabbitmq.url)
        queue = (await connection.declare_queue(unique("q"))).name
        with pytest.raises(BrokerClosed, match="406 PRECONDITION_FAILED - inequivalent arg 'durable'"):
            await connection.declare_queue(queue, durable=False)
        await connection.when_lost()

    @ensureDeferred
    async def test_a_deleted_queue_ends_its_consumers_only(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url) as connection, connected(rabbitmq.url) as other:
            consumer = await Consumer.start(connection)
            await other.delete_queue(consumer.queue)
            await until(lambda: consumer.cancelled)
            assert consumer.cancelled == [consumer.tag]
            await connection.declare_queue(consumer.queue)

    @ensureDeferred
    async def test_a_wrong_password(self, rabbitmq: RabbitMQ) -> None:
        with pytest.raises(BrokerRefused, match="403 ACCESS_REFUSED") as caught:
            await connect(rabbitmq.url.replace("guest:guest", "guest:wr%C3%B6ng"))
        assert "wröng" not in str(caught.value)

    @ensureDeferred
    async def test_a_user_and_password_beyond_ascii(self, rabbitmq: RabbitMQ) -> None:
        rabbitmq.ctl("add_user", "jörg", "pässwörd")
        rabbitmq.ctl("set_permissions", "jörg", ".*", ".*", ".*")
        async with connected(rabbitmq.url.replace("guest:guest", "j%C3%B6rg:p%C3%A4ssw%C3%B6rd")) as connection:
            await connection.declare_queue(unique("größe"))

    @ensureDeferred
    async def test_a_wrong_virtual_host(self, rabbitmq: RabbitMQ) -> None:
        with pytest.raises(BrokerRefused, match="530 NOT_ALLOWED - vhost nowhere not found"):
            await connect(rabbitmq.url.replace("%2f", "nowhere"))

    @ensureDeferred
    async def test_the_broker_is_told_goodbye(self, rabbitmq: RabbitMQ) -> None:
        async with connected(rabbitmq.url, name="polite"):
            assert "polite" in rabbitmq.ctl("list_connections", "client_properties")
        assert isinstance(rabbitmq.ctl("list_connections", "name"), str)

    @ensureDeferred
    async def test_the_administrator_closes_connections(self, rabbitmq: RabbitMQ) -> None:
        connection = await connect(rabbitmq.url)
        lost = connection.when_lost()
        rabbitmq.ctl("close_all_connections", "maintenance")
        reason = await lost
        assert isinstance(reason, BrokerClosed)
        assert str(reason) == "320 CONNECTION_FORCED - maintenance"


class TestTls:
    @ensureDeferred
    async def test_a_certificate_of_a_known_authority(self, rabbitmq: RabbitMQ) -> None:
        for url in (rabbitmq.tls_url, rabbitmq.tls_url.replace("localhost", "127.0.0.1")):
            async with connected(url, ca_file=rabbitmq.ca_file) as connection:
                await connection.confirm()
                consumer = await Consumer.start(connection)
                await connection.publish("", consumer.queue, BODIES["1MB"])
                assert (await consumer.next()).body == BODIES["1MB"]

    @ensureDeferred
    async def test_a_certificate_of_an_unknown_authority(self, rabbitmq: RabbitMQ, tmp_path: Path) -> None:
        stranger = tmp_path / "ca.pem"
        stranger.write_bytes(Authority("somebody else").certificate_pem)
        for ca_file in (stranger, None):
            with pytest.raises(BrokerLost, match="certificate verify failed"):
                await connect(rabbitmq.tls_url, ca_file=ca_file)

    @ensureDeferred
    async def test_a_certificate_for_another_name(self, rabbitmq: RabbitMQ) -> None:
        pair = rabbitmq.authority.issue("elsewhere.example")
        certificate = PrivateCertificate.loadPEM(pair.key_pem + pair.certificate_pem)
        server = reactor.listenSSL(0, Factory.forProtocol(Protocol), certificate.options(), interface="127.0.0.1")
        try:
            with pytest.raises(BrokerLost, match=r"gone: .*localhost"):
                await connect(f"amqps://localhost:{server.getHost().port}", ca_file=rabbitmq.ca_file)
        finally:
            await server.stopListening()

    @ensureDeferred
    async def test_tls_to_a_port_without_it(self, rabbitmq: RabbitMQ) -> None:
        with pytest.raises(BrokerError):
            await connect(f"amqps://localhost:{rabbitmq.port}", ca_file=rabbitmq.ca_file)


class TestSeveralBrokers:
    @ensureDeferred
    async def test_the_first_that_accepts(self, rabbitmq: RabbitMQ) -> None:
        nobody = f"amqp://127.0.0.1:{free_port()}"
        async with connected(f"{nobody},{rabbitmq.url}") as connection:
            assert connection.address.port == rabbitmq.port
        with pytest.raises(TwistedConnectionRefusedError):
            await connect(f"{nobody},{nobody}")

    @ensureDeferred
    async def test_one_that_accepts_and_refuses_does_not_hide_the_next(self, rabbitmq: RabbitMQ) -> None:
        refused = rabbitmq.url.replace("guest:guest", "guest:wrong")
        async with connected(f"{refused},{rabbitmq.url}") as connection:
            assert connection.address.password == "guest"

    @ensureDeferred
    async def test_the_next_turn_begins_after_the_last_success(self, rabbitmq: RabbitMQ) -> None:
        endpoint = BrokerEndpoint(reactor, read_urls(f"{rabbitmq.url}?heartbeat=11,{rabbitmq.url}?heartbeat=22"))
        turns = []
        for _ in range(3):
            connection = await endpoint.connect(BrokerFactory(clock=reactor))
            turns.append(connection.address.heartbeat)
            await connection.close()
        assert turns == [11, 22, 11]


class TestClientService:
    def service(self, rabbitmq: RabbitMQ, prepare: Any, **options: Any) -> ClientService:
        endpoint = BrokerEndpoint(reactor, read_urls(rabbitmq.url), prepare=prepare)
        broker_factory = BrokerFactory(clock=reactor, options=BrokerOptions(**options))
        return ClientService(endpoint, broker_factory, retryPolicy=lambda attempt: 0.05)

    @ensureDeferred
    async def test_a_connection_that_cannot_be_prepared_is_dropped_and_tried_again(
        self, rabbitmq: RabbitMQ
    ) -> None:
        attempts: list[BrokerConnection] = []

        async def prepare(connection: BrokerConnection) -> None:
            attempts.append(connection)
            if len(attempts) == 1:
                raise ValueError("not today")
            if len(attempts) == 2:
                await connection.bind_queue("nowhere", "nothing", "#")

        with capturedLogs() as logs:
            service = self.service(rabbitmq, prepare)
            service.startService()
            connection: Any = await service.whenConnected()
            assert connection is attempts[2]
            await pause(0)
            assert "not today" in str(attempts[0].reason)
            assert "404 NOT_FOUND" in str(attempts[1].reason)
            await service.stopService()
            await pause(0.05)
        assert [event for event in logs if event["log_level"] > LogLevel.info] == []
        assert isinstance(connection.reason, BrokerLost)

    @ensureDeferred
    async def test_stopping_in_the_middle_of_preparing(self, rabbitmq: RabbitMQ) -> None:
        attempts: list[BrokerConnection] = []

        async def prepare(connection: BrokerConnection) -> None:
            attempts.append(connection)
            await Deferred()

        with capturedLogs() as logs:
            service = self.service(rabbitmq, prepare)
            service.startService()
            await until(lambda: attempts)
            await service.stopService()
            await attempts[0].when_lost()
        assert [event for event in logs if event["log_level"] > LogLevel.info] == []

    @ensureDeferred
    async def test_a_lost_connection_is_replaced(self, rabbitmq: RabbitMQ) -> None:
        async def prepare(connection: BrokerConnection) -> None:
            await connection.qos(5)

        service = self.service(rabbitmq, prepare)
        service.startService()
        first: Any = await service.whenConnected()
        first.ack(99)
        await first.when_lost()
        await pause(0)
        second: Any = await service.whenConnected()
        assert second is not first
        assert second.reason is None
        await pause(0)
        await service.stopService()


class TestCatastrophes:
    """Last, for they take time."""

    @ensureDeferred
    async def test_a_broker_that_hangs_is_noticed_within_two_heartbeats(self, rabbitmq: RabbitMQ) -> None:
        connection = await connect(rabbitmq.url, heartbeat=1)
        lost = connection.when_lost()
        await pause(1.5)
        assert connection.reason is None
        rabbitmq.signal(signal.SIGSTOP)
        try:
            started = reactor.seconds()
            reason = await lost
            assert isinstance(reason, BrokerTimeout)
            assert 0.9 < reactor.seconds() - started < 2.3
        finally:
            rabbitmq.signal(signal.SIGCONT)

    @ensureDeferred
    async def test_a_broker_that_hangs_before_the_login(self, rabbitmq: RabbitMQ) -> None:
        rabbitmq.signal(signal.SIGSTOP)
        try:
            with pytest.raises(BrokerTimeout, match=r"connection\.start: no answer within 0\.5 s"):
                await connect(rabbitmq.url, call_timeout=0.5)
        finally:
            rabbitmq.signal(signal.SIGCONT)

    @ensureDeferred
    async def test_a_power_cut_loses_no_confirmed_message(self, rabbitmq: RabbitMQ) -> None:
        queue, found = unique("q"), set[bytes]()

        async def prepare(connection: BrokerConnection) -> None:
            await connection.declare_queue(queue)
            await connection.confirm()

        def take(delivery: Delivery) -> None:
            found.add(delivery.body)

        service = TestClientService().service(rabbitmq, prepare, heartbeat=5)
        service.startService()
        connection: Any = await service.whenConnected()
        # A queue declared a moment before the cut can be gone afterwards, with the confirmed messages in it:
        # RabbitMQ 3.10 answers queue.declare before the declaration is on disk. This test is about messages.
        rabbitmq.ctl("eval", "mnesia:dump_log().")
        confirmed = set[bytes]()
        waiting = [connection.publish("", queue, b"%d" % number, PERSISTENT) for number in range(3000)]
        for number, one in enumerate(waiting):
            one.addCallbacks(
                lambda _, body=b"%d" % number: confirmed.add(body), lambda failure: failure.trap(BrokerError)
            )
        await until(lambda: len(confirmed) > 300)
        lost = connection.when_lost()
        rabbitmq.kill()
        assert isinstance(await lost, BrokerLost)
        await pause(0)
        rabbitmq.start()
        connection = await service.whenConnected()
        await connection.consume(queue, take, on_cancelled=print)
        await until(lambda: confirmed <= found)
        await pause(0)
        await service.stopService()
