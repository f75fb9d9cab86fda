"""Waiting for what several nodes answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from rtwist.cluster.messages import Response
from rtwist.socketio.acks import BroadcastAck, Patience, PendingAcks, first_argument
from rtwist.socketio.errors import AckTimeout


class NodesTimeout(AckTimeout):
    """Some nodes did not answer in time; `responses` holds what the others said, the text says which request."""

    def __init__(self, what: str, answered: int, expected: int, responses: list[Any]) -> None:
        super().__init__(responses)
        self.args = (f"{what}: {answered} of {expected} other nodes have answered in time",)


class Answers:
    """The requests of one node that others are to answer within `seconds`, by the ids of the requests."""

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._open: dict[str, _Question] = {}

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._open

    def ask(self, request_id: str, what: str, expected: int, kind: type[Response]) -> Deferred[list[Any]]:
        """Fires with `expected` responses of the type `kind`; fails with `NodesTimeout`, which names `what`."""
        timer = self._clock.callLater(self._seconds, self._give_up, request_id)
        question = self._open[request_id] = _Question(what, expected, kind, timer)
        done: Deferred[list[Any]] = Deferred(lambda _: self._close(request_id))
        question.done = done
        return done

    def add(self, response: Response) -> None:
        """A node answers; answers that nobody waits for are passed over."""
        question = self._open.get(response.request_id)
        if question is None or type(response) is not question.kind:
            return
        question.responses.append(response)
        if len(question.responses) == question.expected:
            self._close(response.request_id)
            question.done.callback(question.responses)

    def fail(self, request_id: str, why: Failure) -> None:
        """The request has not reached the others."""
        question = self._open.get(request_id)
        if question is not None:
            self._close(request_id)
            question.done.errback(why)

    def stop(self) -> None:
        """Wait no longer: what is open is cancelled."""
        for question in tuple(self._open.values()):
            question.done.cancel()

    def _give_up(self, request_id: str) -> None:
        question = self._open[request_id]
        self._close(request_id)
        said = question.responses
        question.done.errback(NodesTimeout(question.what, len(said), question.expected, said))

    def _close(self, request_id: str) -> None:
        question = self._open.pop(request_id)
        if question.timer.active():
            question.timer.cancel()


class _Question:
    __slots__ = ("done", "expected", "kind", "responses", "timer", "what")

    def __init__(self, what: str, expected: int, kind: type[Response], timer: IDelayedCall) -> None:
        self.what = what
        self.expected = expected
        self.kind = kind
        self.timer = timer
        self.responses: list[Any] = []
        self.done: Deferred[list[Any]] = Deferred()


class FarAcks:
    """What the clients of other nodes acknowledge, as part of `ack`.

    Each node says at once how many of its clients will answer; one that has not said it after `seconds` counts as
    a client that has left.
    """

    def __init__(self, ack: BroadcastAck, clock: IReactorTime, seconds: float) -> None:
        self._ack = ack
        self._nodes: int | None = None
        self._heard = 0
        self._owed = 0
        ack.expect_far(1)
        self._timer = clock.callLater(seconds, ack.far_lost)

    def nodes(self, number: int) -> None:
        """So many other nodes there are."""
        self._nodes = number
        self._check()

    def counted(self, clients: int) -> None:
        """One of them has so many clients that will answer."""
        if self._timer.active():
            self._heard += 1
            self._owed += clients
            self._ack.expect_far(clients)
            self._check()

    def acknowledged(self, value: Any) -> None:
        """One of these clients has answered."""
        if self._owed > 0:
            self._owed -= 1
            self._ack.far_answered(value)

    def stop(self) -> None:
        """Wait no longer."""
        if self._timer.active():
            self._timer.cancel()

    def close(self) -> None:
        """Nobody will answer any more."""
        owed, self._owed = self._owed, 0
        if owed:
            self._ack.far_lost(owed)
        self.lost()

    def _check(self) -> None:
        if self._nodes is not None and self._heard >= self._nodes and self._timer.active():
            self._timer.cancel()
            self._ack.far_settled()

    def lost(self) -> None:
        """Some node will not say it any more."""
        if self._timer.active():
            self._timer.cancel()
            self._ack.far_lost()


class Relay:
    """The acknowledgements of this node's clients for a broadcast of another node: each is passed to `tell`.

    They are waited for so many `seconds`, or as long as `patience` says; then, or when all have come, `ended` is
    called.
    """

    def __init__(self, packet_id: int, tell: Callable[[Any], None], ended: Callable[[Relay], None]) -> None:
        self._packet_id = packet_id
        self._tell = tell
        self._ended = ended
        self._waiting: list[PendingAcks] = []
        self._open = 0
        self._timer: IDelayedCall | None = None

    def start(self, debtors: Iterable[PendingAcks], patience: Patience, seconds: float | None) -> None:
        """Wait for these."""
        self._waiting = list(debtors)
        self._open = len(self._waiting)
        for acks in self._waiting:
            acks.expect(self._packet_id, self._answered, self._one_less)
        if self._waiting:
            self._timer = patience.limit(seconds, "the receivers of another node's broadcast", self.stop)
        else:
            self.stop()

    def stop(self) -> None:
        """Wait no longer."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for acks in self._waiting:
            acks.cancel(self._packet_id)
        self._waiting = []
        self._ended(self)

    def _answered(self, *args: Any) -> None:
        self._tell(first_argument(args))
        self._one_less()

    def _one_less(self) -> None:
        self._open -= 1
        if self._open == 0:
            self.stop()


def forgetting(forget: Callable[[str], None], request_id: str) -> Callable[[Any], Any]:
    """A callback that passes on whatever comes, having forgotten `request_id`."""
    return partial(_forget, forget, request_id)


def _forget(forget: Callable[[str], None], request_id: str, result: Any) -> Any:
    forget(request_id)
    return result
