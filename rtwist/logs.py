"""Where log lines go: text or JSON on standard output, from a least level on."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Any, TextIO

import msgspec
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    textFileLogObserver,
)
from twisted.python.reflect import safe_repr
from zope.interface import implementer

from rtwist.domain.timestamps import iso


def observer(log_format: str, log_level: str, stream: TextIO | None = None) -> ILogObserver:
    """An observer that writes lines of `log_format` (text, json) for events of `log_level` and above."""
    out = (sys.__stdout__ or sys.stderr) if stream is None else stream
    if isinstance(out, TextIOWrapper):
        out.reconfigure(errors="backslashreplace")
    writer = JSONLines(out) if log_format == "json" else textFileLogObserver(out)
    level = LogLevelFilterPredicate(LogLevel.lookupByName(log_level))
    return FilteringLogObserver(writer, [level])


@implementer(ILogObserver)
class JSONLines:
    """Writes each event as one line: time, level, source, message, then the event's own fields."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __call__(self, event: LogEvent) -> None:
        """Write `event`."""
        line: dict[str, Any] = {
            "time": iso(event["log_time"]),
            "level": event["log_level"].name,
            "source": event.get("log_namespace", "-"),
            "message": formatEvent(event),
        }
        for name, value in event.items():
            if not name.startswith("log_") and name not in line and not name.startswith("_"):
                line[name] = value
        if "log_failure" in event:
            line["traceback"] = event["log_failure"].getTraceback()
        self._out.write(_encode(line) + "\n")
        self._out.flush()


def _encode(line: dict[str, Any]) -> str:
    try:
        return msgspec.json.encode(line, enc_hook=safe_repr).decode()
    except Exception:  # lone surrogates, circles, or keys that JSON has no form for: no reason to lose the line
        return msgspec.json.encode({name: _encodable(value) for name, value in line.items()}).decode()


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    try:
        msgspec.json.encode(value)
    except Exception:  # as above
        return safe_repr(value)
    return value
