"""Rooms, acknowledgements, middleware and disconnections, as the JavaScript clients see them."""

from __future__ import annotations

import pytest

from tests.support.clients import LIBRARIES, MODES, run_of, scenarios_in

SCRIPT = "feature_scenarios.js"
SCENARIOS = scenarios_in(SCRIPT)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("version", LIBRARIES)
class TestFeatures:
    @pytest.mark.parametrize("scenario", SCENARIOS)
    def test_scenario(self, node: str, feature_url: str, version: str, mode: str, scenario: str) -> None:
        run_of(SCRIPT, version, mode, feature_url).check(scenario)

    def test_every_scenario_was_run(self, node: str, feature_url: str, version: str, mode: str) -> None:
        run_of(SCRIPT, version, mode, feature_url).check_complete(SCENARIOS)
