"""A service on the node of all tests, with names of its own on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.intake.brokered import Brokered
from tests.support.rabbitmq import RabbitMQ


@pytest.fixture
def brokered(rabbitmq: RabbitMQ) -> Iterator[Brokered]:
    """A service that consumes, with default options but for its names."""
    with Brokered(rabbitmq) as running:
        yield running
