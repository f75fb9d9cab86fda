"""A user's data never reaches another: stories of users, told by Hypothesis to a running service."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings

from tests.isolation.machine import SETTINGS, tell
from tests.model.live import DISCONNECTED

EVERY_EMISSION = {
    "order:new_order", "order:shop_order", "order:status_updated", "order:update", "payment:status_updated",
    "payment:update", "inventory:updated", "inventory:shop_update", "inventory:stock_changed",
    "inventory:low_stock_alert", "inventory:alert", "transfer:status_update", "notification:new",
    "notification:broadcast", "announcement:new", "user:updated", "user:deactivated", "user:revoked",
    "company:revoked", "shop:closed", "product:updated", "presence:online", "presence:offline", "typing",
    "auth:revoked", "error", "news", DISCONNECTED,
}  # fmt: skip


@pytest.mark.timeout(300)
def test_everybody_hears_exactly_what_the_model_says() -> None:
    totals: Counter[str] = Counter()
    tell(totals, settings(SETTINGS, max_examples=90, derandomize=True, database=None), open_rooms=True)
    for _ in range(5):
        # The dice fall differently with each version of Hypothesis.
        if totals.keys() >= EVERY_EMISSION:
            break
        tell(totals, settings(SETTINGS, max_examples=30), open_rooms=True)
    assert totals.keys() >= EVERY_EMISSION, "each kind reached somebody"


@pytest.mark.timeout(300)
def test_the_same_where_custom_rooms_need_a_grant() -> None:
    chosen = settings(SETTINGS, max_examples=30, derandomize=True, database=None)
    tell(Counter(), chosen, open_rooms=False)


@pytest.mark.timeout(300)
def test_the_same_with_fresh_dice() -> None:
    tell(Counter(), settings(SETTINGS, max_examples=30), open_rooms=True)
