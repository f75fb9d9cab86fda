"""Membership against a model that is too simple to be wrong: a set of pairs."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rtwist.socketio.rooms import Rooms

MEMBERS = st.sampled_from("abcde")
ROOMS = st.sampled_from(["r1", "r2", "r3", "r4"])
SOME_ROOMS = st.lists(ROOMS, max_size=3)


class RoomsAgainstPairs(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.rooms: Rooms[str] = Rooms()
        self.pairs: set[tuple[str, str]] = set()
        self.known: set[str] = set()

    @rule(member=MEMBERS, rooms=SOME_ROOMS)
    def add(self, member: str, rooms: list[str]) -> None:
        new = [room for room in dict.fromkeys(rooms) if (member, room) not in self.pairs]
        assert self.rooms.add(member, rooms) == new
        self.pairs |= {(member, room) for room in rooms}
        self.known.add(member)

    @rule(member=MEMBERS, room=ROOMS)
    def remove(self, member: str, room: str) -> None:
        assert self.rooms.remove(member, room) is ((member, room) in self.pairs)
        self.pairs.discard((member, room))

    @rule(member=MEMBERS)
    def remove_all(self, member: str) -> None:
        self.rooms.remove_all(member)
        self.pairs = {pair for pair in self.pairs if pair[0] != member}
        self.known.discard(member)

    @rule(rooms=SOME_ROOMS, excluded=SOME_ROOMS)
    def select(self, rooms: list[str], excluded: list[str]) -> None:
        found = list(self.rooms.members(rooms, excluded))
        meant = {member for member, room in self.pairs if room in rooms} if rooms else self.known
        out = {member for member, room in self.pairs if room in excluded}
        assert sorted(found) == sorted(meant - out)

    @rule(rooms=SOME_ROOMS)
    def selecting_allows_changes_while_it_is_walked(self, rooms: list[str]) -> None:
        for member in self.rooms.members(rooms):
            self.remove_all(member)

    @invariant()
    def both_maps_agree(self) -> None:
        for member in "abcde":
            assert self.rooms.rooms_of(member) == {room for one, room in self.pairs if one == member}
        alive = {room for _, room in self.pairs}
        assert self.rooms.names() == alive
        assert len(self.rooms) == len(alive)
        assert all((room in self.rooms) is (room in alive) for room in ("r1", "r2", "r3", "r4"))


RoomsAgainstPairs.TestCase.settings = settings(max_examples=100, deadline=None)
TestRoomsAgainstPairs = RoomsAgainstPairs.TestCase


def test_a_room_that_nobody_is_in_does_not_exist() -> None:
    rooms: Rooms[str] = Rooms()
    rooms.add("a", ["r"])
    rooms.remove("a", "r")
    assert "r" not in rooms
    assert list(rooms.members(["r"])) == []


@pytest.mark.parametrize("excluded", [(), ("other",)])
def test_a_member_of_several_rooms_is_selected_once(excluded: tuple[str, ...]) -> None:
    rooms: Rooms[str] = Rooms()
    rooms.add("a", ["r1", "r2"])
    assert list(rooms.members(["r1", "r2", "r1"], excluded)) == ["a"]
