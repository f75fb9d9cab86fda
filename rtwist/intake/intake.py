"""From a published event to the sockets that may see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.logger import Logger

from rtwist.domain.emission import Emission
from rtwist.domain.event import DomainEvent, read_event
from rtwist.errors import BadEvent
from rtwist.intake.window import Window
from rtwist.socketio import Server


class Routing(Protocol):
    """The domain's rules."""

    def route(self, event: DomainEvent) -> list[Emission]:
        """What `event` causes; raises `BadEvent` when it cannot be used."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of published events: how many were new, and what they caused on this node."""

    accepted: int = 0
    duplicates: int = 0
    emissions: int = 0
    receivers: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        return Outcome(
            self.accepted + other.accepted,
            self.duplicates + other.duplicates,
            self.emissions + other.emissions,
            self.receivers + other.receivers,
        )


class Intake:
    """Reads events, leaves out those seen before, and emits what the rules say.

    `now` returns the seconds since 1970; `log_payloads` writes what is emitted to the log at debug level.
    """

    _log = Logger()

    def __init__(
        self,
        io: Server,
        router: Routing,
        *,
        now: Callable[[], float],
        window: Window | None = None,
        log_payloads: bool = False,
    ) -> None:
        self._io = io
        self._router = router
        self._now = now
        self._window = Window() if window is None else window
        self._log_payloads = log_payloads

    def accept(self, values: Sequence[Any]) -> Outcome:
        """Take decoded events in the order they were published: all of them, or none.

        Raises `BadEvent`, which says which one and why, before anything has been emitted.
        """
        routed: list[tuple[DomainEvent, list[Emission]]] = []
        known: set[str] = set()
        duplicates = 0
        for index, value in enumerate(values):
            try:
                event = read_event(value, now=self._now())
                if self._is_known(event, known):
                    duplicates += 1
                else:
                    routed.append((event, self._router.route(event)))
            except BadEvent as error:
                if len(values) == 1:
                    raise
                raise BadEvent(f"event {index + 1} of {len(values)}: {error}") from None
        return sum((self._emit(event, emissions) for event, emissions in routed), Outcome(0, duplicates))

    def _is_known(self, event: DomainEvent, known: set[str]) -> bool:
        if event.id is None:
            return False
        if event.id in known or self._window.holds(event.id, self._now()):
            self._log.info("event {id} ({kind}) was seen before", id=event.id, kind=event.kind)
            return True
        known.add(event.id)
        return False

    def _emit(self, event: DomainEvent, emissions: Sequence[Emission]) -> Outcome:
        if event.id is not None:
            self._window.add(event.id, self._now())
        receivers = 0
        for emission in emissions:
            target = self._io.to(emission.rooms) if emission.rooms else self._io.root.operator()
            count = target.emit(emission.event, emission.data)
            receivers += count
            self._log.info(
                "emitted {event} to {target}: {receivers} receivers, caused by {cause}",
                event=emission.event,
                target=list(emission.rooms) or "everyone",
                receivers=count,
                cause=event.kind if event.id is None else f"{event.kind} {event.id}",
                kind=event.kind,
                id=event.id,
            )
            if self._log_payloads:
                self._log.debug("payload of {event}: {data}", event=emission.event, data=emission.data)
        return Outcome(1, 0, len(emissions), receivers)
