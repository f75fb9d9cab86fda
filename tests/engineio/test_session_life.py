"""A session's whole life in any order: connect, poll, post, probe, upgrade, send, close, time; against a model.

The model is the client: it keeps to the protocol unless a rule says otherwise, and it must see each message of
the server exactly once and in order, whatever happens to the transports.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtwist.engineio.packet import PacketType
from tests.engineio.fakes import FakePolling, FakeTransport, FakeWebSocket, Life

INTERVAL, TIMEOUT, UPGRADE, DRAIN, CLOSE, AGE = 8, 4, 6, 16, 5, 20


class SessionLife(RuleBasedStateMachine):
    """One session, and what its client knows."""

    @initialize(polling=st.booleans())
    def connect(self, polling: bool) -> None:
        self.life = Life(
            FakePolling() if polling else FakeWebSocket(),
            ping_interval=INTERVAL, ping_timeout=TIMEOUT, upgrade_timeout=UPGRADE, poll_close_timeout=DRAIN,
            close_timeout=CLOSE, max_buffered_age=AGE,
        )  # fmt: skip
        self.current: FakeTransport = self.life.transport
        self.probing: FakeWebSocket | None = None
        self.sent: list[str] = []
        self.seen: list[str] = []
        self.said: list[str] = []
        self.expected_end: str | None = None
        self.closing = False
        self.takes()
        self.read()

    @property
    def alive(self) -> bool:
        return self.expected_end is None and not self.closing

    def read(self) -> None:
        """The client reads whatever has reached it."""
        for packet in self.current.sent:
            if packet.type is PacketType.MESSAGE:
                self.seen.append(str(packet.data))
        self.current.sent = []

    def takes(self) -> None:
        """The client has just taken something, could have, or has all there is."""
        self.took = self.life.clock.seconds()

    def end(self, reason: str) -> None:
        self.expected_end = reason
        self.probing = None

    # The server

    @rule(count=st.integers(1, 3))
    def server_sends(self, count: int) -> None:
        for _ in range(count):
            text = str(len(self.sent))
            if self.alive:
                self.sent.append(text)
            self.life.send(text)
        self.read()

    @precondition(lambda self: self.alive)
    @rule()
    def server_closes(self) -> None:
        at_once = self.current.writable
        self.closing = True
        self.closed_at = self.life.clock.seconds()
        self.patience = CLOSE if self.current.stuck else DRAIN
        self.life.session.close()
        if at_once:
            self.end("forced close")
        self.read()

    # The client on polling

    @precondition(lambda self: isinstance(self.current, FakePolling) and not self.current.waiting)
    @rule()
    def client_polls(self) -> None:
        assert isinstance(self.current, FakePolling)
        if self.expected_end is None:
            self.takes()
            self.current.poll()
            if self.closing and not self.current.sent:
                self.end("forced close")
            self.read()

    @rule(count=st.integers(1, 3))
    def client_sends(self, count: int) -> None:
        for _ in range(count):
            text = f"c{len(self.said)}"
            if self.alive:
                self.said.append(text)
            self.life.receive(f"4{text}", over=self.current)

    @rule()
    def client_pongs(self) -> None:
        self.life.receive("3", over=self.current)

    # The upgrade

    @precondition(lambda self: self.probing is None and isinstance(self.current, FakePolling))
    @rule()
    def client_probes(self) -> None:
        socket = self.life.probe("2probe")
        if self.alive:
            assert socket.take() == ["3probe"]
            self.probing = socket
            self.probing_since = self.life.clock.seconds()
        else:
            assert (socket.closed, socket.take()) == (1, [])

    @precondition(lambda self: self.probing is not None)
    @rule()
    def a_second_probe_is_refused(self) -> None:
        assert self.life.probe("2probe", "5").closed == 1

    # As the JavaScript client: only when no poll is waiting
    @precondition(lambda self: self.probing is not None and not self.current.writable)
    @rule(full=st.booleans())
    def client_upgrades(self, full: bool) -> None:
        assert self.probing is not None
        self.current, self.probing = self.probing, None
        assert isinstance(self.current, FakeWebSocket)
        self.current.full = full
        self.takes()
        self.life.receive("5", over=self.current)
        if self.closing and not full:
            self.end("forced close")
        self.read()

    @precondition(lambda self: self.probing is not None)
    @rule(packet=st.sampled_from(["4x", "", "b!", "1", "2"]))
    def client_spoils_the_probe(self, packet: str) -> None:
        socket, self.probing = self.probing, None
        assert socket is not None
        self.life.receive(packet, over=socket)
        assert socket.closed == 1

    @precondition(lambda self: self.probing is not None)
    @rule()
    def probe_breaks(self) -> None:
        socket, self.probing = self.probing, None
        assert socket is not None
        self.life.session.lost(socket, "transport close")

    # The socket

    @precondition(lambda self: isinstance(self.current, FakeWebSocket) and self.expected_end is None)
    @rule(full=st.booleans())
    def socket_fills_or_drains(self, full: bool) -> None:
        assert isinstance(self.current, FakeWebSocket)
        self.takes()
        if full:
            self.current.fill()
        else:
            self.current.drain()
            if self.closing:
                self.end("forced close")
        self.read()

    # Ends

    @precondition(lambda self: self.expected_end is None)
    @rule(reason=st.sampled_from(["transport error", "transport close"]))
    def transport_breaks(self, reason: str) -> None:
        self.life.session.lost(self.current, reason)
        self.end(reason)

    @precondition(lambda self: self.alive)
    @rule(packet=st.sampled_from(["", "9", "b!", "0"]))
    def client_breaks_the_protocol(self, packet: str) -> None:
        self.life.receive(packet, "4after", over=self.current)
        self.end("parse error")

    @precondition(lambda self: self.alive and isinstance(self.current, FakePolling))
    @rule()
    def client_closes(self) -> None:
        self.life.receive("1", "4after", over=self.current)
        self.end("transport close")

    # Time

    @rule(quarters=st.integers(1, 24))
    def time_passes(self, quarters: int) -> None:
        for _ in range(quarters):
            if self.current.writable or self.life.backlog.clients == 0:
                self.takes()
            self.life.clock.advance(0.25)
            self.read()
            if self.life.ends and self.expected_end is None:
                self.time_is_up()
        if self.probing is not None and self.life.clock.seconds() - self.probing_since >= UPGRADE:
            assert self.probing.closed == 1
            self.probing = None

    def time_is_up(self) -> None:
        now = self.life.clock.seconds()
        if self.life.backlog.counters.cut["max_buffered_age"]:
            assert now - self.took >= AGE
            self.end("transport error")
        elif self.closing:
            assert now - self.closed_at == self.patience
            self.end("forced close")
        else:
            self.end("ping timeout")

    # What always holds

    @invariant()
    def messages_come_in_order_exactly_once(self) -> None:
        assert self.seen == self.sent[: len(self.seen)]
        assert self.life.messages == self.said

    @invariant()
    def nothing_is_held_back(self) -> None:
        if self.alive and isinstance(self.current, FakeWebSocket) and not self.current.full:
            assert self.seen == self.sent
        if self.alive and self.current.writable and isinstance(self.current, FakePolling):
            assert self.seen == self.sent

    @invariant()
    def it_ends_once_for_the_expected_reason(self) -> None:
        assert self.life.reasons == ([] if self.expected_end is None else [self.expected_end])
        assert len(self.life.forgotten) == len(self.life.ends)
        assert self.life.session.is_open is self.alive

    @invariant()
    def timers_are_those_of_the_heartbeat_the_upgrade_or_the_close(self) -> None:
        expected = 0
        if self.expected_end is None:
            expected = 1 if self.probing is None else 3
        behind = self.life.backlog.clients
        assert self.life.timers() == expected + behind

    @invariant()
    def nobody_is_behind_who_takes_what_comes(self) -> None:
        backlog = self.life.backlog
        if self.expected_end is not None or (isinstance(self.current, FakeWebSocket) and not self.current.full):
            assert (backlog.clients, backlog.size) == (0, 0)
        if self.alive and backlog.clients == 0:
            assert self.seen == self.sent

    @invariant()
    def nobody_is_behind_for_long(self) -> None:
        if self.expected_end is None and self.life.backlog.clients:
            assert self.life.clock.seconds() - self.took <= AGE + 1

    def teardown(self) -> None:
        if hasattr(self, "life"):
            self.life.session.abort("transport error")
            assert self.life.clock.getDelayedCalls() == []
            assert self.current.closed == 1


SessionLife.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSessionLife = SessionLife.TestCase
