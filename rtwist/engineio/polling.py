"""The HTTP long-polling transport: a parked GET carries packets out, POST bodies bring packets in."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from rtwist.engineio import reasons
from rtwist.engineio.admission import Admission
from rtwist.engineio.answers import LongAnswer, answer
from rtwist.engineio.buckets import Budget
from rtwist.engineio.compression import choose_encoding, compress
from rtwist.engineio.flushing import Flusher
from rtwist.engineio.http import Channel, Request
from rtwist.engineio.options import POLLING, Options
from rtwist.engineio.packet import CLOSE, PIECE, Packet, encode_payload, in_pieces, payload_pieces, split_payload
from rtwist.engineio.session import Session
from rtwist.errors import LimitPassed, LocalProtocolError, RemoteProtocolError

Headers = list[tuple[str, str]]
_PACKETS_TYPE = ("Content-Type", "text/plain; charset=UTF-8")
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
        "_flusher",
        "_options",
        "_poll",
        "_poll_headers",
        "_posting",
        "session",
        "unsent",
    )

    name = POLLING
    # As other servers do: one poll fetches all there is.
    batch = sys.maxsize
    # Seconds between two polls over a bad network, and little enough to hold what comes meanwhile.
    patience = 2.0
    session: Session
    unsent: Sequence[Packet]

    def __init__(self, options: Options, clock: IReactorTime, admission: Admission, flusher: Flusher) -> None:
        self._admission = admission
        self._budget = Budget(options.max_packets_per_second, options.max_bytes_per_second, clock.seconds())
        self._options = options
        self._clock = clock
        self.unsent = ()
        self._flusher = flusher
        self._answered_on: Channel | None = None
        self._answering: Request | None = None
        self._poll: Request | None = None
        self._poll_headers: Headers = []
        self._posting: Request | None = None

    @property
    def writable(self) -> bool:
        """Whether a GET is waiting."""
        return self._poll is not None

    @property
    def stuck(self) -> bool:
        """Whether much of the last answer has not been read."""
        return self._answered_on is not None and self._answered_on.congested

    def poll(self, request: Request, headers: Headers) -> None:
        """Park a GET; `headers` are added to its answer. A second one beside it ends the session."""
        if self._poll is not None:
            self.session.lost(self, reasons.TRANSPORT_ERROR, "overlap from client")
            answer(request, 400, headers)
            return
        if self.stuck:
            # An honest client has read it by now; nobody would count what lies in the buffer of yet another.
            self.session.lost(self, reasons.TRANSPORT_ERROR, "poll before the last answer was read")
            answer(request, 400, headers)
            return
        self._poll, self._poll_headers = request, headers
        request.notifyFinish().addErrback(self._poll_lost, request)
        self.session.ready(self)

    def post_begun(self, request: Request) -> bool:
        """The headers of a POST have come, its body has not; a second one beside it ends the session.

        Returns whether the POST may go on.
        """
        if self._posting is not None:
            self.session.lost(self, reasons.TRANSPORT_ERROR, "data request overlap from client")
            return False
        self._posting = request
        request.notifyFinish().addCallbacks(
            lambda _: self._post_answered(request), lambda _: self._post_lost(request)
        )
        return True

    def post(self, request: Request, body: bytes, headers: Headers) -> None:
        """A whole POST has come: feed its packets, then answer `ok`."""
        if self._posting not in (None, request):
            self.session.lost(self, reasons.TRANSPORT_ERROR, "data request overlap from client")
            answer(request, 400, headers)
            return
        if (request.getHeader(b"content-type") or b"").strip().lower() == b"application/octet-stream":
            self._posting = None
            self.session.lost(self, reasons.TRANSPORT_ERROR, "invalid content")
            answer(request, 400, headers)
            return
        try:
            segments = split_payload(body, self._options.max_payload_packets)
        except LimitPassed as passed:
            self._posting = None
            self._admission.note(passed.limit, self.session.handshake.address)
            self.session.lost(self, reasons.PARSE_ERROR, str(passed))
            answer(request, 413, [_TEXT, *headers], str(passed).encode())
            return
        except RemoteProtocolError as error:
            self._posting = None
            self.session.lost(self, reasons.PARSE_ERROR, str(error))
            segments = []
        self._posting = request
        self._budget.spend(_PACKETS_OF_A_POST, len(body))
        self._feed(request, segments, headers)

    def post_dropped(self, request: Request) -> None:
        """A POST that had begun was answered without its packets; the next one may come."""
        self._post_answered(request)

    def send(self, packets: Sequence[Packet]) -> None:
        """Answer the waiting GET with `packets`."""
        request, self._poll = self._poll, None
        if request is None:
            raise LocalProtocolError("send on a polling transport without a waiting poll")
        headers = [*_no_store(request), _PACKETS_TYPE, *self._poll_headers]
        size, pieces = self._body(request, packets, headers)
        self._answered_on = request.channel
        if size <= PIECE:
            answer(request, 200, headers, b"".join(pieces))
        else:
            self._answering, self.unsent = request, packets
            LongAnswer(request, headers, size, pieces, self._answer_moved).start()
        self._flusher.wrote(self._answered_on.transport)

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

    def _body(self, request: Request, packets: Sequence[Packet], headers: Headers) -> tuple[int, Iterable[bytes]]:
        size = sum([len(packet.segment) for packet in packets]) + len(packets) - 1
        encoding = self._encoding(request, size)
        # A single packet may be for many clients, so this is done once for all; a long backlog is of one client
        # only, and would keep the others waiting.
        if encoding is not None and len(packets) == 1:
            pieces: Sequence[bytes] = packets[0].pieces(encoding, lambda one: compress(one.segment, encoding))
        elif encoding is not None and size <= _MOST_COMPRESSED:
            pieces = in_pieces(compress(encode_payload(packets), encoding))
        else:
            return size, payload_pieces(packets)
        headers.append(("Content-Encoding", encoding))
        return sum(map(len, pieces)), pieces

    def _encoding(self, request: Request, size: int) -> str | None:
        threshold = self._options.compression_threshold
        if threshold is None or size < threshold:
            return None
        return choose_encoding((request.getHeader(b"accept-encoding") or b"").decode("latin-1"))

    def _answer_moved(self, done: bool) -> None:
        if self._answered_on is not None:
            self._flusher.wrote(self._answered_on.transport)
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

    def _feed(self, request: Request, segments: list[str], headers: Headers, start: int = 0) -> None:
        # In slices: a body of thousands of packets must not keep every other client waiting.
        batch = segments[start : start + _SLICE]
        for segment in batch:
            self.session.received(self, segment)
        start += _SLICE
        # The client sends no other POST before the answer: waiting with it is all it takes to slow it down.
        wait = self._owed(len(batch))
        if (start < len(segments) or wait) and self._posting is request:
            self._clock.callLater(wait, self._feed, request, segments, headers, start)
            return
        self._post_answered(request)
        if not request.gone:
            answer(request, 200, [*_no_store(request), ("Content-Type", "text/html"), *headers], b"ok")

    def _owed(self, packets: int) -> float:
        if not self._budget.spend(packets, 0):
            return 0.0
        wait = self._budget.settle(self._clock.seconds())
        if wait:
            self._admission.note(self._budget.passed, self.session.handshake.address)
        return wait

    def _poll_lost(self, _failure: Failure, request: Request) -> None:
        if request in (self._poll, self._answering):
            self._poll = self._answering = None
            self.session.lost(self, reasons.TRANSPORT_ERROR, "poll connection closed prematurely")

    def _post_answered(self, request: Request) -> None:
        if self._posting is request:
            self._posting = None

    def _post_lost(self, request: Request) -> None:
        if self._posting is request:
            self._posting = None
            self.session.lost(self, reasons.TRANSPORT_ERROR, "data request connection closed prematurely")


def _no_store(request: Request) -> Headers:
    headers = [("Cache-Control", "no-store")]
    agent = request.getHeader(b"user-agent") or b""
    if b";MSIE" in agent or b"Trident/" in agent:
        # Internet Explorer's filter would mangle answers that look like markup.
        headers.append(("X-XSS-Protection", "0"))
    return headers
