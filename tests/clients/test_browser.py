"""The client's browser build in headless Chromium, from a page of another origin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.support.clients import ScenarioRun, scenarios_in
from tests.support.processes import Program, free_port
from tests.support.service import JWT_SECRET, Service

SCRIPT = "browser_scenarios.js"
SCENARIOS = scenarios_in(SCRIPT)
StartServer = Callable[..., AbstractContextManager[tuple[str, Program]]]


@pytest.fixture(scope="module")
def browser_run(
    node: str, chromium: str, echo_url: str, start_feature_server: StartServer
) -> Iterator[ScenarioRun]:
    page_port = free_port()
    origin = f"http://127.0.0.1:{page_port}"
    with (
        start_feature_server("--origin", origin) as (guarded, _),
        Service(env={"FRONTEND_URL": origin}) as service,
    ):
        yield ScenarioRun(SCRIPT, chromium, str(page_port), echo_url, guarded, service.url, JWT_SECRET)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(browser_run: ScenarioRun, scenario: str) -> None:
    browser_run.check(scenario)


def test_every_scenario_was_run(browser_run: ScenarioRun) -> None:
    browser_run.check_complete(SCENARIOS)
