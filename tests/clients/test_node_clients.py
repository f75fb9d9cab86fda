"""The JavaScript clients, three versions of them, against the echo example."""

from __future__ import annotations

import json

import pytest

from tests.support.clients import CLIENTS, LIBRARIES, MODES, run_of, scenarios_in

SCRIPT = "echo_scenarios.js"
SCENARIOS = scenarios_in(SCRIPT)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("version", LIBRARIES)
class TestEcho:
    @pytest.mark.parametrize("scenario", SCENARIOS)
    def test_scenario(self, node: str, echo_url: str, version: str, mode: str, scenario: str) -> None:
        run_of(SCRIPT, version, mode, echo_url).check(scenario)

    def test_every_scenario_was_run(self, node: str, echo_url: str, version: str, mode: str) -> None:
        run_of(SCRIPT, version, mode, echo_url).check_complete(SCENARIOS)


def test_the_versions_are_what_they_are_called(node: str) -> None:
    for version, library in LIBRARIES.items():
        installed = json.loads((CLIENTS / "node_modules" / library / "package.json").read_text())["version"]
        assert installed.startswith(f"{version}."), library
