"""Many clients that come at once, more than the rate of handshakes lets in: all get in by their own retries."""

from __future__ import annotations

import time

import pytest

from rtwist.auth.token import mint
from tests.support.clients import CLIENTS, LIBRARIES, require_node_modules
from tests.support.processes import Program
from tests.support.service import JWT_SECRET, Service

OFFICE = "203.0.113.1"
OF_ADDRESS = "max-handshakes-per-second-per-address"
SECONDS = 90.0
"""A bound for a machine that is busy with other things; it takes about ten."""


def crowd(service: Service, mode: str, count: int, *address: str) -> Program:
    """So many clients of one user."""
    token = mint(JWT_SECRET, user="u1", now=time.time())
    argv = ["crowd.js", LIBRARIES["4.8"], mode, service.url, token, str(count), *address]
    return Program([require_node_modules(), *argv], cwd=CLIENTS)


def refused(service: Service) -> dict[str, int]:
    """What GET /ready says was refused, by limit."""
    found: dict[str, int] = service.request("GET", "/ready")[1]["clients"]["refused"]
    return found


@pytest.mark.parametrize(
    ("mode", "limit", "address"),
    [
        ("polling", OF_ADDRESS, ()),
        ("websocket", OF_ADDRESS, ()),
        ("upgrade", OF_ADDRESS, (OFFICE,)),
        ("polling", "max-handshakes-per-second", ()),
        ("websocket", "max-handshakes-per-second", (OFFICE,)),
    ],
    ids=["polling", "websocket", "behind a proxy", "polling, in all", "websocket, in all"],
)
def test_who_is_sent_away_comes_again(node: str, mode: str, limit: str, address: tuple[str, ...]) -> None:
    proxies = ("--trusted-proxies", "127.0.0.0/8") if address else ()
    with (
        Service(f"--{limit}", "4", *proxies, env={"RTWIST_LOG_LEVEL": "warn"}) as service,
        crowd(service, mode, 100, *address) as clients,
    ):
        clients.wait_for_output("all in 1", SECONDS)
        assert set(refused(service)) == {limit.replace("-", "_")}
        if address:
            assert any(OFFICE in line for line in service.program.output)
        assert not any("given up" in line for line in clients.output), clients.output


def test_after_a_restart_all_come_back_at_once(node: str) -> None:
    with Service(env={"RTWIST_LOG_LEVEL": "warn"}) as service, crowd(service, "upgrade", 150) as clients:
        clients.wait_for_output("all in 1", SECONDS)
        service.kill()
        service.start()
        clients.wait_for_output("all in 2", SECONDS)
        assert refused(service) == {}, "the defaults take an office back at once"
        assert service.request("GET", "/connected-users")[1]["data"]["users"] == ["u1"]
