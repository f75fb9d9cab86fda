"""One client in one namespace: events in order, rooms, leaving."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from rtwist.errors import LocalProtocolError, Refused
from rtwist.socketio import Socket
from tests.socketio.fakes import House, a_house

# Events in order


def test_events_wait_for_the_handler_before_them_each_socket_for_its_own(house: House) -> None:
    gates: list[Deferred[None]] = []
    order: list[str] = []
    (guest, socket), (other_guest, other) = house.visitor(), house.visitor()

    async def handle(name: str) -> None:
        order.append(f"{name} begins")
        gates.append(Deferred())
        await gates[-1]
        order.append(f"{name} ends")

    for one in (socket, other):
        one.on("slow", handle)
        one.on("quick", order.append)
    guest.say('2["slow","1"]', '2["quick","2"]', '2["slow","3"]', '2["quick","4"]')
    other_guest.say('2["quick","other"]')
    assert order == ["1 begins", "other"]
    gates[0].callback(None)
    assert order == ["1 begins", "other", "1 ends", "2", "3 begins"]
    gates[1].callback(None)
    assert order[-2:] == ["3 ends", "4"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["plain", "async", "slow"]), st.booleans()), max_size=20))
def test_any_mixture_of_handlers_keeps_the_order(events: list[tuple[str, bool]]) -> None:
    for house in a_house(collect=False):
        gates: list[Deferred[None]] = []
        order: list[int] = []
        guest, socket = house.visitor()

        async def slow(number: int, gates: Any = gates, order: Any = order) -> None:
            gates.append(Deferred())
            await gates[-1]
            order.append(number)

        async def at_once(number: int, order: Any = order) -> None:
            order.append(number)

        socket.on("plain", lambda number, order=order: order.append(number))
        socket.on("async", at_once)
        socket.on("slow", slow)
        for number, (kind, fire) in enumerate(events):
            guest.say(f'2["{kind}",{number}]')
            if fire and gates and not gates[-1].called:
                gates[-1].callback(None)
        while gates and not gates[-1].called:
            gates[-1].callback(None)
        assert order == list(range(len(events)))


@pytest.mark.parametrize("kind", ["plain middleware", "async middleware", "async handler"])
def test_a_long_queue_is_handled_without_nesting(house: House, kind: str) -> None:
    gate: Deferred[None] = Deferred()
    seen: list[int] = []
    house.io.on("connection", lambda socket: gate)
    guest, socket = house.visitor()

    async def pass_on(event: str, args: list[Any]) -> None:
        pass

    async def handle(number: int) -> None:
        seen.append(number)

    if kind == "plain middleware":
        socket.use(lambda event, args: None)
    elif kind == "async middleware":
        socket.use(pass_on)
    socket.on("a", handle if kind == "async handler" else seen.append)
    guest.say(*(f'2["a",{number}]' for number in range(100)))
    deepest = []
    socket.on("a", lambda number: deepest.append(len(__import__("inspect").stack(0))))
    gate.callback(None)
    assert seen == list(range(100))
    assert max(deepest) - min(deepest) <= 1


def test_too_many_waiting_events_end_the_connection(house: House) -> None:
    gate: Deferred[None] = Deferred()
    reasons: list[str] = []
    guest, socket = house.visitor()
    socket.on("slow", lambda: gate)
    socket.on("disconnect", reasons.append)
    guest.say('2["slow"]', *['2["a"]'] * 100)
    assert not guest.gone
    guest.say('2["a"]')
    assert guest.gone
    assert reasons == ["forced close"]
    gate.callback(None)


def test_what_waits_when_the_client_leaves_is_not_handled(house: House) -> None:
    gate: Deferred[None] = Deferred()
    seen: list[int] = []
    guest, socket = house.visitor()
    socket.on("slow", lambda: gate)
    socket.on("a", seen.append)
    guest.say('2["slow"]', '2["a",1]')
    guest.leave()
    gate.callback(None)
    assert seen == []


def test_handlers_that_fail_stop_neither_others_nor_the_client(house: House) -> None:
    seen: list[Any] = []
    guest, socket = house.visitor()

    def fail(*args: Any) -> None:
        raise ValueError("now")

    async def fail_later(*args: Any) -> None:
        raise ValueError("later")

    for handler in (fail, fail_later, seen.append):
        socket.on("a", handler)
    guest.say('2["a",1]', '2["a",2]')
    assert seen == [1, 2]
    house.forgive(*["ValueError: now", "ValueError: later"] * 2)


def test_events_nobody_takes_are_ignored(house: House) -> None:
    guest, socket = house.visitor()
    socket.on("a", lambda one, two: None)
    guest.say('2["unknown",1]', '25["unknown"]', '2["a",1]', "2[7]")
    assert (guest.hear(), guest.gone) == ([], False)
    assert len(house.warnings) == 1


def test_an_acknowledgement_that_the_handler_does_not_take_is_dropped(house: House) -> None:
    seen: list[Any] = []
    guest, socket = house.visitor()
    socket.on("a", lambda value: seen.append(value))  # noqa: PLW0108 - takes one argument exactly
    guest.say('2["a",1]', '27["a",2]', '28["a",3,4]')
    assert (seen, guest.hear(), house.warnings) == ([1, 2, 3], [], [])


def test_who_hears_every_event_hears_those_of_the_client_only(house: House) -> None:
    seen: list[Any] = []
    guest, socket = house.visitor()
    socket.on_any(lambda *args: seen.append(args))
    guest.say('2["a",1]', '2["connection"]')
    guest.leave()
    assert seen == [("a", 1), ("connection",)]


# Event middleware


def test_event_middleware_sees_each_event_and_may_drop_it(house: House) -> None:
    seen: list[Any] = []
    errors: list[str] = []
    guest, socket = house.visitor()
    gate: Deferred[None] = Deferred()

    def refuse(event: str, args: list[Any]) -> None:
        if event == "no":
            raise Refused("forbidden", "not you")

    async def slow(event: str, args: list[Any]) -> None:
        seen.append(("asked", event, *args))
        await gate

    socket.use(refuse)
    socket.use(slow)
    socket.on("a", lambda value: seen.append(value))  # noqa: PLW0108 - takes one argument exactly
    guest.say('2["no",0]', '2["a",1]')
    assert seen == [("asked", "a", 1)]
    gate.callback(None)
    assert seen[1:] == [1]
    socket.on("error", lambda error: errors.append(str(error)))
    guest.say('2["no"]')
    assert errors == ["not you"]


def test_broken_event_middleware_is_logged_and_drops_the_event(house: House) -> None:
    seen: list[Any] = []
    guest, socket = house.visitor()

    def fail(event: str, args: list[Any]) -> None:
        raise ValueError("middleware")

    socket.use(fail)
    socket.on("a", seen.append)
    guest.say('2["a",1]')
    house.forgive("ValueError: middleware")
    assert (seen, guest.gone) == ([], False)


def test_a_client_that_leaves_during_middleware_has_its_event_dropped(house: House) -> None:
    gate: Deferred[None] = Deferred()
    seen: list[Any] = []
    guest, socket = house.visitor()
    socket.use(lambda event, args: gate)
    socket.on("a", seen.append)
    guest.say('2["a",1]')
    guest.leave()
    gate.callback(None)
    assert seen == []


# Sending


@pytest.mark.parametrize("name", ["connect", "disconnect", "newListener"])
def test_reserved_names_cannot_be_sent(house: House, name: str) -> None:
    guest, socket = house.visitor()
    for emit in (socket.emit, socket.emit_with_ack, socket.volatile.emit, socket.broadcast.emit, house.io.emit):
        with pytest.raises(LocalProtocolError):
            emit(name)
    assert guest.hear() == []


def test_what_has_no_json_form_is_a_type_error_and_leaves_nothing(house: House) -> None:
    guest, socket = house.visitor()
    emits: list[Any] = [
        socket.emit, socket.emit_with_ack, socket.timeout(1).emit_with_ack, house.io.timeout(1).emit_with_ack,
        house.io.emit_with_ack, house.io.emit, socket.volatile.emit,
    ]  # fmt: skip
    for emit in emits:
        with pytest.raises(TypeError):
            emit("a", object())
    assert (guest.hear(), len(socket.acks), house.clock.getDelayedCalls()[1:]) == ([], 0, [])


def test_volatile_events_are_dropped_when_they_would_have_to_wait(house: House) -> None:
    guest, socket = house.visitor()
    socket.volatile.emit("a")
    guest.wire.full = True
    socket.volatile.emit("b")
    house.io.volatile.emit("c")
    socket.emit("d")
    guest.wire.drain()
    socket.volatile.emit("e", b"x")
    assert guest.hear() == ['2["a"]', '2["d"]', '51-["e",{"_placeholder":true,"num":0}]', "beA=="]


def test_after_leaving_nothing_is_sent(house: House) -> None:
    guest, socket = house.visitor()
    guest.say("1")
    assert socket.rooms == frozenset()
    socket.emit("a")
    socket.volatile.emit("a")
    socket.disconnect()
    assert guest.hear() == []


# Leaving


@pytest.mark.parametrize(
    ("leave", "reason"),
    [
        (lambda guest, socket: guest.leave("transport close"), "transport close"),
        (lambda guest, socket: guest.leave("transport error"), "transport error"),
        (lambda guest, socket: guest.say("1"), "client namespace disconnect"),
        (lambda guest, socket: guest.say("9"), "forced close"),
        (lambda guest, socket: guest.wire.session.received(guest.wire, "9"), "parse error"),
        (lambda guest, socket: socket.disconnect(), "server namespace disconnect"),
        (lambda guest, socket: socket.disconnect(True), "server namespace disconnect"),
    ],
)
def test_the_reason_is_told_once_and_rooms_can_be_read_while_leaving(
    house: House, leave: Any, reason: str
) -> None:
    heard: list[Any] = []
    guest, socket = house.visitor()
    socket.join("room")
    socket.on("disconnecting", lambda why: heard.append((why, socket.rooms, socket.connected)))
    socket.on("disconnect", lambda why: heard.append((why, socket.rooms, socket.connected)))
    leave(guest, socket)
    assert heard == [(reason, {"room", socket.id}, True), (reason, frozenset(), False)]


def test_a_ping_timeout_and_a_closing_server_are_told_as_such(house: House) -> None:
    reasons: list[str] = []
    _, first = house.visitor()
    first.on("disconnect", reasons.append)
    house.clock.advance(25)
    house.clock.advance(20)
    _, second = house.visitor()
    second.on("disconnect", reasons.append)
    house.io.close()
    assert reasons == ["ping timeout", "server shutting down"]


@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize("event", ["disconnecting", "disconnect"])
def test_disconnecting_again_while_leaving_changes_nothing(house: House, event: str, close: bool) -> None:
    heard: list[str] = []
    guest, socket = house.visitor()

    def again(reason: str) -> None:
        heard.append(reason)
        socket.disconnect(close)

    socket.on(event, again)
    guest.say("1")
    assert heard == ["client namespace disconnect"]


def test_leaving_is_told_even_while_a_handler_is_busy(house: House) -> None:
    gate: Deferred[None] = Deferred()
    reasons: list[str] = []
    guest, socket = house.visitor()
    socket.on("slow", lambda: gate)
    socket.on("disconnect", reasons.append)
    guest.say('2["slow"]')
    guest.leave()
    assert reasons == ["transport close"]
    gate.callback(None)


def test_async_handlers_of_the_end_run_to_their_end(house: House) -> None:
    gate: Deferred[None] = Deferred()
    heard: list[str] = []
    guest, socket = house.visitor()

    async def last(reason: str) -> None:
        await gate
        heard.append(reason)

    socket.on("disconnect", last)
    guest.leave()
    assert len(house.io.tasks) == 1
    gate.callback(None)
    assert heard == ["transport close"]


def test_disconnect_tells_the_client_and_the_connection_may_live_on(house: House) -> None:
    guest, socket = house.visitor()
    socket.disconnect()
    assert (guest.hear(), guest.gone) == (["1"], False)
    again = guest.enter()
    again.disconnect(True)
    assert (guest.hear(), guest.gone) == (["1"], True)


# Rooms


def test_a_socket_is_in_its_own_room_and_in_those_it_joins(house: House) -> None:
    _, socket = house.visitor()
    assert socket.rooms == {socket.id}
    socket.join("a")
    socket.join(["b", "c"])
    socket.leave("b")
    socket.leave("never there")
    assert socket.rooms == {socket.id, "a", "c"}


def test_joins_before_accept_take_effect_with_it(house: House) -> None:
    seen: list[Any] = []

    @house.io.use
    def early(socket: Socket) -> None:
        socket.join("early")
        seen.append((socket.rooms, house.io.to("early").emit("a"), house.io.emit("a")))

    guest = house.guest()
    socket = guest.enter()
    assert seen == [(frozenset(), 0, 0)]
    assert socket.rooms == {socket.id, "early"}
    house.io.to("early").emit("b")
    assert guest.hear() == ['2["b"]']
