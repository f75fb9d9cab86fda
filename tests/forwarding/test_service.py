"""`twistd rtwist --advertise` on two nodes, behind a HAProxy that sends each request to the next one."""

from __future__ import annotations

import json
import select
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rtwist.auth.token import mint
from tests.deploy.proxies import Proxy
from tests.forwarding.test_requests import UPGRADE, masked
from tests.intake.brokered import until
from tests.support.clients import CLIENTS, require_node_modules
from tests.support.processes import Program
from tests.support.redis import Redis
from tests.support.service import JWT_SECRET, Service
from tests.workers.cluster import POLLING, Connection, get

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
    def forwarding(self) -> dict[str, int]:
        return self.cluster["forwarding"]  # type: ignore[return-value]

    @property
    def users(self) -> list[str]:
        return sorted(self.request("GET", "/connected-users")[1]["data"]["users"])


@pytest.fixture
def options() -> tuple[str, ...]:
    return ("--drain-rate", "20")


@pytest.fixture
def members(options: tuple[str, ...]) -> Iterator[list[Member]]:
    with Redis() as redis, ExitStack() as stack:
        members = [stack.enter_context(Member(redis, *options)) for _ in range(2)]
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


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "two workers"])
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
        # It tells of the worker that happens to be asked.
        until(lambda member=member: member.forwarding.get("forwarded"), says=lambda member=member: member.cluster)
        assert "unreachable" not in member.forwarding


@pytest.mark.parametrize("options", [("--drain-rate", "1")])
def test_websockets_that_go_through_a_node_that_stops_are_closed_a_few_at_a_time(members: list[Member]) -> None:
    passing = []
    for _ in range(4):
        opened = Connection(members[1].port).ask(get(POLLING))
        sid = json.loads(opened[1][1:])["sid"]
        connection = Connection(members[0].port)
        connection.send(get(f"/socket.io/?EIO=4&transport=websocket&sid={sid}", *UPGRADE) + masked(b"2probe"))
        assert connection.head().startswith(b"HTTP/1.1 101 ")
        assert connection.frame() == b"3probe"
        connection.send(masked(b"5"))
        passing.append(connection)
    members[0].program.process.send_signal(signal.SIGTERM)
    assert select.select([connection.socket for connection in passing], [], [], 30)[0]
    first = time.monotonic()
    for connection in passing:
        while connection.socket.recv(1000):
            pass
    # One a second; at the end of the process they would all be closed at once.
    assert time.monotonic() - first > 1
    assert members[0].stop() == 0


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
