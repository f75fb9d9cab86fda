"""The examples of the integration guide, as they stand, against the service under twistd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.clients import ScenarioRun, scenarios_in
from tests.support.service import API_KEY, JWT_SECRET, Service

SCRIPT = "seed_scenarios.js"
SCENARIOS = scenarios_in(SCRIPT)


@pytest.fixture(scope="module")
def examples_run(node: str) -> Iterator[ScenarioRun]:
    with Service() as service:
        yield ScenarioRun(SCRIPT, str(service.port), JWT_SECRET, API_KEY)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(examples_run: ScenarioRun, scenario: str) -> None:
    examples_run.check(scenario)


def test_every_scenario_was_run(examples_run: ScenarioRun) -> None:
    examples_run.check_complete(SCENARIOS)
