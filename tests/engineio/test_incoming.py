"""What clients have begun to send, all of them together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.incoming import LIMIT, Incoming

SMALL = 4096


class Sender:
    """Notes that it had to give up."""

    def __init__(self, incoming: Incoming, name: str) -> None:
        self.name = name
        self.given_up = 0
        self._incoming = incoming

    def give_up(self) -> str:
        self.given_up += 1
        self._incoming.forget(self)
        return self.name


class Crowd:
    """Senders before one count."""

    def __init__(self, most: int, senders: int) -> None:
        self.passed: list[tuple[str, str]] = []
        self.incoming = Incoming(most, lambda limit, who: self.passed.append((limit, who)))
        self.senders = [Sender(self.incoming, str(number)) for number in range(senders)]

    def hold(self, number: int, size: int) -> None:
        self.incoming.hold(self.senders[number], size)

    @property
    def gone(self) -> list[int]:
        return [number for number, sender in enumerate(self.senders) if sender.given_up]


def test_those_with_most_go_until_a_tenth_is_free() -> None:
    crowd = Crowd(100_000, 5)
    for number, size in enumerate((20_000, 50_000, 5_000, 24_000)):
        crowd.hold(number, size)
    assert crowd.gone == []
    crowd.hold(4, 30_000)
    assert crowd.gone == [1]
    assert crowd.passed == [(LIMIT, "1")]
    assert crowd.incoming.size == 79_000


def test_who_has_it_all_goes_itself() -> None:
    crowd = Crowd(100_000, 1)
    crowd.hold(0, 100_001)
    assert (crowd.gone, crowd.incoming.size) == ([0], 0)


def test_a_sender_counts_with_what_it_has_now() -> None:
    crowd = Crowd(100_000, 2)
    for size in (60_000, 90_000, 50_000):
        crowd.hold(0, size)
    crowd.hold(1, 50_000)
    assert crowd.gone == []
    crowd.incoming.forget(crowd.senders[0])
    crowd.incoming.forget(crowd.senders[0])
    assert crowd.incoming.size == 50_000


def test_small_ones_are_neither_counted_nor_lost() -> None:
    crowd = Crowd(10_000, 100)
    for number in range(99):
        crowd.hold(number, SMALL)
    crowd.hold(99, 11_000)
    assert crowd.gone == [99]
    crowd.hold(0, SMALL + 1)
    crowd.hold(0, SMALL)
    assert crowd.incoming.size == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40_000)), max_size=60))
def test_there_is_never_more_than_the_limit(steps: list[tuple[int, int]]) -> None:
    crowd, held = Crowd(100_000, 10), dict.fromkeys(range(10), 0)
    for number, size in steps:
        before = {each: crowd.senders[each].given_up for each in held}
        crowd.hold(number, size)
        held[number] = size if size > SMALL else 0
        lost = [each for each in held if crowd.senders[each].given_up > before[each]]
        kept = [held[each] for each in held if each not in lost]
        assert not lost or min(held[each] for each in lost) >= max(kept)
        held |= dict.fromkeys(lost, 0)
        assert crowd.incoming.size == sum(held.values()) <= 100_000
