"""A channel of txAMQP that encodes at once, checks what it sends, and waits for no answer for ever."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from rtwist.errors import BrokerError, BrokerProtocolError, BrokerTimeout, LocalProtocolError
from rtwist.intake.amqp.codec import read_arguments, write_arguments
from rtwist.intake.amqp.frames import method_frame
from rtwist.intake.amqp.stock import AMQChannel, Message


def name_of(method: Any) -> str:
    """`queue.declare` and the like."""
    return f"{method.klass.name}.{method.name}"


def decode(specification: Any, class_id: int, method_id: int, payload: bytes) -> Any:
    """txAMQP's message for a method frame; `BrokerProtocolError` when it cannot be read."""
    try:
        method = specification.classes.byid[class_id].methods.byid[method_id]
    except KeyError:
        raise BrokerProtocolError(f"the unknown method {class_id}.{method_id}") from None
    return Message(method, read_arguments([field.type for field in method.fields], payload, 4))


def by_deadline(
    waiting: Deferred[Any], what: str, seconds: float, clock: IReactorTime, late: Callable[[BrokerError], None]
) -> Deferred[Any]:
    """`waiting` itself; `late` is called with a `BrokerTimeout` when it has not fired within `seconds`."""
    timer: IDelayedCall = clock.callLater(seconds, late, BrokerTimeout(f"{what}: no answer within {seconds:g} s"))

    def stop(result: Any) -> Any:
        if timer.active():
            timer.cancel()
        return result

    return waiting.addBoth(stop)


class Channel(AMQChannel):  # type: ignore[misc]
    """One channel of a `BrokerConnection`, with the methods that txAMQP makes from the specification file.

    A call that has an answer is a Deferred of it. Answers come in the order of the calls (AMQP 0-9-1, section
    2.2.2); one that does not come in time ends the connection, for nothing would fit together afterwards.
    """

    def __init__(self, channel_id: int, outgoing: Any, client: Any) -> None:
        super().__init__(channel_id, outgoing, client)
        self._expected: deque[tuple[Any, Deferred[Any]]] = deque()

    def invoke(self, method: Any, args: tuple[Any, ...], content: object = None) -> Deferred[Any]:
        """Send `method`; its answer, or None at once when it has none.

        Raises `LocalProtocolError` when an argument cannot be sent, before anything is.
        """
        client = self.client
        if client.reason is not None:
            return fail(client.reason)
        kinds = [field.type for field in method.fields]
        frame = method_frame(self.id, method.klass.id, method.id, write_arguments(kinds, args))
        if len(frame) > client.frame_max:
            raise LocalProtocolError(
                f"{name_of(method)} takes {len(frame)} bytes; {client.frame_max} is the most"
            )
        client.transport.write(frame)
        if not method.responses or any(
            field.name == "nowait" and value for field, value in zip(method.fields, args, strict=True)
        ):
            return succeed(None)
        answer: Deferred[Any] = Deferred()
        self._expected.append((method, answer))
        return by_deadline(answer, name_of(method), client.call_timeout, client.clock, client.fail)

    def answered(self, message: Any) -> None:
        """The broker sent an answer; `BrokerProtocolError` when it is not the one that is due."""
        method = self._expected[0][0] if self._expected else None
        if method is None or message.method not in method.responses:
            due = "nothing" if method is None else name_of(method)
            raise BrokerProtocolError(f"the broker answered {name_of(message.method)} to {due}")
        _, answer = self._expected.popleft()
        if not answer.called:  # its caller may have given up
            answer.callback(message)

    def do_close(self, reason: BrokerError) -> None:
        """Fail every call that waits; there is no answer to come."""
        self.closed, self.reason = True, reason
        expected, self._expected = self._expected, deque()
        for _, answer in expected:
            if not answer.called:
                answer.errback(Failure(reason))
