"""Where the nodes are: what is said of it by whomever, and for how long it is believed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import Logger

from rtwist.cluster.directory import BEATS_PER_LEASE, LEASES, LOOK_SECONDS, Directory, directory_limits
from rtwist.cluster.nodetable import MAX_NODES, NodeTable
from rtwist.engineio.nodes import Address, is_mark, read_address
from rtwist.tasks import Tasks
from tests.cluster.stores import Stores, result

LEASE = 10.0
SILENCE = LEASES * LEASE
ONE, TWO = "http://10.0.0.1:8009", "https://node-2:8010"
KEYS = st.one_of(st.text(max_size=8), st.from_regex(r"\A[\w-]{6}\Z"))
VALUES = st.one_of(st.binary(max_size=400), st.sampled_from([ONE.encode(), TWO.encode()]))


class TestTheTable:
    @given(st.lists(st.tuples(KEYS, VALUES)))
    def test_whatever_is_said_only_addresses_are_kept(self, said: list[tuple[str, bytes]]) -> None:
        table = NodeTable("ownown", 30.0, 5.0)
        for mark, value in said:
            known = table.find(mark)
            if table.heard(mark, value) and mark != "ownown":
                assert table.find(mark) == read_address(value.decode())
                assert is_mark(mark)
            else:
                assert table.find(mark) == known
        assert table.find("ownown") is None

    @given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 5))
    def test_it_is_bounded_and_keeps_who_was_heard_of_last(self, heard: list[int], size: int) -> None:
        table = NodeTable("ownown", 30.0, 5.0, size)
        for number in heard:
            table.heard(f"node-{number}", ONE.encode())
        last = list(dict.fromkeys(reversed(heard)))
        assert len(table) == min(len(last), size)
        for place, number in enumerate(last):
            assert (table.find(f"node-{number}") is not None) == (place < size)

    @given(st.lists(st.floats(0, 100), min_size=1, max_size=30))
    def test_time_counts_up_to_the_idle_seconds(self, gaps: list[float]) -> None:
        table = NodeTable("ownown", 30.0, 5.0)
        now, age = 1000.0, 0.0
        table.listened(now)
        table.heard("node-1", ONE.encode())
        for gap in gaps:
            former, now = now, now + gap
            age += min(now - former, 5.0)
            table.listened(now)
            if abs(age - 30.0) > 1e-6:
                assert (table.find("node-1") is not None) == (age < 30.0)
            else:
                return


class World:
    """Two nodes that look at the same records."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.clock = Clock()
        limits = directory_limits(LEASE)
        self.records = stores.records(limits.size, limits.seconds, name="nodes")
        self.one, self.two = self.directory("mark-1", ONE), self.directory("mark-2", TWO)

    def directory(self, mark: str, address: str) -> Directory:
        return Directory(self.records, Tasks(), self.clock, mark=mark, address=read_address(address), lease=LEASE)

    def pass_(self, seconds: float, *beating: Directory) -> None:
        """So many seconds go by, in which those say where they are."""
        step = LEASE / BEATS_PER_LEASE
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.stores.clock.advance(step)
            for directory in beating:
                directory.beat()


class TestTheDirectory:
    def test_each_finds_the_other_and_not_itself(self, stores: Stores) -> None:
        world = World(stores)
        world.one.beat()
        assert world.one.find("mark-2") is None
        world.two.beat()
        world.one.look()
        assert world.one.find("mark-2") is None
        world.clock.advance(LOOK_SECONDS)
        assert world.one.find("mark-2") == Address("node-2", 8010, secure=True)
        assert world.two.find("mark-1") == Address("10.0.0.1", 8009)
        assert world.one.find("mark-1") is None
        assert world.one.find("mark-3") is None

    def test_two_with_one_address_are_told_of(self, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[Any] = []
        monkeypatch.setattr(Directory, "_log", Logger(observer=told.append))
        world = World(stores)
        world.directory("mark-0", ONE).beat()  # of the same node, before a restart
        world.pass_(LEASE, world.one, world.two)
        assert told == []
        twin = world.directory("mark-3", ONE)
        world.pass_(LEASE, world.one, twin)
        assert {event["address"] for event in told} == {ONE}
        assert len(told) == 2, "each of them, once"

    def test_who_says_nothing_any_more_has_gone_soon(self, stores: Stores) -> None:
        world = World(stores)
        world.pass_(SILENCE * 2, world.one, world.two)
        assert world.one.find("mark-2") is not None
        world.pass_(SILENCE - LEASE, world.one)
        assert world.one.find("mark-2") is not None
        world.pass_(LEASE * 1.5, world.one)
        assert world.one.find("mark-2") is None
        # Nor does who starts then hear of it.
        late = world.directory("mark-3", ONE)
        late.beat()
        assert late.find("mark-2") is None
        assert late.find("mark-1") is not None

    def test_nobody_goes_while_the_store_is_away(self, stores: Stores) -> None:
        world = World(stores)
        world.pass_(LEASE, world.one, world.two)
        stores.away = True
        world.pass_(SILENCE * 10, world.one, world.two)
        assert world.one.find("mark-2") is not None
        stores.away = False
        world.pass_(LEASE, world.one, world.two)
        assert world.one.find("mark-2") is not None
        assert world.two.find("mark-1") is not None

    def test_all_is_said_again_to_a_store_that_lost_everything(self, stores: Stores) -> None:
        world = World(stores)
        world.pass_(LEASE, world.one, world.two)
        stores.lose()
        world.pass_(LEASE, world.one, world.two)
        late = world.directory("mark-3", ONE)
        late.beat()
        assert late.find("mark-1") is not None
        assert late.find("mark-2") is not None

    def test_what_is_no_address_is_counted_and_not_believed(self, stores: Stores) -> None:
        world = World(stores)
        for key, value in (("mark-9", b"file:///etc/passwd"), ("mark-8", b"\xff"), ("x", ONE.encode())):
            result(world.records.put([(key, value)]))
        world.one.beat()
        assert world.one.unreadable.counts["nodes"] == 3
        assert len(world.one) == 0

    def test_processes_of_one_host_say_the_same(self, stores: Stores) -> None:
        world = World(stores)
        same = world.directory("mark-1", ONE)
        world.pass_(LEASE, world.one, same, world.two)
        assert world.two.find("mark-1") == read_address(ONE)
        world.pass_(SILENCE, same, world.two)
        assert world.two.find("mark-1") == read_address(ONE)
        assert len(world.two) == 1

    def test_looking_ends(self, stores: Stores) -> None:
        world = World(stores)
        world.one.look()
        world.one.look()
        assert len(world.clock.getDelayedCalls()) == 1
        world.one.stop()
        assert world.clock.getDelayedCalls() == []


def test_more_than_the_bound_of_nodes(stores: Stores) -> None:
    world = World(stores)
    marks = [f"{number:06d}" for number in range(MAX_NODES + 50)]
    result(world.records.put([(mark, ONE.encode()) for mark in marks]))
    world.one.beat()
    assert len(world.one) <= MAX_NODES
    assert world.one.find(marks[-1]) is not None
    assert world.one.find(marks[0]) is None
