"""The HTTP long-polling transport: a parked GET carries packets out, POST bodies bring packets in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from twisted.internet.interfaces import ITCPTransport
from twisted.python.failure import Failure
from twisted.web.server import Request

from rtwist.engineio import reasons
from rtwist.engineio.answers import answer
from rtwist.engineio.compression import choose_encoding, compress
from rtwist.engineio.options import POLLING, Options
from rtwist.engineio.packet import CLOSE, Packet, encode_payload, split_payload
from rtwist.engineio.session import Session
from rtwist.errors import LocalProtocolError, RemoteProtocolError

Headers = list[tuple[str, str]]
_PACKETS_TYPE = ("Content-Type", "text/plain; charset=UTF-8")


class PollingTransport:
    """Two HTTP requests at a time at most: one GET that waits for packets, one POST that brings some."""

    __slots__ = ("_options", "_poll", "_poll_headers", "_posting", "session")

    name = POLLING
    session: Session

    def __init__(self, options: Options) -> None:
        self._options = options
        self._poll: Request | None = None
        self._poll_headers: Headers = []
        self._posting: Request | None = None

    @property
    def writable(self) -> bool:
        """Whether a GET is waiting."""
        return self._poll is not None

    def poll(self, request: Request, headers: Headers) -> None:
        """Park a GET; `headers` are added to its answer. A second one beside it ends the session."""
        if self._poll is not None:
            self.session.lost(self, reasons.TRANSPORT_ERROR, "overlap from client")
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
        request.notifyFinish().addErrback(self._post_lost, request)
        return True

    def post(self, request: Request, body: bytes, headers: Headers) -> None:
        """A whole POST has come: feed its packets, then answer `ok`."""
        self._posting = None
        if (request.getHeader(b"content-type") or b"").strip().lower() == b"application/octet-stream":
            self.session.lost(self, reasons.TRANSPORT_ERROR, "invalid content")
            answer(request, 400, headers)
            return
        self._feed(body)
        answer(request, 200, [*_no_store(request), ("Content-Type", "text/html"), *headers], b"ok")

    def post_dropped(self, request: Request) -> None:
        """A POST that had begun was answered without its packets; the next one may come."""
        if self._posting is request:
            self._posting = None

    def send(self, packets: Sequence[Packet]) -> None:
        """Answer the waiting GET with `packets`."""
        request, self._poll = self._poll, None
        if request is None:
            raise LocalProtocolError("send on a polling transport without a waiting poll")
        headers = [*_no_store(request), _PACKETS_TYPE, *self._poll_headers]
        body = encode_payload(packets)
        threshold = self._options.compression_threshold
        if threshold is not None and len(body) >= threshold:
            encoding = choose_encoding((request.getHeader(b"accept-encoding") or b"").decode("latin-1"))
            if encoding is not None:
                headers.append(("Content-Encoding", encoding))
                body = compress(body, encoding)
        answer(request, 200, headers, body)

    def close(self) -> None:
        """Tell a waiting client that the session has ended."""
        if self._poll is not None:
            self.send((CLOSE,))
        posting, self._posting = self._posting, None
        if posting is not None:
            # Its body would come for nobody.
            cast(ITCPTransport, posting.channel.transport).abortConnection()

    def _feed(self, body: bytes) -> None:
        try:
            segments = split_payload(body, self._options.max_payload_packets)
        except RemoteProtocolError as error:
            self.session.lost(self, reasons.PARSE_ERROR, str(error))
            return
        session = self.session
        for segment in segments:
            session.received(self, segment)

    def _poll_lost(self, _failure: Failure, request: Request) -> None:
        if self._poll is request:
            self._poll = None
            self.session.lost(self, reasons.TRANSPORT_ERROR, "poll connection closed prematurely")

    def _post_lost(self, _failure: Failure, request: Request) -> None:
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
