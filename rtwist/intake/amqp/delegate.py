"""What the broker says of its own accord, by the names of txAMQP's delegate."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from rtwist.errors import BrokerClosed, BrokerProtocolError, BrokerRefused
from rtwist.intake.amqp.channel import name_of
from rtwist.intake.amqp.codec import Table
from rtwist.intake.amqp.frames import MIN_FRAME_MAX
from rtwist.intake.amqp.heartbeat import negotiated
from rtwist.intake.amqp.stock import TwistedDelegate

if TYPE_CHECKING:
    from rtwist.intake.amqp.connection import BrokerConnection

_REFUSALS = frozenset({402, 403, 530})
"""INVALID_PATH, ACCESS_REFUSED, NOT_ALLOWED: before the virtual host is open they mean user or virtual host."""


def client_properties(name: str) -> Table:
    """How this client introduces itself, and RabbitMQ's extensions it understands."""
    return {
        "product": "rtwist",
        "platform": f"Python {platform.python_version()}",
        "connection_name": name,
        "capabilities": {
            "authentication_failure_close": True,
            "basic.nack": True,
            "connection.blocked": True,
            "consumer_cancel_notify": True,
            "exchange_exchange_bindings": True,
            "publisher_confirms": True,
        },
    }


class BrokerDelegate(TwistedDelegate):  # type: ignore[misc]
    """Answers the broker's methods for one `BrokerConnection`, which txAMQP sets as `client`."""

    client: BrokerConnection
    _due: str | None = "connection.start"

    def dispatch(self, channel: Any, message: Any) -> None:
        """Call the method of that name here; `BrokerProtocolError` for one that a broker does not send."""
        method = message.method
        handler = getattr(self, f"{method.klass.name}_{method.name.replace('-', '_')}", None)
        if handler is None:
            raise BrokerProtocolError(f"a broker does not send {name_of(method)}")
        handler(channel, message)

    def connection_start(self, channel: Any, message: Any) -> None:
        """Log in with PLAIN (RFC 4616)."""
        self._step("connection.start", then="connection.tune")
        client = self.client
        if (message.version_major, message.version_minor) != (0, 9):
            raise BrokerProtocolError(f"the broker speaks AMQP {message.version_major}-{message.version_minor}")
        offered = message.mechanisms.decode("ascii", "replace").split()
        if "PLAIN" not in offered:
            raise BrokerProtocolError(f"the broker lets nobody in by PLAIN, only by {', '.join(offered)}")
        client.server_properties = message.server_properties
        address = client.address
        response = b"\0" + address.user.encode() + b"\0" + address.password.encode()
        channel.connection_start_ok(client_properties(client.options.name), "PLAIN", response, "en_US")

    def connection_tune(self, channel: Any, message: Any) -> None:
        """Agree on limits (section 1.4.2.6): the smaller of both, where 0 is no limit."""
        self._step("connection.tune", then=None)
        client = self.client
        if 0 < message.frame_max < MIN_FRAME_MAX:
            raise BrokerProtocolError(f"the broker wants frames of at most {message.frame_max} bytes")
        frame_max = min(client.frame_max, message.frame_max or client.frame_max)
        wanted = client.address.heartbeat
        heartbeat = negotiated(client.options.heartbeat if wanted is None else wanted, message.heartbeat)
        channel.connection_tune_ok(message.channel_max, frame_max, heartbeat)
        client.tuned(frame_max, heartbeat)

    def connection_close(self, channel: Any, message: Any) -> None:
        """The broker ends the connection."""
        channel.connection_close_ok()
        entering = not self.client.is_open and message.reply_code in _REFUSALS
        kind = BrokerRefused if entering else BrokerClosed
        self.client.end(kind(message.reply_code, message.reply_text))

    def channel_close(self, channel: Any, message: Any) -> None:
        """The broker ends the channel: so does the connection, which has no other."""
        channel.channel_close_ok()
        self.client.end(BrokerClosed(message.reply_code, message.reply_text), say_goodbye=True)

    def channel_flow(self, channel: Any, message: Any) -> None:
        """RabbitMQ never sends it; the answer is due all the same."""
        channel.channel_flow_ok(message.active)

    def connection_blocked(self, channel: Any, message: Any) -> None:
        """An alarm: the broker reads nothing more from this connection."""
        self.client.set_blocked(message.reason)

    def connection_unblocked(self, channel: Any, message: Any) -> None:
        """The alarm is over."""
        self.client.set_blocked(None)

    def basic_cancel(self, channel: Any, message: Any) -> None:
        """The broker ended a consumer: its queue is gone, or moved."""
        if not message.nowait:
            channel.basic_cancel_ok(message.consumer_tag)
        self.client.cancelled_by_broker(message.consumer_tag)

    def basic_ack(self, channel: Any, message: Any) -> None:
        """The broker took messages over."""
        self.client.confirms.acked(message.delivery_tag, message.multiple)

    def basic_nack(self, channel: Any, message: Any) -> None:
        """The broker could not take messages."""
        self.client.confirms.nacked(message.delivery_tag, message.multiple)

    def _step(self, name: str, then: str | None) -> None:
        # Once each, and in this order (section 1.4.1): a second one would start a connection that has started.
        if name != self._due:
            raise BrokerProtocolError(
                f"the broker sent {name} when {self._due or 'neither start nor tune'} was due"
            )
        self._due = then
