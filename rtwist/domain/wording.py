"""What order and payment events say in common: a status, and an order's name for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtwist.domain.event import DomainEvent
from rtwist.domain.ids import json_type
from rtwist.errors import BadEvent

_NOT_A_STATUS = frozenset({"updated", "changed", "status", "status_updated", "status_changed"})


def status_of(event: DomainEvent) -> str | None:
    """Return `data.status`, else the kind's action ("order.shipped"), else None.

    Actions that only say that something changed, and those of several words, are no status. Raises `BadEvent`
    for a status that is not text.
    """
    status = event.data.get("status")
    if status is not None and not isinstance(status, str):
        raise BadEvent(f"status must be a string, not {json_type(status)}")
    if status and status.strip():
        return status
    return None if event.action in _NOT_A_STATUS or "." in event.action else event.action


def spoken(status: str) -> str:
    """Write a status as words: `out_for_delivery` becomes "out for delivery"."""
    return status.replace("_", " ")


def scalars(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return those of the named fields that hold text or a number.

    Nothing nested gets through, so that a documented field cannot carry undocumented ones.
    """
    return {name: data[name] for name in names if type(data.get(name)) in (str, int, float)}
