"""What must hold over the histories of a scenario; pure.

Every client is held to the histories of tests/faults/checker.py, connection by connection:

- Never does anything come that goes into no room of the client, whatever happens.
- While it is connected, no event comes twice, and those of one subject come in order.
- While it is connected, nothing is lost: each event that the first client receives while the connection is there,
  `MARGIN` seconds after it was settled and before it ended, comes on it, too. An event that nobody received is
  placed by those around it: there is one queue. `MARGIN` is for what one process reads later than another.
- A client that lost its connection, and came back, may have heard the last events before that, and hear them
  again: the node that had sent them could no longer say so. Events of the `MARGIN` before the end are these.

A Node server hears nothing while its connection to Redis is cut, and nobody can tell it later: what its clients
miss then, `deaf`, is not counted. All else holds for them, too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tests.faults.checker import Connection, History, Published, Violation, check, first_receptions

MARGIN = 5.0
Times = Sequence[tuple[float, float]]


def violations(
    published: Sequence[Published], histories: Sequence[History], *, natives: Iterable[str] = (), deaf: Times = ()
) -> list[Violation]:
    """What was not as promised; `natives` are the clients of the Node server."""
    emitted = _emitted(published, histories)
    apart = [_alone(history, number) for history in histories for number in range(len(history.connections))]
    names = set(natives)
    found = [
        each
        for each in check(published, apart, emitted)
        if each.what != "lost"
        or each.client.partition("#")[0] not in names
        or not _within(emitted[each.number][0], deaf)
    ]
    return found + [violation for history in histories for violation in _again(history)]


def _emitted(published: Sequence[Published], histories: Sequence[History]) -> dict[int, tuple[float, int]]:
    first = first_receptions(histories)
    known = sorted(first)
    for event in published:
        if event.number not in first:
            after = bisect_left(known, event.number)
            first[event.number] = first[known[min(after, len(known) - 1)]] if known else (0.0, 0)
    return first


def _alone(history: History, number: int) -> History:
    connection = history.connections[number]
    owed = replace(
        connection,
        life=0,
        began=connection.settled + MARGIN,
        left=min(connection.left, connection.ended - MARGIN),
    )
    return History(f"{history.client}#{number}", history.rooms, [owed])


def _again(history: History) -> Iterable[Violation]:
    before: dict[tuple[int, str], Connection] = {}
    for connection in history.connections:
        for _, number, name in connection.received:
            earlier = before.get((number, name))
            if earlier is not None and earlier is not connection and not _at_the_end(earlier, number, name):
                yield Violation("doubled", history.client, number, name)
            before[number, name] = connection


def _at_the_end(connection: Connection, number: int, name: str) -> bool:
    return any(
        (each.number, each.name) == (number, name) and each.at > connection.ended - MARGIN
        for each in reversed(connection.received)
    )


def _within(at: float, times: Times) -> bool:
    return any(begin - MARGIN <= at <= end + MARGIN for begin, end in times)
