"""Acknowledgements that the server waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from rtwist.socketio.errors import AckLost, AckTimeout

AckCallback = Callable[..., Any]


class Debtor(Protocol):
    """Who owes acknowledgements."""

    def note_limit(self, limit: str) -> None:
        """It has passed `limit`, which is to be counted."""


class Patience:
    """How long acknowledgements may take: `seconds` where nobody says how long, None for any time.

    `note_limit` is called when these are over, with the name of the option and who did not answer.
    """

    def __init__(
        self, clock: IReactorTime, seconds: float | None, note_limit: Callable[[str, str], None]
    ) -> None:
        self.seconds = seconds
        self._clock = clock
        self._note_limit = note_limit

    def limit(self, timeout: float | None, who: str, give_up: Callable[[], None]) -> IDelayedCall | None:
        """Call `give_up` after `timeout` seconds, or after those of the option."""
        if timeout is not None:
            return self._clock.callLater(timeout, give_up)
        if self.seconds is None:
            return None
        return self._clock.callLater(self.seconds, self._end, who, give_up)

    def _end(self, who: str, give_up: Callable[[], None]) -> None:
        self._note_limit("ack_timeout", who)
        give_up()


class PendingAcks:
    """The acknowledgements that `debtor` owes, by packet id: `most` of them, or the oldest is given up."""

    __slots__ = ("_debtor", "_most", "_pending")

    def __init__(self, most: int, debtor: Debtor) -> None:
        self._most = most
        self._debtor = debtor
        self._pending: dict[int, tuple[AckCallback, AckCallback | None]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def expect(self, packet_id: int, answered: AckCallback, lost: AckCallback | None = None) -> None:
        """Call `answered` with the arguments of the acknowledgement, or `lost` when the socket goes first."""
        if len(self._pending) >= self._most:
            self._debtor.note_limit("max_pending_acks")
            _, oldest = self._pending.pop(next(iter(self._pending)))
            if oldest is not None:
                oldest()
        self._pending[packet_id] = (answered, lost)

    def cancel(self, packet_id: int) -> None:
        """Wait no longer; an acknowledgement that still comes is ignored."""
        self._pending.pop(packet_id, None)

    def received(self, packet_id: int | None, args: Iterable[Any]) -> None:
        """An acknowledgement has come; unknown and repeated ones are ignored."""
        if packet_id is None:
            return
        pending = self._pending.pop(packet_id, None)
        if pending is not None:
            pending[0](*args)

    def lose(self) -> None:
        """The socket has gone."""
        pending, self._pending = self._pending, {}
        for _, lost in pending.values():
            if lost is not None:
                lost()


def wait_for_one(
    patience: Patience, acks: PendingAcks, packet_id: int, timeout: float | None, who: str
) -> Deferred[tuple[Any, ...]]:
    """Fires with the arguments of the acknowledgement, a tuple; fails with AckTimeout or AckLost."""
    timer: IDelayedCall | None = None

    def settle(result: Any) -> None:
        acks.cancel(packet_id)
        if timer is not None and timer.active():
            timer.cancel()
        if not deferred.called:
            deferred.callback(result) if not isinstance(result, Exception) else deferred.errback(result)

    deferred: Deferred[tuple[Any, ...]] = Deferred(lambda _: settle_cancelled())

    def settle_cancelled() -> None:
        acks.cancel(packet_id)
        if timer is not None and timer.active():
            timer.cancel()

    acks.expect(packet_id, lambda *args: settle(args), lambda: settle(AckLost()))
    timer = patience.limit(timeout, who, lambda: settle(AckTimeout()))
    return deferred


def first_argument(args: tuple[Any, ...]) -> Any:
    """What an acknowledgement with `args` says, None when it has none."""
    return args[0] if args else None


class BroadcastAck:
    """The acknowledgements of one broadcast: done when all have answered, or at the timeout.

    Without a timeout it fails once nobody can answer any more, if somebody left without an answer.
    """

    def __init__(self, patience: Patience, packet_id: int, timeout: float | None) -> None:
        self.done: Deferred[list[Any]] = Deferred(lambda _: self.stop())
        self.timeout = timeout
        self._packet_id = packet_id
        self._responses: list[Any] = []
        self._waiting: list[PendingAcks] = []
        self._open = 0
        self._left = False
        self._waits_for_all = timeout is None
        self._timer = patience.limit(timeout, "a broadcast's receivers", self._timed_out)

    def expect(self, acks: PendingAcks) -> None:
        """One more socket is to answer."""
        self._open += 1
        self._waiting.append(acks)
        acks.expect(self._packet_id, self._answered, self._lost)

    def expect_far(self, number: int) -> None:
        """So many more, which are no sockets of this node, are to answer or to be settled."""
        self._open += number

    def far_answered(self, value: Any) -> None:
        """One of these has answered."""
        self._answered(value)

    def far_settled(self) -> None:
        """One of these has nothing to answer."""
        self._one_less()

    def far_lost(self, number: int = 1) -> None:
        """So many of these, at least one, will not answer."""
        self._open -= number - 1
        self._lost()

    def sent(self) -> Deferred[list[Any]]:
        """All packets are on their way; the result fires with the responses, one for each socket."""
        if self._open == 0:
            self._finish()
        return self.done

    def _answered(self, *args: Any) -> None:
        self._responses.append(first_argument(args))
        self._one_less()

    def _lost(self) -> None:
        self._left = True
        self._one_less()

    def _one_less(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._finish()

    def _finish(self) -> None:
        if not self._left:
            self.stop()
            self.done.callback(self._responses)
        elif self._waits_for_all:
            self.stop()
            self.done.errback(AckLost(self._responses))

    def _timed_out(self) -> None:
        self.stop()
        self.done.errback(AckTimeout(self._responses))

    def stop(self) -> None:
        """Wait no longer."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for acks in self._waiting:
            acks.cancel(self._packet_id)
        self._waiting = []
