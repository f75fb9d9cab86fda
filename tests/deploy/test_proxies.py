"""HAProxy and nginx as deploy/ configures them, in front of the service and of several workers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.proxies import PROXIES, Proxy
from tests.service.servers import ANYWHERE, KEYS, Service, twistd
from tests.support.clients import MODES, run_of, scenarios_in
from tests.support.processes import free_port
from tests.workers.cluster import POLLING, Cluster, Connection, get

SCRIPT = "echo_scenarios.js"
SCENARIOS = scenarios_in(SCRIPT)
OPTIONS = ("--listen", ANYWHERE, "--trusted-proxies", "127.0.0.1", "--max-connections-per-address", "1")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(2)
    try:
        cluster.wait()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="module", params=PROXIES)
def proxied(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a proxy in front of two workers."""
    with Proxy(request.param, [cluster.port], tmp_path_factory.mktemp("proxy")) as proxy:
        yield f"http://127.0.0.1:{proxy.port}"


@pytest.mark.parametrize("mode", MODES)
def test_the_clients_through_a_proxy(proxied: str, mode: str) -> None:
    run = run_of(SCRIPT, "4.8", mode, proxied)
    for scenario in SCENARIOS:
        run.check(scenario)
    run.check_complete(SCENARIOS)


class Guest(Connection):
    """A connection from another address of this machine."""

    def __init__(self, port: int, address: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 20, (address, 0))
        self._read = b""


@pytest.mark.parametrize("kind", PROXIES)
class TestTheService:
    @pytest.fixture
    def service(self) -> Iterator[Service]:
        with twistd(*OPTIONS) as program:
            yield Service(program)

    def test_clients_count_by_their_own_addresses(self, kind: str, service: Service, tmp_path: Path) -> None:
        with Proxy(kind, [service.port], tmp_path) as proxy:
            first, second = Guest(proxy.port, "127.0.0.2"), Guest(proxy.port, "127.0.0.3")
            assert first.ask(get(POLLING))[0] == 200
            assert second.ask(get(POLLING))[0] == 200

    def test_a_client_cannot_lie_about_its_address(self, kind: str, service: Service, tmp_path: Path) -> None:
        lies = ("X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.7")
        with Proxy(kind, [service.port], tmp_path) as proxy:
            assert Guest(proxy.port, "127.0.0.2").ask(get(POLLING))[0] == 200
            for lie in lies:
                assert Guest(proxy.port, "127.0.0.2").ask(get(POLLING, lie))[0] == 429

    def test_who_comes_when_one_host_has_gone_gets_the_other(
        self, kind: str, service: Service, tmp_path: Path
    ) -> None:
        with twistd(*OPTIONS) as other, Proxy(kind, [service.port, Service(other).port], tmp_path) as proxy:
            for host in range(2, 12):
                assert Guest(proxy.port, f"127.0.0.{host}").ask(get(POLLING))[0] == 200
            assert other.stop() == 0
            for host in range(12, 32):
                assert Guest(proxy.port, f"127.0.0.{host}").ask(get(POLLING))[0] == 200

    def test_clients_get_through_while_no_host_is_ready(self, kind: str, tmp_path: Path) -> None:
        away = {**KEYS, "REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
        with twistd(*OPTIONS, env=away) as one, twistd(*OPTIONS, env=away) as other:
            hosts = [Service(one), Service(other)]
            assert [host.request("GET", "/ready").status for host in hosts] == [503, 503]
            with Proxy(kind, [host.port for host in hosts], tmp_path) as proxy:
                if kind == "haproxy":
                    for checked in hosts:
                        proxy.wait_for_output(f"/s{checked.port} is DOWN")
                for host in range(2, 12):
                    assert Guest(proxy.port, f"127.0.0.{host}").ask(get(POLLING))[0] == 200

    def test_what_the_service_says_comes_through(self, kind: str, service: Service, tmp_path: Path) -> None:
        with Proxy(kind, [service.port], tmp_path) as proxy:
            status, body = Guest(proxy.port, "127.0.0.1").ask(get("/ready"))
            assert (status, json.loads(body)["status"]) == (200, "READY")
