"""The broker of the day."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rabbitmq import RabbitMQ


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A running node."""
    with RabbitMQ() as node:
        yield node
