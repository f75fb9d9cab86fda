"""Counting who passed which limit, and when the log hears of it."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.tally import SECONDS_BETWEEN_WARNINGS, Tally

PASSED = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 30)), max_size=60)


def test_the_first_is_heard_and_then_one_in_ten_seconds() -> None:
    tally = Tally()
    heard = [now for now in range(25) if tally.add("a", float(now))]
    assert heard == [0, 10, 20]
    assert tally.counts == {"a": 25}


@given(PASSED)
def test_each_is_counted_and_each_limit_is_heard_of_by_itself(passed: list[tuple[str, float]]) -> None:
    tally, now = Tally(), 0.0
    heard: dict[str, list[float]] = {}
    for limit, pause in passed:
        now += pause
        if tally.add(limit, now):
            heard.setdefault(limit, []).append(now)
    assert set(heard) == {limit for limit, _ in passed}
    assert tally.counts.total() == len(passed)
    for times in heard.values():
        pauses = [later - earlier for earlier, later in pairwise(times)]
        assert all(pause >= SECONDS_BETWEEN_WARNINGS - 1e-9 for pause in pauses)
