"""An Engine.IO site on a clock, and connections to it in memory that speak HTTP and WebSocket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.resource import IResource

from rtwist.engineio.options import Options
from rtwist.engineio.server import Server
from rtwist.engineio.session import Listener, Session
from rtwist.engineio.site import Site
from tests.support.wire import Ended, Response, WebSocketClient

ADDRESS = IPv4Address("TCP", "127.0.0.1", 1)
SEPARATOR = "\x1e"


class Turns(Clock):
    """A clock that can also do what a reactor does in one turn."""

    def turn(self) -> None:
        """Call what is due now, and nothing that only becomes due by it."""
        for call in self.getDelayedCalls():
            if call.active() and call.getTime() <= self.seconds():
                self.calls.remove(call)
                call.called = 1  # type: ignore[assignment]
                call.func(*call.args, **call.kw)


class Pipe(StringTransport):
    """The server's end of a connection; its protocol hears of the end in a turn of its own."""

    protocol: Any

    def __init__(self, clock: Clock) -> None:
        super().__init__(peerAddress=ADDRESS, lenient=True)
        self._clock = clock
        self.ended = False
        self.aborted = False

    def loseConnection(self) -> None:  # noqa: N802
        super().loseConnection()
        if not self.ended:
            self.ended = True
            self._clock.callLater(0, self.protocol_lost)

    def abortConnection(self) -> None:  # noqa: N802
        self.aborted = True
        self.loseConnection()

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None

    def getHandle(self) -> None:  # noqa: N802
        pass

    def protocol_lost(self) -> None:
        self.ended = True
        self.protocol.connectionLost(Failure(ConnectionDone()))


class Line(WebSocketClient):
    """The client's end; reading where the server has written no more raises `Ended`."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self._received = bytearray()
        self.pipe = Pipe(clock)
        self.pipe.protocol = site.buildProtocol(ADDRESS)
        self.pipe.protocol.makeConnection(self.pipe)

    def send(self, data: bytes) -> None:
        """Send, unless the server has cut the connection."""
        if not self.pipe.ended:
            self.pipe.protocol.dataReceived(data)

    def _more(self) -> None:
        news = self.pipe.value()
        self.pipe.clear()
        if not news:
            raise Ended(f"nothing after {bytes(self._received)!r}")
        self._received += news

    @property
    def silent(self) -> bool:
        """Whether the server has written nothing more."""
        return not self._received and not self.pipe.value()

    def leave(self) -> None:
        """End the connection."""
        if not self.pipe.ended:
            self.pipe.protocol_lost()

    def stop_reading(self) -> None:
        """Let the server's buffer fill."""
        self.pipe.producer.pauseProducing()  # type: ignore[attr-defined]

    def read_all(self) -> None:
        """Let the server's buffer drain."""
        self.pipe.producer.resumeProducing()  # type: ignore[attr-defined]


class Ears:
    """Hears one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.messages: list[str | bytes] = []
        self.ends: list[str] = []

    def message(self, data: str | bytes) -> None:
        self.messages.append(data)

    def closed(self, reason: str, description: str) -> None:
        self.ends.append(reason)


class Front:
    """The site, its clock and who listens to its sessions."""

    def __init__(
        self,
        connected: Callable[[Session], Listener] | None = None,
        fallback: IResource | None = None,
        **options: Any,
    ) -> None:
        self.clock = Turns()
        self.ears: list[Ears] = []
        self.server = Server(self.clock, Options(**options), connected or self._connected)
        self.site = Site(self.server, fallback)
        self.site.reactor = self.clock
        self._lines: list[Line] = []

    def _connected(self, session: Session) -> Ears:
        self.ears.append(Ears(session))
        return self.ears[-1]

    def line(self) -> Line:
        """A new connection."""
        self._lines.append(Line(self.site, self.clock))
        return self._lines[-1]

    def target(self, **query: str) -> str:
        """A request target; without arguments that of a polling handshake."""
        fields = {"EIO": "4", "transport": "polling", **query}
        return f"{self.server.options.path}?" + "&".join(f"{name}={value}" for name, value in fields.items())

    def open(self) -> PollingClient:
        """A new polling session."""
        return PollingClient(self)

    def settle(self) -> None:
        """Take turns until nothing is due any more."""
        self.clock.advance(0)

    def end(self) -> None:
        """Everybody goes; no session and no timer may stay."""
        for line in self._lines:
            line.leave()
        self.server.close()
        self.settle()
        assert dict(self.server.sessions) == {}
        assert self.clock.getDelayedCalls() == []


class PollingClient:
    """A polling session over two connections."""

    def __init__(self, front: Front) -> None:
        self.getter, self.poster = front.line(), front.line()
        opened = self.getter.request("GET", front.target()).text
        assert opened.startswith("0{"), opened
        self.sid: str = json.loads(opened[1:])["sid"]
        self.target = front.target(sid=self.sid)
        self._front = front

    @property
    def ears(self) -> Ears:
        """Who listens to this session."""
        return next(ears for ears in self._front.ears if ears.session.sid == self.sid)

    def park(self) -> None:
        """Send a poll; its answer is the getter's next response."""
        self.getter.send_request("GET", self.target)

    def begin_post(self, *packets: str) -> None:
        """Send a POST; its answer is the poster's next response."""
        self.poster.send_request("POST", self.target, body=SEPARATOR.join(packets).encode())

    def post(self, *packets: str) -> Response:
        """Send a POST that is answered at once."""
        self.begin_post(*packets)
        return self.poster.read_response()
