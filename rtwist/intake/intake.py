"""From a published event to the sockets that may see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.logger import Logger

from rtwist.domain.emission import Answer, Disconnect, Emission, Note, Reassign
from rtwist.domain.event import DomainEvent, read_event
from rtwist.domain.owners import Owners, OwnersChanged
from rtwist.errors import BadEvent
from rtwist.intake.window import Window
from rtwist.socketio import Server


class Routing(Protocol):
    """The domain's rules."""

    def route(self, event: DomainEvent, learnt: MutableMapping[str, Owners] | None) -> Sequence[Answer]:
        """What `event` causes; raises `BadEvent` when it cannot be used. Owners that are new go into `learnt`."""

    def learn(self, learnt: Mapping[str, Owners]) -> None:
        """Make owners of orders known to all."""


class LiveSockets(Protocol):
    """What an event may do to sockets besides emitting."""

    def apply(self, effect: Disconnect | Reassign | OwnersChanged) -> None:
        """Do to the user's live sockets what `effect` says."""


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

    `now` returns the seconds since 1970; `live` applies effects, which are only logged without it;
    `log_payloads` writes what is emitted to the log at debug level.
    """

    _log = Logger()

    def __init__(
        self,
        io: Server,
        router: Routing,
        *,
        now: Callable[[], float],
        window: Window | None = None,
        live: LiveSockets | None = None,
        log_payloads: bool = False,
    ) -> None:
        self._io = io
        self._router = router
        self._now = now
        self._window = Window() if window is None else window
        self._live = live
        self._log_payloads = log_payloads

    def accept(self, values: Sequence[Any], *, routing_key: str | None = None) -> Outcome:
        """Take decoded events in the order they were published: all of them, or none.

        A `routing_key` names their kind before they do themselves. Raises `BadEvent`, which says which one
        and why, before anything has been emitted.
        """
        routed: list[tuple[DomainEvent, Sequence[Answer]]] = []
        known: set[str] = set()
        learnt: dict[str, Owners] = {}
        duplicates = 0
        for index, value in enumerate(values):
            try:
                event = read_event(value, now=self._now(), routing_key=routing_key)
                if self._is_known(event, known):
                    duplicates += 1
                else:
                    routed.append((event, self._router.route(event, learnt)))
            except BadEvent as error:
                if len(values) == 1:
                    raise
                raise BadEvent(f"event {index + 1} of {len(values)}: {error}") from None
        self._learn(learnt)
        return sum((self._carry_out(event, answers) for event, answers in routed), Outcome(0, duplicates))

    def _is_known(self, event: DomainEvent, known: set[str]) -> bool:
        if event.id is None:
            return False
        if event.id in known or self._window.holds(event.id, self._now()):
            self._log.info("event {id} ({kind}) was seen before", id=event.id, kind=event.kind)
            return True
        known.add(event.id)
        return False

    def _learn(self, learnt: Mapping[str, Owners]) -> None:
        # Not before every event of the batch has passed: one that is refused must not make anybody an owner.
        self._router.learn(learnt)
        if self._live is not None:
            for order_id, owners in learnt.items():
                self._live.apply(OwnersChanged(order_id, owners))

    def _carry_out(self, event: DomainEvent, answers: Sequence[Answer]) -> Outcome:
        if event.id is not None:
            self._window.add(event.id, self._now())
        outcome = Outcome(accepted=1)
        for answer in answers:
            if isinstance(answer, Emission):
                outcome += Outcome(emissions=1, receivers=self._emit(event, answer))
            elif isinstance(answer, Note):
                self._log.info("{cause}: {note}", cause=_cause(event), note=answer.text)
            else:
                self._affect(event, answer)
        return outcome

    def _emit(self, event: DomainEvent, emission: Emission) -> int:
        target = self._io.root.operator() if emission.everyone else self._io.to(emission.rooms)
        receivers = target.emit(emission.event, emission.data)
        self._log.info(
            "emitted {event} to {target}: {receivers} receivers, caused by {cause}",
            event=emission.event,
            target="everyone" if emission.everyone else list(emission.rooms),
            receivers=receivers,
            cause=_cause(event),
            kind=event.kind,
            id=event.id,
        )
        if self._log_payloads:
            self._log.debug("payload of {event}: {data}", event=emission.event, data=emission.data)
        return receivers

    def _affect(self, event: DomainEvent, effect: Disconnect | Reassign) -> None:
        if self._live is None:
            self._log.warn("{effect} of {kind} has no effect here", effect=effect, kind=event.kind)
        else:
            self._log.info("{effect}, caused by {cause}", effect=effect, cause=_cause(event))
            self._live.apply(effect)


def _cause(event: DomainEvent) -> str:
    return event.kind if event.id is None else f"{event.kind} {event.id}"
