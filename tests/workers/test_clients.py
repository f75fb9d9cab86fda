"""The JavaScript clients with a server of four processes, and nothing that keeps a client with one of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.clients import MODES, run_of, scenarios_in
from tests.workers.cluster import Cluster, who

SCRIPT = "echo_scenarios.js"
SCENARIOS = scenarios_in(SCRIPT)
WORKERS = 4


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(WORKERS)
    try:
        cluster.wait()
        yield cluster
    finally:
        cluster.close()


@pytest.mark.parametrize("mode", MODES)
class TestEcho:
    def test_every_scenario(self, cluster: Cluster, mode: str) -> None:
        run = run_of(SCRIPT, "4.8", mode, f"http://127.0.0.1:{cluster.port}")
        for scenario in SCENARIOS:
            run.check(scenario)
        run.check_complete(SCENARIOS)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "websocket"])
class TestHanding:
    def test_connections_went_from_worker_to_worker(self, cluster: Cluster, mode: str) -> None:
        run_of(SCRIPT, "4.8", mode, f"http://127.0.0.1:{cluster.port}")
        states = [who(cluster.to(worker)) for worker in range(WORKERS)]
        assert [state for state in states if state["handed"] == 0 or state["taken"] == 0] == []
