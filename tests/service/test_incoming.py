"""What all clients together have begun to send, on the service as it runs: bounded, whoever they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.service.peers import SOCKET_IO, Client, fresh
from tests.service.servers import ANYWHERE, WITH_KEY, Service, complaints, json_body, twistd
from tests.support.wire import BINARY, CHUNKED, TEXT, Headers, HttpClient, WebSocketClient, frame, http_request

MOST = 3_000_000
POLLING = "/socket.io/?EIO=4&transport=polling"
PART = 990_000


@pytest.fixture
def bounded() -> Iterator[Service]:
    """A service that keeps three megabytes of what clients have not finished."""
    with twistd("--listen", ANYWHERE, "--max-incoming-total", str(MOST)) as program:
        service = Service(program)
        yield service
        service.close_clients()
    assert complaints(program.output) == []


def state(service: Service) -> dict[str, Any]:
    """What GET /ready says of clients."""
    found: dict[str, Any] = json_body(service.request("GET", "/ready"))["clients"]
    return found


def wait_for(service: Service, size: int) -> None:
    """Return once so many bytes are kept."""
    deadline = time.monotonic() + 10
    while (seen := state(service))["incomingBytes"] != size:
        assert time.monotonic() < deadline, seen


def begun(service: Service, method: str, target: str, headers: Headers, size: int = PART) -> HttpClient:
    """A request whose body lacks a byte; at once, for the connection is not read before."""
    client = HttpClient(service.port, seconds=15)
    client.send(http_request(method, target, [*headers, ("Content-Length", str(size + 1))]) + b"x" * size)
    return client


def half_a_message(service: Service, opcode: int) -> WebSocketClient:
    """A WebSocket in the middle of a message, of somebody who has not said who it is."""
    client = WebSocketClient.open(service.port, SOCKET_IO, seconds=15)
    client.read_text()
    client.send(frame(opcode, b"4" * PART, fin=False))
    return client


def serves(service: Service) -> None:
    """An honest client signs in, and gets an event."""
    user = fresh("u")
    client: Client = service.join(user)
    assert service.push({"user": user}, "x", "y" * 50_000) == 1
    assert client.names() == ["x"]


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [("POST", "/events", []), ("POST", "/nowhere", []), ("PUT", POLLING, []), ("POST", "/emit", WITH_KEY)],
)
def test_bodies_of_anybody(bounded: Service, method: str, target: str, headers: Headers) -> None:
    clients = [begun(bounded, method, target, headers) for _ in range(3)]
    wait_for(bounded, 3 * PART)
    late = begun(bounded, method, target, headers)
    head = clients[0].read_head()
    assert (head.status, head.header("Retry-After"), head.header("Connection")) == (503, "5", "close")
    assert state(bounded)["incomingBytes"] < MOST
    assert state(bounded)["refused"]["max_incoming_total"] >= 1
    serves(bounded)
    for client in (*clients, late):
        client.close()
    wait_for(bounded, 0)


def test_many_connections_that_never_finish_hold_no_more_than_the_limit(bounded: Service) -> None:
    clients = []
    for _ in range(30):
        clients.append(begun(bounded, "POST", "/events", []))
        assert state(bounded)["incomingBytes"] <= MOST
    serves(bounded)
    assert state(bounded)["refused"]["max_incoming_total"] >= 27
    for client in clients:
        client.reset()
    wait_for(bounded, 0)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_messages_of_anybody(bounded: Service, opcode: int) -> None:
    clients = [half_a_message(bounded, opcode) for _ in range(3)]
    wait_for(bounded, 3 * PART)
    clients.append(half_a_message(bounded, opcode))
    assert clients[0].close_code() == 1013
    serves(bounded)
    for client in clients:
        client.close()
    wait_for(bounded, 0)


def test_who_sends_little_is_not_asked_to_go(bounded: Service) -> None:
    small = begun(bounded, "POST", "/events", WITH_KEY, 20_000)
    clients = [begun(bounded, "POST", "/nowhere", []) for _ in range(6)]
    deadline = time.monotonic() + 10
    while state(bounded)["refused"].get("max_incoming_total", 0) < 3:
        assert time.monotonic() < deadline
    small.send(b"x")
    assert small.read_response().status == 400, "taken, and no JSON"
    for client in clients:
        client.close()


def test_what_has_ended_is_not_kept(bounded: Service) -> None:
    with HttpClient(bounded.port) as client:
        for size in (500_000, 900_000):
            answer = client.request("POST", "/emit", WITH_KEY, b" " * size)
            assert answer.status == 400
        assert client.request("POST", "/emit", [*WITH_KEY, *CHUNKED], b"5\r\nhello\r\n0\r\n\r\n").status == 400
        wait_for(bounded, 0)
    begun(bounded, "POST", "/emit", WITH_KEY).reset()
    half_a_message(bounded, TEXT).reset()
    with half_a_message(bounded, TEXT) as client:
        client.send(frame(0, b"4"))
        assert client.close_code() == 1005, "no packet"
    with half_a_message(bounded, TEXT) as client:
        client.send(frame(0, b"\xff" * 100_000, fin=False))
        assert client.close_code() == 1009
        assert state(bounded)["incomingBytes"] == 0
    wait_for(bounded, 0)
