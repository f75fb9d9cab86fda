"""The HTTP long-polling transport: a parked GET carries packets out, POST bodies bring packets in."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from twisted.internet.interfaces import IReactorTime

from rtwist.engineio import reasons
from rtwist.engineio.admission import Admission
from rtwist.engineio.buckets import Budget
from rtwist.engineio.compression import compress
from rtwist.engineio.exchange import Connection, Exchange, Head, Manner
from rtwist.engineio.options import POLLING, Options
from rtwist.engineio.packet import CLOSE, PIECE, Packet, encode_payload, in_pieces, payload_pieces, split_payload
from rtwist.engineio.repeat import Pattern
from rtwist.engineio.session import Session
from rtwist.errors import LimitPassed, LocalProtocolError, RemoteProtocolError

_TEXT = ("Content-Type", "text/plain")
_SLICE = 200
_PACKETS_OF_A_POST = 10  # what a request costs, in packets of a WebSocket
# Bytes of a backlog that are compressed: it takes the time of some milliseconds.
_MOST_COMPRESSED = 1_000_000


class PollingTransport:
    """Two HTTP requests at a time at most: one GET that waits for packets, one POST that brings some."""

    __slots__ = (
        "_admission",
        "_answered_on",
        "_answering",
        "_budget",
        "_clock",
        "_options",
        "_poll",
        "_poll_manner",
        "_posting",
        "known",
        "session",
        "unsent",
    )

    name = POLLING
    direct = None
    # As other servers do: one poll fetches all there is.
    batch = sys.maxsize
    # Seconds between two polls over a bad network, and little enough to hold what comes meanwhile.
    patience = 2.0
    session: Session
    unsent: Sequence[Packet]

    def __init__(self, options: Options, clock: IReactorTime, admission: Admission) -> None:
        self._admission = admission
        self._budget = Budget(options.max_packets_per_second, options.max_bytes_per_second, clock.seconds())
        self._options = options
        self._clock = clock
        self.unsent = ()
        self._answered_on: Connection | None = None
        self._answering: Exchange | None = None
        self._poll: Exchange | None = None
        self._poll_manner: Manner | None = None
        self._posting: Exchange | None = None
        self.known: dict[bytes, tuple[Pattern, Manner]] = {}

    @property
    def writable(self) -> bool:
        """Whether a GET is waiting."""
        return self._poll is not None

    @property
    def stuck(self) -> bool:
        """Whether much of the last answer has not been read."""
        return self._answered_on is not None and self._answered_on.congested

    def poll(self, exchange: Exchange, manner: Manner) -> None:
        """Park a GET. A second one beside it ends the session."""
        if self._poll is not None:
            self.session.lost(self, reasons.TRANSPORT_ERROR, "overlap from client")
            exchange.answer(400, manner.refused)
            return
        if self.stuck:
            # An honest client has read it by now; nobody would count what lies in the buffer of yet another.
            self.session.lost(self, reasons.TRANSPORT_ERROR, "poll before the last answer was read")
            exchange.answer(400, manner.refused)
            return
        self._poll, self._poll_manner = exchange, manner
        exchange.watch(self)
        self.session.ready(self)

    def post_begun(self, exchange: Exchange) -> bool:
        """The headers of a POST have come, its body perhaps not; a second one beside it ends the session.

        Returns whether the POST may go on.
        """
        if self._posting is not None:
            self.session.lost(self, reasons.TRANSPORT_ERROR, "data request overlap from client")
            return False
        self._posting = exchange
        exchange.watch(self)
        return True

    def post(self, exchange: Exchange, body: bytes, manner: Manner) -> None:
        """A whole POST has come: feed its packets, then answer `ok`."""
        if self._posting not in (None, exchange):
            self.session.lost(self, reasons.TRANSPORT_ERROR, "data request overlap from client")
            exchange.answer(400, manner.refused)
            return
        if manner.octets:
            self._posting = None
            self.session.lost(self, reasons.TRANSPORT_ERROR, "invalid content")
            exchange.answer(400, manner.refused)
            return
        try:
            segments = split_payload(body, self._options.max_payload_packets)
        except LimitPassed as passed:
            self._posting = None
            self._admission.note(passed.limit, self.session.handshake.address)
            self.session.lost(self, reasons.PARSE_ERROR, str(passed))
            exchange.answer(413, Head(_TEXT, *manner.refused.headers), str(passed).encode())
            return
        except RemoteProtocolError as error:
            self._posting = None
            self.session.lost(self, reasons.PARSE_ERROR, str(error))
            segments = []
        self._posting = exchange
        self._budget.spend(_PACKETS_OF_A_POST, len(body))
        self._feed(exchange, segments, manner)

    def post_dropped(self, exchange: Exchange) -> None:
        """A POST that had begun was answered without its packets; the next one may come."""
        self.answered(exchange)

    def answered(self, exchange: Exchange) -> None:
        """The answer to a request has been handed to the connection."""
        if self._posting is exchange:
            self._posting = None

    def left(self, exchange: Exchange) -> None:
        """The client left before the answer to a request."""
        if exchange in (self._poll, self._answering):
            self._poll = self._answering = None
            self.session.lost(self, reasons.TRANSPORT_ERROR, "poll connection closed prematurely")
        elif self._posting is exchange:
            self._posting = None
            self.session.lost(self, reasons.TRANSPORT_ERROR, "data request connection closed prematurely")

    def send(self, packets: Sequence[Packet]) -> None:
        """Answer the waiting GET with `packets`."""
        exchange, manner = self._poll, self._poll_manner
        if exchange is None or manner is None:
            raise LocalProtocolError("send on a polling transport without a waiting poll")
        self._poll = None
        self._answered_on = exchange.channel
        size = sum([len(packet.segment) for packet in packets]) + len(packets) - 1
        threshold = self._options.compression_threshold
        encoded = None if threshold is None or size < threshold else manner.encoded
        if encoded is None and size <= PIECE:
            exchange.answer(200, manner.packets, encode_payload(packets))
            return
        head, size, pieces = _body(packets, size, manner, encoded)
        if size <= PIECE:
            exchange.answer(200, head, b"".join(pieces))
        else:
            self._answering, self.unsent = exchange, packets
            exchange.answer_long(head, size, pieces, self._answer_moved)

    def close(self) -> None:
        """Tell a waiting client that the session has ended; to read the last answer it has `close_timeout`."""
        if self._poll is not None:
            self.send((CLOSE,))
        if self._answered_on is not None:
            self._answered_on.expect_reading()
        self._stop_posting()

    def abort(self) -> None:
        """Cut the connection that is not read from; without one there is nobody to tell."""
        if self._poll is not None:
            self._poll.channel.transport.abortConnection()
        if self._answered_on is not None and self.stuck:
            self._answered_on.transport.abortConnection()
        self._stop_posting()

    def _answer_moved(self, done: bool) -> None:
        if self._answered_on is not None:
            self._answered_on.wrote()
        if done:
            self._answering, self.unsent = None, ()
            self.session.ready(self)
        else:
            self.session.blocked(self)

    def _stop_posting(self) -> None:
        posting, self._posting = self._posting, None
        if posting is not None and not posting.whole:
            # Its body would come for nobody.
            posting.channel.transport.abortConnection()

    def _feed(self, exchange: Exchange, segments: list[str], manner: Manner, start: int = 0) -> None:
        # In slices: a body of thousands of packets must not keep every other client waiting.
        batch = segments[start : start + _SLICE]
        for segment in batch:
            self.session.received(self, segment)
        start += _SLICE
        # The client sends no other POST before the answer: waiting with it is all it takes to slow it down.
        wait = self._owed(len(batch))
        if (start < len(segments) or wait) and self._posting is exchange:
            self._clock.callLater(wait, self._feed, exchange, segments, manner, start)
            return
        self.answered(exchange)
        if not exchange.gone:
            exchange.answer(200, manner.ok, b"ok")

    def _owed(self, packets: int) -> float:
        if not self._budget.spend(packets, 0):
            return 0.0
        wait = self._budget.settle(self._clock.seconds())
        if wait:
            self._admission.note(self._budget.passed, self.session.handshake.address)
        return wait


def _body(
    packets: Sequence[Packet], size: int, manner: Manner, encoded: tuple[str, Head] | None
) -> tuple[Head, int, Iterable[bytes]]:
    if encoded is None:
        return manner.packets, size, payload_pieces(packets)
    encoding, head = encoded
    # A single packet may be for many clients, so this is done once for all; a long backlog is of one client only,
    # and would keep the others waiting.
    if len(packets) == 1:
        pieces: Sequence[bytes] = packets[0].pieces(encoding, lambda one: compress(one.segment, encoding))
    elif size <= _MOST_COMPRESSED:
        pieces = in_pieces(compress(encode_payload(packets), encoding))
    else:
        return manner.packets, size, payload_pieces(packets)
    return head, sum(map(len, pieces)), pieces
