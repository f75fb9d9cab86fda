"""The examples of the integration guide, as they stand, against the service under twistd."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import jwt
import pytest

from tests.support.clients import CLIENTS, ScenarioRun, require_node_modules, scenarios_in
from tests.support.processes import Program
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


@contextmanager
def customer(service: Service, mode: str, user: str) -> Iterator[Program]:
    token = jwt.encode({"userId": user, "exp": time.time() + 600}, JWT_SECRET, algorithm="HS256")
    argv = [require_node_modules(), "seed_stay.js", str(service.port), token, mode]
    with Program(argv, cwd=CLIENTS) as program:
        try:
            yield program
        finally:
            program.process.kill()


@pytest.mark.parametrize("mode", ["default", "polling", "websocket"])
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_clients_come_back_after_a_restart(node: str, mode: str, end: str) -> None:
    final = "polling" if mode == "polling" else "websocket"
    with Service() as service, customer(service, mode, "u1") as client:
        assert client.wait_for_output("connected 1") == f"connected 1 {final} true u1"
        getattr(service, end)()
        reason = client.wait_for_output("disconnected 1:").removeprefix("disconnected 1: ")
        assert reason in (("transport close", "transport error") if mode == "polling" else ("transport close",))
        if reason == "transport close":
            client.wait_for_output("told 1: Connection lost (will auto-reconnect)")
        service.start()
        assert client.wait_for_output("connected 2") == f"connected 2 {final} true u1"
        order = {"orderId": "7", "orderNumber": "ORD-7", "userId": "u1", "status": "shipped"}
        service.publish({"type": "order.shipped", "data": order})
        assert client.wait_for_output("update ") == "update 2: Your order #ORD-7 is now shipped"
        assert not any("forcefully" in line for line in client.output)
