"""How long a worker that has ended waits for its next start."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtwist.workers.marks import MOST_WORKERS, mark_of, worker_of
from rtwist.workers.restarts import FIRST_DELAY, MOST_DELAY, STEADY_SECONDS, Restarts


def delays(lives: list[float]) -> list[float]:
    restarts, now, found = Restarts(), 1000.0, []
    for life in lives:
        restarts.started(now)
        now += life
        found.append(restarts.ended(now))
        now += found[-1]
    return found


def test_the_delay_doubles_up_to_its_bound() -> None:
    assert delays([0.0] * 9) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_worker_that_lived_is_started_at_once_and_its_failures_are_forgotten() -> None:
    assert delays([0.0, 0.0, STEADY_SECONDS, 0.0]) == [0.5, 1.0, 0.0, 0.5]


@given(st.lists(st.floats(0, 100), max_size=2000))
def test_it_is_bounded(lives: list[float]) -> None:
    assert all(delay == 0 or FIRST_DELAY <= delay <= MOST_DELAY for delay in delays(lives))


def test_every_worker_has_a_mark_of_its_own() -> None:
    marks = [mark_of(worker) for worker in range(MOST_WORKERS)]
    assert [worker_of(mark + "A" * 24) for mark in marks] == list(range(MOST_WORKERS))
    assert all(len(mark) == 1 for mark in marks)


def test_what_begins_like_no_sid_is_no_workers() -> None:
    assert [worker_of(sid) for sid in ("", "é", "=A", " ")] == [None] * 4
