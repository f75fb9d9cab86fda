"""Who is behind, how far, and who is cut for it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs

from rtwist.engineio.backlog import STUCK_COST, Backlog
from rtwist.engineio.options import Options
from rtwist.engineio.outbox import DROP, PACKET_COST, SPARE, IfBehind, Latest
from rtwist.engineio.packet import Packet, message
from rtwist.engineio.session import Session
from tests.engineio.fakes import FakePolling, FakeTransport, FakeWebSocket, handshake


class Crowd:
    """Sessions of one server over fakes, all open; what each hears of its end is in `ends`, in order."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.options = Options(ping_interval=1000, ping_timeout=1000, **options)
        self.backlog = Backlog(self.clock, self.options)
        self.ends: list[tuple[str, str, str]] = []
        self.sessions: list[Session] = []

    def session(self, name: str = "", *, polling: bool = False, address: str = "10.0.0.1") -> Session:
        transport: FakeTransport = FakePolling() if polling else FakeWebSocket()
        session = Session(
            name,
            handshake(address=address),
            transport,
            clock=self.clock,
            options=self.options,
            registry=self,
            backlog=self.backlog,
        )
        if isinstance(transport, FakePolling):
            transport.waiting = True
        session.open()
        session.listen(Ears(self, name))
        transport.take()
        self.sessions.append(session)
        return session

    def full(self, name: str = "") -> Session:
        """A session whose WebSocket takes no more."""
        session = self.session(name)
        socket_of(session).fill()
        return session

    def forget(self, session: Session) -> None:
        """Heard as the registry."""

    def note_limit(self, limit: str, who: str, *, common: bool = False) -> None:
        """Heard as the registry."""

    def heard_end(self, name: str, reason: str, description: str) -> None:
        """To be overridden by what a listener does at the end."""


class Ears:
    def __init__(self, crowd: Crowd, name: str) -> None:
        self._crowd = crowd
        self._name = name

    def message(self, data: str | bytes) -> None:
        raise AssertionError("nobody says anything")

    def closed(self, reason: str, description: str) -> None:
        self._crowd.ends.append((self._name, reason, description))
        self._crowd.heard_end(self._name, reason, description)


def socket_of(session: Session) -> FakeWebSocket:
    assert isinstance(session.transport, FakeWebSocket)
    return session.transport


def polling_of(session: Session) -> FakePolling:
    assert isinstance(session.transport, FakePolling)
    return session.transport


# Bytes of one client


def test_text_counts_in_utf_8_and_what_lies_in_a_full_connection_counts_too() -> None:
    crowd = Crowd(max_buffered=STUCK_COST + 2 * PACKET_COST + 10)
    session = crowd.full()
    session.send([message("é" * 4)])
    session.send([message("é")])
    assert session.is_open
    session.send([message("")])
    assert not session.is_open


def test_what_the_transport_has_taken_and_not_written_counts() -> None:
    crowd = Crowd(max_buffered=1_000_000)
    session = crowd.session()
    socket_of(session).unsent = [message("x" * 900_000)]
    socket_of(session).fill()
    assert crowd.backlog.size == 900_000 + PACKET_COST + STUCK_COST
    session.send([message("x" * 900)])
    assert not session.is_open
    assert crowd.backlog.size == 0


# Age


@pytest.mark.parametrize("waiting", [True, False])
def test_a_socket_that_takes_nothing_is_cut_at_the_greatest_age(waiting: bool) -> None:
    crowd = Crowd(max_buffered_age=10)
    session = crowd.session("slow")
    crowd.clock.advance(100)
    socket_of(session).fill()
    if waiting:
        session.send([message("a")])
    crowd.clock.pump([0.5] * 19)
    assert session.is_open
    crowd.clock.pump([0.5] * 2)
    assert not session.is_open
    assert [end[:2] for end in crowd.ends] == [("slow", "transport error")]
    assert socket_of(session).aborted == 1


def test_a_stream_of_latest_values_hides_no_socket_that_takes_nothing() -> None:
    crowd = Crowd(max_buffered_age=10)
    session = crowd.full()
    for _ in range(22):
        session.send([message("price")], Latest("price"))
        crowd.clock.advance(0.5)
    assert not session.is_open


def test_a_socket_that_goes_on_taking_is_not_cut_while_what_waits_is_young() -> None:
    crowd = Crowd(max_buffered_age=10)
    session = crowd.full()
    for _ in range(100):
        session.send([message("x")])
        crowd.clock.pump([1] * 5)
        socket_of(session).drain()
        socket_of(session).fill()
    assert session.is_open
    assert len(socket_of(session).take()) == 100


def test_what_waits_too_long_counts_although_others_leave() -> None:
    crowd = Crowd(max_buffered_age=10)
    session = crowd.session(polling=True)
    polling_of(session).waiting = False
    polling_of(session).batch = 1
    for _ in range(6):
        session.send([message("x")])
    for _ in range(4):
        crowd.clock.pump([0.5] * 4)
        polling_of(session).poll()
        assert session.is_open
    crowd.clock.pump([0.5] * 5)
    assert not session.is_open


def test_a_client_that_polls_in_time_lives() -> None:
    crowd = Crowd(max_buffered_age=10)
    session = crowd.session(polling=True)
    polling_of(session).waiting = False
    for _ in range(10):
        session.send([message("x")])
        crowd.clock.pump([0.5] * 19)
        polling_of(session).poll()
    assert session.is_open
    assert len(polling_of(session).take()) == 10
    crowd.clock.pump([1] * 60)
    assert session.is_open, "a parked poll is no delay"


# All together


def test_the_client_with_most_goes_first_and_nobody_beyond_need() -> None:
    crowd = Crowd(max_buffered_total=1000 * 10, max_buffered_age=1000)
    sessions = [crowd.session(str(number), polling=True) for number in range(5)]
    for session in sessions:
        polling_of(session).waiting = False
    for number, session in enumerate(sessions):
        for _ in range(number + 1):
            session.send([message("x" * 400)])
    assert all(session.is_open for session in sessions)
    sessions[0].send([message("x" * 2300)])
    assert all(session.is_open for session in sessions)
    sessions[0].send([message("x")])
    assert [session.is_open for session in sessions] == [False, True, True, True, True]
    assert crowd.backlog.counters.as_dict() == {
        "cut": {"max_buffered": 0, "max_buffered_age": 0, "max_buffered_total": 1}, "dropped": 0, "replaced": 0,
    }  # fmt: skip


def test_a_packet_that_waits_for_many_is_in_memory_once() -> None:
    crowd = Crowd(max_buffered_total=1_000_000)
    sessions = [crowd.session(polling=True) for _ in range(100)]
    for session in sessions:
        polling_of(session).waiting = False
    large = message("x" * 900_000)
    for session in sessions:
        session.send([large])
    assert crowd.backlog.size == 900_000 + 100 * PACKET_COST
    assert all(session.is_open for session in sessions)
    for session in sessions[1:]:
        polling_of(session).poll()
    assert crowd.backlog.size == 900_000 + PACKET_COST
    sessions[0].send([message("y" * 100_000)])
    assert [session.is_open for session in sessions] == [False] + [True] * 99
    assert crowd.backlog.size == 0


def test_connections_that_take_nothing_are_counted_by_the_clock() -> None:
    crowd = Crowd(max_buffered_total=10 * STUCK_COST)
    sessions = [crowd.full() for _ in range(11)]
    crowd.clock.advance(0)
    assert all(session.is_open for session in sessions)
    crowd.clock.advance(1)
    assert sum(session.is_open for session in sessions) == 9


# What an event is worth


def test_what_may_be_dropped_is_dropped_only_while_behind() -> None:
    crowd = Crowd()
    session = crowd.session()
    session.send([message("a")], DROP)
    socket_of(session).fill()
    session.send([message("b")], DROP)
    session.send([message("c")])
    socket_of(session).drain()
    session.send([message("d")], DROP)
    assert socket_of(session).take() == ["4a", "4c", "4d"]
    assert crowd.backlog.counters.dropped == 1


@pytest.mark.parametrize("rule_", [SPARE, Latest("p1")])
def test_between_two_polls_a_client_is_not_behind(rule_: IfBehind) -> None:
    crowd = Crowd()
    session = crowd.session(polling=True)
    for number in range(3):
        session.send([message(f"{number}")], rule_)
        crowd.clock.advance(0.9)
    polling_of(session).poll()
    for number in range(3, 9):
        session.send([message(f"{number}")], rule_)
        crowd.clock.advance(0.9)
    polling_of(session).poll()
    late = ["48"] if rule_ is not SPARE else []
    assert polling_of(session).take() == ["40", "41", "42", "43", "44", "45", *late]


def test_what_must_leave_at_once_does_not_wait_for_a_poll() -> None:
    crowd = Crowd()
    session = crowd.session(polling=True)
    polling_of(session).waiting = False
    session.send([message("a")], DROP)
    assert (session.outbox, crowd.backlog.counters.dropped) == (None, 1)


def test_the_last_of_a_key_waits_behind_what_was_sent_before_it() -> None:
    crowd = Crowd()
    session = crowd.session()
    session.send([message("p1=9")], Latest("p1"))
    socket_of(session).fill()
    for text, rule_ in [("p1=8", Latest("p1")), ("p2=5", Latest("p2")), ("order", None), ("p1=7", Latest("p1"))]:
        session.send([message(text)], rule_)
    socket_of(session).drain()
    assert socket_of(session).take() == ["4p1=9", "4p2=5", "4order", "4p1=7"]
    assert crowd.backlog.counters.replaced == 1


def test_a_flood_of_latest_values_takes_the_room_of_one() -> None:
    crowd = Crowd(max_buffered=STUCK_COST + 2000, max_buffered_total=2000)
    session = crowd.full()
    for number in range(10_000):
        session.send([message(f"p{number % 10}" + "x" * 20)], Latest(number % 10))
    assert session.is_open
    socket_of(session).drain()
    assert len(socket_of(session).take()) == 10


# The cut


def test_it_is_logged_and_counted_who_was_cut_and_why() -> None:
    crowd = Crowd(max_buffered=300, max_buffered_age=4)
    slow, stuck = crowd.session("slow", polling=True, address="192.0.2.7"), crowd.full("stuck")
    polling_of(slow).waiting = False
    slow.send([message("x" * 50)])
    crowd.clock.advance(1.5)
    slow.send([message("x" * 51)])
    crowd.clock.pump([0.5] * 6)
    assert not slow.is_open
    assert not stuck.is_open
    text = "slow consumer: 301 bytes wait for it, the oldest for 1.5 seconds; more than max_buffered, 300 bytes"
    assert crowd.ends[0] == ("slow", "transport error", text)
    assert crowd.backlog.counters.as_dict()["cut"] == {
        "max_buffered": 1,
        "max_buffered_age": 1,
        "max_buffered_total": 0,
    }


def test_the_log_names_the_address() -> None:
    with capturedLogs() as logs:
        crowd = Crowd(max_buffered=10)
        slow = crowd.session(polling=True, address="192.0.2.7")
        polling_of(slow).waiting = False
        slow.send([message("")])
    (log,) = [log for log in logs if log["log_level"] is LogLevel.warn]
    assert log["log_format"].format(**log) == (
        "192.0.2.7 is cut: slow consumer: 100 bytes wait for it, the oldest for 0.0 seconds; "
        "more than max_buffered, 10 bytes; 1 since the start"
    )


def test_a_listener_hears_of_a_cut_in_a_turn_of_its_own_so_that_cuts_do_not_nest() -> None:
    crowd = Crowd(max_buffered=1000)
    depth = deepest = 0

    def tell_the_others(name: str, reason: str, description: str) -> None:
        # As presence does, with every end one packet more for all the others.
        nonlocal depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        for session in crowd.sessions:
            session.send([message("x" * 50)])
        depth -= 1

    crowd.heard_end = tell_the_others  # type: ignore[method-assign]
    for number in range(2000):
        session = crowd.session(str(number), polling=True)
        polling_of(session).waiting = False
        session.send([message("x" * 850)])
    crowd.sessions[0].send([message("x" * 100)])
    assert crowd.ends == []
    crowd.clock.advance(0)
    crowd.clock.advance(0)
    assert len(crowd.ends) == 2000
    assert deepest == 1


def test_nothing_is_left_of_those_who_were_behind() -> None:
    crowd = Crowd(max_buffered=STUCK_COST + 1000, close_timeout=1)
    sessions = [crowd.full() for _ in range(4)]
    for session in sessions:
        session.send([message("x")])
    assert crowd.backlog.clients == 4
    socket_of(sessions[0]).drain()
    sessions[1].lost(sessions[1].transport, "transport close")
    sessions[2].close()
    crowd.clock.advance(1)
    sessions[3].send([message("x" * 1000)])
    sessions[0].close()
    crowd.clock.advance(0)
    assert len(crowd.ends) == 4
    assert (crowd.backlog.clients, crowd.backlog.size) == (0, 0)
    assert crowd.clock.getDelayedCalls() == []


class Accounts(RuleBasedStateMachine):
    """The memory that is counted, against that of the packets that wait."""

    def __init__(self) -> None:
        super().__init__()
        self.crowd = Crowd(max_buffered=10**9, max_buffered_total=10**9, max_buffered_age=1000)
        self.sessions = [self.crowd.session() for _ in range(3)]
        self.waiting: list[list[tuple[IfBehind, list[Packet]]]] = [[], [], []]

    @rule(
        data=st.lists(st.text(max_size=5), min_size=1, max_size=2),
        to=st.sets(st.integers(0, 2), min_size=1),
        if_behind=st.sampled_from([None, DROP, Latest("a"), Latest("b")]),
    )
    def send(self, data: list[str], to: set[int], if_behind: IfBehind) -> None:
        packets = [message(one) for one in data]
        for one in to:
            self.sessions[one].send(packets, if_behind)
            if not socket_of(self.sessions[one]).full or if_behind is DROP:
                continue
            if if_behind is not None:
                self.waiting[one] = [entry for entry in self.waiting[one] if entry[0] != if_behind]
            self.waiting[one].append((if_behind, packets))

    @rule(one=st.integers(0, 2), limit=st.integers(0, 1000))
    def drain_or_fill(self, one: int, limit: int) -> None:
        socket = socket_of(self.sessions[one])
        if socket.full:
            socket.drain()
            self.waiting[one] = []
        else:
            socket.fill()

    @invariant()
    def memory_is_that_of_what_waits(self) -> None:
        packets = [packet for waiting in self.waiting for _, group in waiting for packet in group]
        distinct = {id(packet): packet.size for packet in packets}
        full = sum(socket_of(session).full for session in self.sessions)
        assert self.crowd.backlog.size == (
            sum(distinct.values()) + PACKET_COST * len(packets) + STUCK_COST * full
        )
        assert self.crowd.backlog.clients == full


Accounts.TestCase.settings = settings(max_examples=50, deadline=None)
TestAccounts = Accounts.TestCase
