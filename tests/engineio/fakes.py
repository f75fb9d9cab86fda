"""A session between two small fakes: the transports below it and the layer above it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.task import Clock

from rtwist.engineio.backlog import Backlog
from rtwist.engineio.options import POLLING, WEBSOCKET, Options
from rtwist.engineio.packet import Packet, message
from rtwist.engineio.request import Handshake
from rtwist.engineio.session import Session


def handshake(**fields: Any) -> Handshake:
    """A handshake request; every field can be chosen."""
    usual: dict[str, Any] = {
        "method": "GET", "path": "/engine.io/", "query": {"EIO": "4", "transport": "polling"}, "headers": {},
        "address": "127.0.0.1", "secure": False, "time": 0.0,
    }  # fmt: skip
    return Handshake(**{**usual, **fields})


class FakeTransport:
    """Remembers what was sent; checks that it is used as `Transport` demands."""

    name = ""
    batch = 65536
    patience = 0.0
    session: Session

    def __init__(self) -> None:
        self.sent: list[Packet] = []
        self.closed = 0
        self.aborted = 0
        self.unsent: Sequence[Packet] = ()

    @property
    def writable(self) -> bool:
        raise NotImplementedError

    @property
    def stuck(self) -> bool:
        raise NotImplementedError

    def send(self, packets: Sequence[Packet]) -> None:
        assert self.closed == 0, "sent after close"
        assert packets, "sent nothing"
        self.sent.extend(packets)

    def close(self) -> None:
        self.closed += 1

    def abort(self) -> None:
        assert self.closed == 0, "aborted after close"
        self.closed += 1
        self.aborted += 1

    @property
    def texts(self) -> list[str]:
        """What was sent, as segments of a payload."""
        return [packet.segment.decode() for packet in self.sent]

    def take(self) -> list[str]:
        """What was sent since the last time."""
        texts, self.sent = self.texts, []
        return texts


class FakePolling(FakeTransport):
    """Polling: what is sent answers the one waiting poll."""

    name = POLLING
    patience = 2.0

    def __init__(self) -> None:
        super().__init__()
        self.waiting = False

    @property
    def writable(self) -> bool:
        return self.waiting

    @property
    def stuck(self) -> bool:
        return False

    def send(self, packets: Sequence[Packet]) -> None:
        assert self.waiting, "sent without a waiting poll"
        self.waiting = False
        super().send(packets)

    def close(self) -> None:
        super().close()
        self.waiting = False

    def poll(self) -> None:
        """The client asks for packets."""
        assert not self.waiting
        self.waiting = True
        self.session.ready(self)


class FakeWebSocket(FakeTransport):
    """WebSocket: writable unless its socket is full."""

    name = WEBSOCKET

    def __init__(self) -> None:
        super().__init__()
        self.full = False

    @property
    def writable(self) -> bool:
        return not self.full

    @property
    def stuck(self) -> bool:
        return self.full

    def fill(self) -> None:
        """The socket takes no more."""
        if not self.full:
            self.full = True
            self.session.blocked(self)

    def drain(self) -> None:
        """The socket has room again."""
        self.full = False
        self.session.ready(self)


class Life:
    """One session, its clock and what was heard of it."""

    def __init__(self, transport: FakeTransport | None = None, *, opened: bool = True, **options: Any) -> None:
        self.clock = Clock()
        self.options = Options(**options)
        self.transport = FakePolling() if transport is None else transport
        self.messages: list[str | bytes] = []
        self.ends: list[tuple[str, str]] = []
        self.forgotten: list[Session] = []
        self.passed: list[str] = []
        self.backlog = Backlog(self.clock, self.options)
        self.session = Session(
            "secret",
            handshake(),
            self.transport,
            clock=self.clock,
            options=self.options,
            registry=self,
            backlog=self.backlog,
        )
        if opened:
            self.open()

    def open(self) -> None:
        """Let the handshake packet out."""
        if isinstance(self.transport, FakePolling):
            self.transport.waiting = True
        self.session.open()
        self.session.listen(self)

    def message(self, data: str | bytes) -> None:
        """Heard as the listener."""
        self.messages.append(data)

    def closed(self, reason: str, description: str) -> None:
        """Heard as the listener."""
        self.ends.append((reason, description))

    def forget(self, session: Session) -> None:
        """Heard as the registry."""
        self.forgotten.append(session)

    def note_limit(self, limit: str, who: str, *, common: bool = False) -> None:
        """Heard as the registry."""
        self.passed.append(limit)

    @property
    def reasons(self) -> list[str]:
        """Why the session ended: one reason at most."""
        return [reason for reason, _ in self.ends]

    @property
    def polling(self) -> FakePolling:
        """The first transport, which is polling."""
        assert isinstance(self.transport, FakePolling)
        return self.transport

    def send(self, *texts: str) -> None:
        """Send messages one by one."""
        for text in texts:
            self.session.send([message(text)])

    def receive(self, *encoded: str | bytes, over: FakeTransport | None = None) -> None:
        """The client sends packets."""
        for one in encoded:
            self.session.received(over or self.transport, one)

    def probe(self, *encoded: str) -> FakeWebSocket:
        """A new WebSocket names the session and sends packets."""
        socket = FakeWebSocket()
        self.session.probe(socket)
        self.receive(*encoded, over=socket)
        return socket

    def timers(self) -> int:
        """How many timers there are."""
        return len(self.clock.getDelayedCalls())
