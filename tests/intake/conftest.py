"""One RabbitMQ node for all tests of the way in; each service on it uses names of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.intake.brokered import Brokered
from tests.support.rabbitmq import RabbitMQ


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A running node."""
    with RabbitMQ() as node:
        yield node


@pytest.fixture
def brokered(rabbitmq: RabbitMQ) -> Iterator[Brokered]:
    """A service that consumes, with default options but for its names."""
    with Brokered(rabbitmq) as running:
        yield running
