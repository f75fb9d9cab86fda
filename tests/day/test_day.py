"""A day at 5,000 events a second, a thousand clients: each hears exactly what the model says, in that order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.day.generator import Day
from tests.day.stage import SHOWN, Stage
from tests.intake.brokered import Brokered
from tests.model.live import DISCONNECTED
from tests.support.rabbitmq import RabbitMQ

CLIENTS, HOURS = 1000, [3000] * 4
EVERY_EMISSION = {
    "order:new_order", "order:shop_order", "order:status_updated", "order:update", "payment:status_updated",
    "payment:update", "inventory:updated", "inventory:shop_update", "inventory:stock_changed",
    "inventory:low_stock_alert", "inventory:alert", "transfer:status_update", "notification:new",
    "notification:broadcast", "announcement:new", "user:updated", "user:deactivated", "company:updated",
    "shop:closed", "product:updated", "presence:online", "presence:offline", DISCONNECTED,
}  # fmt: skip


@pytest.mark.timeout(300)
def test_everybody_hears_exactly_what_the_model_says(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    day = Day(20260302, clients=CLIENTS, hours=HOURS)
    with Brokered(rabbitmq) as brokered:
        stage = Stage(brokered.service.port, rabbitmq.url, brokered.names.exchange, tmp_path)
        for hour in day.hours():
            stage.prepare(hour)
            sent = stage.play()
            assert sent.counts["published"] == sent.counts["confirmed"] == len(hour.events), sent.counts
            assert sent.counts["returned"] == 0
            assert stage.faults(sent)[:SHOWN] == []
        stage.close()
        counts = brokered.counts()
    assert (counts["delivered"], counts["dead"]) == (stage.published, {})
    assert stage.published == sum(HOURS)
    assert stage.delivered.keys() >= EVERY_EMISSION, "each kind reached somebody"
