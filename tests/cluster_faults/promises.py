"""What must hold over the histories of a scenario; pure.

Every client is held to the histories of tests/faults/checker.py, connection by connection:

- Never does anything come that goes into no room of the client, whatever happens.
- While it is connected, no event comes twice, and those of one subject come in order.
- While it is connected, nothing is lost: each event that the first client receives while the connection is there,
  `MARGIN` seconds after it was settled and before it ended, comes on it, too. An event that nobody received is
  placed by those around it: there is one queue. `MARGIN` is for what one process reads later than another.
- A client that lost its connection, and came back, may have heard the last events before that, and hear them
  again: the node that had sent them could no longer say so. Events of the `MARGIN` before the end are these.

- While Redis is `away` events may reach the clients of the node that took them first, and those of others only
  afterwards: they are owed to the clients that stay connected for so long.

A Node server hears nothing while its connection to Redis is cut, and nobody can tell it later: what its clients
miss while Redis is `away` is not counted. All else holds for them, too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tests.faults.checker import Connection, History, Published, Violation, check, first_receptions

MARGIN = 8.0
"""Seconds: so long a node that stops waits for who polls to come and hear of it, and what clients lag behind."""
Times = Sequence[tuple[float, float]]


def violations(
    published: Sequence[Published], histories: Sequence[History], *, natives: Iterable[str] = (), away: Times = ()
) -> list[Violation]:
    """What was not as promised; `natives` are the clients of the Node server, `away` begins and ends."""
    emitted = _emitted(published, histories)
    apart = [_alone(history, number) for history in histories for number in range(len(history.connections))]
    names = set(natives)
    ends = {each.client: each.connections[0].left for each in apart}

    def excused(lost: Violation) -> bool:
        at = emitted[lost.number][0]
        is_native = lost.client.partition("#")[0] in names
        return any(
            begin - MARGIN <= at <= end + MARGIN and (is_native or ends[lost.client] < end + MARGIN)
            for begin, end in away
        )

    found = [each for each in check(published, apart, emitted) if each.what != "lost" or not excused(each)]
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
