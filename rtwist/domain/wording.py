"""What events of several domains say in common: a status, names and numbers for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtwist.domain.event import DomainEvent
from rtwist.domain.ids import json_type
from rtwist.errors import BadEvent

_NOT_A_STATUS = frozenset({"updated", "changed", "status", "status_updated", "status_changed"})


def status_of(event: DomainEvent, action: str | None = None) -> str | None:
    """Return `data.status`, else the kind's action ("order.shipped") or the one given, else None.

    Actions that only say that something changed, and those of several words, are no status. Raises `BadEvent`
    for a status that is not text.
    """
    status = event.data.get("status")
    if status is not None and not isinstance(status, str):
        raise BadEvent(f"status must be a string, not {json_type(status)}")
    if status and status.strip():
        return status
    action = event.action if action is None else action
    return None if action in _NOT_A_STATUS or "." in action else action


def spoken(status: str) -> str:
    """Write a status as words: `out_for_delivery` becomes "out for delivery"."""
    return status.replace("_", " ")


def counted(quantity: float) -> str:
    """Write a quantity without the decimals it does not need."""
    return str(int(quantity)) if quantity == int(quantity) else str(quantity)


def scalars(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return those of the named fields that hold text or a number.

    Nothing nested gets through, so that a documented field cannot carry undocumented ones.
    """
    return {name: data[name] for name in names if type(data.get(name)) in (str, int, float)}
