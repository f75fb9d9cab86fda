"""What a node does while Redis is away."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rtwist.cluster.outage import Outage, Standing, Turn, WhileAway


def after(choice: WhileAway, *turns: Turn) -> tuple[Outage, list[bool]]:
    changes: list[bool] = []
    outage = Outage(choice, changes.append)
    for turn in turns:
        outage.turn(turn)
    return outage, changes


def test_hold_consumes_once_all_is_known() -> None:
    turns = (Turn.FOUND, Turn.CAUGHT_UP, Turn.LOST, Turn.FOUND)
    outage, changes = after(WhileAway.HOLD, *turns)
    assert changes == [True, False]
    assert not outage.consumes
    outage.turn(Turn.CAUGHT_UP)
    assert outage.consumes
    assert outage.standing is Standing.JOINED


def test_local_consumes_always_and_waits_for_redis_only_while_it_is_there() -> None:
    outage, changes = after(WhileAway.LOCAL)
    assert outage.consumes
    assert not outage.waits_for_redis
    outage.turn(Turn.FOUND)
    assert outage.consumes
    assert outage.waits_for_redis
    assert changes == []


def test_what_was_read_before_a_loss_does_not_count() -> None:
    outage, _ = after(WhileAway.HOLD, Turn.FOUND, Turn.LOST, Turn.CAUGHT_UP)
    assert outage.standing is Standing.AWAY
    assert not outage.consumes


@given(st.sampled_from(WhileAway), st.lists(st.sampled_from(Turn)))
def test_whatever_happens(choice: WhileAway, turns: list[Turn]) -> None:
    outage, changes = after(choice, *turns)
    if choice is WhileAway.HOLD:
        assert outage.waits_for_redis
        assert outage.consumes is (outage.standing is Standing.JOINED)
        assert all(one is not other for one, other in pairwise(changes))
    else:
        assert outage.consumes
        assert outage.waits_for_redis is (outage.standing is not Standing.AWAY)
    if turns and turns[-1] is Turn.LOST:
        assert outage.standing is Standing.AWAY
