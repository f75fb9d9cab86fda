"""From published events to emissions: all or none, in order, each id once, and a line of log for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import pytest
from msgspec.json import decode, encode
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent

from rtwist.domain.emission import Answer, Disconnect, Emission, Note
from rtwist.domain.event import DomainEvent
from rtwist.engineio.packet import Packet
from rtwist.errors import BadEvent, PartlyEmitted
from rtwist.intake.intake import Intake, Outcome
from rtwist.intake.window import Window
from rtwist.socketio import Server


class Rules:
    """Routes `test.N` to N emissions, and `test.x` to one of each answer; remembers what it was asked."""

    def __init__(self) -> None:
        self.routed: list[DomainEvent] = []

    def route(self, event: DomainEvent, learnt: object) -> list[Answer]:
        if event.domain != "test":
            raise BadEvent(f"{event.kind} is not for me")
        self.routed.append(event)
        if event.action == "x":
            return [Emission("a", {}, everyone=True), Note("nobody to tell"), Disconnect("u1"), Disconnect("u2")]
        rooms = cycle([("room",), ("room", "other"), ("other",)])
        return [Emission(f"e{number}", event.data, next(rooms)) for number in range(int(event.action))]

    def learn(self, learnt: object) -> None:
        """Nothing is learnt from events of no orders."""


class Live:
    """Remembers the effects."""

    def __init__(self) -> None:
        self.applied: list[object] = []

    def apply(self, effect: object) -> None:
        self.applied.append(effect)


class Listener:
    """Remembers what it was sent."""

    id = "listener"

    def __init__(self) -> None:
        self.sent: list[str] = []

    def deliver(self, encoded: Sequence[Packet], if_behind: object) -> None:
        self.sent += [str(packet.data) for packet in encoded]


class Fixture:
    def __init__(self, **options: Any) -> None:
        self.clock, self.rules = Clock(), Rules()
        self.io = Server(self.clock)
        self.intake = Intake(self.io, self.rules, now=self.clock.seconds, **options)

    def listen(self, room: str) -> Listener:
        """Somebody in the room."""
        listener = Listener()
        self.io.root.adapter.add(listener, [room])
        return listener

    def accept(self, *values: Any) -> Outcome:
        return self.intake.accept(values)


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


def event(kind: str = "test.1", event_id: str | None = None, **data: Any) -> dict[str, Any]:
    return {"type": kind, "data": data, **({} if event_id is None else {"id": event_id})}


def logged(action: Callable[[], object]) -> list[LogEvent]:
    with capturedLogs() as events:
        action()
    return list(events)


def test_events_are_counted_with_their_emissions(fixture: Fixture) -> None:
    assert fixture.accept(event("test.2"), event("test.0"), event("test.3")) == Outcome(3, 0, 5, 0)


def test_events_are_routed_in_their_order_and_dated_by_the_clock(fixture: Fixture) -> None:
    fixture.clock.advance(1_700_000_000)
    fixture.accept(event(n=1), event(n=2))
    assert [(routed.data["n"], routed.timestamp) for routed in fixture.rules.routed] == [
        (1, "2023-11-14T22:13:20.000Z"),
        (2, "2023-11-14T22:13:20.000Z"),
    ]


@pytest.mark.parametrize("bad", [7, {}, event("other.1")])
def test_one_bad_event_stops_all_before_anything_is_emitted(fixture: Fixture, bad: Any) -> None:
    def refuse() -> None:
        with pytest.raises(BadEvent, match=r"^event 2 of 3: "):
            fixture.accept(event(event_id="a"), bad, event(event_id="b"))

    assert logged(refuse) == []
    assert fixture.accept(event(event_id="a"), event(event_id="b")) == Outcome(2, 0, 2, 0)


def test_a_bad_event_alone_is_not_numbered(fixture: Fixture) -> None:
    with pytest.raises(BadEvent, match=r"^other\.1 is not for me$"):
        fixture.accept(event("other.1"))


def test_an_id_is_taken_once_until_the_window_is_over() -> None:
    fixture = Fixture(window=Window(seconds=10))
    assert fixture.accept(event(event_id="a"), event(event_id="a")) == Outcome(1, 1, 1, 0)
    fixture.clock.advance(9)
    assert fixture.accept(event(event_id="a")) == Outcome(0, 1, 0, 0)
    fixture.clock.advance(1)
    assert fixture.accept(event(event_id="a")) == Outcome(1, 0, 1, 0)


def test_a_repeated_event_needs_not_be_good(fixture: Fixture) -> None:
    fixture.accept(event(event_id="a"))
    assert fixture.accept(event("other.1", event_id="a")) == Outcome(0, 1, 0, 0)


def test_the_emissions_of_an_event_leave_a_line_with_their_targets_and_receivers(fixture: Fixture) -> None:
    listener = fixture.listen("room")
    (line,) = logged(lambda: fixture.accept(event("test.3", event_id="a", secret="x")))
    assert formatEvent(line) == (
        "test.3 a: e0 to room (1 receiver); e1 to room, other (1 receiver); e2 to other (0 receivers)"
    )
    assert (line["kind"], line["id"], line["log_level"]) == ("test.3", "a", LogLevel.info)
    assert decode(encode(line["emissions"])) == [
        {"event": "e0", "target": ["room"], "receivers": 1},
        {"event": "e1", "target": ["room", "other"], "receivers": 1},
        {"event": "e2", "target": ["other"], "receivers": 0},
    ]
    assert "secret" not in str(line)
    assert listener.sent == ['2["e0",{"secret":"x"}]', '2["e1",{"secret":"x"}]']


def test_an_event_without_id_is_named_by_its_kind(fixture: Fixture) -> None:
    (line,) = logged(lambda: fixture.accept(event("test.1")))
    assert formatEvent(line) == "test.1: e0 to room (0 receivers)"
    assert (line["kind"], line["id"]) == ("test.1", None)


def test_what_went_out_before_an_emission_failed_is_in_the_log(fixture: Fixture) -> None:
    fixture.listen("other")

    def fail() -> None:
        with pytest.raises(PartlyEmitted, match=r"^1 of 3 answers are out, then TypeError"):
            fixture.accept(event("test.3", event_id="a", of_no_json_form=object()))

    (line,) = logged(fail)
    assert formatEvent(line) == "test.3 a: e0 to room (0 receivers)"


def test_an_event_without_emissions_leaves_no_line(fixture: Fixture) -> None:
    assert logged(lambda: fixture.accept(event("test.0"))) == []


def test_payloads_are_logged_at_debug_level_and_only_when_asked_for() -> None:
    lines = logged(lambda: Fixture(log_payloads=True).accept(event(secret="x")))
    payloads = [line for line in lines if "secret" in formatEvent(line)]
    assert [line["log_level"] for line in payloads] == [LogLevel.debug]


def test_effects_are_applied_and_notes_are_logged() -> None:
    live = Live()
    lines = logged(lambda: Fixture(live=live).accept(event("test.x", event_id="a")))
    assert live.applied == [Disconnect("u1"), Disconnect("u2")]
    assert [formatEvent(line) for line in lines] == [
        "test.x a: nobody to tell",
        "Disconnect(user_id='u1'), caused by test.x a",
        "Disconnect(user_id='u2'), caused by test.x a",
        "test.x a: a to everyone (0 receivers)",
    ]


def test_only_emissions_are_counted(fixture: Fixture) -> None:
    assert fixture.accept(event("test.x")) == Outcome(1, 0, 1, 0)


def test_effects_that_nobody_applies_are_a_warning(fixture: Fixture) -> None:
    lines = logged(lambda: fixture.accept(event("test.x")))
    warnings = [formatEvent(line) for line in lines if line["log_level"] is LogLevel.warn]
    assert warnings == [f"Disconnect(user_id='{user}') of test.x has no effect here" for user in ("u1", "u2")]


def test_a_routing_key_names_the_kind_first(fixture: Fixture) -> None:
    fixture.intake.accept([event("test.1")], routing_key="test.0")
    fixture.intake.accept([event("test.1")], routing_key="nonsense")
    assert [routed.kind for routed in fixture.rules.routed] == ["test.0", "test.1"]
