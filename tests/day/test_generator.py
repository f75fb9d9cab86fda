"""The day that is drawn: always the same one, and a whole one."""

from __future__ import annotations

import json
from typing import Any

from tests.day.generator import Day, Hour
from tests.day.happenings import BELL

HOURS = (3000, 2000)


def drawn(seed: int) -> list[Hour]:
    return list(Day(seed, clients=200, hours=HOURS).hours())


def test_the_same_seed_draws_the_same_day() -> None:
    assert repr(drawn(1)) == repr(drawn(1))
    assert repr(drawn(1)) != repr(drawn(2))


def test_an_hour_has_its_events_and_ends_with_word_to_everyone() -> None:
    for hour, count in zip(drawn(3), HOURS, strict=True):
        assert len(hour.events) == count
        assert [event.data.get("subject") for event in hour.events].index(BELL) == count - 1


def test_events_come_in_every_form_and_some_twice() -> None:
    events = [event for hour in drawn(4) for event in hour.events]
    values: list[dict[str, Any]] = [json.loads(event.body) for event in events]
    assert sum("specversion" in value for value in values) > 500
    assert sum("eventId" in value for value in values) > 500
    assert sum("data" in value and "specversion" not in value for value in values) > 500
    assert 10 < len(events) - len({event.id for event in events}) < 100
    assert {event.domain for event in events} == {
        "order", "payment", "inventory", "transfer", "notification", "announcement", "user", "company", "shop",
        "product",
    }  # fmt: skip


def test_clients_come_and_go_and_ask_for_what_is_not_theirs() -> None:
    first, second = drawn(5)
    assert len(first.join) == 200
    assert {seat.transport for seat in first.join} == {"websocket", "polling"}
    assert {seat.mode for seat in first.join} == {None, "websocket", "polling", "upgrade"}
    assert second.leave
    assert second.join
    assert {ask.request for ask in second.asks} >= {"subscribe_order", "unsubscribe_order", "subscribe_transfer"}
