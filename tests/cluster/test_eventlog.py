"""The event log: the contract, in memory and at Redis; and what a node keeps of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.cluster.deliveries import PUBLISH_SECONDS, Deliveries, Entry, KeptLimits
from rtwist.cluster.eventlog import LATE_SECONDS, PUT_BYTES, READ_BYTES, READ_EVENTS, EventLog, LogPage, NodeLog
from rtwist.cluster.messages import MAX_MARK_KEY, MAX_MARK_NUMBER, Flags, flag_fields, flags_of
from rtwist.socketio.mark import Mark
from tests.cluster.stores import CHANNEL, Stores, result


def entry(key: str, *messages: bytes, waited: float = 0.0, publish: bool = False) -> Entry:
    return Entry(key, tuple(("news", message) for message in messages), waited, publish)


def put(log: EventLog, *entries: Entry) -> None:
    result(log.put_events(entries))


def read(log: EventLog, serial: int = 0) -> LogPage:
    return result(log.read(serial))


def messages(log: EventLog) -> list[list[bytes]]:
    return [list(logged.messages) for logged in read(log).events]


class TestTheLog:
    def test_ids_are_read_as_records_and_what_was_published_beside_them(self, stores: Stores) -> None:
        log = stores.log()
        put(log, entry("a", b"1", b"2"), entry("b"), entry("c", b"3"))
        page = result(log.since(0))
        assert [(key, value) for _, key, value in page.records] == [("a", b""), ("b", b""), ("c", b"")]
        assert messages(log) == [[b"1", b"2"], [b"3"]]
        assert read(log, page.serial).events in ((), [])
        assert read(log, -1) == LogPage(page.epoch, page.serial, 0, read(log, -1).events, more=False)

    @pytest.mark.parametrize("body", [b"", b"\x00\xff\n1 2:3", "ü\u2028".encode(), b"5:12345"])
    def test_any_message(self, stores: Stores, body: bytes) -> None:
        log = stores.log()
        put(log, entry("ключ 1\n{}", body, b"x", body))
        assert messages(log) == [[body, b"x", body]]

    def test_it_knows_how_long_ago_that_was(self, stores: Stores) -> None:
        log = stores.log()
        put(log, entry("a", b"1"), entry("b", b"1", waited=3.0))
        stores.clock.advance(4)
        assert [logged.age for logged in read(log).events] == [4.0, 7.0]

    def test_what_is_still_to_be_published_is_published_with_it(self, stores: Stores) -> None:
        log = stores.log()
        heard: list[tuple[str, bytes]] = []
        for channel in ("news", log.late_channel, CHANNEL):
            stores.new_bus().subscribe(channel, lambda *said: heard.append(said))
        late = LATE_SECONDS + 1
        put(log, entry("a", b"1", publish=True), entry("b", b"2"), entry("c", waited=late))
        stores.deliver()
        assert heard == [("news", b"1"), (CHANNEL, b"3")]
        heard.clear()
        for publish in (True, False):
            heard.clear()
            put(log, entry("d", b"4", waited=late, publish=publish), entry("e"))
            stores.deliver()
            assert [channel for channel, _ in heard] == [CHANNEL, log.late_channel]

    def test_what_is_known_is_not_published_once_more(self, stores: Stores) -> None:
        log = stores.log()
        heard: list[tuple[str, bytes]] = []
        stores.new_bus().subscribe("news", lambda *said: heard.append(said))
        put(log, entry("a", b"1", publish=True))
        put(log, entry("a", b"1", publish=True), entry("b", b"2", publish=True))
        stores.deliver()
        assert heard == [("news", b"1"), ("news", b"2")]
        assert messages(log) == [[b"1"], [b"2"]]
        assert [logged.live for logged in read(log).events] == [True, True]

    def test_what_was_published_is_kept_for_a_time(self, stores: Stores) -> None:
        log = stores.log(KeptLimits(seconds=10))
        put(log, entry("a", b"1"))
        stores.clock.advance(5)
        put(log, entry("b", b"2"))
        stores.clock.advance(5)
        put(log, entry("c"))
        assert messages(log) == [[b"2"]]
        assert read(log).blanked == 1
        assert len(result(log.since(0)).records) == 3

    def test_and_up_to_a_size(self, stores: Stores) -> None:
        log = stores.log(KeptLimits(bytes=3000))
        for number in range(10):
            put(log, entry(str(number), b"%d" % number * 900))
        assert [each[0][:1] for each in messages(log)] == [b"7", b"8", b"9"]
        assert read(log).blanked == 7
        put(log, entry("huge", b"x" * 4000))
        assert messages(log) == []
        put(log, entry("small", b"x"))
        assert messages(log) == [[b"x"]]

    def test_it_does_not_age_while_nothing_is_put(self, stores: Stores) -> None:
        log = stores.log(KeptLimits(seconds=10), idle=2)
        put(log, entry("a", b"1"))
        stores.clock.advance(1000)
        put(log, entry("b", b"2"))
        assert messages(log) == [[b"1"], [b"2"]]

    def test_it_is_read_in_pages(self, stores: Stores) -> None:
        log = stores.log(size=5000)
        put(log, *(entry(str(number), b"x") for number in range(READ_EVENTS + 2)))
        first = read(log)
        assert (len(first.events), first.more) == (READ_EVENTS, True)
        rest = read(log, first.serial)
        assert (len(rest.events), rest.more) == (2, False)
        for _ in range(3):
            put(log, entry("big", b"x" * (READ_BYTES // 2 + 1)))
        page = read(log, rest.serial)
        assert (len(page.events), page.more) == (2, True)
        last = read(log, page.serial)
        assert (len(last.events), last.more) == (1, False)

    def test_whoever_reads_knows_that_all_was_lost(self, stores: Stores) -> None:
        log = stores.log()
        put(log, entry("a", b"1"))
        before = read(log)
        stores.lose()
        after = read(log)
        assert after.epoch != before.epoch
        assert (after.serial, after.blanked, after.events) in ((0, 0, ()), (0, 0, []))

    @pytest.mark.parametrize("body", ["", "1", "1 2", "1 x 1:a", "1 2 5:a", "1 2 -1:a", "1 2 1:ab", "1 2 a:a"])
    def test_what_a_stranger_wrote_is_passed_over(self, stores: Stores, body: str) -> None:
        if stores.redis is None:
            return
        log = stores.log()
        put(log, entry("a", b"1"), entry("b", b"2"))
        stores.redis.call("HSET", "{log}:bodies", "1", body)
        assert [found for found in messages(log) if found] == [[b"2"]]


class Slow:
    """A log that notes what it is given."""

    late_channel = ""

    def __init__(self) -> None:
        self.puts: list[list[Entry]] = []

    async def put_events(self, entries: list[Entry]) -> None:
        self.puts.append(list(entries))


class TestWhatANodeKeeps:
    def test_much_is_put_in_parts(self) -> None:
        log, kept = Slow(), Deliveries(lambda: 0.0)
        for number in range(5):
            kept.sent(Mark(str(number), 0), "news", b"x" * (PUT_BYTES // 2), taken=True)
        result(NodeLog(log, kept).put([(str(number), b"") for number in range(6)]))
        assert [[each.key for each in part] for part in log.puts] == [["0", "1"], ["2", "3"], ["4", "5"]]

    def test_the_oldest_goes_first(self) -> None:
        now = [0.0]
        kept = Deliveries(lambda: now[0], kept=KeptLimits(seconds=10, bytes=25))
        for number in range(3):
            kept.sent(Mark(str(number), 0), "news", b"x" * 10, taken=True)
        assert [len(kept.entry(str(number)).messages) for number in range(3)] == [0, 1, 1]
        assert kept.kept_bytes == 20
        now[0] = 10.0
        kept.sent(Mark("3", 0), "news", b"x", taken=True)
        assert kept.kept_bytes == 1

    def test_what_is_yet_to_be_published_is_kept_besides_but_not_for_long(self) -> None:
        now = [0.0]
        kept = Deliveries(lambda: now[0], kept=KeptLimits(seconds=10, bytes=15))
        for number in range(3):
            kept.sent(Mark(str(number), 0), "news", b"x" * 10, taken=False)
        assert kept.kept_bytes == 30
        now[0] = PUBLISH_SECONDS
        kept.sent(Mark("3", 0), "news", b"x" * 10, taken=False)
        assert kept.kept_bytes == 10, "whoever was to publish it has failed"
        kept.pause()
        for number in range(4, 6):
            kept.sent(Mark(str(number), 0), "news", b"x" * 10, taken=False)
        assert kept.kept_bytes == 10

    def test_an_event_that_comes_again_takes_the_place_of_the_first(self) -> None:
        kept = Deliveries(lambda: 0.0)
        kept.sent(Mark("a", 0), "news", b"one", taken=True)
        kept.sent(Mark("a", 1), "news", b"two", taken=True)
        assert kept.entry("a") == Entry("a", (("news", b"one"), ("news", b"two")))
        kept.sent(Mark("a", 0), "news", b"again", taken=False)
        assert kept.entry("a") == Entry("a", (("news", b"again"),), 0.0, publish=True)
        assert kept.kept_bytes == 5
        kept.published(["a", "b"])
        assert not kept.entry("a").publish
        assert kept.entry("b") == Entry("b")

    def test_what_was_heard_is_remembered_for_a_time(self) -> None:
        now = [0.0]
        heard = Deliveries(lambda: now[0], seconds=10, events=2)
        heard.add(Mark("a", 3))
        assert [heard.is_new(Mark("a", number)) for number in (2, 3, 4)] == [True, False, True]
        heard.pause()
        now[0] = 1000.0
        assert not heard.is_new(Mark("a", 3))
        heard.resume()
        now[0] = 1009.0
        assert not heard.is_new(Mark("a", 3))
        now[0] = 1010.0
        assert heard.is_new(Mark("a", 3))
        heard.add(Mark("a", 0))
        assert heard.is_new(Mark("a", 3))
        heard.add(Mark("b", 0))
        heard.add(Mark("c", 0))
        assert (heard.is_new(Mark("a", 0)), len(heard)) == (True, 2)


class TestMarks:
    @given(st.text(min_size=1, max_size=50), st.integers(0, MAX_MARK_NUMBER))
    def test_what_is_written_is_read(self, key: str, number: int) -> None:
        said = flag_fields(Flags(mark=Mark(key, number)))
        assert flags_of({"flags": {**said, "rtwist": list(said["rtwist"])}}).mark == Mark(key, number)

    @pytest.mark.parametrize(
        "said",
        [
            None, True, 1, "0a", {}, [], [0], [0, "a", 1], ["a", 0], [True, "a"], [0.0, "a"], [-1, "a"],
            [MAX_MARK_NUMBER + 1, "a"], [0, ""], [0, "a" * (MAX_MARK_KEY + 1)], [0, 1], [0, None],
        ],
    )  # fmt: skip
    def test_what_cannot_be_one_is_none(self, said: object) -> None:
        assert flags_of({"flags": {"rtwist": said}}).mark is None

    def test_nothing_is_said_without_one(self) -> None:
        assert flag_fields(Flags()) == {}
