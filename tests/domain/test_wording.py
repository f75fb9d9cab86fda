"""Statuses and documented fields."""

from __future__ import annotations

import pytest

from rtwist.domain.event import DomainEvent
from rtwist.domain.wording import scalars, spoken, status_of
from rtwist.errors import BadEvent


def event(kind: str, **data: object) -> DomainEvent:
    return DomainEvent(kind, data, None, "")


@pytest.mark.parametrize(
    ("kind", "data", "status"),
    [
        ("order.shipped", {}, "shipped"),
        ("order.created", {}, "created"),
        ("order.created", {"status": "pending"}, "pending"),
        ("order.shipped", {"status": ""}, "shipped"),
        ("order.shipped", {"status": None}, "shipped"),
        ("order.updated", {"status": "shipped"}, "shipped"),
        ("order.status_changed", {"status": "shipped"}, "shipped"),
        ("order.updated", {}, None),
        ("order.status_updated", {}, None),
        ("order.status.changed", {}, None),
    ],
)
def test_the_status_is_the_data_s_or_else_the_action(
    kind: str, data: dict[str, object], status: str | None
) -> None:
    assert status_of(event(kind, **data)) == status


@pytest.mark.parametrize("status", [7, True, ["shipped"], {}])
def test_a_status_must_be_text(status: object) -> None:
    with pytest.raises(BadEvent, match="status must be a string"):
        status_of(event("order.updated", status=status))


def test_statuses_are_spoken_as_words() -> None:
    assert spoken("out_for_delivery") == "out for delivery"


def test_documented_fields_carry_nothing_nested() -> None:
    data = {"a": "x", "b": 1, "c": 1.5, "d": True, "e": {"secret": 1}, "f": None, "g": ["x"]}
    assert scalars(data, *"abcdefgh") == {"a": "x", "b": 1, "c": 1.5}
