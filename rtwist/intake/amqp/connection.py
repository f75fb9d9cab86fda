"""A connection to the broker: txAMQP's client with its receive path, framing, timers and endings replaced."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import MappingProxyType
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from rtwist.engineio.outflow import write_through
from rtwist.errors import (
    BrokerBusy,
    BrokerError,
    BrokerLost,
    BrokerProtocolError,
    BrokerTimeout,
    LocalProtocolError,
    PublishError,
)
from rtwist.intake.amqp.channel import Channel, by_deadline, decode
from rtwist.intake.amqp.codec import Table, shortstr, write_arguments
from rtwist.intake.amqp.confirms import Confirms, Fingerprint
from rtwist.intake.amqp.delegate import BrokerDelegate
from rtwist.intake.amqp.endings import told
from rtwist.intake.amqp.frames import (
    BASIC,
    HEARTBEAT_FRAME,
    PROTOCOL_HEADER,
    ack_frame,
    content_frames,
    method_frame,
    nack_frame,
)
from rtwist.intake.amqp.heartbeat import Heartbeat
from rtwist.intake.amqp.message import Delivery, Properties, Returned, write_properties
from rtwist.intake.amqp.options import BrokerOptions, QueueState
from rtwist.intake.amqp.receiver import CHANNEL, OnDelivery, Receiver
from rtwist.intake.amqp.stock import AMQClient, load_specification
from rtwist.intake.amqp.url import BrokerAddress

_PUBLISH_ID = 40
_PUBLISH_KINDS = ("short", "shortstr", "shortstr", "bit", "bit")
_GOODBYE_SECONDS = 3.0
"""How long a peer may take to close its side once everything is said."""
_PLAIN = Properties()
_NOTHING: Table = MappingProxyType({})


class BrokerConnection(AMQClient):  # type: ignore[misc]
    """One connection with one channel. `authenticate` comes first, then everything else.

    Whatever the broker does not answer, ends or gets wrong ends the whole connection: `reason` then says why,
    every call that waits fails with it, and so does every later one. There is no repair but a new connection.

    - `on_blocked`: called with the broker's reason when an alarm stops publishes here, with None when it is over.
    - `on_batch`: called after each read that brought deliveries, once they have all been handed over. An
      exception out of it ends the connection, as one out of `on_blocked` does.
    - `server_properties`: how the broker introduced itself.
    """

    _log = Logger()
    noisy = False
    delegate: BrokerDelegate
    clock: IReactorTime

    def __init__(self, address: BrokerAddress, options: BrokerOptions, clock: IReactorTime) -> None:
        specification = load_specification()
        super().__init__(BrokerDelegate(), address.vhost, specification, heartbeat=0, clock=clock)
        self.address = address
        self.options = options
        self.call_timeout = options.call_timeout
        self.frame_max = options.frame_max if address.frame_max is None else address.frame_max
        self.reason: BrokerError | None = None
        self.blocked: str | None = None
        self.is_open = False
        self.server_properties: Table = {}
        self.on_blocked: Callable[[str | None], None] | None = None
        self.on_batch: Callable[[], None] | None = None
        self.confirms = Confirms(clock=clock, timeout=options.call_timeout, late=self._publish_late)
        self._confirming = False
        self._cancellations: dict[str, Callable[[str], None]] = {}
        self._heartbeat: Heartbeat | None = None
        self._receiver = Receiver(self, frame_max=self.frame_max, max_body=options.max_body)
        self._lost: list[Deferred[BrokerError]] = []
        self._abort_timer: IDelayedCall | None = None
        self._tags = 0
        self._gone = False
        self._zero, self._one = self._make_channels(specification)

    def _make_channels(self, specification: Any) -> tuple[Any, Any]:
        kind = type("BrokerChannel", (Channel, specification.klass), {})
        self.channels = {number: kind(number, self.outgoing, self) for number in (0, CHANNEL)}
        return self.channels[0], self.channels[CHANNEL]

    @property
    def itself(self) -> BrokerConnection:
        """This connection, also through a wrapper that passes on only what is asked for, not what is set."""
        return self

    # Entering and leaving

    async def authenticate(self) -> None:
        """Log in, enter the virtual host and open the channel.

        Raises `BrokerRefused` when the broker does not let this user in there, else another `BrokerError`.
        """
        started = self.started.wait()
        await by_deadline(started, "connection.start", self.call_timeout, self.clock, self.fail)
        await self._zero.connection_open(self.address.vhost)
        self.is_open = True
        await self._one.channel_open()

    async def close(self, within: float = 5.0) -> None:
        """Say goodbye, for at most `within` seconds, and return once the connection is gone.

        Deliveries that come meanwhile are dropped; the broker takes them back, with all that is not acknowledged.
        """
        if self.reason is None:
            self.call_timeout = within
            self._receiver.consumers = dict.fromkeys(self._receiver.consumers, _drop)
            with suppress(BrokerError):
                await self._zero.connection_close(200, "goodbye")
            self.end(BrokerLost("closed by this side"))
        await self.when_lost()

    def when_lost(self) -> Deferred[BrokerError]:
        """Fires with the `reason` once the connection is gone."""
        if self._gone and self.reason is not None:
            return succeed(self.reason)
        waiting: Deferred[BrokerError] = Deferred()
        self._lost.append(waiting)
        return waiting

    # What it can be asked for

    async def declare_exchange(
        self,
        name: str,
        kind: str = "topic",
        *,
        durable: bool = True,
        auto_delete: bool = False,
        internal: bool = False,
        passive: bool = False,
        arguments: Table = _NOTHING,
    ) -> None:
        """Make the exchange, or check that it is like this; `passive` only checks that it is there."""
        await self._one.exchange_declare(0, name, kind, passive, durable, auto_delete, internal, False, arguments)

    async def declare_queue(
        self,
        name: str = "",
        *,
        durable: bool = True,
        exclusive: bool = False,
        auto_delete: bool = False,
        passive: bool = False,
        arguments: Table = _NOTHING,
    ) -> QueueState:
        """Make the queue, or check that it is like this; the broker finds a name for "".

        Brokers from 4.3 on make only queues that are durable or exclusive.
        """
        declare = self._one.queue_declare
        answer = await declare(0, name, passive, durable, exclusive, auto_delete, False, arguments)
        return QueueState(answer.queue, answer.message_count, answer.consumer_count)

    async def bind_queue(
        self, queue: str, exchange: str, routing_key: str, *, arguments: Table = _NOTHING
    ) -> None:
        """Let messages of `exchange` whose key matches `routing_key` into `queue`."""
        await self._one.queue_bind(0, queue, exchange, routing_key, False, arguments)

    async def delete_queue(self, name: str) -> int:
        """Remove the queue; how many messages went with it."""
        return cast(int, (await self._one.queue_delete(0, name)).message_count)

    async def qos(self, prefetch: int) -> None:
        """How many deliveries may wait for their acknowledgement, for each consumer to come; 0: any number."""
        await self._one.basic_qos(0, prefetch, False)

    async def consume(
        self,
        queue: str,
        on_delivery: OnDelivery,
        *,
        on_cancelled: Callable[[str], None],
        no_ack: bool = False,
        exclusive: bool = False,
        arguments: Table = _NOTHING,
    ) -> str:
        """Have the messages of `queue` delivered; the consumer's tag.

        `on_delivery` is called with each; deliveries may come before this returns. An exception out of it is
        logged and leaves the message unacknowledged. `on_cancelled` is called with the tag when the broker ends
        the consumer, for its queue is gone.
        """
        self._tags += 1
        tag = f"{self.options.name}-{self._tags}"
        self._receiver.consumers[shortstr(tag)[1:]] = on_delivery
        self._cancellations[tag] = on_cancelled
        await self._one.basic_consume(0, queue, tag, False, no_ack, exclusive, False, arguments)
        return tag

    async def cancel(self, tag: str) -> None:
        """End a consumer; it may get deliveries until this returns, and none afterwards."""
        self._cancellations.pop(tag, None)
        await self._one.basic_cancel(tag, False)
        self._receiver.consumers.pop(shortstr(tag)[1:], None)

    def ack(self, tag: int, multiple: bool = False) -> None:
        """The delivery is done with, or all up to it. Does nothing on a connection that has ended."""
        if self.reason is None:
            # At once, and the broker sends on: it sends no more than `qos` allows.
            write_through(self.transport, ack_frame(CHANNEL, tag, multiple))

    def reject(self, tag: int, *, requeue: bool = False, multiple: bool = False) -> None:
        """Refuse the delivery, or all up to it: to the dead-letter exchange of its queue, or back into the queue.

        Does nothing on a connection that has ended.
        """
        if self.reason is None:
            self.transport.write(nack_frame(CHANNEL, tag, multiple, requeue))

    async def confirm(self) -> None:
        """Ask for a confirm of each publish; comes once before the first."""
        await self._one.confirm_select(False)
        self._confirming = True

    def publish(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        properties: Properties = _PLAIN,
        *,
        mandatory: bool = True,
    ) -> Deferred[None]:
        """Send a message; fires once the broker has taken it over: on disk when message and queue are durable.

        Fails with `Unroutable` when it is `mandatory` and reaches no queue, `PublishNacked` when the broker could
        not take it, `BrokerBusy` when it takes none at the moment, and the `BrokerError` of a connection that
        ended: the message may have been taken over then, or not. Raises `LocalProtocolError` for what cannot be
        sent.
        """
        if self.reason is not None:
            return fail(self.reason)
        if not self._confirming:
            raise LocalProtocolError("publish comes after confirm")
        arguments = write_arguments(_PUBLISH_KINDS, (0, exchange, routing_key, mandatory, False))
        content = content_frames(CHANNEL, write_properties(properties), body, self.frame_max)
        if self.blocked is not None:
            return fail(BrokerBusy(f"the broker takes no messages: {self.blocked}"))
        if self._is_behind(len(body)):
            return fail(BrokerBusy(f"{len(self.confirms)} messages wait for their confirms already"))
        self.transport.write(b"".join([method_frame(CHANNEL, BASIC, _PUBLISH_ID, arguments), *content]))
        return self.confirms.add(Fingerprint.of(exchange, routing_key, properties, body), len(body))

    def fail_unconfirmed(self, reason: PublishError) -> None:
        """Fail every publish that waits for its confirm; one that comes after all says nothing more."""
        self.confirms.fail(reason)

    # What Twisted calls

    def connectionMade(self) -> None:
        """Say which protocol this is (section 4.2.2)."""
        self.transport.write(PROTOCOL_HEADER)

    def dataReceived(self, data: bytes) -> None:
        """Hand on what came; a broker that breaks the protocol is left."""
        if self._heartbeat is not None:
            self._heartbeat.heard()
        receiver = self._receiver
        before = receiver.delivered
        try:
            receiver.receive(data)
        except BrokerProtocolError as error:
            self.fail(error)
        if self.on_batch is not None and receiver.delivered != before and self.reason is None:
            self.on_batch()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Nothing comes any more."""
        self.gone(reason)

    # What the endpoint, the receiver, the delegate and the channels call

    def gone(self, reason: Failure) -> None:
        """Nothing comes any more; whoever waits for the end hears of it."""
        self._gone = True
        error = told(self.address, reason)
        self._finish(error)
        if self._abort_timer is not None and self._abort_timer.active():
            self._abort_timer.cancel()
        lost, self._lost = self._lost, []
        for waiting in lost:
            waiting.callback(self.reason or error)
        self.disconnected.fire()

    def method(self, channel: int, class_id: int, method_id: int, payload: bytes) -> None:
        """A method came that is no delivery; see `News`."""
        message = decode(self.spec, class_id, method_id, payload)
        if (message.method.klass.name == "connection") != (channel == 0):
            raise BrokerProtocolError(f"{class_id}.{method_id} on channel {channel}")
        if message.method.response:
            self.channels[channel].answered(message)
        else:
            self.delegate.dispatch(self.channels[channel], message)

    def returned(self, message: Returned) -> None:
        """A mandatory message came back; see `News`."""
        self.confirms.returned(message)

    def consumer_failed(self, delivery: Delivery) -> None:
        """A consumer raised an exception; see `News`."""
        self._log.failure("a consumer failed, {delivery!r} stays unacknowledged", delivery=delivery)

    def tuned(self, frame_max: int, heartbeat: int) -> None:
        """Limits are agreed on: bytes, seconds."""
        self.frame_max = self._receiver.frame_max = frame_max
        if heartbeat:
            self._heartbeat = Heartbeat(heartbeat, clock=self.clock, send=self._beat, silent=self.fail)
        self.started.fire()

    def set_blocked(self, why: str | None) -> None:
        """The broker takes no messages any more, or takes them again."""
        self.blocked = why
        if self.on_blocked is not None:
            self.on_blocked(why)

    def cancelled_by_broker(self, tag: str) -> None:
        """The broker ended a consumer."""
        self._receiver.consumers.pop(shortstr(tag)[1:], None)
        on_cancelled = self._cancellations.pop(tag, None)
        if on_cancelled is not None:
            on_cancelled(tag)

    def fail(self, reason: BrokerError) -> None:
        """End the connection at once: nothing sensible can be said on it any more."""
        if self._finish(reason):
            self.transport.abortConnection()

    def end(self, reason: BrokerError, *, say_goodbye: bool = False) -> None:
        """End the connection once what was written has gone out, the goodbye too; soon at any rate."""
        if self.reason is None and say_goodbye:
            self._zero.connection_close(200, "goodbye").addErrback(lambda _: None)
        if self._finish(reason):
            self._abort_timer = self.clock.callLater(_GOODBYE_SECONDS, self.transport.abortConnection)
            self.transport.loseConnection()

    # Within

    def _finish(self, reason: BrokerError) -> bool:
        if self.reason is not None:
            return False
        self.reason = reason
        self.closed = True
        self._receiver.stop()
        if self._heartbeat is not None:
            self._heartbeat.stop()
        self.started.fail_if_not_fired(reason)
        for channel in self.channels.values():
            channel.do_close(reason)
        self.confirms.fail(reason)
        return True

    def _is_behind(self, size: int) -> bool:
        waiting, options = self.confirms, self.options
        too_many = len(waiting) >= options.max_unconfirmed
        return too_many or (len(waiting) > 0 and waiting.size + size > options.max_unconfirmed_bytes)

    def _beat(self) -> None:
        self.transport.write(HEARTBEAT_FRAME)

    def _publish_late(self) -> None:
        if self.blocked is None:
            self.fail(BrokerTimeout(f"basic.publish: no confirm within {self.options.call_timeout:g} s"))
        else:
            self.confirms.expire(BrokerBusy(f"the broker takes no messages: {self.blocked}"))


def _drop(delivery: Delivery) -> None:
    pass
