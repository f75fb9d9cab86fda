"""Members whom the authorization URL let in: when they are asked about again, and when they have to go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from rtwist.admissions import SWEEP_SECONDS, Admissions
from rtwist.auth.identity import Identity
from rtwist.auth.policy import Kind, Room
from rtwist.authorization import Answer
from rtwist.errors import AuthorizationUnavailable
from rtwist.socketio import Socket
from tests.socketio.fakes import Guest, House, a_house

ORDER, CHAT = Room(Kind.ORDER, "order:7"), Room(Kind.CUSTOM, "chat")
TTL = 60.0
REFUSED = {
    "event": "subscribe_order",
    "code": "forbidden",
    "message": "this order is not yours to follow",
    "room": "order:7",
}


class Authority:
    """An authorizer that answers when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Identity, Room, bool, Deferred[Answer]]] = []

    async def ask(self, identity: Identity, room: Room, *, again: bool = False) -> Answer:
        """Wait for the test."""
        answer: Deferred[Answer] = Deferred()
        self.waiting.append((identity, room, again, answer))
        return await answer

    def answer(self, result: Answer | AuthorizationUnavailable) -> Identity:
        """Answer the only question; whom it is about."""
        ((identity, _, _, waiting),) = self.waiting
        self.waiting.clear()
        if isinstance(result, Answer):
            waiting.callback(result)
        else:
            waiting.errback(result)
        return identity


class Desk:
    """A socket in a room that the authority has let it into, on a clock."""

    def __init__(self, house: House) -> None:
        self.authority = Authority()
        self.admissions = Admissions(house.io, self.authority, house.clock)
        self.clock = house.clock
        self.guest: Guest
        self.socket: Socket
        self.guest, self.socket = house.visitor()
        self.socket.data["identity"] = Identity("u1", "c1", (), (), 0)
        self._timer = LoopingCall(self.admissions.sweep)
        self._timer.clock = house.clock
        self._timer.start(SWEEP_SECONDS)

    def enter(self, room: Room = ORDER, *names: str) -> None:
        """Join the room, and more for the same reason, for the whole time."""
        self.socket.join((room.name, *names))
        self.admissions.keep(self.socket, room, self.clock.seconds() + TTL)

    def wait(self, seconds: float) -> None:
        """Let time pass second by second."""
        for _ in range(int(seconds)):
            self.clock.advance(1)

    @property
    def asked(self) -> list[tuple[str, bool]]:
        """About which rooms it is being asked, and whether anew."""
        return [(room.name, again) for _, room, again, _ in self.authority.waiting]

    def allow(self) -> Identity:
        return self.authority.answer(Answer(True, self.clock.seconds() + TTL))

    def refuse(self) -> Identity:
        return self.authority.answer(Answer(False, self.clock.seconds() + TTL))

    def fail(self) -> Identity:
        return self.authority.answer(AuthorizationUnavailable("away"))

    @property
    def inside(self) -> bool:
        return any(name.startswith("order:7") for name in self.socket.rooms)

    def heard(self) -> list[Any]:
        """The events the client got."""
        return [json.loads(packet.removeprefix("2")) for packet in self.guest.hear()]

    def end(self) -> None:
        self._timer.stop()
        if self.asked:
            self.fail()


@pytest.fixture
def desk() -> Iterator[Desk]:
    for house in a_house(ping_interval=1e6):
        desk = Desk(house)
        yield desk
        desk.end()


def test_a_member_is_asked_about_halfway_and_stays_when_allowed(desk: Desk) -> None:
    desk.enter()
    for _ in range(5):
        desk.wait(29)
        assert desk.asked == []
        desk.wait(1)
        assert desk.asked == [("order:7", True)]
        desk.allow()
        assert desk.inside
    assert desk.heard() == []


def test_who_is_refused_leaves_all_rooms_of_it_and_is_told(desk: Desk) -> None:
    desk.enter(ORDER, "order:7|super_admin")
    desk.socket.join(["order:70", "chat"])
    desk.wait(30)
    desk.refuse()
    assert desk.socket.rooms == {desk.socket.id, "order:70", "chat"}
    assert desk.heard() == [["error", REFUSED]]
    desk.wait(TTL)
    assert desk.asked == []


def test_a_custom_room_is_not_left_with_others_that_begin_so(desk: Desk) -> None:
    desk.enter(CHAT)
    desk.socket.join("chat|2")
    desk.wait(30)
    desk.refuse()
    assert desk.socket.rooms == {desk.socket.id, "chat|2"}


def test_failures_are_survived_until_the_time_is_over(desk: Desk) -> None:
    desk.enter()
    tries = 0
    while desk.clock.seconds() < TTL - 1:
        desk.wait(1)
        assert desk.inside
        if desk.asked:
            desk.fail()
            tries += 1
    assert tries == 5, "at 30, 45, 53, 57 and 59: each time halfway to the end"
    desk.wait(1)
    desk.fail()
    assert not desk.inside
    assert desk.heard() == [["error", REFUSED]]


def test_one_failure_does_no_harm(desk: Desk) -> None:
    desk.enter()
    desk.wait(30)
    desk.fail()
    desk.wait(15)
    desk.allow()
    desk.wait(29)
    assert desk.asked == []
    assert desk.inside


def test_a_service_that_never_answers_has_no_member_asked_about_twice_at_once(desk: Desk) -> None:
    desk.enter()
    desk.wait(300)
    assert desk.asked == [("order:7", True)]
    desk.fail()
    assert not desk.inside


def test_who_has_left_is_asked_about_no_more(desk: Desk) -> None:
    desk.enter()
    desk.socket.leave("order:7")
    desk.admissions.forget(desk.socket, ORDER)
    desk.wait(TTL)
    assert desk.asked == []


def test_who_leaves_while_it_is_asked_is_not_told(desk: Desk) -> None:
    desk.enter()
    desk.wait(30)
    desk.socket.leave("order:7")
    desk.admissions.forget(desk.socket, ORDER)
    desk.refuse()
    assert desk.heard() == []


def test_who_comes_in_again_is_asked_about_by_the_new_time(desk: Desk) -> None:
    desk.enter()
    desk.wait(20)
    desk.enter()
    desk.wait(29)
    assert desk.asked == []
    desk.wait(1)
    assert desk.asked == [("order:7", True)]


def test_who_has_gone_is_forgotten(desk: Desk) -> None:
    desk.enter()
    desk.guest.leave()
    desk.wait(TTL)
    assert desk.asked == []


def test_who_comes_and_goes_without_end_fills_no_memory_and_the_others_are_asked_about(desk: Desk) -> None:
    desk.enter()
    lobby = Room(Kind.CUSTOM, "lobby")
    for _ in range(20_000):
        desk.enter(lobby)
        desk.admissions.forget(desk.socket, lobby)
    assert len(desk.admissions) < 3000
    desk.wait(30)
    assert desk.asked == [("order:7", True)]


def test_a_change_is_asked_about_at_once_and_failing_changes_nothing_before_the_time(desk: Desk) -> None:
    desk.enter()
    desk.wait(10)
    desk.admissions.ask_again(desk.socket, ORDER)
    assert desk.asked == [("order:7", True)]
    desk.fail()
    assert desk.inside
    desk.admissions.ask_again(desk.socket, ORDER)
    desk.refuse()
    assert not desk.inside


def test_what_was_never_asked_about_is_left_when_it_cannot_be(desk: Desk) -> None:
    desk.socket.join("order:7")
    desk.admissions.ask_again(desk.socket, ORDER)
    desk.fail()
    assert not desk.inside


def test_an_answer_about_who_one_was_does_not_count(desk: Desk) -> None:
    desk.enter()
    desk.wait(30)
    desk.socket.data["identity"] = replace(desk.socket.data["identity"], company_id="c2")
    assert desk.allow().company_id == "c1"
    assert desk.asked == [("order:7", True)]
    assert desk.refuse().company_id == "c2"
    assert not desk.inside
