"""The server under test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.socketio.fakes import House, a_house


@pytest.fixture
def house() -> Iterator[House]:
    yield from a_house()
