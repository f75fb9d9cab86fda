"""A user's data never reaches another: stories of users, told by Hypothesis to a running service."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings

from tests.isolation.choices import CLERK, Claims, Happening
from tests.isolation.machine import SETTINGS, tell
from tests.isolation.stage import staged
from tests.isolation.story import Story
from tests.model.live import DISCONNECTED

EVENTS = (
    ("order", "created", {"orderId": "#1", "userId": "#1", "companyId": "#1", "shopId": "#1"}),
    ("payment", "success", {"orderId": "#1", "paymentId": "p#"}),
    ("inventory", "updated", {"productId": "#1", "quantity": 3, "companyId": "#1", "shopId": "#1"}),
    ("inventory", "out_of_stock", {"productId": "#1", "companyId": "#1"}),
    ("transfer", "sent", {"transferId": "#1", "companyId": "#1"}),
    ("notification", "created", {"role": CLERK, "subject": "Hello"}),
    ("notification", "created", {"subject": "Hello"}),
    ("announcement", "published", {"subject": "Hello"}),
    ("company", "updated", {"companyId": "#1"}),
    ("shop", "closed", {"shopId": "#1"}),
    ("product", "updated", {"productId": "#1", "price": 9.5}),
    ("user", "updated", {"userId": "#1", "shopIds": []}),
    ("user", "deactivated", {"userId": "#1"}),
)
HEARD = {
    "order:new_order", "order:shop_order", "order:status_updated", "order:update", "payment:status_updated",
    "payment:update", "inventory:updated", "inventory:shop_update", "inventory:stock_changed",
    "inventory:low_stock_alert", "inventory:alert", "transfer:status_update", "notification:new",
    "notification:broadcast", "announcement:new", "company:updated", "shop:closed", "product:updated",
    "user:updated", "user:deactivated", "presence:online", "presence:offline", "typing", "auth:revoked",
    "error", "news", DISCONNECTED,
}  # fmt: skip


def test_a_story_in_which_everything_reaches_somebody() -> None:
    with staged() as service:
        story = Story(service)
        colleague, user = story.arrive("polling"), story.arrive("websocket")
        story.enter(colleague, story.issue(Claims("#2", "#1")))
        story.enter(user, story.issue(Claims("#1", "#1", ("#1",), (CLERK,))))
        for what in ("order", "inventory", "transfer"):
            story.subscribe(user, f"subscribe_{what}", "#1", quietly=False)
        story.typing(user, "company:#1", typing=True, quietly=False)
        story.custom(user, "join_room", "user:#2", quietly=True)
        for domain, action, data in EVENTS:
            story.publish(Happening(domain, action, data, "envelope", "next"))
        story.emit("company", "#1")
        story.revoke("user", "#2", None)
        story.check()
        story.check_users()
        assert story.delivered.keys() >= HEARD
        story.end()


@pytest.mark.timeout(300)
def test_everybody_hears_exactly_what_the_model_says() -> None:
    totals: Counter[str] = Counter()
    tell(totals, settings(SETTINGS, max_examples=90, derandomize=True, database=None), open_rooms=True)
    assert totals["order:update"] > totals["examples"], "what happens concerns somebody"


@pytest.mark.timeout(300)
def test_the_same_where_custom_rooms_need_a_grant() -> None:
    chosen = settings(SETTINGS, max_examples=30, derandomize=True, database=None)
    tell(Counter(), chosen, open_rooms=False)


@pytest.mark.timeout(300)
def test_the_same_with_fresh_dice() -> None:
    tell(Counter(), settings(SETTINGS, max_examples=30), open_rooms=True)
