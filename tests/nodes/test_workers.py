"""`--workers`: several processes on one port, as one service."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest

from tests.intake.brokered import Brokered, Names, order, until
from tests.nodes.conftest import joined, node
from tests.service.peers import SECRET
from tests.service.servers import KEYS, complaints, granted, twistd
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import Redis


def workers_of(running: Brokered) -> dict[int, int]:
    """The pids of the workers by number, as the log has them last."""
    found = {}
    for line in running.program.output:
        match = re.search(r"worker (\d+) started \(pid (\d+)\)", line)
        if match:
            found[int(match[1])] = int(match[2])
    return found


def asked(running: Brokered) -> set[str]:
    """The names of the workers that answer /ready, asked many times."""
    return {running.ready()["cluster"]["node"] for _ in range(40)}


@pytest.fixture
def running(rabbitmq: RabbitMQ, redis_server: Redis) -> Iterator[Brokered]:
    """Two workers that serve."""
    service = node(rabbitmq, redis_server, Names(), "--workers", "2")
    service.start(wait=False)
    try:
        lines = service.program.output
        until(lambda: sum("] listening on " in line for line in lines) == 2, 60.0, says=lambda: lines)
        service.wait_for_broker()
        joined(service)
        yield service
    finally:
        assert service.stop() == 0
    assert complaints(lines) == []


def test_all_are_one_service(running: Brokered) -> None:
    until(lambda: len(asked(running)) == 2, says=running.ready)
    clients = [running.join(f"u{number % 2}") for number in range(12)]
    until(lambda: granted(running.service.request("GET", "/connected-users"))["count"] == 2)
    running.publish({"type": "order.shipped", "data": order(1, user="u1")})
    mine = [client for number, client in enumerate(clients) if number % 2]
    assert [client.next_event().data["orderId"] for client in mine] == ["o1"] * 6
    running.service.push({"all": True}, "marker")
    assert {client.next_event().name for client in clients} == {"marker"}, "nobody else got it"


def test_a_worker_that_is_killed_is_started_again(running: Brokered) -> None:
    before = workers_of(running)
    os.kill(before[1], signal.SIGKILL)
    until(lambda: workers_of(running)[1] != before[1])
    until(lambda: len(asked(running)) == 2)
    assert workers_of(running)[0] == before[0]
    client = running.join("u1")
    running.publish({"type": "order.shipped", "data": order(2)})
    assert client.next_event().data["orderId"] == "o2"


def test_a_fault_that_every_worker_has_ends_it_with_their_status(redis_server: Redis) -> None:
    # Only a worker finds out: the parent reads no keys.
    url = redis_server.url.replace("redis:", "rediss:", 1)
    env = {**KEYS, "REDIS_URL": url, "RTWIST_REDIS_CA_FILE": __file__}
    program = twistd("--listen", "tcp:0:interface=127.0.0.1", "--workers", "2", env=env)
    assert program.wait() == 1
    assert sum("certificate" in line for line in program.output) >= 1, program.output
    assert not any("Traceback" in line for line in program.output)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--listen", "unix:/tmp/never.sock"), "several workers share tcp: and tcp6: endpoints only"),
        (("--dev",), "--dev"),
    ],
)
def test_what_cannot_be_shared_is_refused(redis_server: Redis, options: tuple[str, ...], said: str) -> None:
    program = twistd("--workers", "2", *options, env={**KEYS, "REDIS_URL": redis_server.url})
    assert program.wait() == 1
    assert any(said in line for line in program.output), program.output


def test_they_read_their_configuration_again(running: Brokered) -> None:
    running.program.process.send_signal(signal.SIGHUP)
    until(lambda: sum("configuration was read again" in line for line in running.program.output) == 2)
    assert SECRET not in "".join(running.program.output)
