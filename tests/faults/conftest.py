"""A node of RabbitMQ of their own, for these tests kill it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rabbitmq import RabbitMQ


@pytest.fixture(scope="package")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A running node, which is running again after each test."""
    with RabbitMQ() as node:
        yield node
