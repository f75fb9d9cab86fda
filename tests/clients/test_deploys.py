"""A deploy as socket.io-client sees it: its transport closes, and it comes back to the next instance."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rtwist.auth.token import mint
from tests.support.clients import CLIENTS
from tests.support.processes import Program
from tests.support.service import JWT_SECRET, Service
from tests.support.switch import Switch

MODES = ("default", "polling", "websocket", "upgrade")
CLIENTS_OF_EACH = 3


@contextmanager
def crowd(node: str, port: int) -> Iterator[dict[str, Program]]:
    """Clients of every mode, by the user that each is."""
    made: dict[str, Program] = {}
    try:
        for mode in MODES:
            for number in range(CLIENTS_OF_EACH):
                user = f"{mode}{number}"
                token = mint(JWT_SECRET, user=user, now=time.time())
                made[user] = Program([node, "seed_stay.js", str(port), token, mode], cwd=CLIENTS)
        yield made
    finally:
        for program in made.values():
            program.process.kill()
            program.wait()


def users(service: Service) -> list[str]:
    _, answer = service.request("GET", "/connected-users")
    return sorted(answer["data"]["users"])


def test_every_client_sees_its_transport_close_and_is_served_by_the_next_instance(node: str) -> None:
    with (
        Service("--drain-rate", "20") as old,
        Service() as new,
        Switch(old.port) as switch,
        crowd(node, switch.port) as clients,
    ):
        for client in clients.values():
            client.wait_for_output("connected 1")
        switch.target = new.port
        assert old.stop() == 0
        for user, client in clients.items():
            assert client.wait_for_output("disconnected 1:").endswith(": transport close"), user
            client.wait_for_output("connected 2")
        assert users(new) == sorted(clients)
        event = {"type": "order.shipped", "data": {"orderId": "o1", "orderNumber": "N1", "userId": "polling0"}}
        new.publish(event)
        assert clients["polling0"].wait_for_output("update 2:").endswith("is now shipped")


def test_clients_come_back_to_the_same_port(node: str) -> None:
    with Service() as service, crowd(node, service.port) as clients:
        for client in clients.values():
            client.wait_for_output("connected 1")
        assert service.stop() == 0
        service.start()
        for user, client in clients.items():
            assert client.wait_for_output("disconnected 1:").endswith(": transport close"), user
            client.wait_for_output("connected 2")
        assert users(service) == sorted(clients)
