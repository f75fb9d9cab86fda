"""Shared records: the contract, in memory and at Redis; and a node that follows them."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from rtwist.cluster.follower import Follower
from rtwist.cluster.records import DEFAULT_PAGE, Page, Records
from rtwist.cluster.seen import SharedWindow
from rtwist.errors import StoreFailed
from rtwist.tasks import Tasks
from tests.cluster.stores import CHANNEL, Stores, result


def kept(records: Records) -> dict[str, bytes]:
    return {key: value for _, key, value in result(records.since(0)).records}


def put(records: Records, *pairs: tuple[str, bytes]) -> None:
    result(records.put(pairs))


class TestTheStore:
    def test_what_changed_is_read_in_order_and_once(self, stores: Stores) -> None:
        records = stores.records()
        put(records, ("a", b"1"), ("b", b"2"))
        first = result(records.since(0))
        assert [(key, value) for _, key, value in first.records] == [("a", b"1"), ("b", b"2")]
        assert result(records.since(first.serial)).records in ((), [])
        put(records, ("c", b"3"))
        put(records, ("a", b"4"))
        second = result(records.since(first.serial))
        assert [(key, value) for _, key, value in second.records] == [("c", b"3"), ("a", b"4")]
        assert second.epoch == first.epoch
        assert kept(records) == {"b": b"2", "c": b"3", "a": b"4"}

    @pytest.mark.parametrize("value", [b"", b"\x00\xff\n1 2", "ü\u2028".encode()])
    def test_any_value_and_any_text_as_key(self, stores: Stores, value: bytes) -> None:
        records = stores.records()
        put(records, ("ключ 1\n{}", value))
        assert kept(records) == {"ключ 1\n{}": value}

    def test_the_oldest_are_forgotten_first(self, stores: Stores) -> None:
        records = stores.records(size=3)
        for name in ("a", "b", "c", "a", "d"):
            put(records, (name, b"x"))
        assert list(kept(records)) == ["c", "a", "d"]

    def test_the_old_are_forgotten(self, stores: Stores) -> None:
        records = stores.records(seconds=10)
        put(records, ("a", b"x"))
        stores.clock.advance(5)
        put(records, ("b", b"x"))
        stores.clock.advance(5)
        put(records, ("c", b"x"))
        assert list(kept(records)) == ["b", "c"]

    def test_nothing_gets_older_while_nothing_is_put(self, stores: Stores) -> None:
        records = stores.records(seconds=10, idle=2)
        put(records, ("a", b"x"))
        stores.clock.advance(100)
        put(records, ("b", b"x"))
        for _ in range(3):
            stores.clock.advance(2)
            put(records, ("c", b"x"))
        assert list(kept(records)) == ["a", "b", "c"]
        stores.clock.advance(2)
        put(records, ("c", b"x"))
        assert list(kept(records)) == ["b", "c"]

    def test_many_are_read_in_pages(self, stores: Stores) -> None:
        records = stores.records(size=2 * DEFAULT_PAGE)
        put(records, *((str(number), b"x") for number in range(DEFAULT_PAGE + 1)))
        page = result(records.since(0))
        assert len(page.records) == DEFAULT_PAGE
        assert page.more
        rest = result(records.since(page.serial))
        assert [key for _, key, _ in rest.records] == [str(DEFAULT_PAGE)]
        assert not rest.more

    def test_whoever_reads_knows_that_all_was_lost(self, stores: Stores) -> None:
        records = stores.records()
        put(records, ("a", b"1"))
        before = result(records.since(0))
        stores.lose()
        assert result(records.since(0)).epoch != before.epoch
        assert kept(records) == {}

    def test_a_refusal_is_an_error_of_ours(self, stores: Stores) -> None:
        if stores.redis is None:
            return
        stores.redis.call("SET", "{records}:serials", "no sorted set")
        with pytest.raises(StoreFailed, match="WRONGTYPE"):
            put(stores.records(), ("a", b"1"))


class Node:
    """A follower and what it heard."""

    def __init__(self, records: Records, *, max_waiting: int = 100) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.mine: list[tuple[str, bytes]] = []
        self.follower = Follower(
            records,
            Tasks(),
            lambda *record: self.heard.append(record),
            mine=lambda: self.mine,
            max_waiting=max_waiting,
        )

    def catch_up(self) -> list[tuple[str, bytes]]:
        result(self.follower.catch_up())
        heard, self.heard[:] = list(self.heard), []
        return heard


class SlowRecords:
    """Records that answer a put when told to."""

    def __init__(self, records: Records) -> None:
        self.waiting: list[Deferred[None]] = []
        self._records = records

    async def put(self, records: object) -> None:
        answered: Deferred[None] = Deferred()
        self.waiting.append(answered)
        await answered
        await self._records.put(records)  # type: ignore[arg-type]

    async def since(self, serial: int) -> Page:
        return await self._records.since(serial)


class LateRecords:
    """Records whose pages arrive when told to."""

    def __init__(self, records: Records) -> None:
        self.waiting: list[Deferred[None]] = []
        self.put = records.put
        self._records = records

    async def since(self, serial: int) -> Page:
        page = await self._records.since(serial)
        self.waiting.append(Deferred())
        await self.waiting[-1]
        return page


class TestAFollower:
    def test_who_waits_no_longer_takes_nothing_back(self, stores: Stores) -> None:
        records = stores.records()
        slow = SlowRecords(records)
        window = SharedWindow(slow, Tasks(), stores.clock.seconds)
        window.add("e1", stores.clock.seconds())
        window.commit(stores.clock.seconds())
        settled = window.settled().addErrback(lambda _: None)
        settled.cancel()
        assert window.holds("e1", stores.clock.seconds())
        slow.waiting.pop().callback(None)
        assert list(kept(records)) == ['"e1"']

    def test_two_readings_at_a_time_tell_everything_once(self, stores: Stores) -> None:
        late = LateRecords(stores.records())
        node = Node(late)
        put(late, ("a", b"1"))
        for _ in range(2):
            node.follower.catch_up_soon()
        for arrived in late.waiting:
            arrived.callback(None)
        assert node.heard == [("a", b"1")]

    def test_two_readings_at_a_time_of_a_store_that_lost_all_leave_nothing_out(self, stores: Stores) -> None:
        records = stores.records()
        late = LateRecords(records)
        node = Node(late)
        put(records, *((str(number), b"1") for number in range(5)))
        node.follower.catch_up_soon()
        late.waiting.pop().callback(None)
        assert len(node.heard) == 5
        stores.lose()
        put(records, ("a", b"1"), ("b", b"2"))
        for _ in range(2):  # the connection is back, and the bus tells of what others put
            node.follower.catch_up_soon()
        while late.waiting:
            late.waiting.pop(0).callback(None)
        assert node.heard[5:] == [("a", b"1"), ("b", b"2")]

    def test_all_hear_everything_in_one_order(self, stores: Stores) -> None:
        records = stores.records()
        one, other = Node(records), Node(records)
        one.follower.put("a", b"1")
        other.follower.put("a", b"2")
        one.follower.put("b", b"3")
        assert one.catch_up() == other.catch_up() == [("a", b"2"), ("b", b"3")]
        assert one.catch_up() == other.catch_up() == []

    def test_who_comes_later_hears_what_is_kept(self, stores: Stores) -> None:
        records = stores.records(size=2 * DEFAULT_PAGE)
        Node(records).follower.put("old", b"1")
        put(records, *((str(number), b"x") for number in range(DEFAULT_PAGE)))
        late = Node(records)
        assert late.catch_up()[0] == ("old", b"1")
        put(records, ("new", b"2"))
        assert late.catch_up() == [("new", b"2")]

    def test_the_own_value_counts_until_it_is_put(self, stores: Stores) -> None:
        records = stores.records()
        slow = SlowRecords(records)
        node = Node(slow)
        node.follower.put("a", b"mine")
        put(records, ("a", b"theirs"))
        assert node.catch_up() == [], "mine comes after theirs"
        slow.waiting.pop().callback(None)
        assert node.catch_up() == [("a", b"mine")]

    def test_settled_is_what_was_put_before(self, stores: Stores) -> None:
        slow = SlowRecords(stores.records())
        node = Node(slow)
        assert node.follower.settled().called
        node.follower.put("a", b"1")
        node.follower.put("b", b"2")
        settled = node.follower.settled()
        node.follower.put("c", b"3")
        slow.waiting.pop().callback(None)
        assert not settled.called, "b is on its way"
        slow.waiting.pop().callback(None)
        assert settled.called

    def test_what_is_put_when_something_settles_is_put_once_and_settles(self, stores: Stores) -> None:
        slow = SlowRecords(stores.records())
        node = Node(slow)
        said: list[str] = []

        def settled(_: object) -> None:
            said.append("first")
            node.follower.put("b", b"2")
            node.follower.settled().addCallbacks(lambda _: said.append("second"), lambda _: said.append("failed"))

        node.follower.put("a", b"1")
        node.follower.settled().addCallback(settled)
        slow.waiting.pop().callback(None)
        assert said == ["first"]
        (answered,) = slow.waiting
        answered.callback(None)
        assert said == ["first", "second"]
        assert node.catch_up() == [("a", b"1"), ("b", b"2")]

    def test_what_fails_is_put_again_and_not_settled(self, stores: Stores) -> None:
        records = stores.records()
        slow = SlowRecords(records)
        node = Node(slow, max_waiting=2)
        for name in ("a", "b", "a"):
            node.follower.put(name, b"1")
        failures: list[object] = []
        node.follower.settled().addErrback(failures.append)
        slow.waiting.pop().errback(StoreFailed("away"))
        assert len(failures) == 1
        assert kept(records) == {}
        settled = node.follower.settled()
        assert not settled.called
        slow.waiting.pop().callback(None)
        assert settled.called
        assert kept(records) == {"b": b"1", "a": b"1"}

    def test_the_oldest_waiting_are_dropped_and_counted(self, stores: Stores) -> None:
        records = stores.records()
        slow = SlowRecords(records)
        node = Node(slow, max_waiting=2)
        for name in ("a", "b", "c", "d"):
            node.follower.put(name, b"1")
        assert node.follower.dropped == 1
        for _ in range(2):
            slow.waiting.pop().callback(None)
        assert list(kept(records)) == ["a", "c", "d"]

    def test_what_a_store_has_lost_comes_from_who_knows_it(self, stores: Stores) -> None:
        records = stores.records()
        one, other = Node(records), Node(records)
        one.follower.put("a", b"1")
        one.mine = other.mine = [("a", b"1")]
        one.catch_up()
        other.catch_up()
        stores.lose()
        assert kept(records) == {}
        one.catch_up()
        assert kept(records) == {"a": b"1"}
        put(records, ("b", b"2"))
        assert ("b", b"2") in other.catch_up()

    def test_each_put_is_told_on_the_bus(self, stores: Stores) -> None:
        heard: list[bytes] = []
        stores.new_bus().subscribe(CHANNEL, lambda _, message: heard.append(message))
        put(stores.records(), ("a", b"1"), ("b", b"2"))
        stores.deliver()
        assert heard == [b"2"]
