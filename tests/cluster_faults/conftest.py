"""A node of their own: a test here that fails may leave it dead, hung or blocked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rabbitmq import RabbitMQ


@pytest.fixture(scope="package")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A running node that no other tests use."""
    with RabbitMQ() as node:
        yield node
