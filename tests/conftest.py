"""One RabbitMQ node and one Redis for all tests that need them; what needs RabbitMQ is run on one Python only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import Redis


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A running node; a test that kills it starts it again."""
    with RabbitMQ() as node:
        yield node


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    """A running Redis; a test that kills it starts it again."""
    with Redis() as server:
        yield server


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "broker: needs a RabbitMQ node, which takes seconds to start")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "rabbitmq" in getattr(item, "fixturenames", ()):
            item.add_marker("broker")
