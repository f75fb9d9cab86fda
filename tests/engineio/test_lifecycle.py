"""The tables of a session's life."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.lifecycle import (
    ON_POLLING,
    ON_WEBSOCKET,
    TRANSITIONS,
    Action,
    Event,
    Probe,
    State,
    probe_step,
    step,
)
from rtwist.engineio.packet import PacketType
from tests.engineio.strategies import ANY_TEXTS, TYPES


@given(st.lists(st.sampled_from(Event)))
def test_a_session_never_goes_back(events: list[Event]) -> None:
    order = [State.OPENING, State.OPEN, State.CLOSING, State.CLOSED]
    state = State.OPENING
    for event in events:
        following = step(state, event)
        if following is not None:
            assert order.index(following) > order.index(state)
            state = following


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_what_the_table_lacks_has_no_meaning(state: State, event: Event) -> None:
    assert step(state, event) == TRANSITIONS.get((state, event))
    if state is State.CLOSED:
        assert step(state, event) is None
    elif event is Event.ENDED:
        assert step(state, event) is State.CLOSED


def test_each_packet_type_has_its_action_on_both_transports() -> None:
    assert set(ON_POLLING) == set(ON_WEBSOCKET) == set(PacketType)
    assert {kind for kind in PacketType if ON_POLLING[kind] is not ON_WEBSOCKET[kind]} == {PacketType.CLOSE}
    assert ON_POLLING[PacketType.PING] is Action.HEARTBEAT_FAULT
    assert ON_WEBSOCKET[PacketType.CLOSE] is Action.IGNORE


def test_tables_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[(State.CLOSED, Event.ENDED)] = State.OPEN  # type: ignore[index]


@given(TYPES, st.one_of(ANY_TEXTS, st.just("probe"), st.binary(), st.just(b"probe")))
def test_only_a_probe_and_an_upgrade_move_an_upgrade_on(kind: PacketType, data: str | bytes) -> None:
    expected = Probe.REFUSED
    if kind is PacketType.UPGRADE:
        expected = Probe.UPGRADED
    elif (kind, data) == (PacketType.PING, "probe"):
        expected = Probe.PROBED
    assert probe_step(kind, data) is expected
