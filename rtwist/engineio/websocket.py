"""The WebSocket transport: an Autobahn server protocol that takes over a connection of twisted.web."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from rtwist.engineio import reasons
from rtwist.engineio.buckets import Budget
from rtwist.engineio.deflate import Agreement, Inflater
from rtwist.engineio.frame import INVALID_DATA, POLICY_VIOLATION, TOO_BIG, TRY_AGAIN_LATER, close_fault
from rtwist.engineio.inflow import Inflow
from rtwist.engineio.opening import Silent, accept, forget_opening, handshake_bytes
from rtwist.engineio.options import WEBSOCKET
from rtwist.engineio.outflow import Outlet
from rtwist.engineio.packet import PIECE, Packet
from rtwist.engineio.session import Session

if TYPE_CHECKING:
    from rtwist.engineio.websocketfactory import WebSocketFactory


@implementer(IPushProducer)
class WebSocketTransport(WebSocketServerProtocol):  # type: ignore[misc]
    """One WebSocket connection; each packet is one message.

    Autobahn parses frames and does the closing handshake. Outgoing frames come ready made with their packet and
    go straight to the connection, large ones piece by piece: no more than two pieces lie in its buffer, and what
    remains of a frame is shared with all who receive it.
    """

    log = Silent()
    name = WEBSOCKET
    batch = PIECE - 1
    patience = 0.0
    writable = True
    stuck = False
    unsent: Sequence[Packet] = ()
    _pieces: deque[bytes] | None = None
    _ends_after_pieces = False
    _compress_from: int | None = None
    _message_timer: IDelayedCall | None = None
    _abort_timer: IDelayedCall | None = None
    _heard_end = False
    _gone = False
    _fragments = 0
    session: Session
    outlet: Outlet
    factory: WebSocketFactory

    def __init__(self, factory: WebSocketFactory, budget: Budget) -> None:
        super().__init__()
        self.factory = factory
        self.left: Callable[[], None] = _nothing
        self._inflow = Inflow(budget, factory.clock, factory.options.flood_timeout)
        self._incoming = bytearray()

    def makeConnection(self, transport: Any) -> None:
        """The connection is handed over."""
        self.outlet = self.factory.outflow.outlet(transport)
        super().makeConnection(transport)

    # Transport

    def send(self, packets: Sequence[Packet]) -> None:
        """Write each packet as one frame."""
        if self.state != self.STATE_OPEN:
            return
        frames = [self._frame_of(packet) for packet in packets]
        if sum(map(len, frames)) >= PIECE:
            self._write_large(packets)
            return
        for frame in frames:
            self.outlet.write(frame)

    def close(self) -> None:
        """Start the closing handshake without a status, as the Node server does (seen as 1005)."""
        self._heard_end = True
        if self.state == self.STATE_OPEN:
            self.sendClose()
        self._abort_later()

    def abort(self) -> None:
        """Cut the connection."""
        self._heard_end = True
        self._pieces = None
        self.transport.abortConnection()

    def shake_hands(self, key: str, compression: Agreement | None = None) -> None:
        """Open the WebSocket for the client that sent `key`; `compression` is what was agreed on."""
        if compression is not None:
            self.perMessageCompressionAccept = partial(accept, compression)
            if compression.sends_compressed:
                self._compress_from = self.factory.options.compression_threshold
        self._dataReceived(handshake_bytes(key, compression))
        if self.state == self.STATE_OPEN:
            forget_opening(self)
            if compression is not None:
                most = self.factory.options.max_payload
                self._perMessageCompress = Inflater(compression, most, self._too_large, self._not_deflated)

    # What the connection brings

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come."""
        self._inflow.received(self, data)

    @property
    def rest_of_frame(self) -> int:
        """The payload bytes that the frame which has begun still lacks."""
        frame = self.current_frame
        return 0 if frame is None else frame.length - self.current_frame_masker.pointer()

    def parse(self, data: bytes) -> None:
        """Read frames; a message that has begun must end in time."""
        self._dataReceived(data)
        if self.inside_message and self._message_timer is None and not self._gone:
            timeout = self.factory.options.body_timeout
            self._message_timer = self.factory.clock.callLater(timeout, self._message_timed_out)

    def overrun(self, limit: str, too_long: bool) -> None:
        """The client sends more than `limit` allows, and has for longer than `flood_timeout` when `too_long`."""
        self._note(limit)
        if too_long and not self.failedByMe:
            self._note("flood_timeout")
            self._fail_connection(POLICY_VIOLATION, "rate_limited: too much for too long")

    def _message_timed_out(self) -> None:
        self._message_timer = None
        if not self.failedByMe:
            self._note("body_timeout")
            timeout = self.factory.options.body_timeout
            self._fail_connection(POLICY_VIOLATION, f"message that took more than {timeout:g} seconds")

    def give_up(self) -> str:
        """Drop the message that is coming: too much has come from all clients together."""
        self._fail_connection(TRY_AGAIN_LATER, "too much comes from all clients; try again later")
        return self.session.handshake.address

    def _too_large(self) -> None:
        most = self.factory.options.max_payload
        self._max_message_size_exceeded(most + 1, most, "")

    def _not_deflated(self) -> None:
        self._fail_connection(INVALID_DATA, "message that cannot be inflated")

    def _take_incoming(self) -> bytearray:
        incoming, self._incoming = self._incoming, bytearray()
        self.factory.admission.incoming.forget(self)
        return incoming

    # What Autobahn calls

    def onConnect(self, request: object) -> None:
        """Accept: the request was checked before it became a WebSocket."""

    def onMessageBegin(self, isBinary: bool) -> None:  # noqa: N803
        """A message begins: start collecting."""
        self.message_is_binary = isBinary
        self.message_data_total_length = 0
        self._fragments = 0
        self._incoming = bytearray()

    def onMessageFrameBegin(self, length: int) -> None:
        """A frame of a message begins: check the limits before its payload comes."""
        self._inflow.frames += 1
        self._fragments += 1
        self.message_data_total_length += length
        options = self.factory.options
        if self.failedByMe:
            return
        if self.message_data_total_length > options.max_payload:
            self._max_message_size_exceeded(self.message_data_total_length, options.max_payload, "")
        elif self._fragments > options.max_fragments:
            self._note("max_fragments")
            self._fail_connection(TOO_BIG, f"message of more than {options.max_fragments} fragments")

    def onMessageFrameData(self, payload: bytes) -> None:
        """Payload bytes have come."""
        self._inflow.octets += len(payload)  # inflated, when it came compressed
        if not self.failedByMe:
            self._incoming += payload
            self.factory.admission.incoming.hold(self, len(self._incoming))

    def onMessageFrameEnd(self) -> None:
        """A frame has ended; the message may go on."""

    def onMessageEnd(self) -> None:
        """A message is whole: hand it to the session."""
        incoming = self._take_incoming()
        if self._message_timer is not None:
            self._message_timer.cancel()
            self._message_timer = None
        if self.failedByMe or self._heard_end:
            return
        if self.message_is_binary:
            self.session.received(self, bytes(incoming))
            return
        try:
            text = incoming.decode("utf-8")
        except UnicodeDecodeError:
            self._fail_connection(INVALID_DATA, "text message is not UTF-8")
            return
        self.session.received(self, text)

    def onPing(self, payload: bytes) -> None:
        """A ping of the WebSocket protocol: answered unless the peer does not read, for answers would pile up."""
        self._inflow.frames += 1
        if self.writable:
            self.sendPong(payload)

    def onPong(self, payload: bytes) -> None:
        """A pong of the WebSocket protocol: nobody asked for it, and it counts as a frame."""
        self._inflow.frames += 1

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:  # noqa: N802
        """Write what Autobahn has to say, not into the middle of a frame."""
        if self._pieces:
            self._pieces.append(data)
        else:
            self.outlet.write(data)

    def dropConnection(self, abort: bool = False) -> None:  # noqa: N802
        """End the connection; what is being written, the answer to a close frame at its end, goes out first."""
        if self._pieces and not abort:
            self._ends_after_pieces = True
        else:
            self.outlet.flush()
            super().dropConnection(abort)

    def onCloseFrame(self, code: int | None, reasonRaw: bytes | None) -> bool | None:  # noqa: N803
        """The client closes: Autobahn answers; a client that does not read the answer is aborted later."""
        self._abort_later()
        fault = None if self.failedByMe else close_fault(code, reasonRaw)
        if fault is not None:
            self._fail_connection(*fault)
        if self.failedByMe:
            # Autobahn would abort, and the client might never read why.
            self.dropConnection(abort=False)
            return True
        result: bool | None = super().onCloseFrame(code, reasonRaw)
        self._tell_session(reasons.TRANSPORT_CLOSE, f"close frame {code or 1005}")
        return result

    def connectionLost(self, reason: Failure) -> None:
        """The connection is gone, cleanly or not."""
        self._gone = True
        self._take_incoming()
        self.left()
        self._inflow.stop()
        timers = (self._abort_timer, self._message_timer)
        self._abort_timer = self._message_timer = None
        for timer in timers:
            if timer is not None and timer.active():
                timer.cancel()
        super().connectionLost(reason)
        self._tell_session(reasons.TRANSPORT_CLOSE, reason.getErrorMessage())
        # Which also points here: neither would be freed before the garbage is collected.
        self.__dict__.pop("session", None)

    def _fail_connection(self, code: int = 1001, reason: str = "going away") -> None:
        # Autobahn's one place for a fault of the client: it sends the close frame and ignores the rest.
        self._take_incoming()
        super()._fail_connection(code, reason)
        self._tell_session(reasons.TRANSPORT_ERROR, reason)

    def _max_message_size_exceeded(self, msg_size: int, max_msg_size: int, reason: str) -> None:
        # Autobahn calls it, too, when a compressed message grows too large.
        self._note("max_payload")
        self._fail_connection(TOO_BIG, f"message of more than {max_msg_size} bytes")

    # What the connection calls

    def pauseProducing(self) -> None:
        """The socket's buffer is full."""
        if not self.stuck:
            self.stuck = True
            self.writable = False
            if not self._heard_end:
                self.session.blocked(self)

    def resumeProducing(self) -> None:
        """The socket's buffer has drained."""
        self.stuck = False
        if self._pieces is not None:
            self._write_pieces()
        self.writable = not self.stuck
        if self.writable and not self._heard_end:
            self.session.ready(self)

    def stopProducing(self) -> None:
        """The connection is ending; `connectionLost` follows."""

    # Within

    def _write_large(self, packets: Sequence[Packet]) -> None:
        self.unsent = packets
        self.writable = False
        self._pieces = deque(piece for packet in packets for piece in self._pieces_of(packet))
        self._write_pieces()

    @property
    def direct(self) -> Outlet | None:
        """The way out, unless frames are compressed."""
        return self.outlet if self._compress_from is None else None

    def _frame_of(self, packet: Packet) -> bytes:
        frame = packet.frame
        if self._compress_from is None or len(frame) < self._compress_from:
            return frame
        return packet.compressed_frame

    def _pieces_of(self, packet: Packet) -> tuple[bytes, ...]:
        if self._frame_of(packet) is packet.frame:
            return packet.pieces("frame", _plain)
        return packet.pieces("compressed frame", _compressed)

    def _write_pieces(self) -> None:
        pieces = self._pieces
        while pieces and not self.stuck:
            self.outlet.write(pieces.popleft())
        if not pieces:
            self._pieces = None
            self.unsent = ()
            self.writable = not self.stuck
            if self._ends_after_pieces:
                self.outlet.flush()
                super().dropConnection()

    def _tell_session(self, reason: str, description: str) -> None:
        if not self._heard_end:
            self._heard_end = True
            self.session.lost(self, reason, description)

    def _abort_later(self) -> None:
        if self._abort_timer is None and not self._gone:
            timeout = self.factory.options.close_timeout
            self._abort_timer = self.factory.clock.callLater(timeout, self._close_timed_out)

    def _close_timed_out(self) -> None:
        self._note("close_timeout", common=True)
        self.transport.abortConnection()

    def _note(self, limit: str, *, common: bool = False) -> None:
        self.factory.admission.note(limit, self.session.handshake.address, common=common)


def _nothing() -> None:
    pass


def _plain(packet: Packet) -> bytes:
    return packet.frame


def _compressed(packet: Packet) -> bytes:
    return packet.compressed_frame
