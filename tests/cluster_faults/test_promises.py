"""What is counted as a broken promise, and what is not, on histories written by hand."""

from __future__ import annotations

from tests.cluster_faults.promises import MARGIN, violations
from tests.faults.checker import Connection, History, Published, Received, Told

ROOM = "user:1"


def events(count: int) -> list[Published]:
    return [Published(number, "o1", (Told("news", frozenset({ROOM})),)) for number in range(count)]


def connection(
    *heard: tuple[float, int], settled: float = 0.0, ended: float = float("inf"), left: float = float("inf")
) -> Connection:
    received = [Received(at, number, "news") for at, number in heard]
    return Connection(0, settled - 0.1, received, left, settled, ended)


def history(*connections: Connection, client: str = "a", room: str = ROOM) -> History:
    return History(client, frozenset({room}), list(connections))


WITNESS = history(connection(*((10.0 + 10 * number, number) for number in range(9))), client="witness")
"""Hears the event of number 0 at 10 s, that of 1 at 20 s and so on."""


def found(*histories: History, count: int = 9, **more: object) -> list[tuple[str, str, int]]:
    given = violations(events(count), [WITNESS, *histories], **more)  # type: ignore[arg-type]
    return [(each.what, each.client, each.number) for each in given]


def all_but(*missing: int) -> list[tuple[float, int]]:
    return [(10.0 + 10 * number, number) for number in range(9) if number not in missing]


def test_who_is_connected_throughout_hears_everything_once_and_in_order() -> None:
    assert found(history(connection(*all_but()))) == []
    assert found(history(connection(*all_but(3)))) == [("lost", "a#0", 3)]
    assert found(history(connection(*all_but(), (95.0, 8)))) == [("doubled", "a#0", 8)]
    assert found(history(connection(*all_but(2), (95.0, 2)))) == [("reordered", "a#0", 2)]


def test_what_is_for_others_may_never_come() -> None:
    stray = history(connection((10.0, 0)), client="b", room="user:2")
    assert found(stray) == [("leaked", "b#0", 0)]
    assert found(history(connection((12.0, 99), settled=11.0, ended=12.5), client="b")) == [("leaked", "b#0", 99)]


def test_nothing_is_owed_around_the_ends_of_a_connection() -> None:
    begun_late = history(connection(*all_but(0, 1, 2), settled=40.0 - MARGIN - 1))
    assert found(begun_late) == []
    begun_late.connections[0].received.pop(0)
    assert found(begun_late) == [("lost", "a#0", 3)]
    cut = history(connection(*all_but(6, 7, 8), ended=70.0 + MARGIN - 1))
    assert found(cut) == []
    cut.connections[0].received.pop()
    assert found(cut) == [("lost", "a#0", 5)]
    assert found(history(connection(*all_but(7, 8), left=75.0))) == []
    assert found(history(connection(*all_but(6, 7, 8), left=75.0))) == [("lost", "a#0", 6)]


def test_a_connection_that_never_had_what_it_asked_for_is_owed_nothing() -> None:
    assert found(history(connection(settled=float("inf"), ended=50.0))) == []


def test_what_nobody_heard_is_placed_by_what_came_behind_it() -> None:
    nobody = Published(4, "o2", (Told("news", frozenset({"user:3"})),))
    heard = [event for event in events(9) if event.number != 4]
    witness = history(connection(*all_but(4)), client="witness")
    here = history(connection(settled=30.0), client="b", room="user:3")
    away = history(connection(settled=30.0, ended=50.0), connection(settled=62.0), client="c", room="user:3")
    given = violations([*heard, nobody], [witness, here, away])
    assert [(each.what, each.client, each.number) for each in given] == [("lost", "b#0", 4)]


def test_the_last_events_before_a_cut_may_come_again_afterwards_and_no_others() -> None:
    first, second = (
        connection(*all_but(7, 8), ended=72.0),
        connection((80.5, 6), *all_but(*range(7)), settled=75.0),
    )
    assert found(history(first, second)) == []
    second.received.insert(0, Received(80.4, 5, "news"))
    assert found(history(first, second)) == [("doubled", "a", 5)]


def test_what_is_late_because_redis_is_away_is_owed_to_those_who_stay_until_it_is_back() -> None:
    left = history(connection(*all_but(3, 4, 5, 6, 7, 8), ended=52.0))
    assert found(left) == [("lost", "a#0", 3)]
    assert found(left, away=[(38.0, 45.0)]) == []
    assert found(left, away=[(50.0, 60.0)]) == [("lost", "a#0", 3)]
    assert found(history(connection(*all_but(3))), away=[(38.0, 45.0)]) == [("lost", "a#0", 3)]


def test_only_clients_of_the_node_server_may_miss_what_came_while_it_was_cut_off() -> None:
    missed = history(connection(*all_but(3)), client="n")
    assert found(missed, natives=["n"], away=[(38.0, 42.0)]) == []
    assert found(missed, natives=["n"], away=[(52.0, 60.0)]) == [("lost", "n#0", 3)]
    assert found(missed, natives=["m"], away=[(38.0, 42.0)]) == [("lost", "n#0", 3)]
    missed.connections[0].received.append(Received(95.0, 3, "news"))
    assert found(missed, natives=["n"], away=[(38.0, 42.0)]) == [("reordered", "n#0", 3)]
