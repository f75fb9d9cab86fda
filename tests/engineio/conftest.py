"""The site under test, in memory."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.logger import capturedLogs

from tests.engineio.http_fakes import Front

Fronts = Callable[..., Front]


class Failures:
    """The tracebacks that were logged."""

    def __init__(self, logs: list[Any]) -> None:
        self._logs = logs

    def take(self) -> list[str]:
        """Those since the last time, by type and text."""
        gc.collect()
        found = [event["log_failure"] for event in self._logs if "log_failure" in event]
        self._logs.clear()
        return [f"{failure.type.__name__}: {failure.getErrorMessage()}" for failure in found]


@pytest.fixture
def failures() -> Iterator[Failures]:
    """What is logged with a traceback; a test takes what it means to cause."""
    with capturedLogs() as logs:
        found = Failures(logs)
        yield found
        assert found.take() == []


@pytest.fixture
def fronts(failures: Failures) -> Iterator[Fronts]:
    """Makes sites; nothing may be left of them."""
    made: list[Front] = []

    def make(*args: Any, **options: Any) -> Front:
        made.append(Front(*args, **options))
        return made[-1]

    yield make
    for front in made:
        front.end()


@pytest.fixture
def front(fronts: Fronts) -> Front:
    return fronts()
