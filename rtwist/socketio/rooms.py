"""Who is in which room: two maps kept in step; pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

Member = TypeVar("Member", bound=Hashable)


class Rooms(Generic[Member]):
    """Membership both ways; a room exists while somebody is in it."""

    def __init__(self) -> None:
        self._members: dict[str, set[Member]] = {}
        self._rooms: dict[Member, set[str]] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, room: str) -> bool:
        return room in self._members

    def add(self, member: Member, rooms: Iterable[str]) -> list[str]:
        """Put `member` into `rooms`; returns those it was not in before."""
        mine = self._rooms.setdefault(member, set())
        added = [room for room in dict.fromkeys(rooms) if room not in mine]
        for room in added:
            mine.add(room)
            self._members.setdefault(room, set()).add(member)
        return added

    def remove(self, member: Member, room: str) -> bool:
        """Take `member` out of `room`; returns whether it was in it."""
        mine = self._rooms.get(member)
        if mine is None or room not in mine:
            return False
        mine.discard(room)
        self._drop(member, room)
        return True

    def remove_all(self, member: Member) -> None:
        """Forget `member`."""
        for room in self._rooms.pop(member, ()):
            self._drop(member, room)

    def rooms_of(self, member: Member) -> frozenset[str]:
        """The rooms `member` is in."""
        return frozenset(self._rooms.get(member, ()))

    def count(self, room: str) -> int:
        """How many members are in `room`."""
        return len(self._members.get(room, ()))

    def names(self) -> frozenset[str]:
        """All rooms."""
        return frozenset(self._members)

    def members(self, rooms: Iterable[str], excluded: Iterable[str] = ()) -> Iterable[Member]:
        """Each member of any of `rooms` once (of all, when `rooms` is empty), but none of an `excluded` room.

        The result is a copy: membership may change while it is walked.
        """
        selected = self._union(rooms)
        out: set[Member] = set()
        for room in excluded:
            out |= self._members.get(room, set())
        if not out:
            return selected
        return [member for member in selected if member not in out]

    def _union(self, rooms: Iterable[str]) -> Iterable[Member]:
        names = tuple(rooms)
        if not names:
            return tuple(self._rooms)
        found = [self._members[name] for name in names if name in self._members]
        if len(found) == 1:
            return tuple(found[0])
        return set().union(*found)

    def _drop(self, member: Member, room: str) -> None:
        members = self._members[room]
        members.discard(member)
        if not members:
            del self._members[room]
