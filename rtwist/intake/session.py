"""The deliveries of one connection: handled in order, in slices, acknowledged in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from rtwist.errors import BrokerLost
from rtwist.intake.amqp import BrokerConnection, Delivery
from rtwist.intake.ledger import Ledger

SLICE_SECONDS = 0.01
"""How long deliveries are handled before sockets have their turn."""
FLUSH_SECONDS = 0.001
"""Any time above 0 lets the reactor write what is acknowledged before the next delivery is handled."""


class Turn(Protocol):
    """Who handles deliveries, as to when."""

    def begin(self) -> None:
        """Deliveries are handled now."""

    def settle(self) -> Deferred[None] | None:
        """Return once a crash can neither take back nor repeat what was handled so far, or fire then."""

    def end(self) -> None:
        """No more are handled in this turn of the reactor."""


class Session:
    """Gives each delivery to `handle`, which settles it by `done`, `reject` or, some time later, either.

    `handle` may return seconds to wait: the same delivery is then given to it again, and those behind it wait,
    for the order must be kept. Nothing is acknowledged before it is `done`, nor before all that came earlier is.
    `turn.settle` is called before the reactor has its turn, also when an earlier delivery still holds back the
    acknowledgement, so that what was handled outlasts a crash that comes before the broker knows. When it answers
    with a Deferred, what was handled is acknowledged once that has fired; when it fails, the connection ends, and
    the broker has all of it back.
    """

    def __init__(
        self,
        connection: BrokerConnection,
        handle: Callable[[Session, Delivery], float | None],
        *,
        turn: Turn,
        clock: IReactorTime,
        ack_batch: int,
    ) -> None:
        self._connection = connection
        self._handle = handle
        self._turn = turn
        self._clock = clock
        self._ack_batch = ack_batch
        self._waiting: deque[Delivery] = deque()
        self._ledger = Ledger()
        self._pause: IDelayedCall | None = None
        self._ended = False
        self._retrying = False
        self._held = False
        self._leaving = False
        self._settling = 0
        self._acknowledged = 0
        self._idle: list[Deferred[None]] = []

    # What the connection calls

    def delivered(self, delivery: Delivery) -> None:
        """A delivery came; it is handled once the whole batch has been read."""
        if self._leaving:
            return
        self._ledger.add(delivery.tag)
        self._waiting.append(delivery)

    def work(self) -> None:
        """Handle what waits, for one slice."""
        if self._pause is not None or self._held or self._ended:
            return
        self._turn.begin()
        try:
            self._work()
        finally:
            self._turn.end()

    def _work(self) -> None:
        end = self._clock.seconds() + SLICE_SECONDS
        unacknowledged = 0
        while self._waiting and self._connection.reason is None and not self._ended:
            pause = self._handle(self, self._waiting[0])
            if pause is not None:
                self._retrying = True
                self._held = False
                self._sleep(pause)
                break
            self._retrying = False
            self._waiting.popleft()
            unacknowledged += 1
            if unacknowledged == self._ack_batch:
                self._acknowledge()
                unacknowledged = 0
            if self._held or self._pause is not None:  # or held until just now
                break
            if self._waiting and self._clock.seconds() >= end:
                self._sleep(0)
                break
        self._acknowledge()

    # What the handler calls

    def hold(self) -> None:
        """Handle nothing behind the delivery in hand until it and all before it are acknowledged."""
        self._held = True

    def done(self, delivery: Delivery) -> None:
        """Acknowledge the delivery, at the end of the slice at the latest."""
        self._ledger.settle(delivery.tag)

    def done_later(self, delivery: Delivery) -> None:
        """Acknowledge the delivery now, some time after it was handled."""
        self.done(delivery)
        self._acknowledge()

    def reject(self, delivery: Delivery) -> None:
        """Have the broker make it a dead letter, without a reason on it."""
        self._connection.reject(delivery.tag)
        self._ledger.settle(delivery.tag, acknowledge=False)
        self._acknowledge()

    # Ending

    def leave(self) -> None:
        """Handle nothing more; what is settled later is still acknowledged. The broker has the rest back soon."""
        self._leaving = True
        if self._waiting:
            self._ledger.give_back(self._waiting[0].tag)
            self._waiting.clear()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def end(self) -> None:
        """The connection is gone, or about to be: handle nothing more. The broker has the rest."""
        self._ended = True
        self._waiting.clear()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._tell_idle()

    def drained(self, within: float) -> Deferred[None]:
        """Fires when everything delivered is settled, at the latest after `within` seconds.

        What is being tried again is not waited for.
        """
        if self._is_idle():
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._idle.append(waiting)
        late = self._clock.callLater(within, self._tell_idle)
        return waiting.addBoth(lambda _: late.cancel() if late.active() else None)

    # Within

    def _acknowledge(self) -> None:
        settled = self._turn.settle()
        tag = self._ledger.due()
        if settled is None or tag is None:
            self._settled(tag)
            if settled is not None:
                settled.addErrback(self._unsettled)
        else:
            self._settling += 1
            settled.addCallbacks(self._settled_later, self._unsettled, callbackArgs=(tag,))

    def _settled_later(self, _: None, tag: int) -> None:
        self._settling -= 1
        if not self._ended:
            self._settled(tag)

    def _unsettled(self, failure: Failure) -> None:
        reason = BrokerLost(f"what was handled is not certain: {failure.getErrorMessage()}")
        self._connection.end(reason, say_goodbye=True)

    def _settled(self, tag: int | None) -> None:
        # What became certain later, but was handled earlier, is acknowledged with it.
        if tag is not None and tag > self._acknowledged:
            self._acknowledged = tag
            self._connection.ack(tag, multiple=True)
        if self._settling:
            return
        if self._held and not self._ended and len(self._ledger) == len(self._waiting):
            self._held = False
            self._sleep(FLUSH_SECONDS)
        if self._is_idle():
            self._tell_idle()

    def _is_idle(self) -> bool:
        return self._ended or self._retrying or not (self._ledger or self._settling)

    def _tell_idle(self) -> None:
        idle, self._idle = self._idle, []
        for waiting in idle:
            waiting.callback(None)

    def _sleep(self, seconds: float) -> None:
        self._pause = self._clock.callLater(seconds, self._wake)

    def _wake(self) -> None:
        self._pause = None
        self.work()
