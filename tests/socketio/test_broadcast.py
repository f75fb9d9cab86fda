"""Who gets what, and their acknowledgements."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from rtwist.socketio import AckLost, AckTimeout, Socket
from tests.socketio.fakes import Guest, House
from tests.socketio.test_acks import outcome

Party = list[tuple[Guest, Socket]]


@pytest.fixture
def party(house: House) -> Party:
    """Three visitors: the first in room a, the second in a and b, the third in none."""
    made = [house.visitor() for _ in range(3)]
    made[0][1].join("a")
    made[1][1].join(["a", "b"])
    return made


def heard(party: Party) -> list[int]:
    """Which of them heard something, each once."""
    counts = [len(guest.hear()) for guest, _ in party]
    assert set(counts) <= {0, 1}
    return [number for number, count in enumerate(counts) if count]


@pytest.mark.parametrize(
    ("choose", "expected"),
    [
        (lambda io, one: io, [0, 1, 2]),
        (lambda io, one: io.to("a"), [0, 1]),
        (lambda io, one: io.to("a").to("b"), [0, 1]),
        (lambda io, one: io.to(["a", "b"]), [0, 1]),
        (lambda io, one: io.in_("b"), [1]),
        (lambda io, one: io.to("nobody"), []),
        (lambda io, one: io.except_("b"), [0, 2]),
        (lambda io, one: io.to("a").except_(["b"]), [0]),
        (lambda io, one: io.to(one.id), [0]),
        (lambda io, one: io.volatile, [0, 1, 2]),
        (lambda io, one: io.root.to("b").volatile, [1]),
        (lambda io, one: one.broadcast, [1, 2]),
        (lambda io, one: one.to("a"), [1]),
        (lambda io, one: one.in_("a").to("b"), [1]),
        (lambda io, one: one.except_("b"), [2]),
        (lambda io, one: one.to(one.id), []),
    ],
)
def test_exactly_the_selected_sockets_hear_it_once(
    house: House, party: Party, choose: Any, expected: list[int]
) -> None:
    chosen = choose(house.io, party[0][1])
    assert chosen.emit("event", {"n": 1}) == len(expected)
    assert heard(party) == expected


def test_an_operator_can_be_used_again_and_extended_both_ways(house: House, party: Party) -> None:
    base = house.io.to("a")
    base.to("b").except_("a").emit("x")
    base.emit("y")
    assert heard(party) == [0, 1]


def test_an_event_is_encoded_once_for_all(house: House, party: Party) -> None:
    house.io.emit("a", b"x")
    packets = [guest.wire.sent for guest, _ in party]
    assert packets[0][0] is packets[1][0] is packets[2][0]
    assert packets[0][1] is packets[1][1]


def test_fetch_join_leave_and_disconnect_of_a_selection(house: House, party: Party) -> None:
    sockets = [socket for _, socket in party]
    found = outcome(Deferred.fromCoroutine(house.io.to("a").fetch_sockets()))
    assert {one.id for one in found[0]} == {sockets[0].id, sockets[1].id}
    house.io.to("a").sockets_join(["c", "d"])
    house.io.to("b").sockets_leave(["c", "a"])
    assert [socket.rooms - {socket.id} for socket in sockets] == [{"a", "c", "d"}, {"b", "d"}, set()]
    house.io.to("d").disconnect_sockets()
    assert [socket.connected for socket in sockets] == [False, False, True]
    house.io.disconnect_sockets(close=True)
    assert [guest.gone for guest, _ in party] == [False, False, True]


# Acknowledgements


def test_a_broadcast_is_acknowledged_when_all_have_answered(house: House, party: Party) -> None:
    found = outcome(house.io.to("a").timeout(5).emit_with_ack("x"))
    assert heard(party) == [0, 1]
    party[0][0].say("30[1]")
    assert found == []
    party[1][0].say("30[2,3]")
    assert found == [[1, 2]]


def test_a_broadcast_to_nobody_is_acknowledged_at_once(house: House) -> None:
    assert outcome(house.io.timeout(5).emit_with_ack("x")) == [[]]
    assert outcome(house.io.to("nobody").emit_with_ack("x")) == [[]]


def test_a_broadcast_that_times_out_tells_what_came(house: House, party: Party) -> None:
    found = outcome(house.io.timeout(5).emit_with_ack("x"))
    party[1][0].say('30["two"]')
    house.clock.advance(5)
    assert isinstance(found[0], AckTimeout)
    assert found[0].responses == ["two"]
    party[0][0].say('30["late"]')
    assert (found[0].responses, [len(socket.acks) for _, socket in party]) == (["two"], [0, 0, 0])


def test_a_broadcast_nobody_answers_times_out_with_no_responses(house: House, party: Party) -> None:
    found = outcome(house.io.timeout(1).emit_with_ack("x"))
    house.clock.advance(1)
    assert found[0].responses == []


def test_a_receiver_that_leaves_lets_the_broadcast_run_into_its_timeout(house: House, party: Party) -> None:
    found = outcome(house.io.timeout(5).emit_with_ack("x"))
    party[0][0].say("30[1]")
    party[1][0].leave()
    party[2][0].say("30[3]")
    assert found == []
    house.clock.advance(5)
    assert isinstance(found[0], AckTimeout)
    assert found[0].responses == [1, 3]


@pytest.mark.parametrize("last", ["answer", "leave"])
def test_without_a_timeout_a_receiver_that_leaves_fails_the_broadcast_once_no_more_can_come(
    house: House, party: Party, last: str
) -> None:
    found = outcome(house.io.emit_with_ack("x"))
    party[0][0].say("30[1]")
    party[1][0].leave()
    assert found == []
    party[2][0].say("30[3]") if last == "answer" else party[2][0].leave()
    assert isinstance(found[0], AckLost)
    assert found[0].responses == ([1, 3] if last == "answer" else [1])


def test_each_receiver_counts_once(house: House, party: Party) -> None:
    found = outcome(house.io.to("a").emit_with_ack("x"))
    party[0][0].say("30[1]", "30[1]", "30[1]")
    party[2][0].say("30[9]")
    assert found == []
    party[1][0].say("30[2]")
    assert found == [[1, 2]]


def test_waiting_for_a_broadcast_can_be_cancelled(house: House, party: Party) -> None:
    timers = len(house.clock.getDelayedCalls())
    waiting = house.io.timeout(5).emit_with_ack("x")
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    assert [len(socket.acks) for _, socket in party] == [0, 0, 0]
    assert len(house.clock.getDelayedCalls()) == timers
    party[0][0].say("30[1]")


def test_acknowledgements_do_not_mix_up_broadcasts_and_sockets(house: House, party: Party) -> None:
    guest, socket = party[0]
    one, everybody, other = (
        outcome(socket.emit_with_ack("a")),
        outcome(house.io.to(socket.id).emit_with_ack("b")),
        outcome(socket.emit_with_ack("c")),
    )
    guest.say("32[3]", "31[2]", "30[1]")
    assert (one, everybody, other) == ([1], [[2]], [3])
