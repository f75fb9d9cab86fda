"""How many clients leave when: in small groups, at the rate or faster, all of them in time."""

from __future__ import annotations

from itertools import count
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from rtwist.shedding import BATCH_SECONDS, Pace, shed
from rtwist.socketio.client import Client


class Session:
    def __init__(self) -> None:
        self.is_open = True


class Guest:
    """What `shed` needs of a client."""

    def __init__(self) -> None:
        self.session = Session()


def guests(number: int) -> list[Client]:
    return [cast(Client, Guest()) for _ in range(number)]


def groups(clients: list[Client], *, rate: int | None, within: float) -> list[list[Client]]:
    """Who leaves with each group, until nobody waits."""
    clock, left = Clock(), []
    done: Deferred[Any] = Deferred.fromCoroutine(shed(clock, clients, left.append, rate=rate, within=within))
    found = [list(left)]
    while not done.called:
        before = len(left)
        clock.advance(BATCH_SECONDS)
        found.append(left[before:])
    assert done.result == len(left)
    assert clock.getDelayedCalls() == []
    return found


def test_they_leave_in_their_order_and_each_once() -> None:
    clients = guests(101)
    assert [one for group in groups(clients, rate=100, within=60) for one in group] == clients


def test_each_group_is_as_large_as_the_rate_says() -> None:
    sizes = [len(group) for group in groups(guests(500), rate=200, within=60)]
    assert max(sizes) <= 11
    assert len(sizes) == 50


def test_a_rate_below_one_a_group_leaves_groups_empty() -> None:
    sizes = [len(group) for group in groups(guests(3), rate=1, within=60)]
    assert sizes[0] == 1
    assert (max(sizes), sum(sizes)) == (1, 3)
    assert len(sizes) in (40, 41)


def test_without_a_rate_all_leave_at_once() -> None:
    clients = guests(500)
    assert groups(clients, rate=None, within=60) == [clients]


def test_short_time_makes_them_leave_faster_but_still_in_groups() -> None:
    sizes = [len(group) for group in groups(guests(1000), rate=1, within=5)]
    assert 95 <= len(sizes) <= 101
    assert max(sizes) <= 12


def test_without_time_all_leave_at_once() -> None:
    clients = guests(50)
    assert groups(clients, rate=1, within=0) == [clients]


def test_who_has_gone_by_itself_takes_nobodys_place() -> None:
    clients = guests(30)
    gone = clients[:10]
    for client in gone:
        cast(Guest, client).session.is_open = False
    everyone = groups(clients, rate=40, within=60)
    assert [one for group in everyone for one in group] == clients[10:]
    assert len(everyone[0]) == 3


@given(st.integers(1, 2000), st.one_of(st.none(), st.integers(1, 2000)), st.floats(0, 20))
def test_all_have_left_in_time(waiting: int, rate: int | None, within: float) -> None:
    pace, steps = Pace(rate, within), count()
    while waiting:
        elapsed = next(steps) * BATCH_SECONDS
        leaving = pace.next(waiting, elapsed)
        assert 0 <= leaving <= waiting
        assert elapsed <= within + BATCH_SECONDS
        waiting -= leaving
