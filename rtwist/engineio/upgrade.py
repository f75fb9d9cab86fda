"""The upgrade of a session from polling to a WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from rtwist.engineio import lifecycle
from rtwist.engineio.lifecycle import Probe
from rtwist.engineio.packet import NOOP, PROBE_PONG, decode_packet
from rtwist.errors import RemoteProtocolError

if TYPE_CHECKING:
    from rtwist.engineio.session import Session
    from rtwist.engineio.transport import Transport

_NOOP_INTERVAL = 0.1


class Upgrade:
    """A WebSocket on probation beside a polling session."""

    __slots__ = ("_clock", "_noop_timer", "_session", "_timer", "transport")

    def __init__(self, session: Session, transport: Transport, clock: IReactorTime, timeout: float) -> None:
        self.transport = transport
        self._session = session
        self._clock = clock
        self._noop_timer: IDelayedCall | None = None
        self._timer = clock.callLater(timeout, self._timed_out)

    def received(self, encoded: str | bytes) -> None:
        """The WebSocket on probation received a packet."""
        try:
            packet = decode_packet(encoded)
            probe = lifecycle.probe_step(packet.type, packet.data)
        except RemoteProtocolError:
            probe = Probe.REFUSED
        if probe is Probe.PROBED and self.transport.writable:
            self.transport.send((PROBE_PONG,))
            self._cancel_noop()
            self._noop_timer = self._clock.callLater(_NOOP_INTERVAL, self._flush_poll)
        elif probe is Probe.UPGRADED:
            self._cancel()
            self._session.upgrade_ended(self.transport)
        else:
            self.give_up()

    def give_up(self) -> None:
        """Stay on polling; only the WebSocket ends."""
        self._cancel()
        self._session.upgrade_ended(None)
        self.transport.close()

    def _timed_out(self) -> None:
        self._session.note_limit("upgrade_timeout")
        self.give_up()

    def _flush_poll(self) -> None:
        # The client upgrades only once its pending poll is answered.
        polling = self._session.transport
        if polling.writable:
            polling.send((NOOP,))
        self._noop_timer = self._clock.callLater(_NOOP_INTERVAL, self._flush_poll)

    def _cancel_noop(self) -> None:
        if self._noop_timer is not None and self._noop_timer.active():
            self._noop_timer.cancel()

    def _cancel(self) -> None:
        self._cancel_noop()
        if self._timer.active():
            self._timer.cancel()
