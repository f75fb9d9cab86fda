"""What waits for one client: order, what the last of a key replaces, and exact sizes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rtwist.engineio.outbox import PACKET_COST, Latest, Outbox
from rtwist.engineio.packet import PIECE, Packet, PacketType, encode_payload, message, payload_pieces
from tests.engineio.strategies import ANY_TEXTS, PACKETS

KEYS = st.sampled_from(["a", "b", 0, 1, None])
GROUPS = st.lists(PACKETS, min_size=1, max_size=3)


def size_of(packets: list[Packet]) -> int:
    """What packets count, by encoding them once more."""
    data = [packet.data.encode() if isinstance(packet.data, str) else packet.data for packet in packets]
    return sum(len(one) + PACKET_COST for one in data)


class Waiting(RuleBasedStateMachine):
    """An outbox beside a plain list of what was put and not taken or replaced, with the time it came."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.outbox = Outbox(self.now)
        self.model: list[tuple[Latest | None, list[Packet], float]] = []

    @rule(packets=GROUPS)
    def something_waits(self, packets: list[Packet]) -> None:
        assert self.outbox.put(packets, self.now) == ()
        self.model.append((None, packets, self.now))

    @rule(packets=GROUPS, key=KEYS)
    def the_last_of_a_key_waits(self, packets: list[Packet], key: object) -> None:
        latest = Latest(key)
        former = [entry for entry in self.model if entry[0] == latest]
        assert list(self.outbox.put(packets, self.now, latest)) == [one for entry in former for one in entry[1]]
        self.model = [entry for entry in self.model if entry[0] != latest]
        self.model.append((latest, packets, self.now))

    @precondition(lambda self: self.model)
    @rule(limit=st.integers(0, 2000))
    def some_leave(self, limit: int) -> None:
        taken = self.outbox.take(limit)
        count = 1
        while count < len(self.model) and self.size(count + 1) <= limit:
            count += 1
        assert taken == [packet for entry in self.model[:count] for packet in entry[1]]
        del self.model[:count]
        self.outbox.since = self.now

    @rule()
    def all_leave(self) -> None:
        assert self.outbox.take_all() == [packet for entry in self.model for packet in entry[1]]
        self.model.clear()
        self.outbox.since = self.now

    @rule()
    def time_passes(self) -> None:
        self.now += 1

    def size(self, count: int) -> int:
        return sum(size_of(entry[1]) for entry in self.model[:count])

    @invariant()
    def sizes_are_exact(self) -> None:
        assert len(self.outbox) == len(self.model)
        assert self.outbox.size == self.size(len(self.model))

    @invariant()
    def the_oldest_is_the_one_in_front_or_the_last_progress(self) -> None:
        assert self.outbox.oldest == min([self.outbox.since, *(entry[2] for entry in self.model)])


TestWaiting = Waiting.TestCase


@given(st.lists(st.tuples(st.one_of(st.none(), KEYS.map(Latest)), st.integers(1, 5))))
def test_what_leaves_is_a_part_of_what_came_in_the_same_order(puts: list[tuple[Latest | None, int]]) -> None:
    outbox = Outbox(0)
    left: list[str] = []
    for number, (latest, room) in enumerate(puts):
        outbox.put([message(str(number))], 0, latest)
        if number % room == 0:
            left += [str(packet.data) for packet in outbox.take(room * PACKET_COST)]
    left += [str(packet.data) for packet in outbox.take_all()]
    numbers = [int(one) for one in left]
    assert numbers == sorted(set(numbers))
    kept = {number for number, (latest, _) in enumerate(puts) if latest is None}
    last = {latest: number for number, (latest, _) in enumerate(puts) if latest is not None}
    assert kept | set(last.values()) <= set(numbers)


@given(ANY_TEXTS, st.sampled_from(["", "segment", "frame", "frame, then segment"]))
def test_a_packet_s_size_is_that_of_its_utf_8_whatever_was_encoded_before(text: str, before: str) -> None:
    packet = Packet(PacketType.MESSAGE, text)
    if "frame" in before:
        assert packet.frame
    if "segment" in before:
        assert packet.segment
    assert packet.size == len(text.encode())


def test_a_large_packet_is_encoded_once_and_its_pieces_are_shared() -> None:
    for size in (0, 124, 125, 126, 65_533, 65_534, 65_535, 200_000):
        packet = message("é" + "x" * size)
        assert packet.frame
        assert packet.size == size + 2
        made: list[Packet] = []
        pieces = packet.pieces("frame", lambda one, made=made: made.append(one) or one.frame)  # type: ignore[misc]
        assert b"".join(pieces) == packet.frame
        assert max(map(len, pieces)) <= 65_537
        again = packet.pieces("frame", lambda _: b"not made again")
        assert again is pieces
        assert made == [packet]


@given(
    st.lists(PACKETS, max_size=5),
    st.lists(st.sampled_from([1, 65_534, 65_535, 65_536, 65_537, 140_000]), max_size=4),
)
def test_a_payload_in_pieces_is_the_whole_payload(packets: list[Packet], sizes: list[int]) -> None:
    mixed = [one for pair in zip(packets, [message("x" * size) for size in sizes], strict=False) for one in pair]
    for each in (mixed, packets, [*packets, *mixed]):
        pieces = list(payload_pieces(each))
        assert b"".join(pieces) == encode_payload(each)
        assert all(0 < len(piece) <= PIECE for piece in pieces)
