"""One HTTP request of a polling client and its answer, whoever has read the request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from twisted.web.http_headers import Headers as _Fields

from rtwist.engineio.compression import choose_encoding
from rtwist.engineio.repeat import Pattern

Headers = Sequence[tuple[str, str]]
_PACKETS_TYPE = ("Content-Type", "text/plain; charset=UTF-8")


class Head:
    """The header fields of an answer, but for its date and length, and how they stand on the wire."""

    __slots__ = ("_lines", "headers")

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.headers = headers
        self._lines: bytes | None = None

    @property
    def lines(self) -> bytes:
        """As twisted.web would write them."""
        lines = self._lines
        if lines is None:
            fields = _Fields()
            for name, value in self.headers:
                fields.addRawHeader(name, value)
            lines = self._lines = b"".join(
                b"%s: %s\r\n" % (name, value) for name, values in fields.getAllRawHeaders() for value in values
            )
        return lines


class Manner:
    """How a request wants to be answered, which follows from its headers.

    `refused`, `packets` and `ok` are the heads of answers without a body, with packets, and to a POST; `extra` is
    added to all of them. `octets` tells whether a body is announced as binary, which Engine.IO v4 does not know.
    """

    __slots__ = ("_accepts", "_chosen", "_encoded", "octets", "ok", "packets", "refused")

    def __init__(self, field: Callable[[bytes], bytes | None], extra: Headers) -> None:
        common = [("Cache-Control", "no-store")]
        agent = field(b"user-agent") or b""
        if b";MSIE" in agent or b"Trident/" in agent:
            # Internet Explorer's filter would mangle answers that look like markup.
            common.append(("X-XSS-Protection", "0"))
        self.refused = Head(*extra)
        self.packets = Head(*common, _PACKETS_TYPE, *extra)
        self.ok = Head(*common, ("Content-Type", "text/html"), *extra)
        self.octets = (field(b"content-type") or b"").strip().lower() == b"application/octet-stream"
        self._accepts = (field(b"accept-encoding") or b"").decode("latin-1")
        self._chosen = False
        self._encoded: tuple[str, Head] | None = None

    @property
    def encoded(self) -> tuple[str, Head] | None:
        """The content coding that the client likes best, and the head of an answer in it; None for neither."""
        if not self._chosen:
            self._chosen = True
            encoding = choose_encoding(self._accepts)
            if encoding is not None:
                self._encoded = encoding, Head(*self.packets.headers, ("Content-Encoding", encoding))
        return self._encoded


class Connection(Protocol):
    """What carries exchanges, one after another."""

    transport: Any
    congested: bool

    def expect_reading(self) -> None:
        """Cut the client off soon, if it leaves much unread."""

    def wrote(self) -> None:
        """Something was written to the transport."""


class Watcher(Protocol):
    """Who is told how an exchange has ended."""

    def answered(self, exchange: Exchange) -> None:
        """The whole answer has been handed to the connection."""

    def left(self, exchange: Exchange) -> None:
        """The client left before that."""


class Exchange(Protocol):
    """A request that waits for its answer.

    `whole` tells whether its body has come, `gone` whether the client has left.
    """

    @property
    def channel(self) -> Connection:
        """What it came by; there is none any more once it is answered."""

    whole: bool
    gone: bool

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` of the end."""

    def answer(self, status: int, head: Head, body: bytes = b"") -> object:
        """Send a whole answer."""

    def answer_long(self, head: Head, size: int, pieces: Iterable[bytes], moved: Callable[[bool], None]) -> None:
        """Send an answer of `size` bytes as the client reads it; `moved` is that of `LongAnswer`."""


class Destination(Protocol):
    """What takes the requests of a session.

    `known` has, by the first four bytes, the last GET and the last POST that were let in.
    """

    known: dict[bytes, tuple[Pattern, Manner]]

    def poll(self, exchange: Exchange, manner: Manner) -> None:
        """A GET has come."""

    def post_begun(self, exchange: Exchange) -> bool:
        """The headers of a POST have come; returns whether it may go on."""

    def post(self, exchange: Exchange, body: bytes, manner: Manner) -> None:
        """A whole POST has come."""
