"""Both ends of an AMQP connection in memory: the broker's words are written here, the client's are read."""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from rtwist.intake.amqp import BrokerAddress, BrokerConnection, BrokerFactory, BrokerOptions
from rtwist.intake.amqp.channel import name_of
from rtwist.intake.amqp.codec import read_arguments, write_arguments
from rtwist.intake.amqp.frames import HEADER, METHOD, PROTOCOL_HEADER, content_frames, method_frame
from rtwist.intake.amqp.message import Properties, write_properties
from rtwist.intake.amqp.stock import load_specification

_HEAD = Struct(">BHI")
SPECIFICATION = load_specification()
START = {
    "version_major": 0, "version_minor": 9, "server_properties": {"product": "RabbitMQ"},
    "mechanisms": b"AMQPLAIN PLAIN", "locales": b"en_US",
}  # fmt: skip
EMPTY: dict[str, Any] = {
    "bit": False, "octet": 0, "short": 0, "long": 0, "longlong": 0, "timestamp": 0, "shortstr": "",
    "longstr": b"", "table": {},
}  # fmt: skip


def method_of(name: str) -> Any:
    """txAMQP's model of `queue.declare-ok` and the like."""
    klass, _, method = name.partition(".")
    return SPECIFICATION.classes.byname[klass].methods.byname[method]


def frame_of(name: str, channel: int = 1, **arguments: Any) -> bytes:
    """A method frame; arguments left out are empty."""
    method = method_of(name)
    fields = [(field.name.replace("-", "_"), field.type) for field in method.fields]
    assert set(arguments) <= {name for name, _ in fields}, (name, arguments)
    values = [arguments.get(name, EMPTY[kind]) for name, kind in fields]
    encoded = write_arguments([kind for _, kind in fields], values)
    return method_frame(channel, method.klass.id, method.id, encoded)


def delivery(
    body: bytes, tag: int = 1, *, consumer: str = "rtwist-1", properties: Properties | None = None,
    exchange: str = "events", routing_key: str = "order.created", redelivered: bool = False,
    frame_max: int = 131072,
) -> bytes:  # fmt: skip
    """The three frames of a delivery, or more."""
    head = frame_of(
        "basic.deliver", consumer_tag=consumer, delivery_tag=tag, redelivered=redelivered, exchange=exchange,
        routing_key=routing_key,
    )  # fmt: skip
    header = write_properties(properties or Properties())
    return head + b"".join(content_frames(1, header, body, frame_max))


def split_frames(data: bytes) -> list[tuple[int, int, bytes]]:
    """Type, channel and payload of each frame."""
    found, pos = [], 0
    while pos < len(data):
        kind, channel, size = _HEAD.unpack_from(data, pos)
        end = pos + 7 + size
        assert data[end] == 0xCE
        found.append((kind, channel, data[pos + 7 : end]))
        pos = end + 1
    return found


class Sent:
    """A method that the client sent."""

    def __init__(self, channel: int, payload: bytes) -> None:
        class_id, method_id = int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")
        method = SPECIFICATION.classes.byid[class_id].methods.byid[method_id]
        self.channel = channel
        self.name = name_of(method)
        values = read_arguments([field.type for field in method.fields], payload, 4)
        names = [field.name.replace("-", "_") for field in method.fields]
        self.arguments: Mapping[str, Any] = dict(zip(names, values, strict=True))

    def __repr__(self) -> str:
        return f"{self.name} {self.arguments}"


class Wire(StringTransport):
    """A transport that remembers how the client left it."""

    ended: str | None = None

    def loseConnection(self) -> None:  # noqa: N802
        self.ended = self.ended or "lost"

    def abortConnection(self) -> None:  # noqa: N802
        self.ended = self.ended or "aborted"


class Broker:
    """The broker's end of one connection, and what became of the client's calls."""

    def __init__(self, address: BrokerAddress | None = None, **options: Any) -> None:
        self.clock = Clock()
        factory = BrokerFactory(clock=self.clock, options=BrokerOptions(**options))
        self.client: BrokerConnection = factory.buildProtocol(address or BrokerAddress())  # type: ignore[arg-type]
        self.wire = Wire()
        self.client.makeConnection(self.wire)
        self.greeting = self.wire.value()
        self.wire.clear()

    @classmethod
    def ready(cls, **options: Any) -> Broker:
        """One whose client has logged in; it has no heartbeat."""
        broker = cls(**{"heartbeat": 0, **options})
        done = broker.log_in()
        assert outcome(done) is None
        broker.take()
        return broker

    def log_in(self, *, frame_max: int = 131072, heartbeat: int = 0) -> Deferred[None]:
        """Let the client log in."""
        assert self.greeting == PROTOCOL_HEADER
        done = Deferred.fromCoroutine(self.client.authenticate())
        self.say("connection.start", 0, **START)
        self.say("connection.tune", 0, channel_max=2047, frame_max=frame_max, heartbeat=heartbeat)
        self.say("connection.open-ok", 0)
        self.say("channel.open-ok")
        return done

    def say(self, name: str, channel: int = 1, **arguments: Any) -> None:
        """Send a method to the client."""
        self.write(frame_of(name, channel, **arguments))

    def write(self, data: bytes) -> None:
        """Send bytes to the client."""
        self.client.dataReceived(data)

    def take(self) -> list[Sent]:
        """The methods that the client sent since the last time."""
        frames = split_frames(self.wire.value())
        self.wire.clear()
        return [Sent(channel, payload) for kind, channel, payload in frames if kind == METHOD]

    def take_frames(self) -> list[tuple[int, int, bytes]]:
        """The frames that the client sent since the last time."""
        data = self.wire.value()
        self.wire.clear()
        return split_frames(data)

    def hang_up(self, error: Exception | None = None) -> None:
        """The TCP connection ends."""
        self.client.connectionLost(Failure(error or ConnectionResetError("reset")))

    def consume(self, **arguments: Any) -> tuple[list[Any], list[str]]:
        """Let the client consume; its deliveries, and the tags of cancelled consumers."""
        found: list[Any] = []
        cancelled: list[str] = []
        done = Deferred.fromCoroutine(
            self.client.consume("q", found.append, on_cancelled=cancelled.append, **arguments)
        )
        tag = self.take()[-1].arguments["consumer_tag"]
        self.say("basic.consume-ok", consumer_tag=tag)
        assert outcome(done) == tag
        return found, cancelled


def outcome(deferred: Deferred[Any]) -> Any:
    """The result, or the exception, or "waiting"; asking again gives the same."""
    found: list[Any] = []

    def keep(result: Any) -> Any:
        found.append(result.value if isinstance(result, Failure) else result)
        return found[0]

    deferred.addBoth(keep)
    return found[0] if found else "waiting"


__all__ = ["HEADER", "METHOD", "Broker", "Sent", "Wire", "delivery", "frame_of", "outcome", "split_frames"]
