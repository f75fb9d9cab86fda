"""A user's data never reaches another: many stories of users and their events, told by Hypothesis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.isolation.machine import SETTINGS, Isolation
from tests.isolation.stage import staged
from tests.service.servers import Service


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with staged() as running:
        yield running


@pytest.mark.timeout(590)
def test_first(service: Service) -> None:
    totals: Counter[str] = Counter()
    try:
        run_state_machine_as_test(
            lambda: Isolation(service, totals),
            settings=settings(SETTINGS, derandomize=True, database=None, max_examples=300),
        )
    finally:
        print(totals)
