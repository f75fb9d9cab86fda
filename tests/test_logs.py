"""Log lines: JSON that always parses, and only from the level asked for."""

from __future__ import annotations

import errno
import json
import re
import threading
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, LogPublisher, capturedLogs, formatEvent
from twisted.python.failure import Failure

from rtwist.entries import info
from rtwist.logs import GATHERED_SECONDS, MOST_LINES, observer


class Log:
    """A log that ends in `observer`, and what it wrote."""

    def __init__(self, log_format: str = "json", level: str = "info") -> None:
        self._bytes = BytesIO()
        out = TextIOWrapper(self._bytes, encoding="utf-8", write_through=True)
        publisher = LogPublisher(observer(log_format, level, out))
        self.logger = Logger("the.source", observer=publisher)

    def written(self) -> str:
        return self._bytes.getvalue().decode("utf-8")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.written().rstrip("\n").split("\n") if line]

    def line(self) -> dict[str, Any]:
        (line,) = self.lines()
        return line


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_line_has_time_level_source_message_and_the_events_fields(log: Log) -> None:
    log.logger.info("emitted {event} to {count}", event="order:update", count=2)
    line = log.line()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "source": "the.source",
        "message": "emitted order:update to 2",
        "event": "order:update",
        "count": 2,
    }


@pytest.mark.parametrize("level", ["debug", "info", "warn", "error"])
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_what_is_below_the_level_is_left_out(log_format: str, level: str) -> None:
    log, names = Log(log_format, level), ["debug", "info", "warn", "error", "critical"]
    for name in names:
        log.logger.emit(LogLevel.lookupByName(name), "at {name}", name=name)
    written = [name for name in names if f"at {name}" in log.written()]
    assert written == names[names.index(level) :]


class Unrepresentable:
    def __repr__(self) -> str:
        raise ValueError("no words for it")


RECURSIVE: dict[str, Any] = {}
RECURSIVE["self"] = RECURSIVE
VALUES: list[Any] = [
    None, "a\nb", "\ud800", "ü\u2028", 10**30, float("nan"), float("inf"), b"\xff", object(), {1: 2},
    {"a": {("b",): 1}},
    [object()], {"\ud800": 1}, {1, 2}, ValueError("x"), Unrepresentable(), RECURSIVE,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_every_value_leaves_one_line_that_parses(log: Log, value: Any) -> None:
    log.logger.info("about {value}", value=value)
    line = log.line()
    assert line["level"] == "info"
    assert "value" in line


@pytest.mark.parametrize("value", ["a\nb", "\ud800", Unrepresentable()], ids=range(3))
def test_every_value_leaves_a_line_of_text(value: Any) -> None:
    log = Log("text")
    log.logger.info("about {value}", value=value)
    assert log.written().startswith("20")


def test_a_message_that_cannot_be_formatted_still_leaves_a_line(log: Log) -> None:
    log.logger.info("about {nothing}")
    assert "nothing" in log.line()["message"]


def test_fields_named_as_the_lines_own_do_not_replace_them(log: Log) -> None:
    log.logger.info("the message", time="x", source="x", message="x")
    line = log.line()
    assert (line["level"], line["source"], line["message"]) == ("info", "the.source", "the message")


def test_a_failure_comes_with_its_traceback_in_the_same_line(log: Log) -> None:
    log.logger.failure("it failed", Failure(ValueError("the cause")))
    line = log.line()
    assert (line["level"], line["message"]) == ("critical", "it failed")
    assert "ValueError: the cause" in line["traceback"]


def test_a_failure_comes_with_its_traceback_in_text() -> None:
    log = Log("text")
    log.logger.failure("it failed", Failure(ValueError("the cause")))
    assert "ValueError: the cause" in log.written()


def test_a_text_that_is_ready_is_written_as_any_other(log: Log) -> None:
    text = Log("text")
    for each in (log, text):
        each.logger.info("{_text}", _text="two\nlines", kind="a.b")
        each.logger.info("{_text}", _text=Unrepresentable())
    first, second = log.lines()
    assert (first["message"], first["kind"]) == ("two\nlines", "a.b")
    assert "no words for it" in second["message"]
    assert re.match(r"20\S+ \[the\.source#info\] two\n\tlines\n20\S+ \[", text.written())


class Turns(Clock):
    """A reactor whose turns the test makes."""

    running = True

    def __init__(self) -> None:
        super().__init__()
        self.triggers: list[tuple[str, str, Callable[[], None]]] = []

    def addSystemEventTrigger(self, *trigger: Any) -> None:  # noqa: N802 - Twisted's name
        self.triggers.append(trigger)


class Writes:
    """An output that remembers each write, and refuses them while the disk is full."""

    def __init__(self) -> None:
        self.done: list[bytes] = []
        self.full = False

    def write(self, data: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.done.append(data)


class Gathering:
    """A log that gathers lines."""

    def __init__(self) -> None:
        self.turns, self.out = Turns(), Writes()
        publisher = LogPublisher(observer("json", "info", self.out, self.turns))
        self.logger = Logger("the.source", observer=publisher)

    @property
    def written(self) -> list[list[str]]:
        """The messages of each write."""
        return [[json.loads(line)["message"] for line in data.splitlines()] for data in self.out.done]


@pytest.fixture
def gathering(monkeypatch: pytest.MonkeyPatch) -> Gathering:
    this = threading.get_ident()
    monkeypatch.setattr("rtwist.logs.isInIOThread", lambda: threading.get_ident() == this)
    return Gathering()


class TestGathering:
    def test_the_lines_of_a_turn_are_written_together_at_its_end(self, gathering: Gathering) -> None:
        for turn in (("a", "b", "c"), ("d",)):
            for message in turn:
                gathering.logger.info(message)
            assert turn not in map(tuple, gathering.written)
            gathering.turns.advance(0)
        assert gathering.written == [["a", "b", "c"], ["d"]]

    def test_words_that_are_asked_for_later_keep_their_place(self, gathering: Gathering) -> None:
        asked: list[str] = []

        class Words:
            def __str__(self) -> str:
                asked.append("words")
                return "b"

        gathering.logger.info("a")
        info(gathering.logger, Words())
        gathering.logger.info("c")
        assert asked == []
        gathering.turns.advance(0)
        assert gathering.written == [["a", "b", "c"]]

    def test_what_happens_all_the_time_waits_a_moment_for_more(self, gathering: Gathering) -> None:
        for text in "ab":
            info(gathering.logger, text)
            gathering.turns.advance(GATHERED_SECONDS / 2.5)
        assert gathering.written == []
        gathering.turns.advance(GATHERED_SECONDS / 5)
        assert gathering.written == [["a", "b"]]
        info(gathering.logger, "c")
        gathering.logger.info("d")
        gathering.turns.advance(0)
        assert gathering.written == [["a", "b"], ["c", "d"]]

    def test_an_error_is_written_at_once_with_what_came_before(self, gathering: Gathering) -> None:
        gathering.logger.info("a")
        gathering.logger.error("b")
        assert gathering.written == [["a", "b"]]

    def test_so_many_lines_are_not_kept(self, gathering: Gathering) -> None:
        for number in range(MOST_LINES + 1):
            gathering.logger.info(str(number))
        assert [len(lines) for lines in gathering.written] == [MOST_LINES]

    def test_lines_of_other_threads_are_written_at_once(self, gathering: Gathering) -> None:
        gathering.logger.info("a")
        thread = threading.Thread(target=gathering.logger.info, args=["b"])
        thread.start()
        thread.join()
        assert gathering.written == [["a", "b"]]

    def test_without_turns_lines_are_written_at_once(self, gathering: Gathering) -> None:
        gathering.turns.running = False
        gathering.logger.info("a")
        assert gathering.written == [["a"]]

    def test_the_end_of_the_reactor_writes_the_rest(self, gathering: Gathering) -> None:
        gathering.logger.info("a")
        ((phase, event, flush),) = gathering.turns.triggers
        assert (phase, event, gathering.written) == ("after", "shutdown", [])
        flush()
        assert gathering.written == [["a"]]

    def test_a_full_disk_costs_lines_and_is_told_once_it_is_over(self, gathering: Gathering) -> None:
        with capturedLogs() as told:
            gathering.out.full = True
            for message in "ab":
                gathering.logger.error(message)
            assert told == []
            gathering.out.full = False
            for message in "cd":
                gathering.logger.error(message)
        assert gathering.written == [["c"], ["d"]]
        assert [formatEvent(event) for event in told] == ["2 log lines could not be written"]


def test_a_stream_that_takes_a_part_gets_the_rest() -> None:
    class Narrow(BytesIO):
        def write(self, data: Any) -> int:
            return super().write(data[:7])

    out = Narrow()
    logger = Logger("the.source", observer=observer("json", "info", TextIOWrapper(out)))
    logger.info("the message")
    assert json.loads(out.getvalue())["message"] == "the message"
