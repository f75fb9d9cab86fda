"""Publishes that wait for the broker's word (RabbitMQ's publisher confirms)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from rtwist.errors import BrokerProtocolError, PublishNacked, Unroutable
from rtwist.intake.amqp.message import Properties, Returned

_NACKED = "the broker could not take the message over (basic.nack): a queue is full, or it has a fault"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells a returned message from others: the broker does not say which publish it was."""

    exchange: str
    routing_key: str
    message_id: str | None
    body: int

    @classmethod
    def of(cls, exchange: str, routing_key: str, properties: Properties, body: bytes) -> Fingerprint:
        """That of a message; those of equal messages are equal."""
        return cls(exchange, routing_key, properties.message_id, hash(body))


class _Publish:
    """One message on its way."""

    __slots__ = ("deadline", "done", "fingerprint", "size")

    def __init__(self, fingerprint: Fingerprint, size: int, deadline: float) -> None:
        self.size = size
        self.fingerprint = fingerprint
        self.deadline = deadline
        self.done: Deferred[None] = Deferred()

    def fail(self, error: Exception) -> None:
        if not self.done.called:
            self.done.errback(Failure(error))

    def succeed(self) -> None:
        if not self.done.called:
            self.done.callback(None)


class Confirms:
    """Numbers the publishes of one channel and settles them as the broker's answers come in.

    `timeout` is how long the broker may take over one, in seconds; `late` is called when it takes longer: it may
    `expire` what is late, or `fail` everything. `size` is how many bytes the bodies of all that wait have.
    """

    def __init__(self, *, clock: IReactorTime, timeout: float, late: Callable[[], None]) -> None:
        self._clock = clock
        self._timeout = timeout
        self._late = late
        self.size = 0
        self._last = 0
        self._waiting: dict[int, _Publish] = {}
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, fingerprint: Fingerprint, size: int) -> Deferred[None]:
        """A message with a body of `size` bytes has been written; fires when the broker has taken it over."""
        self._last += 1
        self.size += size
        publish = _Publish(fingerprint, size, self._clock.seconds() + self._timeout)
        self._waiting[self._last] = publish
        self._watch()
        return publish.done

    def acked(self, tag: int, multiple: bool) -> None:
        """basic.ack came: the broker has taken over one, or all up to it."""
        for publish in self._take(tag, multiple):
            publish.succeed()

    def nacked(self, tag: int, multiple: bool) -> None:
        """basic.nack came: the broker could not take one, or all up to it."""
        for publish in self._take(tag, multiple):
            publish.fail(PublishNacked(_NACKED))

    def returned(self, message: Returned) -> None:
        """A message came back; its confirm, which follows, then says nothing more."""
        wanted = Fingerprint.of(message.exchange, message.routing_key, message.properties, message.body)
        for tag, publish in self._waiting.items():
            if publish.fingerprint == wanted:
                self._pop(tag).fail(Unroutable(message.code, message.text))
                return

    def expire(self, error: Exception) -> None:
        """Fail what is late; a confirm that comes after all says nothing more."""
        now = self._clock.seconds()
        for tag in [tag for tag, publish in self._waiting.items() if publish.deadline <= now]:
            self._pop(tag).fail(error)
        self._watch()

    def fail(self, error: Exception) -> None:
        """Fail everything: the connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting, self.size = self._waiting, {}, 0
        for publish in waiting.values():
            publish.fail(error)

    def _take(self, tag: int, multiple: bool) -> list[_Publish]:
        if tag > self._last:
            raise BrokerProtocolError(f"a confirm of message {tag}; {self._last} were published")
        if not multiple:
            return [self._pop(tag)] if tag in self._waiting else []
        tags: list[int] = []
        for waiting in self._waiting:  # in the order they were published
            if tag and waiting > tag:
                break
            tags.append(waiting)
        return [self._pop(found) for found in tags]

    def _pop(self, tag: int) -> _Publish:
        publish = self._waiting.pop(tag)
        self.size -= publish.size
        return publish

    def _watch(self) -> None:
        if self._timer is None and self._waiting:
            oldest = next(iter(self._waiting.values()))
            self._timer = self._clock.callLater(max(0.0, oldest.deadline - self._clock.seconds()), self._check)

    def _check(self) -> None:
        self._timer = None
        if self._waiting and next(iter(self._waiting.values())).deadline <= self._clock.seconds():
            self._late()
        self._watch()
