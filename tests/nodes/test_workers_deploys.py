"""`--workers` at a stop and at SIGHUP: what one process does, all of them do, once each."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.intake.brokered import Brokered, Names, until
from tests.nodes.conftest import joined, node
from tests.nodes.test_workers import workers_of
from tests.service.peers import SECRET, fresh, token
from tests.service.reloads import DONE, OTHER, REFUSED
from tests.service.servers import complaints
from tests.service.test_deploys import departures
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import Redis
from tests.support.wire import HttpClient

WORKERS = 2


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "settings.env"
    file.write_text(f"JWT_SECRET={SECRET}\n")
    return file


@pytest.fixture
def running(rabbitmq: RabbitMQ, redis_server: Redis, settings: Path) -> Iterator[Brokered]:
    """Two workers that serve, and let their clients go slowly."""
    options = ("--drain-rate", "1", "--drain-timeout", "600", "--env-file", str(settings))
    service = node(rabbitmq, redis_server, Names(), "--workers", str(WORKERS), *options)
    service.start(wait=False)
    lines = service.program.output
    try:
        until(lambda: sum("] listening on " in line for line in lines) == WORKERS, 60.0, says=lambda: lines)
        service.wait_for_broker()
        joined(service)
        yield service
    finally:
        service.service.close_clients()
        assert service.program.stop() == 0
    assert complaints(lines) == []


def said(running: Brokered, text: str) -> int:
    return sum(text in line for line in running.program.output)


class TestStopping:
    @pytest.mark.parametrize("whom", ["parent", "all"])
    def test_clients_leave_a_few_at_a_time_and_a_second_signal_ends_it_at_once(
        self, running: Brokered, whom: str
    ) -> None:
        clients = [running.join(fresh("u")) for _ in range(40)]
        others = list(workers_of(running).values()) if whom == "all" else []
        running.program.process.send_signal(signal.SIGTERM)
        for pid in others:  # as systemd does
            os.kill(pid, signal.SIGTERM)
        leaving = departures(clients)
        next(leaving)
        assert not running.has_ended()
        until(lambda: said(running, "stopping: ") == WORKERS)
        assert said(running, "at once") == 0
        running.program.process.send_signal(signal.SIGTERM)
        assert len(list(leaving)) == 39
        assert running.program.wait() == 0
        assert said(running, "stopping at once: a second signal came") >= 1


class TestSighup:
    def test_all_workers_take_new_keys(self, running: Brokered, settings: Path) -> None:
        settings.write_text(f"JWT_SECRET={OTHER}\n")
        running.program.process.send_signal(signal.SIGHUP)
        until(lambda: said(running, DONE) == WORKERS)
        for _ in range(20):  # whichever takes them
            refusal = running.service.open().connect(token("u1"))
            assert refusal is not None
            assert refusal["data"]["code"] == "token_invalid"
            assert running.service.open().connect(token("u1", secret=OTHER)) is None

    def test_a_mistake_is_told_once_and_no_worker_hears_of_it(self, running: Brokered, settings: Path) -> None:
        settings.write_text("JWT_SECRET=short\n")
        running.program.process.send_signal(signal.SIGHUP)
        running.program.wait_for_output(REFUSED)
        settings.write_text(f"JWT_SECRET={SECRET}\nRTWIST_DRAIN_RATE=2\n")
        running.program.process.send_signal(signal.SIGHUP)
        until(lambda: said(running, DONE) == WORKERS)
        assert said(running, REFUSED) == 1
        assert running.service.open().connect(token("u1")) is None


def test_while_drain_delay_lasts_everybody_is_served(
    rabbitmq: RabbitMQ, redis_server: Redis, settings: Path
) -> None:
    options = ("--drain-delay", "60", "--drain-timeout", "600", "--env-file", str(settings))
    service = node(rabbitmq, redis_server, Names(), "--workers", str(WORKERS), *options)
    with service:
        joined(service)
        service.program.process.send_signal(signal.SIGTERM)
        until(lambda: said(service, "stopping: ") == WORKERS)
        until(lambda: any("[worker" not in line and "Closed)" in line for line in service.program.output))
        for _ in range(4):
            ready = service.service.request("GET", "/ready")
            assert (ready.status, ready.json()["status"]) == (503, "DRAINING")
            assert service.service.request("GET", POLLING, ()).status == 200
        service.program.process.send_signal(signal.SIGTERM)
        assert service.program.wait() == 0


POLLING = "/socket.io/?EIO=4&transport=polling"


def test_who_polls_by_a_connection_to_another_worker_is_told_to_leave(running: Brokered) -> None:
    port = running.service.port
    sid = ""
    while not sid.startswith("0"):  # a session of worker 0
        if sid:
            assert running.service.request("POST", f"{POLLING}&sid={sid}", (), b"1").status == 200
        sid = json.loads(running.service.request("GET", POLLING, ()).text[1:])["sid"]
    (name,) = re.findall(r"\[worker 1: .*; node (\S+) of those at", "\n".join(running.program.output))
    others = [HttpClient(port)]
    while others[-1].request("GET", "/ready").json()["cluster"]["node"] != name:  # the kernel chooses
        others.append(HttpClient(port))
    other = others[-1]
    for _ in range(40):
        running.join(fresh("u"))
    running.program.process.send_signal(signal.SIGTERM)
    until(lambda: any("[worker 1: " in line and "Closed" in line for line in running.program.output))
    answer = other.request("GET", f"{POLLING}&sid={sid}")
    assert (answer.status, answer.text) == (200, "1")
    running.program.process.send_signal(signal.SIGTERM)
    for one in others:
        one.close()
