"""Marks the tests that need a RabbitMQ node: they are run once, not on every Python."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "broker: needs a RabbitMQ node, which takes seconds to start")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "rabbitmq" in getattr(item, "fixturenames", ()):
            item.add_marker("broker")
