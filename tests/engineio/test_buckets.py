"""Token buckets: whatever comes and whenever, no more gets through than was promised."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.buckets import BURST_SECONDS, Bucket, Buckets, Budget

RATES = st.floats(0.1, 1000)
STEPS = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 500)), max_size=50)


@given(RATES, STEPS)
def test_a_bucket_lets_through_its_burst_and_its_rate(rate: float, steps: list[tuple[float, int]]) -> None:
    bucket, now, taken = Bucket(rate, 0.0), 0.0, 0
    for seconds, cost in steps:
        now += seconds
        taken += cost if bucket.take(now, cost) else 0
        assert taken <= rate * (BURST_SECONDS + now) * (1 + 1e-9)


@given(RATES, STEPS)
def test_whoever_waits_as_long_as_told_gets_through(rate: float, steps: list[tuple[float, int]]) -> None:
    bucket, now = Bucket(rate, 0.0), 0.0
    for seconds, cost in steps:
        now += seconds
        if cost <= rate * BURST_SECONDS:
            now += bucket.wait(now, cost) + 1e-6
            assert bucket.take(now, cost)


def test_a_bucket_on_credit_goes_below_zero_and_recovers() -> None:
    bucket = Bucket(10.0, 0.0)
    assert bucket.spend(0.0, 300.0) == -100.0
    assert not bucket.take(9.0)
    assert bucket.take(10.2)


def test_without_a_rate_a_bucket_is_never_empty() -> None:
    bucket = Bucket(None, 0.0)
    assert bucket.take(0.0, 1e12)
    assert bucket.wait(0.0, 1e12) == 0.0


def test_the_names_used_last_are_remembered() -> None:
    buckets = Buckets(1.0, max_names=2)
    first = buckets.of("a", 0.0)
    second = buckets.of("b", 0.0)
    assert buckets.of("a", 0.0) is first
    buckets.of("c", 0.0)
    assert len(buckets) == 2
    assert buckets.of("a", 0.0) is first
    assert buckets.of("b", 0.0) is not second


def spend(budget: Budget, packets: int, size: int, now: float) -> float:
    return budget.settle(now) if budget.spend(packets, size) else 0.0


@given(RATES, RATES, STEPS)
def test_who_waits_when_told_gets_no_more_than_the_rate_and_two_bursts(
    packet_rate: float, byte_rate: float, steps: list[tuple[float, int]]
) -> None:
    budget, now, packets, size = Budget(packet_rate, byte_rate, 0.0), 0.0, 0, 0
    for seconds, count in steps:
        now += seconds
        packets += count
        size += 3 * count
        now += spend(budget, count, 3 * count, now)
        assert packets <= packet_rate * (2 * BURST_SECONDS + now) * (1 + 1e-9) + 1e-6
        assert size <= byte_rate * (2 * BURST_SECONDS + now) * (1 + 1e-9) + 1e-6


@pytest.mark.parametrize(
    ("rates", "packets", "size", "wait"),
    [
        ((10.0, 100.0), 200, 2000, 0.0),
        ((10.0, 100.0), 205, 0, 0.5),
        ((10.0, 100.0), 0, 2300, 3.0),
        ((10.0, None), 0, 10**9, 0.0),
        ((None, 100.0), 10**9, 2100, 1.0),
        ((None, None), 10**9, 10**9, 0.0),
    ],
)
def test_the_scarcer_of_packets_and_bytes_tells_how_long_to_wait(
    rates: tuple[float | None, float | None], packets: int, size: int, wait: float
) -> None:
    assert math.isclose(spend(Budget(*rates, 0.0), packets, size, 0.0), wait)
