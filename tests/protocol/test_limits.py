"""Limits that Node lacks or keeps at half a minute: nobody holds a connection or memory for ever."""

from __future__ import annotations

import time

import pytest

from tests.protocol.peers import BAD_REQUEST, EngineSocket, Polling, Server
from tests.support.wire import NO_STATUS, TEXT, WebSocketClient, fetch, frame, http_request

pytestmark = pytest.mark.departure("Node has no such limit")


def test_a_polling_client_that_never_fetches_the_close_is_forgotten(limited: Server) -> None:
    with Polling(limited) as client:
        client.send("4hello")
        assert client.poll() == ["4hello"]
        client.send("4close")
        assert limited.closing_reason(client.sid) == "forced close"
        assert client.is_gone()


def test_a_websocket_client_that_does_not_answer_the_close_is_cut(limited: Server) -> None:
    with EngineSocket.connect(limited) as client:
        client.send_text("4close")
        started = time.monotonic()
        assert client.close_code() == NO_STATUS
        assert client.read_to_end() == b""
        assert time.monotonic() - started < 2


def test_a_body_that_takes_too_long_is_cut(limited: Server) -> None:
    with Polling(limited) as client:
        client.poster.send(http_request("POST", client.target, [("Content-Length", "10")]) + b"4half")
        assert b"200 OK" not in client.poster.read_to_end()
        assert limited.closing_reason(client.sid) == "transport error"


def test_a_body_that_dribbles_is_cut(limited: Server) -> None:
    with Polling(limited) as client:
        client.poster.send(http_request("POST", client.target, [("Content-Length", "10000")]))
        started = time.monotonic()
        while client.poster.is_silent(0.02) and client.poster.send_or_be_cut(b"4"):
            assert time.monotonic() - started < 3
        assert limited.closing_reason(client.sid) == "transport error"


def test_a_polling_client_that_lets_messages_pile_up_is_disconnected(limited: Server) -> None:
    with Polling(limited) as client:
        client.send("4" + "x" * 600_000)
        client.send("4" + "x" * 600_000)
        assert client.is_gone()
        assert limited.closing_reason(client.sid) == "transport error"


def test_a_websocket_client_that_never_reads_is_disconnected(limited: Server) -> None:
    with EngineSocket.connect(limited) as client:
        for _ in range(60):
            if not client.send_or_be_cut(frame(TEXT, b"4" + b"x" * 900_000)):
                break
        assert limited.closing_reason(client.sid) == "transport error"


@pytest.mark.parametrize(("count", "gone"), [(10, False), (11, True)])
def test_the_packets_of_one_post_are_counted(limited: Server, count: int, *, gone: bool) -> None:
    with Polling(limited) as client:
        assert client.post(*["6"] * count).status in {200, 400, 413}
        assert client.is_gone() is gone


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", b"4stolen")])
@pytest.mark.parametrize("header", ["Authorization", "Origin"])
def test_a_sid_is_of_no_use_to_somebody_else(
    limited: Server, header: str, method: str, body: bytes | None
) -> None:
    with Polling(limited, [(header, "https://mine.example")]) as client:
        answer = fetch(limited.port, method, client.target, [(header, "https://theirs.example")], body)
        assert (answer.status, answer.json()) == (400, BAD_REQUEST)
        assert client.echoes()


@pytest.mark.parametrize("header", ["Authorization", "Origin"])
def test_a_sid_cannot_be_upgraded_by_somebody_else(limited: Server, header: str) -> None:
    with Polling(limited, [(header, "https://mine.example")]) as client:
        with WebSocketClient(limited.port) as thief:
            target = limited.target(transport="websocket", sid=client.sid)
            assert thief.handshake(target, [(header, "https://theirs.example")]).status == 400
        assert client.echoes()
