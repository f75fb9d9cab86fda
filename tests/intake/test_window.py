"""The window of event ids: how long and how many it remembers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtwist.intake.window import Window


def test_an_id_is_held_until_its_time_is_over() -> None:
    window = Window(seconds=10)
    window.add("a", 100.0)
    assert window.holds("a", 100.0)
    assert window.holds("a", 109.9)
    assert not window.holds("a", 110.0)
    assert not window.holds("b", 100.0)


def test_an_id_added_again_is_held_from_then_on() -> None:
    window = Window(seconds=10, size=2)
    for event_id, now in (("a", 0.0), ("b", 1.0), ("a", 5.0), ("c", 6.0)):
        window.add(event_id, now)
    assert window.holds("a", 14.0)
    assert not window.holds("b", 6.0), "the oldest has gone"


def test_the_oldest_are_forgotten_first() -> None:
    window = Window(size=3)
    for number in range(10):
        window.add(str(number), float(number))
    assert [number for number in range(10) if window.holds(str(number), 10.0)] == [7, 8, 9]


def test_what_is_over_takes_no_room() -> None:
    window = Window(seconds=10)
    for number in range(100):
        window.add(str(number), 0.0)
    window.add("last", 10.0)
    assert len(window) == 1


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 5))), st.integers(1, 4), st.floats(0.1, 20))
def test_it_never_holds_more_than_its_size_and_always_the_latest(
    added: list[tuple[str, float]], size: int, seconds: float
) -> None:
    window, now = Window(seconds, size), 0.0
    for event_id, later in added:
        now += later
        window.add(event_id, now)
        assert window.holds(event_id, now)
        assert len(window) <= size


@given(st.lists(st.floats(0, 30)), st.floats(0, 30), st.floats(0, 1000))
def test_nothing_gets_older_in_a_pause(dates: list[float], since: float, gap: float) -> None:
    window = Window(seconds=10)
    names = [str(number) for number in range(len(dates))]
    for name, date in zip(names, sorted(dates), strict=True):
        if date > since:
            window.pause(since)
        window.add(name, date)
    window.pause(since)
    held = {name for name in names if window.holds(name, since + gap / 2)}
    assert held >= {name for name, date in zip(names, sorted(dates), strict=True) if since - date < 10}
    window.resume(since + gap)
    assert {name for name in names if window.holds(name, since + gap)} == held
    window.add("last", max(since + gap, 30.0) + 11)
    assert len(window) == 1, "nothing stays for ever"


def test_ages_after_a_pause() -> None:
    window = Window(seconds=10)
    window.add("old", 0.0)
    window.add("new", 6.0)
    window.pause(9.0)
    window.pause(20.0)
    window.add("meanwhile", 50.0)
    window.resume(109.0)
    assert all(window.holds(one, 109.9) for one in ("old", "new", "meanwhile"))
    assert not window.holds("old", 110.0)
    assert window.holds("new", 115.9)
    assert not window.holds("new", 116.0)
    assert window.holds("meanwhile", 118.9)
    window.pause(118.0)
    window.resume(100.0)
    assert window.holds("meanwhile", 118.9), "a clock that was set back changes nothing"


def test_a_pause_does_not_lift_the_limit_of_its_size() -> None:
    window = Window(size=3)
    window.pause(0.0)
    for number in range(10):
        window.add(str(number), float(number))
    assert len(window) == 3
