"""Acknowledgements that the server waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from rtwist.socketio.errors import AckLost, AckTimeout

AckCallback = Callable[..., Any]


class PendingAcks:
    """The acknowledgements one socket still owes, by packet id."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: dict[int, tuple[AckCallback, AckCallback | None]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def expect(self, packet_id: int, answered: AckCallback, lost: AckCallback | None = None) -> None:
        """Call `answered` with the arguments of the acknowledgement, or `lost` when the socket goes first."""
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


def wait_for_one(clock: IReactorTime, acks: PendingAcks, packet_id: int, timeout: float | None) -> Deferred[Any]:
    """Fires with the first argument of the acknowledgement; fails with AckTimeout or AckLost."""
    timer: IDelayedCall | None = None

    def settle(result: Any) -> None:
        acks.cancel(packet_id)
        if timer is not None and timer.active():
            timer.cancel()
        if not deferred.called:
            deferred.callback(result) if not isinstance(result, Exception) else deferred.errback(result)

    deferred: Deferred[Any] = Deferred(lambda _: settle_cancelled())

    def settle_cancelled() -> None:
        acks.cancel(packet_id)
        if timer is not None and timer.active():
            timer.cancel()

    acks.expect(packet_id, lambda *args: settle(args[0] if args else None), lambda: settle(AckLost()))
    if timeout is not None:
        timer = clock.callLater(timeout, lambda: settle(AckTimeout()))
    return deferred


class BroadcastAck:
    """The acknowledgements of one broadcast: done when all have answered, or at the timeout."""

    def __init__(self, clock: IReactorTime, packet_id: int, timeout: float | None) -> None:
        self.done: Deferred[list[Any]] = Deferred(lambda _: self._stop())
        self._packet_id = packet_id
        self._responses: list[Any] = []
        self._waiting: list[PendingAcks] = []
        self._open = 0
        self._timer = None if timeout is None else clock.callLater(timeout, self._timed_out)

    def expect(self, acks: PendingAcks) -> None:
        """One more socket is to answer."""
        self._open += 1
        self._waiting.append(acks)
        acks.expect(self._packet_id, self._answered)

    def sent(self) -> Deferred[list[Any]]:
        """All packets are on their way; the result fires with the responses, one for each socket."""
        if self._open == 0:
            self._finish()
        return self.done

    def _answered(self, *args: Any) -> None:
        self._responses.append(args[0] if args else None)
        self._open -= 1
        if self._open == 0:
            self._finish()

    def _finish(self) -> None:
        self._stop()
        self.done.callback(self._responses)

    def _timed_out(self) -> None:
        self._stop()
        self.done.errback(AckTimeout(self._responses))

    def _stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for acks in self._waiting:
            acks.cancel(self._packet_id)
        self._waiting = []
