"""The domain events of the works. Numbers have a fixed width, so that all frames of one work are equally long."""

from __future__ import annotations

import itertools
import re
from typing import Any

from bench.versus.publisher import Event, encode

TIMESTAMP = "2026-01-05T08:30:00.000Z"
NUMBER = re.compile(rb"n([0-9]{7})")
"""Where an emission of `notice` says which event it is of."""

_ids = itertools.count(1)


def _envelope(kind: str, data: dict[str, Any]) -> Event:
    # With an id, as real events have one; none comes twice.
    return kind, {"type": kind, "id": f"bench-{next(_ids):026d}", "timestamp": TIMESTAMP, "data": data}


def stock(product: str, number: int) -> Event:
    """A stock event for the subscribers of `product`; nobody is of its company and its shop."""
    data = {"productId": product, "productName": "Wireless headphones, black", "quantity": 100_000 + number}
    return _envelope("inventory.updated", {**data, "companyId": "nobody", "shopId": "nobody"})


def notice(user: str, number: int) -> Event:
    """A notification for one user."""
    texts = {"subject": f"n{number:07d}", "content": "Your parcel has left our warehouse", "priority": "high"}
    return _envelope("notification.new", {"userId": user, "type": "info", **texts})


def written(events: list[Event]) -> list[tuple[str, bytes]]:
    """Routing keys and bodies."""
    return [(key, encode(event)) for key, event in events]
