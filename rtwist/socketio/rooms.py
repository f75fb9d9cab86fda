"""Who is in which room: maps kept in step, both ways; pure."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from typing import Generic, TypeVar

Member = TypeVar("Member", bound=Hashable)


class Rooms(Generic[Member]):
    """Membership both ways; a room exists while somebody is in it.

    Most rooms are those of one connection or one user, with one member: a set for each would take as much memory
    as all else that is kept of a room.
    """

    def __init__(self) -> None:
        self._only: dict[str, Member] = {}
        """The rooms that have had one member at a time."""
        self._members: dict[str, set[Member]] = {}
        """The others."""
        self._rooms: dict[Member, dict[str, None]] = {}
        """Dictionaries, for they are smaller than sets."""

    def __len__(self) -> int:
        return len(self._only) + len(self._members)

    def __contains__(self, room: str) -> bool:
        return room in self._members or room in self._only

    def add(self, member: Member, rooms: Iterable[str]) -> list[str]:
        """Put `member` into `rooms`; returns those it was not in before."""
        mine = self._rooms.setdefault(member, {})
        added = [room for room in dict.fromkeys(rooms) if room not in mine]
        for room in added:
            mine[room] = None
            self._put(member, room)
        return added

    def remove(self, member: Member, room: str) -> bool:
        """Take `member` out of `room`; returns whether it was in it."""
        mine = self._rooms.get(member)
        if mine is None or room not in mine:
            return False
        del mine[room]
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
        return len(self._in(room))

    def names(self) -> frozenset[str]:
        """All rooms."""
        return frozenset(self._only).union(self._members)

    def members(self, rooms: Iterable[str], excluded: Iterable[str] = ()) -> Collection[Member]:
        """Each member of any of `rooms` once (of all, when `rooms` is empty), but none of an `excluded` room.

        The result is a copy: membership may change while it is walked.
        """
        selected = self._union(rooms)
        out: set[Member] = set()
        for room in excluded:
            out.update(self._in(room))
        if not out:
            return selected
        return [member for member in selected if member not in out]

    def _in(self, room: str) -> Collection[Member]:
        members = self._members.get(room)
        if members is not None:
            return members
        return (self._only[room],) if room in self._only else ()

    def _union(self, rooms: Iterable[str]) -> Collection[Member]:
        names = tuple(rooms)
        if not names:
            return tuple(self._rooms)
        if len(names) == 1:
            return tuple(self._in(names[0]))
        found = [members for members in map(self._in, names) if members]
        if len(found) == 1:
            return tuple(found[0])
        return set().union(*found)

    def _put(self, member: Member, room: str) -> None:
        members = self._members.get(room)
        if members is not None:
            members.add(member)
        elif room in self._only:
            self._members[room] = {self._only.pop(room), member}
        else:
            self._only[room] = member

    def _drop(self, member: Member, room: str) -> None:
        members = self._members.get(room)
        if members is None:
            del self._only[room]
            return
        members.discard(member)
        if not members:
            del self._members[room]
