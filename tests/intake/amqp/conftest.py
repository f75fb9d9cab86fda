"""One RabbitMQ node for all tests here; those that kill it start it again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rabbitmq import RabbitMQ


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A running node."""
    with RabbitMQ() as broker:
        yield broker
