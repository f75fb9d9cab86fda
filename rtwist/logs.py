"""Log lines: text or JSON, from a least level on, to standard output or the file of `twistd --logfile`."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from threading import RLock
from typing import Any, Protocol, TextIO

import msgspec
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    formatEvent,
    formatEventAsClassicLogText,
    formatTime,
)
from twisted.python.logfile import LogFile
from twisted.python.reflect import safe_repr
from twisted.python.threadable import isInIOThread
from zope.interface import implementer

from rtwist.domain.timestamps import iso
from rtwist.errors import ConfigError

ROTATED_AT = 100_000_000
"""Bytes of a log file: Twisted's 1 MB is a second's worth under load, and each turn renames all files."""
MOST_LINES = 200
"""Lines that are gathered at most: some 50 KB, as much as is worth one write."""
GATHERED_SECONDS = 0.05
"""How long a line of what happens all the time may wait for others: a write for each turn would take as long as
an event's way to its user. All other lines are written with the turn they come in."""
FILE_VARIABLE = "INTERNAL_RTWIST_WORKER_LOG"
"""Names the variable in which a parent tells its workers which file it writes its own log to."""
_RANKS = {level: rank for rank, level in enumerate(LogLevel.iterconstants())}
_INFO = _RANKS[LogLevel.info]
_CHATTY = frozenset(("twisted.application._client_service.ClientService",))
"""Whose lines of information are left out: each attempt to connect, which is told in better words."""
_URGENT = _RANKS[LogLevel.error]
"""From here on a line is written at once: it may be the last one."""


class Output(Protocol):
    """Takes bytes: all of them, or raises OSError."""

    def write(self, data: bytes, /) -> object:
        """Write `data`."""


def observer(
    log_format: str,
    log_level: str,
    out: TextIO | Output | None = None,
    reactor: Any = None,
    *,
    worker: int | None = None,
) -> ILogObserver:
    """An observer that writes lines of `log_format` (text, json) for events of `log_level` and above.

    Without `out` it is standard output. With a `reactor` lines are gathered and written together, those of what
    happens all the time within `GATHERED_SECONDS`, others with the turn, errors and what is before them at once.
    Each line has the number of the `worker`, if this is one.
    """
    out = (sys.__stdout__ or sys.stderr) if out is None else out
    line = JSONLine(worker) if log_format == "json" else TextLine(worker)
    lines = Lines(_Stream(out) if isinstance(out, TextIOWrapper) else out, line, reactor)  # type: ignore[arg-type]
    return _Observer(line, _RANKS[LogLevel.lookupByName(log_level)], lines)


def log_path(twistd: Mapping[str, Any]) -> str | None:
    """The file that the options of `twistd` ask for; None for standard output.

    As Twisted has it: a daemon writes to `twistd.log` unless told otherwise. Raises `ConfigError` for a daemon
    that is to write to standard output.
    """
    daemon = "nodaemon" in twistd and not twistd["nodaemon"]
    name = twistd.get("logfile") or ("twistd.log" if daemon else "-")
    if name == "-":
        if daemon:
            raise ConfigError("--logfile is '-', but a daemon has no standard output: name a file, or add -n")
        return None
    return str(Path(name).absolute())


def log_file(twistd: Mapping[str, Any], worker: int | None = None) -> LogFile | None:
    """The file to write to, None for standard output; SIGUSR1 turns it over.

    A worker has a file of its own beside that of its parent, with its number. Raises `ConfigError` as `log_path`.
    """
    name = log_path(twistd)
    if worker is not None and FILE_VARIABLE in os.environ:
        name = f"{os.environ[FILE_VARIABLE]}.worker-{worker}"
    if name is None:
        return None
    file: LogFile = LogFile.fromFullPath(name, rotateLength=ROTATED_AT)

    def turn_over(*_: object) -> None:
        from twisted.internet import reactor  # noqa: PLC0415 - installing the reactor is twistd's to decide

        IReactorFromThreads(reactor).callFromThread(file.rotate)

    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, turn_over)
    return file


@implementer(ILogObserver)
class _Observer:
    def __init__(self, line: Callable[[LogEvent], str | None], least: int, lines: Lines) -> None:
        self._line = line
        self._least = least
        self._lines = lines

    def __call__(self, event: LogEvent) -> None:
        rank = _RANKS.get(event.get("log_level"), -1)
        if rank < self._least or (rank == _INFO and event.get("log_namespace") in _CHATTY):
            return
        # What has its text ready waits as it is: an event's emissions leave before it.
        entry = event if _is_ready(event) else self._line(event)
        if entry:
            self._lines.add(entry, at_once=rank >= _URGENT)


class Lines:
    """Gathers lines while the reactor runs, and writes them with the turn's end, or some of them a moment later.

    What cannot be written, on a full disk for example, is left out; how much that was is logged once it can be.
    The end of the process by a signal that cannot be caught takes the lines of that time with it.
    """

    _log = Logger()

    def __init__(self, out: Output, line: Callable[[LogEvent], str | None], reactor: Any = None) -> None:
        self._out = out
        self._line = line
        self._reactor = reactor
        self._lines: list[str | LogEvent] = []
        self._soon = False
        self._timer: Any = None
        self._lost = 0
        self._lock = RLock()
        if reactor is not None:
            reactor.addSystemEventTrigger("after", "shutdown", self.flush)
            atexit.register(self.flush)

    def add(self, line: str | LogEvent, *, at_once: bool) -> None:
        """Write `line`, which ends with a line end or is still to be made; `at_once` with all before it."""
        with self._lock:
            lines = self._lines
            lines.append(line)
            if at_once or len(lines) >= MOST_LINES or not self._turns():
                self.flush()
            elif self._timer is None:
                self._soon = isinstance(line, str)
                self._timer = self._reactor.callLater(0 if self._soon else GATHERED_SECONDS, self._end_wait)
            elif isinstance(line, str) and not self._soon:
                self._soon = True
                self._timer.reset(0)

    def flush(self) -> None:
        """Write what was gathered."""
        with self._lock:
            lines, self._lines = self._lines, []
            if not lines:
                return
            try:
                self._out.write(self._text(lines).encode("utf-8", "backslashreplace"))
            except (OSError, ValueError):  # a full disk, nobody who reads, or closed
                self._lost += len(lines)
                return
            lost, self._lost = self._lost, 0
        if lost:
            self._log.warn("{lost} log lines could not be written", lost=lost)

    def _end_wait(self) -> None:
        self._timer = None
        self.flush()

    def _text(self, lines: Sequence[str | LogEvent]) -> str:
        return "".join([one if isinstance(one, str) else self._line(one) or "" for one in lines])

    def _turns(self) -> bool:
        """Whether the reactor's next turn will come, and this is its thread."""
        return self._reactor is not None and self._reactor.running and isInIOThread()


class _Stream:
    """A text stream as an `Output`, without the buffers that would keep what could not be written."""

    def __init__(self, stream: TextIOWrapper) -> None:
        stream.flush()
        self._stream = stream  # which would close what it is over with its own end
        self._raw: Any = getattr(stream.buffer, "raw", stream.buffer)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            written = self._raw.write(rest)
            if written is None:
                raise BlockingIOError("the stream takes nothing at the moment")
            rest = rest[written:]


class TextLine:
    """An event as Twisted writes it: time, source and level, message; a traceback below.

    The source of a `worker` begins with its number.
    """

    def __init__(self, worker: int | None = None) -> None:
        self._worker = "" if worker is None else f"worker {worker}: "
        self._second = -1
        self._text = ""

    def __call__(self, event: LogEvent) -> str | None:
        """The line."""
        text = _ready_text(event)
        if text is None:
            line = formatEventAsClassicLogText(event, self._time)
            return line.replace("[", f"[{self._worker}", 1) if line and self._worker else line
        if "\n" in text:
            text = text.replace("\n", "\n\t")
        return f"{self._time(event['log_time'])} [{self._source(event)}] {text}\n"

    def _source(self, event: LogEvent) -> str:
        return f"{self._worker}{event['log_namespace']}#{event['log_level'].name}"

    def _time(self, when: float | None) -> str:
        # Made once a second: the line says no more.
        if when is None:
            return formatTime(when)
        second = int(when)
        if second != self._second:
            self._text = formatTime(when)
            self._second = second
        return self._text


class JSONLine:
    """An event as one object: time, level, source, message, `worker` for one, then the event's own fields."""

    def __init__(self, worker: int | None = None) -> None:
        self._own = {} if worker is None else {"worker": worker}

    def __call__(self, event: LogEvent) -> str:
        """The line."""
        text = _ready_text(event)
        line: dict[str, Any] = {
            "time": iso(event["log_time"]),
            "level": event["log_level"].name,
            "source": event.get("log_namespace", "-"),
            "message": formatEvent(event) if text is None else text,
            **self._own,
        }
        for name, value in event.items():
            if not name.startswith(("log_", "_")) and name not in line:
                line[name] = value
        if "log_failure" in event:
            line["traceback"] = event["log_failure"].getTraceback()
        return _encode(line) + "\n"


def _is_ready(event: LogEvent) -> bool:
    return event.get("log_format") == "{_text}" and "log_failure" not in event and "log_system" not in event


def _ready_text(event: LogEvent) -> str | None:
    """The message, where it is there already and no general tool is needed to find it."""
    if not _is_ready(event):
        return None
    try:
        return str(event["_text"])
    except Exception:  # whatever it is: the general tool has words for it
        return None


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
