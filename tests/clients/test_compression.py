"""WebSocket messages compressed by permessage-deflate, with the JavaScript clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.support.clients import LIBRARIES, run_of, scenarios_in
from tests.support.processes import Program

StartServer = Callable[..., AbstractContextManager[tuple[str, Program]]]
SCRIPT = "compression_scenarios.js"
SCENARIOS = scenarios_in(SCRIPT)


@pytest.fixture(scope="module")
def compressing_url(
    start_feature_server: Callable[..., AbstractContextManager[tuple[str, Program]]],
) -> Iterator[str]:
    with start_feature_server("--websocket-compression") as (url, _):
        yield url


@pytest.mark.parametrize("mode", ["websocket", "upgrade"])
@pytest.mark.parametrize("version", LIBRARIES)
class TestCompression:
    @pytest.mark.parametrize("scenario", SCENARIOS)
    def test_scenario(self, node: str, compressing_url: str, version: str, mode: str, scenario: str) -> None:
        run_of(SCRIPT, version, mode, compressing_url).check(scenario)

    def test_every_scenario_was_run(self, node: str, compressing_url: str, version: str, mode: str) -> None:
        run_of(SCRIPT, version, mode, compressing_url).check_complete(SCENARIOS)
