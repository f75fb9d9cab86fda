"""One Engine.IO session: its life, heartbeat, upgrade and buffer, whatever transport feeds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from rtwist.engineio import lifecycle, reasons
from rtwist.engineio.backlog import Backlog
from rtwist.engineio.lifecycle import Action, Event, State
from rtwist.engineio.options import POLLING, WEBSOCKET, Options
from rtwist.engineio.outbox import IfBehind, Outbox
from rtwist.engineio.packet import NOOP, PING, Packet, PacketType, decode_packet
from rtwist.engineio.request import Handshake
from rtwist.engineio.transport import Transport
from rtwist.engineio.upgrade import Upgrade
from rtwist.errors import RemoteProtocolError


class Listener(Protocol):
    """What a session tells the layer above."""

    def message(self, data: str | bytes) -> None:
        """The client sent `data`."""

    def closed(self, reason: str, description: str) -> None:
        """The session has ended for `reason`, one of `rtwist.engineio.reasons`."""


class _Nobody:
    """Listens before the session is open and after its end."""

    __slots__ = ()

    def message(self, data: str | bytes) -> None:
        pass

    def closed(self, reason: str, description: str) -> None:
        pass


class Registry(Protocol):
    """Where a session takes itself out when it has ended, and tells which limits its client passed."""

    def forget(self, session: Session) -> None:
        """Drop the session."""

    def note_limit(self, limit: str, who: str, *, common: bool = False) -> None:
        """Count that `who` has passed `limit`."""


class Session:
    """The server's side of one client. `sid` is a secret: whoever knows it can read the client's messages."""

    _log = Logger()
    __slots__ = (
        "_backlog",
        "_clock",
        "_drain_timer",
        "_ended",
        "_heartbeat",
        "_listener",
        "_options",
        "_pong_due",
        "_registry",
        "_state",
        "_upgrade",
        "handshake",
        "outbox",
        "sid",
        "transport",
    )

    def __init__(
        self,
        sid: str,
        handshake: Handshake,
        transport: Transport,
        *,
        clock: IReactorTime,
        options: Options,
        registry: Registry,
        backlog: Backlog,
    ) -> None:
        self.sid = sid
        self.handshake = handshake.packed()
        self.transport = transport
        self._clock = clock
        self._options = options
        self._registry = registry
        self._state = State.OPENING
        self._listener: Listener = _Nobody()
        self._backlog = backlog
        # There is one only while the client is behind.
        self.outbox: Outbox | None = None
        self._ended = ("", "")
        self._heartbeat: IDelayedCall | None = None
        self._pong_due = False
        self._upgrade: Upgrade | None = None
        self._drain_timer: IDelayedCall | None = None
        transport.session = self

    # What the layer above calls

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._state is State.OPEN

    @property
    def writable(self) -> bool:
        """Whether a message sent now would leave at once."""
        return self._state is State.OPEN and self.outbox is None and self.transport.writable

    @property
    def transport_name(self) -> str:
        """`polling` or `websocket`."""
        return self.transport.name

    def open(self) -> None:
        """Send the handshake packet and start the heartbeat."""
        if self._advance(Event.OPEN_SENT):
            self._schedule(self._options.ping_interval, self._send_ping)
            self.send((Packet(PacketType.OPEN, self._handshake_json()),))

    def listen(self, listener: Listener) -> None:
        """From now on `listener` hears of messages and of the end, at once if that has come already."""
        self._listener = listener
        if self._state is State.CLOSED:
            self._tell_end(*self._ended)

    def send(self, packets: Sequence[Packet], if_behind: IfBehind = None) -> None:
        """Send `packets` in order; `if_behind` says what becomes of them when they cannot leave now.

        Does nothing on a session that is not open. A client for which more than `max_buffered` bytes wait, or
        any for longer than `max_buffered_age`, is cut: its listener hears `transport error` in the next turn.
        """
        if self._state is not State.OPEN:
            return
        if self.outbox is None and self.transport.writable:
            self.transport.send(packets)
        else:
            self._backlog.wait(self, packets, if_behind)

    def close(self) -> None:
        """End the session with reason `forced close` once what waits has gone out.

        A client that takes nothing is left after `close_timeout`, one that does not poll after
        `poll_close_timeout`.
        """
        if self._advance(Event.CLOSE_ASKED):
            self._cancel_heartbeat()
            if self.outbox is None and self.transport.writable:
                self._finish_close()
            else:
                waits_for_poll = self.transport.name == POLLING and not self.transport.stuck
                limit = "poll_close_timeout" if waits_for_poll else "close_timeout"
                timeout = getattr(self._options, limit)
                self._drain_timer = self._clock.callLater(timeout, self._close_timed_out, limit)

    def abort(self, reason: str, description: str = "") -> None:
        """End the session at once for `reason`; what waits is lost."""
        self._end(reason, description)

    # What the backlog calls

    def cut(self, description: str) -> str:
        """End the session of a slow client and its connection; returns the client's address.

        The listener hears of it in a turn of its own: what it does then, such as to tell others, must not happen
        in the middle of a broadcast, nor nest when it makes others too slow in turn.
        """
        if self._leave(reasons.TRANSPORT_ERROR, description, at_once=True):
            self._clock.callLater(0, self._tell_end, reasons.TRANSPORT_ERROR, description)
        return self.handshake.address

    # What transports call

    def received(self, transport: Transport, encoded: str | bytes) -> None:
        """The client sent one packet over `transport`: a text (`str`) or binary (`bytes`) message of the wire."""
        upgrade = self._upgrade
        if upgrade is not None and transport is upgrade.transport:
            upgrade.received(encoded)
            return
        if self._state is not State.OPEN or transport is not self.transport:
            return
        try:
            packet = decode_packet(encoded)
        except RemoteProtocolError as error:
            self._end(reasons.PARSE_ERROR, str(error))
            return
        self._act(packet)

    def blocked(self, transport: Transport) -> None:
        """`transport` holds bytes that the connection does not take; `ready` comes when it has."""
        if transport is self.transport and self._state is not State.CLOSED:
            self._backlog.block(self)

    def ready(self, transport: Transport) -> None:
        """`transport` has become writable, or has at least drained: a poll, its end, a full socket's room."""
        if transport is not self.transport:
            return
        if self.outbox is not None:
            self._backlog.flush(self)
        # Not in the same poll: a client drops what comes together with a close packet.
        if self._state is State.CLOSING and self.outbox is None and transport.writable:
            self._finish_close()

    def lost(self, transport: Transport, reason: str, description: str = "") -> None:
        """`transport` has broken, or its client broke the rules of the transport."""
        upgrade = self._upgrade
        if upgrade is not None and transport is upgrade.transport:
            upgrade.give_up()
        elif transport is self.transport:
            self._end(reason, description)

    def probe(self, transport: Transport) -> None:
        """A new WebSocket names this session: it replaces polling if it completes the upgrade in time."""
        transport.session = self
        if self._state is not State.OPEN or self._upgrade is not None or self.transport.name != POLLING:
            transport.close()
            return
        self._upgrade = Upgrade(self, transport, self._clock, self._options.upgrade_timeout)

    # What the upgrade calls

    def note_limit(self, limit: str) -> None:
        """Count that the client took longer than `limit`, as happens to honest ones."""
        self._registry.note_limit(limit, self.handshake.address, common=True)

    def upgrade_ended(self, replacement: Transport | None) -> None:
        """The probe is over; `replacement` is the WebSocket to go on with, None to stay on polling."""
        self._upgrade = None
        if replacement is None:
            return
        former, self.transport = self.transport, replacement
        if former.writable:
            former.send((NOOP,))
        elif former.stuck:
            # Who upgrades has read what came by polling; nobody would watch the rest of it.
            former.abort()
        if replacement.writable:
            self.ready(replacement)

    # Within

    def _act(self, packet: Packet) -> None:
        table = lifecycle.ON_POLLING if self.transport.name == POLLING else lifecycle.ON_WEBSOCKET
        action = table[packet.type]
        if action is Action.DELIVER:
            self._deliver(packet.data)
        elif action is Action.HEARTBEAT:
            self._pong()
        elif action is Action.CLOSE:
            if self.transport.writable:
                self.transport.send((NOOP,))
            self._end(reasons.TRANSPORT_CLOSE, "closed by the client")
        elif action is Action.HEARTBEAT_FAULT:
            self._end(reasons.TRANSPORT_ERROR, "invalid heartbeat direction")
        elif action is Action.FAULT:
            self._end(reasons.PARSE_ERROR, f"a client must not send {packet.type.name}")

    def _deliver(self, data: str | bytes) -> None:
        try:
            self._listener.message(data)
        except Exception:
            self._log.failure("the listener failed on a message")
            self._end(reasons.FORCED_CLOSE, "the server failed")

    def _advance(self, event: Event) -> bool:
        state = lifecycle.step(self._state, event)
        if state is None:
            return False
        self._state = state
        return True

    def _schedule(self, delay: float, call: Callable[[], None]) -> None:
        self._heartbeat = self._clock.callLater(delay, call)

    def _cancel_heartbeat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._heartbeat = None

    def _send_ping(self) -> None:
        self._pong_due = True
        self._schedule(self._options.ping_timeout, self._ping_timed_out)
        self.send((PING,))

    def _ping_timed_out(self) -> None:
        self._heartbeat = None
        self._end(reasons.PING_TIMEOUT, "no pong in time")

    def _pong(self) -> None:
        # A pong nobody asked for must not move the timer: a flood of them would cost one each.
        if self._pong_due:
            self._pong_due = False
            self._cancel_heartbeat()
            self._schedule(self._options.ping_interval, self._send_ping)

    def _close_timed_out(self, limit: str) -> None:
        self.note_limit(limit)
        self._finish_close(at_once=True)

    def _finish_close(self, *, at_once: bool = False) -> None:
        self._end(reasons.FORCED_CLOSE, "closed by the server", at_once=at_once)

    def _end(self, reason: str, description: str, *, at_once: bool = False) -> None:
        try:
            ended = self._leave(reason, description, at_once=at_once)
        except BaseException:
            self._tell_end(reason, description)
            raise
        if ended:
            self._tell_end(reason, description)

    def _leave(self, reason: str, description: str, *, at_once: bool) -> bool:
        if not self._advance(Event.ENDED):
            return False
        self._cancel_heartbeat()
        if self._drain_timer is not None and self._drain_timer.active():
            self._drain_timer.cancel()
        self._backlog.forget(self)
        if self._upgrade is not None:
            self._upgrade.give_up()
        self._registry.forget(self)
        self._ended = (reason, description)
        if at_once:
            self.transport.abort()
        else:
            self.transport.close()
        return True

    def _tell_end(self, reason: str, description: str) -> None:
        listener, self._listener = self._listener, _Nobody()
        try:
            listener.closed(reason, description)
        except Exception:
            self._log.failure("the listener failed on the end of a session")

    def _handshake_json(self) -> str:
        options = self._options
        upgrades = options.allow_upgrades and self.transport.name == POLLING and WEBSOCKET in options.transports
        return msgspec.json.encode(
            {
                "sid": self.sid,
                "upgrades": [WEBSOCKET] if upgrades else [],
                "pingInterval": round(options.ping_interval * 1000),
                "pingTimeout": round(options.ping_timeout * 1000),
                "maxPayload": options.max_payload,
            }
        ).decode()
