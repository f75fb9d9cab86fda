"""The JavaScript clients with two nodes behind a proxy that sends each request to the next one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deploy.proxies import PROXIES, Proxy
from tests.forwarding.nodes import Nodes
from tests.support.clients import CLIENTS, LIBRARIES, MODES, require_node_modules, run_of, scenarios_in
from tests.support.processes import Program

SCRIPT = "echo_scenarios.js"
SCENARIOS = scenarios_in(SCRIPT)


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two workers"])
def nodes(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    with Nodes(workers=request.param) as nodes:
        yield nodes


@pytest.fixture(scope="module", params=PROXIES)
def proxied(
    request: pytest.FixtureRequest, nodes: Nodes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a proxy in front of the nodes."""
    ports = [node.port for node in nodes.nodes]
    with Proxy(request.param, ports, tmp_path_factory.mktemp("proxy"), sticky=False) as proxy:
        yield f"http://127.0.0.1:{proxy.port}"


@pytest.mark.parametrize("mode", MODES)
def test_every_scenario(nodes: Nodes, proxied: str, mode: str) -> None:
    before = [node.state() for node in nodes.nodes]
    run = run_of(SCRIPT, "4.8", mode, proxied)
    for scenario in SCENARIOS:
        run.check(scenario)
    run.check_complete(SCENARIOS)
    for earlier, node in zip(before, nodes.nodes, strict=True):
        later = node.state()
        assert later["unreachable"] == 0
        if node.workers == 1 and mode != "websocket":
            assert later["forwarded"] > earlier["forwarded"]


@pytest.mark.parametrize("mode", MODES)
def test_the_clients_of_a_node_that_is_killed_are_served_by_the_other(mode: str, tmp_path: Path) -> None:
    with Nodes() as nodes, ExitStack() as stack:
        ports = [node.port for node in nodes.nodes]
        proxy = stack.enter_context(Proxy("haproxy", ports, tmp_path, sticky=False))
        command = [require_node_modules(), "stay.js", LIBRARIES["4.8"], mode, f"http://127.0.0.1:{proxy.port}"]
        clients = [stack.enter_context(Program(command, cwd=CLIENTS)) for _ in range(6)]
        for client in clients:
            client.wait_for_output("connected 1")
        lost = nodes[0].state()["sessions"]
        assert 0 < lost < 6
        nodes[0].crash()
        # Of those it had, and of those whose requests went through it.
        nodes[1].becomes("sessions", 6)
        again = [client for client in clients if any("disconnected 1:" in line for line in client.output)]
        assert len(again) >= lost
        for client in again:
            client.wait_for_output("connected 2")
