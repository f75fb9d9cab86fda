"""What socket.io-client sees when its token ends, is renewed, or is revoked; and that no token is ever logged."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.clients import LIBRARIES, MODES, ScenarioRun, scenarios_in
from tests.support.service import API_KEY, JWT_SECRET, Service

SCRIPT = "lease_scenarios.js"
SCENARIOS = scenarios_in(SCRIPT)
OPTIONS = ("--expiry-warning", "2", "--expiry-grace", "0.5", "--log-level", "debug")
CLIENTS = [("4.8", mode) for mode in MODES] + [("3.1", "upgrade")]


@pytest.fixture(scope="module")
def service(node: str) -> Iterator[Service]:
    with Service(*OPTIONS) as running:
        yield running


@pytest.fixture(scope="module", params=CLIENTS, ids=" ".join)
def scenario_run(service: Service, request: pytest.FixtureRequest) -> ScenarioRun:
    version, mode = request.param
    return ScenarioRun(SCRIPT, LIBRARIES[version], mode, service.url, JWT_SECRET, API_KEY)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario_run: ScenarioRun, scenario: str) -> None:
    scenario_run.check(scenario)


def test_every_scenario_was_run_and_no_token_was_logged(scenario_run: ScenarioRun, service: Service) -> None:
    scenario_run.check_complete(SCENARIOS)
    service.program.wait_for_output("has expired")
    # At the beginning of a word: ids of sockets are random, and hold any three letters some day.
    assert [line for line in service.program.output if re.search(r"\beyJ", line)] == []
