"""Log lines: JSON that always parses, and only from the level asked for."""

from __future__ import annotations

import json
from io import BytesIO, TextIOWrapper
from typing import Any

import pytest
from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure

from rtwist.logs import observer


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
