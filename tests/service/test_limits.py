"""The limits of connections, addresses, users, packets and events, on the service as it runs."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.service.peers import SOCKET_IO, Client, fresh, token
from tests.service.servers import (
    ANYWHERE,
    KEYS,
    TWISTD,
    WITH_KEY,
    WITHOUT_SETTINGS,
    Service,
    complaints,
    json_body,
    refused,
    twistd,
)
from tests.support.processes import Program
from tests.support.wire import HOST, PING, TEXT, Ended, HttpClient, Response, WebSocketClient, frame, http_request

POLLING = "/socket.io/?EIO=4&transport=polling"
PROXIED = ("--trusted-proxies", "127.0.0.0/8")


@contextlib.contextmanager
def limited(*options: str) -> Iterator[Service]:
    """A service of its own with these options; it must not complain."""
    with twistd("--listen", ANYWHERE, *options) as program:
        service = Service(program)
        yield service
        service.close_clients()
    assert complaints(program.output) == []


def at(address: str) -> tuple[tuple[str, str], ...]:
    """The headers that a proxy adds for a client at `address`."""
    return (("X-Forwarded-For", address),)


def told(answer: Response) -> tuple[int, str]:
    """Status and code of a refusal, which says when to come back."""
    assert int(answer.header("Retry-After") or 0) > 0
    assert set(json_body(answer)) == {"code", "message"}
    return answer.status, answer.json()["code"]


def ask(service: Service, target: str = POLLING, address: str = "203.0.113.1") -> Response:
    """One request through a proxy."""
    return service.request("GET", target, at(address))


def upgrade(service: Service) -> Response:
    """A request for a WebSocket."""
    with WebSocketClient(service.port) as client:
        client.send(client.handshake_bytes(SOCKET_IO))
        return client.read_response()


def state(service: Service) -> dict[str, Any]:
    """What GET /ready says of clients."""
    answer = service.request("GET", "/ready")
    found: dict[str, Any] = json_body(answer)["clients"]
    return found


# Connections


def test_beyond_max_connections_handshakes_get_503_and_other_requests_an_answer() -> None:
    with limited("--max-connections", "3") as service:
        clients = [service.join(fresh("u")) for _ in range(3)]
        assert told(upgrade(service)) == (503, "too_many")
        assert told(ask(service)) == (503, "too_many")
        assert service.request("GET", "/health").status == 200
        assert state(service)["refused"] == {"max_connections": 2}
        clients[0].close()
        wait_for(service, sessions=2)
        service.join(fresh("u"))


def wait_for(service: Service, **expected: int) -> None:
    """Return once GET /ready shows these numbers."""
    deadline = time.monotonic() + 10
    while not expected.items() <= (seen := state(service)).items():
        assert time.monotonic() < deadline, seen


def test_connections_that_never_say_a_word_are_turned_away_and_cut() -> None:
    with limited("--max-connections", "1", "--header-timeout", "2") as service:
        silent = [HttpClient(service.port) for _ in range(65)]
        with HttpClient(service.port) as late:
            assert told(late.read_response()) == (503, "too_many")
            assert late.read_to_end() == b""
        for client in silent:
            assert client.read_to_end() == b"", "cut when no request came"
        service.join(fresh("u"))


def test_one_address_has_its_share_of_connections() -> None:
    with limited("--max-connections-per-address", "2") as service:
        first, _ = service.join(fresh("u")), service.join(fresh("u"))
        with HttpClient(service.port) as late:
            assert told(late.read_response()) == (429, "too_many")
        first.close()
        deadline = time.monotonic() + 10
        while (answer := service.request("GET", "/health")).status != 200:
            assert (answer.status, time.monotonic() < deadline) == (429, True)


def test_behind_a_proxy_each_client_has_its_own_share() -> None:
    with limited("--max-connections-per-address", "2", *PROXIED) as service:
        for address in ("203.0.113.1", "2001:db8::1"):
            assert [ask(service, address=address).status for _ in range(2)] == [200, 200]
        assert told(ask(service)) == (429, "too_many")
        assert told(ask(service, address="2001:db8::ffff")) == (429, "too_many"), "the same network"
        assert told(ask(service, address="198.51.100.1, 203.0.113.1")) == (429, "too_many"), "made up"
        assert ask(service, address="203.0.113.2").status == 200
        service.join(fresh("u"))


def test_one_user_has_so_many_connections() -> None:
    with limited("--max-connections-per-user", "2") as service:
        user = fresh("u")
        first = service.join(user)
        service.join(user)
        late = service.open()
        refusal = late.connect(token(user))
        assert refusal == {"message": "Too many connections of this user", "data": {"code": "too_many"}}
        service.join(fresh("u"))
        first.close()
        wait_for(service, sessions=3)
        assert late.connect(token(user)) is None
        assert state(service)["refused"] == {"max_connections_per_user": 1}


def test_a_crowd_that_comes_while_it_is_busy_waits_at_the_door() -> None:
    with limited() as service:
        quiet = service.join(fresh("u"))
        service.program.process.send_signal(signal.SIGSTOP)
        try:
            crowd = [HttpClient(service.port) for _ in range(500)]
        finally:
            service.program.process.send_signal(signal.SIGCONT)
        for client in crowd:
            client.send_request("GET", "/health")
        assert {client.read_response().status for client in crowd} == {200}
        for client in crowd:
            client.close()
        quiet_client_is_served(service, quiet)


# Handshakes


def test_handshakes_have_a_rate() -> None:
    with limited("--max-handshakes-per-second", "1") as service:
        answers = [ask(service) for _ in range(60)]
        assert {answer.status for answer in answers[:20]} == {200}
        assert told(next(answer for answer in answers if answer.status != 200)) == (503, "rate_limited")


def test_an_address_that_asks_for_sessions_that_are_not_there_has_a_rate() -> None:
    with limited("--max-handshakes-per-second-per-address", "1", *PROXIED) as service:
        answers = [ask(service, f"{POLLING}&sid=nobody") for _ in range(60)]
        assert {answer.status for answer in answers[:20]} == {400}
        assert told(next(answer for answer in answers if answer.status != 400)) == (429, "rate_limited")
        assert ask(service, address="203.0.113.2").status == 200


@pytest.mark.parametrize(
    ("method", "query", "status"),
    [
        ("GET", "EIO=3&transport=polling", 400),
        ("GET", "transport=abc", 400),
        ("PUT", "EIO=4&transport=polling", 500),
    ],
)
def test_requests_that_a_session_does_not_take_have_a_rate(method: str, query: str, status: int) -> None:
    with limited("--max-handshakes-per-second-per-address", "1", *PROXIED) as service:
        target = f"/socket.io/?{query}&sid={json.loads(ask(service).text[1:])['sid']}"
        answers = [service.request(method, target, at("203.0.113.1")) for _ in range(60)]
        assert {answer.status for answer in answers[:19]} == {status}
        assert told(next(answer for answer in answers if answer.status != status)) == (429, "rate_limited")
        assert ask(service, address="203.0.113.2").status == 200
        assert len([line for line in service.program.output if " refused: " in line]) <= 25


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("OPTIONS", POLLING, 204), ("OPTIONS", "/emit", 204), ("GET", "/socket.io/socket.io.js", 200)],
    ids=["a preflight", "a preflight to a route", "the client's script"],
)
def test_what_needs_no_session_has_a_rate(tmp_path: Path, method: str, target: str, status: int) -> None:
    (tmp_path / "socket.io.js").write_text("/* the client */")
    options = ("--cors-origins", "https://shop.example", "--client-dist", str(tmp_path))
    with limited("--max-handshakes-per-second-per-address", "1", *options, *PROXIED) as service:
        headers = [("Origin", "https://shop.example"), *at("203.0.113.1")]
        answers = [service.request(method, target, headers) for _ in range(60)]
        assert {answer.status for answer in answers[:20]} == {status}
        late = next(answer for answer in answers if answer.status != status)
        assert (late.status, int(late.header("Retry-After") or 0) > 0) == (429, True)
        assert service.request(method, target, at("203.0.113.2")).status == status


# Packets, bytes and events


def quiet_client_is_served(service: Service, client: Client) -> None:
    assert client.succeed("leave_room", "some room") == {"room": "some room"}


@pytest.mark.parametrize(
    "flood",
    [frame(TEXT, b"3"), frame(PING, b"x"), frame(TEXT, b"3", fin=False) + frame(0, b"")],
    ids=["heartbeats", "pings", "fragments"],
)
def test_a_flooder_is_read_slowly_and_others_are_served(flood: bytes) -> None:
    with limited("--max-packets-per-second", "50") as service:
        quiet, flooder = service.join(fresh("u")), service.join(fresh("u"))
        flooder.wire.sock.settimeout(0.5)
        with contextlib.suppress(OSError):
            for _ in range(1000):
                flooder.wire.sock.sendall(flood * 2000)
                quiet_client_is_served(service, quiet)
        assert set(state(service)["refused"]) == {"max_packets_per_second"}
        quiet_client_is_served(service, quiet)


def test_a_flood_that_does_not_end_is_closed() -> None:
    with limited("--max-packets-per-second", "50", "--flood-timeout", "1") as service:
        quiet, flooder = service.join(fresh("u")), service.join(fresh("u"))
        flooder.wire.sock.settimeout(0.5)
        flood = frame(TEXT, b"3") * 2000
        left = memoryview(flood)
        deadline = time.monotonic() + 20
        while state(service)["sessions"] == 2:
            with contextlib.suppress(OSError):
                left = left[flooder.wire.sock.send(left) :] or memoryview(flood)
            quiet_client_is_served(service, quiet)
            assert time.monotonic() < deadline
        assert state(service)["refused"]["flood_timeout"] == 1
        service.program.wait_for_output("flood_timeout passed by 127.0.0.1")


def test_a_flood_of_bytes_is_pushed_back_to_the_sender() -> None:
    with limited("--max-bytes-per-second", "100000") as service:
        flooder = service.join(fresh("u"))
        flooder.wire.sock.settimeout(0.5)
        message = frame(TEXT, b'42["nothing","' + b"x" * 900_000 + b'"]')
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 100:
                flooder.wire.sock.sendall(message)
                sent += 1
        assert 2 <= sent < 40
        assert set(state(service)["refused"]) == {"max_bytes_per_second"}
        service.join(fresh("u"))


def test_a_post_that_is_too_much_is_answered_late() -> None:
    with limited("--max-packets-per-second", "5") as service:
        opened = service.request("GET", POLLING).text
        target = f"{POLLING}&sid={json.loads(opened[1:])['sid']}"
        with HttpClient(service.port, seconds=20) as client:
            for _ in range(9):
                assert client.request("POST", target, body=b"3").text == "ok"
            client.send_request("POST", target, body=b"3")
            assert client.is_silent(0.5)
            assert client.read_response().text == "ok"
        assert set(state(service)["refused"]) == {"max_packets_per_second"}


def test_too_many_events_are_refused_and_then_the_client_is_sent_away() -> None:
    with limited("--max-events-per-second", "1") as service:
        client, quiet = service.join(fresh("u")), service.join(fresh("u"))
        answers = [client.call("leave_room", "r") for _ in range(20)]
        refusals = [answer["error"]["code"] for answer in answers if not answer["success"]]
        assert answers[0]["success"]
        assert set(refusals) == {"rate_limited"}
        client.wire.send(frame(TEXT, b'42["leave_room","r"]') * 200)
        texts = client.rest()
        errors = [json.loads(text[2:]) for text in texts if text.startswith("42")]
        assert errors[-1][0] == "error"
        assert errors[-1][1].items() >= {"event": "leave_room", "code": "rate_limited"}.items()
        assert texts[-1] == "41", "it shall not come back by itself"
        quiet_client_is_served(service, quiet)


# Strangers at the REST routes

WRONG = (("X-API-Key", "wrong"),)


def test_strangers_are_counted_and_have_a_rate_and_whoever_has_the_key_has_none() -> None:
    with limited("--max-handshakes-per-second-per-address", "1", *PROXIED) as service:
        quiet = service.join(fresh("u"))
        here, there = at("203.0.113.1"), at("203.0.113.2")
        answers = [service.request("GET", "/connected-users", (*WRONG, *here)) for _ in range(60)]
        assert {answer.status for answer in answers[:20]} == {401}
        late = next(answer for answer in answers if answer.status != 401)
        assert refused(late) == (429, "rate_limited", "too many requests, try again later")
        assert int(late.header("Retry-After") or 0) > 0
        assert service.request("POST", "/nowhere", (*WRONG, *here), b"{").status == 429
        assert ask(service, address="203.0.113.1").status == 429, "one rate for all that strangers ask for"
        for _ in range(60):
            assert service.request("GET", "/connected-users", (*WITH_KEY, *here)).status == 200
            assert service.request("GET", "/health", here).status == 200
        assert service.request("GET", "/connected-users", (*WRONG, *there)).status == 401
        quiet_client_is_served(service, quiet)
        ready = json_body(service.request("GET", "/ready", here))
        assert ready["unauthorized"] == 1 + sum(answer.status == 401 for answer in answers)
        assert set(ready["clients"]["refused"]) == {"max_handshakes_per_second_per_address"}
        warned = [line for line in service.program.output if "the X-API-Key is not the server's" in line]
        assert len(warned) < 5
        assert "/connected-users refused to 203.0.113.1" in warned[0]


# Who does not read


def never_reading(port: int) -> socket.socket:
    """A connection that takes next to nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((HOST, port))
    return sock


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux can tell")
def test_a_client_that_never_reads_its_poll_is_gone_in_seconds() -> None:
    with limited("--unread-timeout", "1", "--max-payload", "1000000") as service:
        sender = service.join(fresh("u"), "c1")
        opened = service.request("GET", POLLING).text
        target = f"{POLLING}&sid={json.loads(opened[1:])['sid']}"
        assert (
            service.request("POST", target, (), f"40{json.dumps({'token': token('u9', 'c1')})}".encode()).text
            == "ok"
        )
        for _ in range(20):
            service.push({"company": "c1"}, "large", "x" * 500_000)
        before = state(service)["connections"]
        with never_reading(service.port) as client:
            client.sendall(http_request("GET", target))
            client.settimeout(20)
            wait_for(service, connections=before)
        sender.close()


def test_a_refused_client_that_never_reads_is_gone_in_seconds() -> None:
    with limited("--max-connections", "1") as service:
        service.join(fresh("u"))
        before = state(service)["connections"]
        with never_reading(service.port) as client:
            client.sendall(http_request("GET", POLLING) * 2000)
            wait_for(service, connections=before)


# Compression


def test_compression_is_offered_when_asked_for() -> None:
    offer = (("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),)
    for options, agreed in [((), None), (("--websocket-compression",), "permessage-deflate")]:
        with limited(*options) as service, WebSocketClient(service.port) as client:
            answer = client.handshake(SOCKET_IO, offer)
            assert (answer.header("Sec-WebSocket-Extensions") or "").partition(";")[0] == (agreed or "")


# Open files


def starting_with(files: int, hard: int, *options: str) -> Program:
    """The service in a process that may open `files` files, `hard` if it asks."""
    code = (
        f"import os, resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {hard})); "
        "os.execv(os.sys.argv[1], os.sys.argv[1:])"
    )
    argv: Sequence[str] = [TWISTD, "-n", "--pidfile=", "rtwist", "--listen", ANYWHERE, *options]
    return Program([sys.executable, "-c", code, *argv], env={**WITHOUT_SETTINGS, **KEYS})


def test_it_opens_as_many_files_as_it_may() -> None:
    with starting_with(100, 900) as program:
        line = program.wait_for_output("at most")
        assert line.endswith("at most 644 connections; 900 files may be open")
        Service(program).join(fresh("u"))


def test_more_connections_than_files_are_pointed_out() -> None:
    with starting_with(100, 900, "--max-connections", "5000") as program:
        line = program.wait_for_output("--max-connections is 5000")
        assert "with 900 open files there is room for 644" in line
        program.wait_for_output("at most 644 connections")


def wait_until_open(service: Service) -> None:
    """Return once a newcomer is answered: until the crowd is gone it is turned away, with a word or without."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(Ended):
            if service.request("GET", "/health").status == 200:
                return
    raise AssertionError("nobody is let in any more")


def test_out_of_files_it_refuses_and_recovers() -> None:
    with starting_with(150, 150) as program:
        service = Service(program)
        old = service.join(fresh("u"))
        crowd = [never_reading(service.port) for _ in range(200)]
        quiet_client_is_served(service, old)
        for client in crowd:
            client.close()
        wait_until_open(service)
        wait_for(service, connections=2)
        service.join(fresh("u"))
        quiet_client_is_served(service, old)
    assert complaints(program.output) == []
