"""What the log says of an event: one entry for all its emissions, put into words only if somebody wants it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from twisted.logger import Logger

from rtwist.domain.event import DomainEvent
from rtwist.entries import info

EVERYONE = "everyone"


class Emitted(msgspec.Struct, frozen=True):
    """One emission: `target` is its rooms, or `EVERYONE`; `receivers` are those on this node."""

    event: str
    target: Sequence[str]
    receivers: int

    def __str__(self) -> str:
        target = self.target if isinstance(self.target, str) else ", ".join(self.target)
        return f"{self.event} to {target} ({self.receivers} receiver{'' if self.receivers == 1 else 's'})"


class _Words:
    """The text of an entry, made when it is asked for."""

    __slots__ = ("_emitted", "_event")

    def __init__(self, event: DomainEvent, emitted: Sequence[Emitted]) -> None:
        self._event = event
        self._emitted = emitted

    def __str__(self) -> str:
        emitted = self._emitted
        words = str(emitted[0]) if len(emitted) == 1 else "; ".join(map(str, emitted))
        return f"{cause(self._event)}: {words}"


def cause(event: DomainEvent) -> str:
    """How the log names an event."""
    return event.kind if event.id is None else f"{event.kind} {event.id}"


def report(log: Logger, event: DomainEvent, emitted: Sequence[Emitted]) -> None:
    """Log at info level what an event was emitted as, to whom and to how many."""
    info(log, _Words(event, emitted), kind=event.kind, id=event.id, emissions=emitted)
