"""A window of event ids in files, which outlives the process: after a crash nobody sees an event twice."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from twisted.logger import Logger

from rtwist.errors import ConfigError
from rtwist.intake.window import DEFAULT_SECONDS, DEFAULT_SIZE, Window

_CURRENT = "handled"
_FORMER = "handled.old"
_LOCK = "lock"

_Line = tuple[float, str | float]
"""When and which id was added, or from when to when a time was left out."""


class Journal(Window):
    """A `Window` whose ids are also appended to a file in `directory`, by `commit`.

    Two files take turns: when the current one holds `size` ids or is `seconds` old, it becomes the former one,
    whose ids are in the window no more. `now` is in seconds since 1970. The time without a process is a pause.
    What is written survives the end of the process (SIGKILL too), not that of the machine: nothing waits for the
    disk. Raises `ConfigError` when the directory cannot be used or another process uses it.
    """

    _log = Logger()

    def __init__(
        self, directory: Path, now: float, seconds: float = DEFAULT_SECONDS, size: int = DEFAULT_SIZE
    ) -> None:
        super().__init__(seconds, size)
        self._directory = directory
        self._fresh: dict[str, float] = {}
        self._broken = False
        try:
            self._lock = _locked(directory / _LOCK)
            former, current = list(_read(directory / _FORMER)), list(_read(directory / _CURRENT))
            self._file = _appendable(directory / _CURRENT)
        except OSError as error:
            raise ConfigError(
                f"--state-directory is {str(directory)!r}, which cannot be used: {error.strerror or error}; "
                "name a directory that this user may write to"
            ) from None
        lines = [*former, *current]
        ended = max((when if isinstance(what, str) else what for when, what in lines), default=now)
        dated = list(_dated(lines, ended))
        for event_id, added in dated:
            if ended - added < seconds:
                super().add(event_id, added)
        first = len(dated) - sum(isinstance(what, str) for _, what in current)
        self._begun = min((added for _, added in dated[first:]), default=ended)
        self._written = len(current)
        self._left_out(ended, now)

    def add(self, event_id: str, now: float) -> None:
        """Remember `event_id` as seen at `now`; on disk once `commit` is called."""
        super().add(event_id, now)
        self._fresh[event_id] = now

    def forget(self, event_id: str) -> None:
        """As if `event_id` had never been added; too late once it was committed."""
        super().forget(event_id)
        self._fresh.pop(event_id, None)

    def commit(self, now: float) -> None:
        """Write down what was added since the last time.

        A full disk is logged, once, and what could not be written then is only remembered until the process ends.
        """
        if self._fresh:
            fresh, self._fresh = self._fresh, {}
            self._append([(added, event_id) for event_id, added in fresh.items()], now)

    def _left_out(self, since: float, now: float) -> None:
        super()._left_out(since, now)
        if now > since:
            self._begun = min(self._begun + now - since, now)
            self.commit(now)
            self._append([(since, now)], now)

    def _append(self, lines: list[_Line], now: float) -> None:
        try:
            if self._written + len(lines) > self._size or now - self._begun >= self._seconds:
                self._turn(now)
            # Not by msgspec: ids are any text, lone surrogates too.
            os.write(self._file, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
        except OSError as error:
            if not self._broken:
                self._log.error("handled events cannot be written down: {error}", error=str(error))
            self._broken = True
        else:
            self._written += len(lines)
            self._broken = False

    def close(self) -> None:
        """Let another process use the directory."""
        os.close(self._file)
        os.close(self._lock)

    def _turn(self, now: float) -> None:
        (self._directory / _CURRENT).replace(self._directory / _FORMER)
        file = _appendable(self._directory / _CURRENT)
        os.close(self._file)
        self._file, self._begun, self._written = file, now, 0


def _appendable(path: Path) -> int:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    # The last line may lack its end when the disk was full.
    os.write(file, b"\n")
    return file


def _locked(path: Path) -> int:
    lock = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ConfigError(
            f"--state-directory is {str(path.parent)!r}, which another process uses: give each its own"
        ) from None
    return lock


def _dated(lines: Sequence[_Line], ended: float) -> Iterator[tuple[str, float]]:
    """The ids, and when each was added, counted back from `ended` without the times that were left out."""
    left_out = 0.0
    found = []
    for when, what in reversed(lines):
        if isinstance(what, str):
            found.append((what, min(when + left_out, ended)))
        else:
            left_out += what - when
    return reversed(found)


def _read(path: Path) -> Iterator[_Line]:
    """The lines of a file; those that are broken are left out."""
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            when, what = json.loads(line)
        except (ValueError, TypeError):
            continue
        if isinstance(when, float) and isinstance(what, (str, float)):
            yield when, what
