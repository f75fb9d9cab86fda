"""From a published event to the sockets that may see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.logger import Logger

from rtwist.domain.emission import Answer, Effect, Emission, Note
from rtwist.domain.event import DomainEvent, read_event
from rtwist.domain.owners import Owners, OwnersChanged
from rtwist.errors import BadEvent, PartlyEmitted
from rtwist.intake.window import Window
from rtwist.quoting import quoted
from rtwist.socketio import Server


class Routing(Protocol):
    """The domain's rules."""

    def route(self, event: DomainEvent, learnt: MutableMapping[str, Owners] | None) -> Sequence[Answer]:
        """What `event` causes; raises `BadEvent` when it cannot be used. Owners that are new go into `learnt`."""

    def learn(self, learnt: Mapping[str, Owners]) -> None:
        """Make owners of orders known to all."""


class LiveSockets(Protocol):
    """What an event may do to sockets besides emitting."""

    def apply(self, effect: Effect | OwnersChanged) -> None:
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
        io.engine.flusher.active = True

    def accept(
        self, values: Sequence[Any], *, routing_key: str | None = None, message_id: str | None = None
    ) -> Outcome:
        """Take decoded events in the order they were published: all of them, or none.

        A `routing_key` names their kind before they do themselves. A `message_id` is another id of a single
        event: it is a duplicate when either id has been seen, and both are remembered. Raises `BadEvent`, which
        says which one and why, before anything has been emitted. When emitting fails, the event is forgotten;
        `PartlyEmitted` says that some of it had gone out.
        """
        routed: list[tuple[DomainEvent, set[str], Sequence[Answer]]] = []
        known: set[str] = set()
        learnt: dict[str, Owners] = {}
        for index, event in enumerate(self._read(values, routing_key)):
            ids = {event_id for event_id in (event.id, message_id) if event_id is not None}
            if self._is_known(event, ids, known):
                continue
            known |= ids
            with _named(index, len(values)):
                routed.append((event, ids, self._router.route(event, learnt)))
        self._learn(learnt)
        outcome = Outcome(duplicates=len(values) - len(routed))
        return sum((self._carry_out(*each) for each in routed), outcome)

    def check(self, values: Sequence[Any]) -> list[DomainEvent]:
        """The events, which `accept` would take; raises `BadEvent` as it does. Nothing is emitted or learnt."""
        learnt: dict[str, Owners] = {}
        events = list(self._read(values, None))
        for index, event in enumerate(events):
            with _named(index, len(values)):
                self._router.route(event, learnt)
        return events

    def settle(self) -> None:
        """Return once a crash of this process can neither take back nor repeat what was accepted so far.

        The emissions are the operating system's, as far as sockets take them, and the ids are written down.
        """
        self._io.flush()
        self._window.commit(self._now())

    def pause(self) -> None:
        """Events may come a second time once the broker is back: remember their ids as long as that takes."""
        self._window.pause(self._now())

    def resume(self) -> None:
        """The broker is back: ids get older again."""
        self._window.resume(self._now())

    def _read(self, values: Sequence[Any], routing_key: str | None) -> Iterator[DomainEvent]:
        for index, value in enumerate(values):
            with _named(index, len(values)):
                event = read_event(value, now=self._now(), routing_key=routing_key)
            yield event

    def _is_known(self, event: DomainEvent, ids: set[str], known: set[str]) -> bool:
        seen = ids & known or {each for each in ids if self._window.holds(each, self._now())}
        if seen:
            self._log.info("event {id} ({kind}) was seen before", id=quoted(min(seen)), kind=event.kind)
        return bool(seen)

    def _learn(self, learnt: Mapping[str, Owners]) -> None:
        # Not before every event of the batch has passed: one that is refused must not make anybody an owner.
        self._router.learn(learnt)
        if self._live is not None:
            for order_id, owners in learnt.items():
                self._live.apply(OwnersChanged(order_id, owners))

    def _carry_out(self, event: DomainEvent, ids: set[str], answers: Sequence[Answer]) -> Outcome:
        for each in ids:
            self._window.add(each, self._now())
        emissions = receivers = 0
        for done, answer in enumerate(answers):
            try:
                if isinstance(answer, Emission):
                    receivers += self._emit(event, answer)
                    emissions += 1
                elif isinstance(answer, Note):
                    self._log.info("{cause}: {note}", cause=_cause(event), note=answer.text)
                else:
                    self._affect(event, answer)
            except Exception as error:
                for each in ids:
                    self._window.forget(each)
                if not done:
                    raise
                raise PartlyEmitted(f"{done} of {len(answers)} answers are out, then {error!r}") from error
        return Outcome(accepted=1, emissions=emissions, receivers=receivers)

    def _emit(self, event: DomainEvent, emission: Emission) -> int:
        target = self._io.root.operator() if emission.everyone else self._io.to(emission.rooms)
        receivers = target.emit(emission.event, emission.data)
        rooms = "everyone" if emission.everyone else list(emission.rooms)
        cause = _cause(event)
        self._log.info(
            "{_text}",
            # Twisted's formatter would take longer for the fields than the emission to a few sockets.
            _text=f"emitted {emission.event} to {rooms}: {receivers} receivers, caused by {cause}",
            event=emission.event,
            target=rooms,
            receivers=receivers,
            cause=cause,
            kind=event.kind,
            id=event.id,
        )
        if self._log_payloads:
            self._log.debug("payload of {event}: {data}", event=emission.event, data=emission.data)
        return receivers

    def _affect(self, event: DomainEvent, effect: Effect) -> None:
        if self._live is None:
            self._log.warn("{effect} of {kind} has no effect here", effect=effect, kind=event.kind)
        else:
            self._log.info("{effect}, caused by {cause}", effect=effect, cause=_cause(event))
            self._live.apply(effect)


def _cause(event: DomainEvent) -> str:
    return event.kind if event.id is None else f"{event.kind} {event.id}"


class _named:  # noqa: N801 - used like a function
    """Have a `BadEvent` say which of several events it is about; a generator would take twice as long."""

    __slots__ = ("_count", "_index")

    def __init__(self, index: int, count: int) -> None:
        self._index = index
        self._count = count

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, BadEvent) and self._count > 1:
            raise BadEvent(f"event {self._index + 1} of {self._count}: {error}") from None
