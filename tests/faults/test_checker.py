"""The checker finds what was lost, doubled, reordered and leaked, and nothing in a history without fault."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.faults.checker import Connection, History, Published, Received, Told, Violation, check, owed

ROOMS = ["user:1", "user:2", "shop:1", "*"]


def event(number: int, *rooms: str, subject: str = "o1") -> Published:
    return Published(number, subject, (Told("news", frozenset(rooms or {"user:1"})),))


def history(*numbers: int, client: str = "a", room: str = "user:1", life: int = 0, began: float = 0) -> History:
    received = [Received(began + at, number, "news") for at, number in enumerate(numbers)]
    return History(client, frozenset({room}), [Connection(life, began, received)])


def found(published: list[Published], *histories: History) -> list[tuple[str, str, int]]:
    return [(each.what, each.client, each.number) for each in check(published, histories)]


def test_each_fault_has_its_name() -> None:
    events = [event(1), event(2), event(3)]
    assert found(events, history(1, 2, 3)) == []
    assert found(events, history(1, 3)) == [("lost", "a", 2)]
    assert found(events, history(1, 2, 2, 3)) == [("doubled", "a", 2)]
    assert found(events, history(1, 3, 2)) == [("reordered", "a", 2)]
    assert found(events, history(1, 2, 3, 4)) == [("leaked", "a", 4)]
    assert found([*events, event(4, "user:2")], history(1, 2, 3, 4)) == [("leaked", "a", 4)]


def test_a_late_repetition_is_doubled_and_out_of_order() -> None:
    assert found([event(1), event(2)], history(1, 2, 1)) == [("doubled", "a", 1), ("reordered", "a", 1)]


def test_what_nobody_received_is_lost_to_all_it_was_for() -> None:
    assert found([event(1)], history(), history(client="b"), history(client="c", room="user:2")) == [
        ("lost", "a", 1), ("lost", "b", 1),
    ]  # fmt: skip


def test_other_subjects_may_come_in_any_order() -> None:
    assert found([event(1), event(2, subject="o2")], history(2, 1)) == []


def test_an_emission_in_two_rooms_of_a_client_is_owed_once() -> None:
    both = History("a", frozenset({"user:1", "shop:1"}), history(1).connections)
    assert owed(both, [event(1, "user:1", "shop:1")]) == 1
    assert found([event(1, "user:1", "shop:1")], both) == []


def test_emissions_of_one_event_keep_their_order() -> None:
    two = Published(1, "o1", (Told("first", frozenset({"*"})), Told("second", frozenset({"*"}))))
    right = [Received(0, 1, "first"), Received(1, 1, "second")]
    assert check([two], [History("a", frozenset("*"), [Connection(0, 0, right)])]) == []
    wrong = [History("a", frozenset("*"), [Connection(0, 0, right[::-1])])]
    assert check([two], wrong) == [Violation("reordered", "a", 1, "first")]


def test_who_was_away_is_owed_nothing_of_then() -> None:
    events = [event(1, "*"), event(2, "*")]
    there = history(1, 2, room="*")
    assert found(events, there, history(2, client="b", room="*", began=1)) == []
    assert found(events, there, history(2, client="b", room="*", began=0)) == [("lost", "b", 1)]
    gone = history(1, client="b", room="*")
    gone.connections[0].left = 0.5
    assert found(events, there, gone) == []
    gone.connections[0].left = 1.5
    assert found(events, there, gone) == [("lost", "b", 2)]


def test_at_a_death_of_the_server_what_had_been_emitted_is_owed() -> None:
    events = [event(1, "*"), event(2, "*")]
    first, second = Connection(0, 0.0, [Received(1.0, 1, "news")]), Connection(1, 5.0)
    cut = History("b", frozenset({"*"}), [first, second])
    assert found(events, history(1, 2, room="*", began=1), cut) == [("lost", "b", 2)]


def test_a_second_connection_must_not_bring_it_again() -> None:
    twice = History(
        "a", frozenset({"user:1"}), [*history(1).connections, *history(1, life=1, began=9).connections]
    )
    assert found([event(1)], twice) == [("doubled", "a", 1)]


clients = st.lists(st.frozensets(st.sampled_from(ROOMS), min_size=1), min_size=1, max_size=4)
sent = st.lists(
    st.tuples(st.sampled_from(["o1", "o2", "o3"]), st.frozensets(st.sampled_from(ROOMS), min_size=1)), max_size=30
)


def perfect(rooms: list[frozenset[str]], made: list[tuple[str, frozenset[str]]]) -> tuple[
    list[Published], list[History]
]:  # fmt: skip
    events = [Published(at, subject, (Told("news", where),)) for at, (subject, where) in enumerate(made)]
    histories = [
        History(str(index), mine, [Connection(0, 0.0, [
            Received(each.number, each.number, "news") for each in events if each.told[0].rooms & mine
        ])])
        for index, mine in enumerate(rooms)
    ]  # fmt: skip
    return events, histories


@given(clients, sent)
def test_a_perfect_run_has_no_violations(
    rooms: list[frozenset[str]], made: list[tuple[str, frozenset[str]]]
) -> None:
    assert check(*perfect(rooms, made)) == []


@given(clients, sent, st.data())
def test_any_single_fault_is_found(
    rooms: list[frozenset[str]], made: list[tuple[str, frozenset[str]]], data: st.DataObject
) -> None:
    events, histories = perfect(rooms, made)
    victim = data.draw(st.sampled_from(histories))
    received = victim.connections[0].received
    what = data.draw(st.sampled_from(["lost", "doubled", "reordered", "leaked"]))
    if what == "leaked":
        strange = [each for each in events if not each.told[0].rooms & victim.rooms]
        assume(strange)
        received.insert(
            data.draw(st.integers(0, len(received))),
            Received(0, data.draw(st.sampled_from(strange)).number, "news"),
        )
    elif what == "reordered":
        pairs = [
            (early, late)
            for late in range(len(received))
            for early in range(late)
            if events[received[early].number].subject == events[received[late].number].subject
        ]
        assume(pairs)
        early, late = data.draw(st.sampled_from(pairs))
        received[early], received[late] = received[late], received[early]
    else:
        assume(received)
        at = data.draw(st.integers(0, len(received) - 1))
        received[at : at + 1] = [] if what == "lost" else [received[at]] * 2
    before = deepcopy(histories)
    assert {each.what for each in check(events, histories)} == {what}
    assert histories == before


@given(sent)
def test_a_client_that_is_in_no_room_may_hear_nothing(made: list[tuple[str, frozenset[str]]]) -> None:
    events, (one,) = perfect([frozenset({"*"})], made)
    outsider = replace(one, client="outsider", rooms=frozenset({"order:7"}))
    assert {each.what for each in check(events, [outsider])} <= {"leaked"}
    assert len(check(events, [outsider])) == len(one.connections[0].received)
