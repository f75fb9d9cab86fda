"""From a published event to the sockets that may see it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from rtwist.domain.emission import Answer, Effect, Emission, Note
from rtwist.domain.event import DomainEvent, read_event
from rtwist.domain.owners import Owners, OwnersChanged
from rtwist.errors import BadEvent, PartlyEmitted
from rtwist.intake.report import EVERYONE, Emitted, cause, report
from rtwist.intake.window import Window, key_of
from rtwist.quoting import quoted
from rtwist.socketio import Server
from rtwist.socketio.mark import Mark

_MADE_UP_BYTES = 12


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


class Peers(Protocol):
    """The other nodes: what they have handled, and what they must know before an event counts as handled."""

    async def catch_up(self) -> None:
        """Know what the others have handled; raises `StoreFailed` while that cannot be."""

    def settled(self) -> Deferred[None] | None:
        """Fires when the others have, or can have, all that was accepted before; None when that is so now."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of published events: how many were new, and what they caused on this node."""

    accepted: int = 0
    duplicates: int = 0
    emissions: int = 0
    receivers: int = 0


class Intake:
    """Reads events, leaves out those seen before, and emits what the rules say.

    `now` returns the seconds since 1970; `live` applies effects, which are only logged without it;
    `log_payloads` writes what is emitted to the log at debug level; `peers` are the other nodes.
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
        peers: Peers | None = None,
    ) -> None:
        self._io = io
        self._router = router
        self._now = now
        self._window = Window() if window is None else window
        self._live = live
        self._log_payloads = log_payloads
        self._peers = peers
        self._reports = self._log
        io.engine.outflow.active = True

    def accept(
        self, values: Sequence[Any], *, routing_key: str | None = None, message_id: str | None = None
    ) -> Outcome:
        """Take decoded events in the order they were published: all of them, or none.

        A `routing_key` names their kind before they do themselves. A `message_id` is another id of a single
        event: it is a duplicate when either id has been seen, and both are remembered. Raises `BadEvent`, which
        says which one and why, before anything has been emitted. When emitting fails, the event is forgotten;
        `PartlyEmitted` says that some of it had gone out.
        """
        routed: list[tuple[DomainEvent, Sequence[str], Sequence[Answer]]] = []
        known: set[str] = set()
        learnt: dict[str, Owners] = {}
        now = self._now()
        for index, value in enumerate(values):
            try:
                event = read_event(value, now=now, routing_key=routing_key)
                ids = _ids(event.id, message_id) or self._made_up()
                if self._is_known(event, ids, known, now):
                    continue
                known.update(ids)
                routed.append((event, ids, self._router.route(event, learnt)))
            except BadEvent as error:
                raise _of_several(error, index, len(values)) from None
        if learnt:
            self._learn(learnt)
        emissions = receivers = 0
        for event, ids, answers in routed:
            for each in ids:
                self._window.add(each, now)
            emitted = self._carry_out(event, ids, answers)
            emissions += len(emitted)
            for one in emitted:
                receivers += one.receivers
        return Outcome(len(routed), len(values) - len(routed), emissions, receivers)

    def check(self, values: Sequence[Any]) -> list[DomainEvent]:
        """The events, which `accept` would take; raises `BadEvent` as it does. Nothing is emitted or learnt."""
        learnt: dict[str, Owners] = {}
        events = []
        for index, value in enumerate(values):
            try:
                event = read_event(value, now=self._now())
                self._router.route(event, learnt)
            except BadEvent as error:
                raise _of_several(error, index, len(values)) from None
            events.append(event)
        return events

    def begin(self) -> None:
        """Several events come now, and `settle` and `end` before the reactor's next turn."""
        self._io.engine.outflow.hold()

    def end(self) -> None:
        """The end of what `begin` began."""
        self._io.engine.outflow.release()

    async def catch_up(self) -> None:
        """Know what other nodes have handled, before events are accepted; raises `StoreFailed` if it cannot."""
        if self._peers is not None:
            await self._peers.catch_up()

    def settle(self) -> Deferred[None] | None:
        """Return once a crash of this process can neither take back nor repeat what was accepted so far.

        The emissions are the operating system's, as far as sockets take them, and the ids are written down. With
        other nodes that is when the Deferred fires; None says that nothing need be waited for.
        """
        self._io.flush()
        self._window.commit(self._now())
        return None if self._peers is None else self._peers.settled()

    def pause(self) -> None:
        """Events may come a second time once the broker is back: remember their ids as long as that takes."""
        self._window.pause(self._now())

    def resume(self) -> None:
        """The broker is back: ids get older again."""
        self._window.resume(self._now())

    def _is_known(self, event: DomainEvent, ids: Sequence[str], known: set[str], now: float) -> bool:
        for each in ids:
            if each in known or self._window.holds(each, now):
                self._log.info("event {id} ({kind}) was seen before", id=quoted(each), kind=event.kind)
                return True
        return False

    def _learn(self, learnt: Mapping[str, Owners]) -> None:
        # Not before every event of the batch has passed: one that is refused must not make anybody an owner.
        self._router.learn(learnt)
        if self._live is not None:
            for order_id, owners in learnt.items():
                self._live.apply(OwnersChanged(order_id, owners))

    def _carry_out(self, event: DomainEvent, ids: Sequence[str], answers: Sequence[Answer]) -> Sequence[Emitted]:
        emitted: list[Emitted] = []
        done = 0
        # By its first id: a redelivery has the same.
        key = None if self._peers is None else key_of(ids[0])
        try:
            for answer in answers:
                if isinstance(answer, Emission):
                    mark = None if key is None else Mark(key, len(emitted))
                    emitted.append(self._emit(answer, mark))
                elif isinstance(answer, Note):
                    self._log.info("{cause}: {note}", cause=cause(event), note=answer.text)
                else:
                    self._affect(event, answer)
                done += 1
        except Exception as error:
            for each in ids:
                self._window.forget(each)
            if not done:
                raise
            raise PartlyEmitted(f"{done} of {len(answers)} answers are out, then {error!r}") from error
        finally:
            if emitted:
                report(self._reports, event, emitted)
        return emitted

    def _emit(self, emission: Emission, mark: Mark | None) -> Emitted:
        root, rooms = self._io.root, emission.rooms
        if mark is not None or emission.everyone or root.adapter.reaches(rooms):
            receivers = root.emit_to(rooms, emission.event, emission.data, mark)
        else:
            receivers = 0
        if self._log_payloads:
            self._log.debug("payload of {event}: {data}", event=emission.event, data=emission.data)
        return Emitted(emission.event, EVERYONE if emission.everyone else rooms, receivers)

    def _made_up(self) -> Sequence[str]:
        # Other nodes know an event by an id.
        return () if self._peers is None else (secrets.token_urlsafe(_MADE_UP_BYTES),)

    def _affect(self, event: DomainEvent, effect: Effect) -> None:
        if self._live is None:
            self._log.warn("{effect} of {kind} has no effect here", effect=effect, kind=event.kind)
        else:
            self._log.info("{effect}, caused by {cause}", effect=effect, cause=cause(event))
            self._live.apply(effect)


def _ids(event_id: str | None, message_id: str | None) -> Sequence[str]:
    if event_id is None:
        return () if message_id is None else (message_id,)
    return (event_id,) if message_id is None else (event_id, message_id)


def _of_several(error: BadEvent, index: int, count: int) -> BadEvent:
    """The error, saying which of several events it is about."""
    return error if count == 1 else BadEvent(f"event {index + 1} of {count}: {error}")
