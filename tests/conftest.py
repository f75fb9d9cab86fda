"""One RabbitMQ node for all tests that need one; they are marked, to be run once and not on every Python."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rabbitmq import RabbitMQ


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A running node; a test that kills it starts it again."""
    with RabbitMQ() as node:
        yield node


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "broker: needs a RabbitMQ node, which takes seconds to start")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "rabbitmq" in getattr(item, "fixturenames", ()):
            item.add_marker("broker")
