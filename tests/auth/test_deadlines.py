"""The queue of what is due, against a table of all keys."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtwist.auth.deadlines import Deadlines

KEYS = st.sampled_from("abcde")
TIMES = st.sampled_from([0.0, 1.0, 2.5, 2.5000001, 7.0, 1e12])
SET = st.tuples(st.just("set"), KEYS, TIMES)
DROP = st.tuples(st.just("drop"), KEYS, st.none())
POP = st.tuples(st.just("pop"), st.none(), TIMES)


def test_keys_come_due_in_order_and_once() -> None:
    deadlines = Deadlines()
    for key, due in (("late", 9.0), ("early", 1.0), ("middle", 5.0)):
        deadlines.set(key, due)
    assert (deadlines.first, len(deadlines)) == (1.0, 3)
    assert deadlines.pop_due(0.9) == []
    assert deadlines.pop_due(5.0) == ["early", "middle"]
    assert deadlines.pop_due(5.0) == []
    assert deadlines.pop_due(100.0) == ["late"]
    assert deadlines.first is None


@given(st.lists(SET | DROP | POP, max_size=60))
def test_it_behaves_as_a_table_would(steps: list[tuple[str, str | None, float | None]]) -> None:
    deadlines, table = Deadlines(), {}
    for what, key, time in steps:
        if what == "set":
            deadlines.set(str(key), float(time or 0))
            table[str(key)] = float(time or 0)
        elif what == "drop":
            deadlines.drop(str(key))
            table.pop(str(key), None)
        else:
            due = {key for key, at in table.items() if at <= float(time or 0)}
            popped = deadlines.pop_due(float(time or 0))
            assert set(popped) == due
            assert [table[one] for one in popped] == sorted(table[one] for one in popped)
            table = {key: at for key, at in table.items() if key not in due}
        assert len(deadlines) == len(table)
        assert deadlines.first == min(table.values(), default=None)


def test_what_comes_and_goes_leaves_nothing_behind() -> None:
    deadlines = Deadlines()
    deadlines.set("stays", 5.0)
    for number in range(10_000):
        deadlines.set(f"socket {number}", 1e9 + number)
        deadlines.drop(f"socket {number}")
        deadlines.set("stays", 5.0 + number % 2)
    assert len(deadlines) == 1
    assert len(deadlines._queue) < 200
