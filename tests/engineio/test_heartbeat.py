"""Heartbeats of many sessions: each gets its ping in time, whatever the others do, by two timers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from rtwist.engineio.heartbeat import COARSE, Heartbeats

INTERVAL, TIMEOUT = 25.0, 60.0
Life = tuple[float, "float | None", float]


class Pinged:
    """A session that remembers when it was pinged, and when it timed out."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.pings: list[float] = []
        self.ended: list[float] = []

    def ping(self) -> None:
        self.pings.append(self.clock.seconds())

    def ping_timed_out(self) -> None:
        self.ended.append(self.clock.seconds())


def test_an_answer_puts_off_the_end_and_is_followed_by_the_next_ping() -> None:
    clock = Clock()
    beats, session = Heartbeats(clock, INTERVAL, TIMEOUT), Pinged(clock)
    beats.start(session)
    clock.advance(25)
    clock.advance(7)
    beats.answered(session)
    clock.advance(25)
    clock.advance(60)
    assert (session.pings, session.ended) == ([25, 57], [117])
    assert clock.getDelayedCalls() == []


def test_a_pong_that_nobody_asked_for_does_not_put_off_the_ping() -> None:
    clock = Clock()
    beats, session = Heartbeats(clock, INTERVAL, TIMEOUT), Pinged(clock)
    beats.start(session)
    for _ in range(25):
        beats.answered(session)
        clock.advance(1)
    assert session.pings == [25]


def test_a_session_may_end_in_its_own_ping() -> None:
    clock = Clock()
    beats = Heartbeats(clock, INTERVAL, TIMEOUT)

    class Ending(Pinged):
        def ping(self) -> None:
            super().ping()
            beats.stop(self)

    sessions = [Ending(clock) for _ in range(3)]
    for session in sessions:
        beats.start(session)
    clock.advance(25)
    assert [session.pings for session in sessions] == [[25]] * 3
    assert clock.getDelayedCalls() == []


def test_pings_that_are_due_almost_together_go_out_together() -> None:
    clock = Clock()
    beats = Heartbeats(clock, INTERVAL, TIMEOUT)
    sessions = [Pinged(clock) for _ in range(50)]
    for session in sessions:
        beats.start(session)
        clock.advance(COARSE / 50)
    for _ in range(3):
        clock.advance(clock.getDelayedCalls()[0].getTime() - clock.seconds())
    due = [INTERVAL + number * COARSE / 50 for number in range(50)]
    assert len({ping for session in sessions for ping in session.pings}) <= 3
    assert all(0 <= session.pings[0] - time <= COARSE for session, time in zip(sessions, due, strict=True))


# Fractions of a second that never meet, so that nothing happens at the same time as something else.
starts = st.integers(0, 100).map(float)
answers = st.one_of(st.none(), st.integers(0, 90).map(lambda seconds: seconds + 1 / 16))
ends = st.integers(100, 400).map(lambda seconds: seconds + 1 / 1024)


@given(st.lists(st.tuples(starts, answers, ends), max_size=12))
def test_each_of_many_sessions_is_pinged_as_if_it_were_alone(lives: list[Life]) -> None:
    clock = Clock()
    beats = Heartbeats(clock, INTERVAL, TIMEOUT)
    sessions = []
    for start, after, end in lives:
        session = Answering(clock, beats, after)
        sessions.append(session)
        clock.callLater(start, beats.start, session)
        clock.callLater(end, beats.stop, session)
    while calls := clock.getDelayedCalls():
        assert sum(getattr(call.func, "__name__", "") == "_wake" for call in calls) <= 2
        clock.advance(max(0.0, calls[0].getTime() - clock.seconds()))
    assert [(session.pings, session.ended) for session in sessions] == [alone(*life) for life in lives]


class Answering(Pinged):
    """Answers each ping after so many seconds, or never."""

    def __init__(self, clock: Clock, beats: Heartbeats, after: float | None) -> None:
        super().__init__(clock)
        self.beats = beats
        self.after = after

    def ping(self) -> None:
        super().ping()
        if self.after is not None:
            self.clock.callLater(self.after, self.beats.answered, self)


def alone(start: float, after: float | None, end: float) -> tuple[list[float], list[float]]:
    """When a session by itself is pinged, and when it times out."""
    pings: list[float] = []
    due = start + INTERVAL
    while due < end:
        pings.append(due)
        if after is None or after > TIMEOUT:
            return pings, [due + TIMEOUT] if due + TIMEOUT < end else []
        due += after + INTERVAL
    return pings, []
