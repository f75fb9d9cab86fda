"""Percentiles, medians and goals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.versus.figures import PARTS, Goal, Spread, percentiles, verdict

COUNTED = st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 50)), min_size=1, max_size=30)


@given(COUNTED)
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values: list[tuple[float, int]]) -> None:
    each = sorted(value for value, count in values for _ in range(count))
    for name, found in percentiles(values).items():
        enough = PARTS[name] * len(each) - 1e-9
        assert sum(value <= found for value in each) >= enough
        assert sum(value < found for value in each) < enough


def test_percentiles_of_a_hundred_and_of_nothing() -> None:
    hundred = [(float(number), 1) for number in range(1, 101)]
    assert percentiles(hundred) == {"p50": 50.0, "p99": 99.0, "p99.9": 100.0}
    assert percentiles([(1.0, 999), (7.0, 1)]) == {"p50": 1.0, "p99": 1.0, "p99.9": 1.0}
    assert percentiles([]) == {}


def test_a_spread_is_median_least_and_most() -> None:
    assert Spread.of([5.0, 1.0, 3.0]) == Spread(3.0, 1.0, 5.0, 3)
    with pytest.raises(ValueError, match="no round"):
        Spread.of([])


def spreads(own: float, peer: float) -> dict[tuple[str, str, str], Spread]:
    return {("w", "own", "cpu"): Spread.of([own]), ("w", "peer", "cpu"): Spread.of([peer])}


@pytest.mark.parametrize(
    ("goal", "own", "reached", "met"),
    [
        (Goal("w", "cpu", 0.5, "peer"), 4.0, 0.4, True),
        (Goal("w", "cpu", 0.5, "peer"), 5.0, 0.5, True),
        (Goal("w", "cpu", 0.5, "peer"), 6.0, 0.6, False),
        (Goal("w", "cpu", 3.0), 3.5, 3.5, False),
        (Goal("w", "cpu", 3.0, at_least=True), 3.5, 3.5, True),
        (Goal("w", "cpu", 3.0, at_least=True), 2.5, 2.5, False),
    ],
)
def test_a_goal_is_a_multiple_of_the_peer_or_a_figure(goal: Goal, own: float, reached: float, met: bool) -> None:
    found = verdict(goal, spreads(own, 10.0), "own")
    assert found is not None
    assert found.reached == pytest.approx(reached)
    assert found.met == met


def test_there_is_no_verdict_without_both_figures() -> None:
    measured = spreads(1.0, 2.0)
    assert verdict(Goal("other", "cpu", 1.0), measured, "own") is None
    assert verdict(Goal("w", "cpu", 1.0, "third"), measured, "own") is None
