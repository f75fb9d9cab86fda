"""Whether clients heard what they should: once, in order, and nothing else; pure.

A history is what a client received, connection by connection. An event counts as emitted when the first client
received it. Owed is every emission that goes into a room the client was in, of each event that was emitted while
it was connected. What nobody received is owed to all it was for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Told(NamedTuple):
    """One emission of an event: its name and the rooms it goes into."""

    name: str
    rooms: frozenset[str]


@dataclass(frozen=True)
class Published:
    """An event that the broker has taken over; events of one `subject` must keep the order of their numbers."""

    number: int
    subject: str
    told: tuple[Told, ...]


class Received(NamedTuple):
    """An emission as a client got it, `at` seconds of any clock that all clients share."""

    at: float
    number: int
    name: str


@dataclass
class Connection:
    """One connection of a client: in which life of the server, since when, and what came.

    `left` is when the client itself ended it. A server's death has no time: what was emitted by then is owed.
    `settled` is when the client had all that it asked for, and `ended` when it noticed the end, whoever ended it.
    """

    life: int
    began: float
    received: list[Received] = field(default_factory=list)
    left: float = float("inf")
    settled: float = float("inf")
    ended: float = float("inf")


@dataclass
class History:
    """A client: the rooms it is in whenever it is connected, and its connections, one after the other."""

    client: str
    rooms: frozenset[str]
    connections: list[Connection] = field(default_factory=list)

    def received(self) -> Iterable[Received]:
        return (each for connection in self.connections for each in connection.received)


class Violation(NamedTuple):
    """What went wrong: `lost`, `doubled`, `reordered` or `leaked`."""

    what: str
    client: str
    number: int
    name: str


Key = tuple[int, str]


def check(
    published: Sequence[Published],
    histories: Sequence[History],
    emitted: Mapping[int, tuple[float, int]] | None = None,
) -> list[Violation]:
    """Every violation, client by client; `emitted`: when, in which life, if not with the first reception."""
    events = {event.number: event for event in published}
    if emitted is None:
        emitted = first_receptions(histories)
    return [
        violation
        for history in histories
        for violation in (*_miscounted(history, events, emitted), *_reordered(history, events))
    ]


def owed(history: History, events: Iterable[Published]) -> int:
    """How many emissions a client that is always connected gets of these events."""
    return sum(bool(told.rooms & history.rooms) for event in events for told in event.told)


def first_receptions(histories: Iterable[History]) -> dict[int, tuple[float, int]]:
    """When, and in which life of the server, each event was first received."""
    first: dict[int, tuple[float, int]] = {}
    for history in histories:
        for connection in history.connections:
            for received in connection.received:
                found = (received.at, connection.life)
                first[received.number] = min(first.get(received.number, found), found)
    return first


def _was_there(history: History, emitted: tuple[float, int] | None) -> bool:
    if emitted is None:
        return True
    at, life = emitted
    return any(each.life == life and each.began <= at <= each.left for each in history.connections)


def _miscounted(
    history: History, events: Mapping[int, Published], emitted: Mapping[int, tuple[float, int]]
) -> Iterable[Violation]:
    heard: Counter[Key] = Counter((each.number, each.name) for each in history.received())
    meant = {
        (event.number, told.name)
        for event in events.values()
        for told in event.told
        if told.rooms & history.rooms
    }
    for number, name in sorted(meant - heard.keys()):
        if _was_there(history, emitted.get(number)):
            yield Violation("lost", history.client, number, name)
    for (number, name), count in heard.items():
        if (number, name) not in meant:
            yield Violation("leaked", history.client, number, name)
        elif count > 1:
            yield Violation("doubled", history.client, number, name)


def _reordered(history: History, events: Mapping[int, Published]) -> Iterable[Violation]:
    last: dict[str, tuple[int, int]] = {}
    for received in history.received():
        event = events.get(received.number)
        names = [] if event is None else [told.name for told in event.told if told.rooms & history.rooms]
        if event is None or received.name not in names:
            continue  # leaked, which says enough
        place = (event.number, names.index(received.name))
        if place < last.get(event.subject, place):
            yield Violation("reordered", history.client, event.number, received.name)
        last[event.subject] = max(place, last.get(event.subject, place))
