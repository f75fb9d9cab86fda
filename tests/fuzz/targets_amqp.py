"""What is fuzzed of AMQP: tables, arguments, properties, the stream, a whole connection, and URLs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtwist.errors import BrokerError, BrokerProtocolError, ConfigError
from rtwist.intake.amqp.codec import read_arguments, read_table, table, write_arguments
from rtwist.intake.amqp.message import Delivery, Headers, Properties, Returned, read_properties, write_properties
from rtwist.intake.amqp.receiver import Receiver
from rtwist.intake.amqp.url import read_urls
from tests.intake.amqp.fakes import SPECIFICATION, Broker

FRAME_MAX = 4096
MAX_BODY = 5000

METHODS = [method for klass in SPECIFICATION.classes.byid.values() for method in klass.methods.byid.values()]
"""In the order of the specification file, so that a seed keeps its meaning."""


def amqp_table(data: bytes) -> None:
    """A field table: what was read can be written, and is the same then."""
    try:
        fields = read_table(data)
    except BrokerProtocolError:
        return
    # By their text: NaN is not equal to itself.
    assert repr(read_table(table(fields))) == repr(fields)


def amqp_arguments(data: bytes) -> None:
    """The arguments of a method, which the first octet chooses."""
    if not data:
        return
    method = METHODS[data[0] % len(METHODS)]
    kinds = [field.type for field in method.fields]
    try:
        values = read_arguments(kinds, data, 1)
    except BrokerProtocolError:
        return
    assert repr(read_arguments(kinds, write_arguments(kinds, values))) == repr(values)


def amqp_properties(data: bytes) -> None:
    """The properties in a content header: they are written as they came, octet by octet."""
    try:
        properties = read_properties(data)
    except BrokerProtocolError:
        return
    assert write_properties(properties) == data
    look_into(properties)


def look_into(properties: Properties) -> str:
    """The text of all properties, or that of the error that they cannot be read."""
    headers = properties.headers
    try:
        assert headers is None or isinstance(headers, Headers)
        return repr(properties)
    except BrokerProtocolError as error:
        return str(error)


class Heard:
    """Everything that came out of a stream, in its order."""

    def __init__(self) -> None:
        self.news: list[tuple[Any, ...]] = []
        self.receiver = Receiver(self, frame_max=FRAME_MAX, max_body=MAX_BODY)
        self.receiver.consumers[b"c"] = self._delivered

    def _delivered(self, one: Delivery) -> None:
        assert one.too_large is (one.size > MAX_BODY)
        try:
            properties = look_into(one.properties)
        except BrokerProtocolError as error:
            properties = str(error)
        self.news.append(
            (one.tag, one.redelivered, one.exchange, one.routing_key, one.size, one.body, properties)
        )

    def method(self, channel: int, class_id: int, method_id: int, payload: bytes) -> None:
        self.news.append((channel, class_id, method_id, payload))

    def returned(self, message: Returned) -> None:
        self.news.append((message.code, message.text, message.exchange, message.routing_key, message.body))
        look_into(message.properties)

    def consumer_failed(self, delivery: Delivery) -> None:
        raise AssertionError("the consumer never fails")

    @classmethod
    def of(cls, stream: bytes, step: int) -> list[tuple[Any, ...]]:
        """What a stream says that comes in pieces of `step` bytes."""
        heard = cls()
        try:
            for start in range(0, len(stream), step):
                heard.receiver.receive(stream[start : start + step])
                assert len(heard.receiver._rest) < FRAME_MAX + step
        except BrokerProtocolError as error:
            heard.news.append((str(error),))
        return heard.news


def amqp_stream(data: bytes) -> None:
    """What a broker sends, cut into pieces whose size the first octet tells: the same as in one piece."""
    if not data:
        return
    assert Heard.of(data[1:], 1 + data[0] % 32) == Heard.of(data[1:], len(data))


def amqp_connection(data: bytes) -> None:
    """What a broker sends to a client that consumes: at worst the connection is left."""
    broker = Broker.ready()
    deliveries, _ = broker.consume()
    broker.write(data)
    for one in deliveries:
        try:
            look_into(one.properties)
        except BrokerProtocolError:
            continue
    reason = broker.client.reason
    assert reason is None or isinstance(reason, BrokerError)
    assert (reason is None) is (broker.wire.ended is None)
    broker.hang_up()
    assert broker.clock.getDelayedCalls() == []


def amqp_urls(data: bytes) -> None:
    """The operator's broker URLs; no error tells a password."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        addresses = read_urls(text)
    except ConfigError:
        return
    for address in addresses:
        assert 0 < address.port < 65536
        assert address.host
        assert address.password not in repr(address) or len(address.password) < 9
        address.vhost.encode()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "amqp_table": amqp_table,
    "amqp_arguments": amqp_arguments,
    "amqp_properties": amqp_properties,
    "amqp_stream": amqp_stream,
    "amqp_connection": amqp_connection,
    "amqp_urls": amqp_urls,
}
