"""`twistd rtwist --advertise` on two nodes, behind a HAProxy that sends each request to the next one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rtwist.auth.token import mint
from tests.deploy.proxies import Proxy
from tests.intake.brokered import until
from tests.support.clients import CLIENTS, require_node_modules
from tests.support.processes import Program
from tests.support.redis import Redis
from tests.support.service import JWT_SECRET, Service

MODES = ("default", "polling", "websocket", "upgrade")
CLIENTS_OF_EACH = 2


class Member(Service):
    """One of the nodes."""

    def __init__(self, redis: Redis, *options: str) -> None:
        super().__init__(env={"REDIS_URL": redis.url})
        self._options = ("--advertise", self.url, "--trusted-proxies", "127.0.0.1", *options)

    @property
    def cluster(self) -> dict[str, object]:
        """What /ready says of the other nodes."""
        return dict(self.request("GET", "/ready")[1]["cluster"])

    @property
    def users(self) -> list[str]:
        return sorted(self.request("GET", "/connected-users")[1]["data"]["users"])


@pytest.fixture
def members() -> Iterator[list[Member]]:
    with Redis() as redis, ExitStack() as stack:
        members = [stack.enter_context(Member(redis, "--drain-rate", "20")) for _ in range(2)]
        for member in members:
            until(
                lambda member=member: member.cluster.get("others") == 1, says=lambda member=member: member.cluster
            )
        yield members


@pytest.fixture
def clients(members: list[Member], tmp_path: Path) -> Iterator[dict[str, Program]]:
    """By user; all of them are connected."""
    ports = [member.port for member in members]
    with Proxy("haproxy", ports, tmp_path, sticky=False) as proxy, ExitStack() as stack:
        made = {}
        for user, mode in ((f"{mode}{number}", mode) for mode in MODES for number in range(CLIENTS_OF_EACH)):
            token = mint(JWT_SECRET, user=user, now=time.time())
            command = [require_node_modules(), "seed_stay.js", str(proxy.port), token, mode]
            made[user] = Program(command, cwd=CLIENTS)
            stack.callback(made[user].process.kill)
        for client in made.values():
            client.wait_for_output("connected 1")
        yield made


def order(number: str, user: str) -> dict[str, object]:
    return {"type": "order.shipped", "data": {"orderId": number, "orderNumber": number, "userId": user}}


def test_events_reach_all_whichever_node_their_requests_come_to(
    members: list[Member], clients: dict[str, Program]
) -> None:
    for turn in range(6):
        members[turn % 2].publish(*(order(f"N{turn}", user) for user in clients))
        for client in clients.values():
            client.wait_for_output(f"N{turn} ")
    for client in clients.values():
        assert [line for line in client.output if "disconnected" in line] == []
    for member in members:
        forwarding = member.cluster["forwarding"]
        assert isinstance(forwarding, dict)
        assert forwarding["forwarded"] > 0
        assert "unreachable" not in forwarding


def test_the_clients_of_a_node_that_stops_and_those_that_come_through_it_find_the_other(
    members: list[Member], clients: dict[str, Program]
) -> None:
    assert members[0].stop() == 0
    until(lambda: members[1].users == sorted(clients), says=lambda: members[1].users)
    for user, client in clients.items():
        ends = [line for line in client.output if "disconnected 1:" in line]
        if ends:
            client.wait_for_output("connected 2")
            assert ends[0].endswith(": transport close") or user.startswith("polling"), (user, ends)
    members[1].publish(*(order("last", user) for user in clients))
    for client in clients.values():
        client.wait_for_output("last ")
