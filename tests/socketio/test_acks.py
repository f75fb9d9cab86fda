"""Acknowledgements that the server waits for."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from rtwist.socketio import AckLost, AckTimeout
from tests.socketio.fakes import House, a_house


def outcome(waiting: Deferred[Any]) -> list[Any]:
    """What `waiting` has come to: nothing yet, a result or an error."""
    found: list[Any] = []
    waiting.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found


def test_the_callback_gets_all_arguments_and_the_deferred_the_first(house: House) -> None:
    guest, socket = house.visitor()
    answers: list[Any] = []
    socket.emit("a", 1, ack=lambda *args: answers.append(args))
    found = outcome(socket.emit_with_ack("b", 2))
    nothing = outcome(socket.emit_with_ack("c"))
    assert guest.hear() == ['20["a",1]', '21["b",2]', '22["c"]']
    guest.say('31["x","y"]', "32[]", "30[1,2,3]")
    assert (answers, found, nothing) == ([(1, 2, 3)], ["x"], [None])


def test_of_too_many_acknowledgements_the_oldest_is_given_up() -> None:
    for house in a_house(max_pending_acks=2):
        guest, socket = house.visitor()
        answers: list[Any] = []
        found = [outcome(socket.emit_with_ack("a", number)) for number in range(3)]
        socket.emit("b", ack=answers.append)
        assert [type(error) for error in found[0] + found[1]] == [AckLost, AckLost]
        guest.say('30["late"]', '32["c"]', '33["d"]')
        assert (found[2], answers) == (["c"], ["d"])


def refused(house: House) -> dict[str, int]:
    return dict(house.io.engine.admission.refused)


def test_what_was_given_up_is_counted() -> None:
    for house in a_house(max_pending_acks=1):
        _, socket = house.visitor()
        for _ in range(3):
            socket.emit("a", ack=print)
        assert (len(socket.acks), refused(house)) == (1, {"max_pending_acks": 2})


def test_who_never_answers_is_not_waited_for_without_end(house: House) -> None:
    guest, socket = house.visitor()
    answers: list[Any] = []
    socket.emit("a", ack=answers.append)
    one, all_of_them = outcome(socket.emit_with_ack("b")), outcome(house.io.emit_with_ack("c"))
    patient = outcome(socket.timeout(2000).emit_with_ack("d"))
    house.clock.advance(599)
    assert (one, all_of_them, len(socket.acks)) == ([], [], 4)
    house.clock.advance(1)
    assert [type(error) for error in one + all_of_them] == [AckTimeout, AckTimeout]
    assert (len(socket.acks), refused(house)) == (1, {"ack_timeout": 3})
    guest.say('30["late"]', '31["late"]', '32["late"]', '33["patient"]')
    assert (answers, patient) == ([], ["patient"])


def test_those_who_answered_a_broadcast_are_known_when_patience_ends() -> None:
    for house in a_house(ack_timeout=5.0):
        guest, _ = house.visitor()
        house.visitor()
        found = outcome(house.io.emit_with_ack("a"))
        guest.say('30["here"]')
        house.clock.advance(5)
        assert [error.responses for error in found] == [["here"]]
        assert refused(house) == {"ack_timeout": 1}


def test_a_broadcast_is_not_waited_for_once_nobody_can_answer_any_more(house: House) -> None:
    (guest, _), (gone, _) = house.visitor(), house.visitor()
    found = outcome(house.io.emit_with_ack("a"))
    gone.leave()
    guest.say('30["here"]')
    assert [(type(error), error.responses) for error in found] == [(AckLost, ["here"])]


def test_as_in_node_acknowledgements_may_have_all_the_time_there_is() -> None:
    for house in a_house(ack_timeout=None):
        guest, socket = house.visitor()
        found = outcome(socket.emit_with_ack("a"))
        assert len(house.clock.getDelayedCalls()) == 1, "the heartbeat's"
        guest.say('30["late"]')
        assert found == ["late"]


def test_repeated_unknown_and_nameless_acknowledgements_are_ignored(house: House) -> None:
    guest, socket = house.visitor()
    answers: list[Any] = []
    socket.emit("a", ack=answers.append)
    guest.say("30[1]", "30[2]", "399[3]", "3[4]")
    assert answers == [1]
    assert not guest.gone


def test_binary_acknowledgements_come_whole(house: House) -> None:
    guest, socket = house.visitor()
    found = outcome(socket.emit_with_ack("a"))
    guest.say('61-0[{"_placeholder":true,"num":0}]', b"data")
    assert found == [b"data"]


def test_a_limit_in_time(house: House) -> None:
    guest, socket = house.visitor()
    late, early = outcome(socket.timeout(2).emit_with_ack("a")), outcome(socket.timeout(2).emit_with_ack("b"))
    house.clock.advance(1.5)
    guest.say("31[1]")
    house.clock.advance(0.5)
    guest.say("30[1]")
    assert early == [1]
    assert isinstance(late[0], AckTimeout)
    assert (str(late[0]), late[0].responses, len(socket.acks)) == ("operation has timed out", [], 0)


def test_the_callback_with_a_limit_gets_the_error_first_and_every_argument(house: House) -> None:
    guest, socket = house.visitor()
    answers: list[Any] = []
    for _ in range(3):
        socket.timeout(2).emit("a", ack=lambda *args: answers.append(args))
    guest.say("30[1,2]", "31[]")
    house.clock.advance(2)
    assert answers[:2] == [(None, 1, 2), (None,)]
    assert isinstance(answers[2][0], AckTimeout)


def test_a_client_that_leaves_loses_its_acknowledgements(house: House) -> None:
    guest, socket = house.visitor()
    answers: list[Any] = []
    found = outcome(socket.emit_with_ack("a"))
    timed = outcome(socket.timeout(5).emit_with_ack("b"))
    socket.emit("c", ack=answers.append)
    guest.leave()
    assert isinstance(found[0], AckLost)
    assert isinstance(timed[0], AckLost)
    assert str(found[0]) == "socket has been disconnected"
    assert (answers, len(socket.acks), house.clock.getDelayedCalls()) == ([], 0, [])


def test_asking_a_socket_that_has_left_fails_at_once(house: House) -> None:
    guest, socket = house.visitor()
    guest.leave()
    assert isinstance(outcome(socket.emit_with_ack("a"))[0], AckLost)
    assert isinstance(outcome(socket.timeout(1).emit_with_ack("a"))[0], AckLost)
    socket.emit("a", ack=print)
    assert len(socket.acks) == 0


def test_waiting_can_be_cancelled(house: House) -> None:
    guest, socket = house.visitor()
    for waiting in (socket.emit_with_ack("a"), socket.timeout(3).emit_with_ack("b")):
        waiting.addErrback(lambda _: None)
        waiting.cancel()
    assert len(socket.acks) == 0
    guest.say("30[1]", "31[1]")
    guest.leave()


def test_a_callback_that_fails_is_logged_and_the_client_stays(house: House) -> None:
    guest, socket = house.visitor()

    def fail(*args: Any) -> None:
        raise ValueError("callback")

    socket.emit("a", ack=fail)
    socket.timeout(1).emit("b", ack=fail)
    guest.say("30[]", "31[]")
    house.forgive("ValueError: callback", "ValueError: callback")
    assert not guest.gone


def test_a_callback_that_needs_more_arguments_is_a_warning(house: House) -> None:
    guest, socket = house.visitor()
    answers: list[Any] = []
    socket.emit("a", ack=lambda one, two: answers.append((one, two)))
    socket.timeout(1).emit("b", ack=lambda error, one: answers.append(one))
    guest.say("30[1]", "31[]")
    assert (answers, len(house.warnings), guest.gone) == ([], 2, False)


def test_a_callback_gets_as_many_arguments_as_it_takes(house: House) -> None:
    guest, socket = house.visitor()
    answers: list[Any] = []
    socket.emit("a", ack=lambda one: answers.append(one))  # noqa: PLW0108 - takes one argument exactly
    socket.timeout(1).emit("b", ack=lambda error, one: answers.append((error, one)))
    socket.emit("c", ack=lambda: answers.append("called"))
    guest.say("30[1,2]", "31[3,4]", "32[5]")
    assert (answers, house.warnings) == ([1, (None, 3), "called"], [])


def test_an_async_callback_runs(house: House) -> None:
    guest, socket = house.visitor()
    answers: list[Any] = []

    async def answered(value: Any) -> None:
        answers.append(value)

    socket.emit("a", ack=answered)
    guest.say("30[1]")
    assert answers == [1]


def test_the_client_s_question_is_answered_once(house: House) -> None:
    guest, socket = house.visitor()

    @socket.on("ask")
    def ask(value: Any, ack: Any) -> None:
        ack(value, b"bin")
        ack("again")

    guest.say('27["ask",1]')
    assert guest.hear() == ['61-7[1,{"_placeholder":true,"num":0}]', "bYmlu"]
    acks: list[Any] = []
    socket.on("keep", acks.append)
    guest.say('28["keep"]')
    guest.leave()
    acks[0]("too late")
    assert guest.wire.take() == []


def test_an_answer_that_has_no_json_form_can_be_given_again(house: House) -> None:
    guest, socket = house.visitor()
    acks: list[Any] = []
    socket.on("ask", acks.append)
    guest.say('27["ask"]')
    with pytest.raises(TypeError):
        acks[0](object())
    assert guest.hear() == []
    acks[0]("in words")
    acks[0]("twice")
    assert guest.hear() == ['37["in words"]']
