"""Limits that Node lacks or keeps at half a minute: nobody holds a connection or memory for ever."""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.protocol.peers import BAD_REQUEST, EngineSocket, Polling, Server, SocketIo
from tests.support.wire import (
    CONTINUATION,
    NO_STATUS,
    TEXT,
    HttpClient,
    WebSocketClient,
    fetch,
    frame,
    http_request,
)

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
        assert client.poster.read_response().status == 408
        assert limited.closing_reason(client.sid) == "transport error"


def test_a_body_that_dribbles_is_cut(limited: Server) -> None:
    with Polling(limited) as client:
        client.poster.send(http_request("POST", client.target, [("Content-Length", "10000")]))
        started = time.monotonic()
        while client.poster.is_silent(0.02) and client.poster.send_or_be_cut(b"4"):
            assert time.monotonic() - started < 3
        assert limited.closing_reason(client.sid) == "transport error"


def trickle(client: HttpClient, data: bytes) -> None:
    """Send one byte after the other until the server cuts the connection."""
    started = time.monotonic()
    for byte in data * 1000:
        if not client.is_silent(0.02) or not client.send_or_be_cut(bytes([byte])):
            break
        assert time.monotonic() - started < 3
    assert client.read_to_end().startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_headers_that_dribble_are_cut(limited: Server) -> None:
    with HttpClient(limited.port) as client:
        trickle(client, http_request("GET", limited.target(padding="x" * 100)))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_headers_of_a_later_request_that_dribble_are_cut(limited: Server, method: str) -> None:
    with Polling(limited) as client:
        client.send("4hello")
        line = client.getter if method == "GET" else client.poster
        trickle(line, http_request(method, client.target, [("X-Padding", "x" * 100)], b"4late"))
        assert fetch(limited.port, "GET", client.target).text == "4hello"


def test_who_idles_polls_or_is_upgraded_is_not_cut_by_the_limit_of_headers(limited: Server) -> None:
    with Polling(limited) as idle, Polling(limited) as waiting, EngineSocket.connect(limited) as websocket:
        assert idle.echoes()
        waiting.send("6")
        waiting.park()
        assert websocket.is_silent(1)
        assert idle.echoes()
        waiting.send("4hello")
        assert waiting.parked() == ["4hello"]
        assert websocket.echoes()


def test_who_connects_and_sends_nothing_is_cut(limited: Server) -> None:
    with HttpClient(limited.port) as client:
        assert client.read_to_end() == b""


def test_a_websocket_message_that_never_ends_is_cut(limited: Server) -> None:
    with EngineSocket.connect(limited) as client:
        client.send(frame(TEXT, b"4begun", fin=False))
        started = time.monotonic()
        while client.is_silent(0.02) and client.send_or_be_cut(frame(CONTINUATION, b"x", fin=False)):
            assert time.monotonic() - started < 3
        assert client.close_code() == 1008
        assert limited.closing_reason(client.sid) == "transport error"


def leave_unread(client: Polling) -> None:
    """Ask for an answer of fifteen megabytes, and read no more than its head."""
    for _ in range(15):
        client.send("4" + "x" * 999_000)
    client.getter.send_request("GET", client.target)
    assert client.getter.read_head().status == 200


def test_answers_that_are_left_unread_do_not_pile_up(eio: Server) -> None:
    with Polling(eio) as client:
        leave_unread(client)
        for _ in range(15):
            answer = client.post("4" + "x" * 1000)
            assert (answer.status, answer.text) == (200, "ok")
        with HttpClient(eio.port) as other:
            other.send_request("GET", client.target)
            assert other.read_head().status == 400
        assert client.is_gone()
        assert eio.closing_reason(client.sid) == "transport error"


def test_an_answer_that_is_left_unread_counts_as_waiting(eio: Server) -> None:
    with Polling(eio) as client:
        leave_unread(client)
        statuses = [client.post("4" + "x" * 999_000).status for _ in range(5)]
        assert (statuses[0], statuses[-1]) == (200, 400)
        assert client.is_gone()
        assert eio.closing_reason(client.sid) == "transport error"


def test_requests_behind_an_answer_that_is_left_unread_are_not_read_without_end(eio: Server) -> None:
    with Polling(eio) as client:
        leave_unread(client)
        client.getter.sock.settimeout(0.5)
        sent, request = 0, http_request("GET", client.target)
        with contextlib.suppress(TimeoutError):
            while sent < 50_000_000:
                sent += client.getter.sock.send(request * 100)
        assert sent < 10_000_000


def test_who_reads_large_answers_gets_all_of_them(eio: Server) -> None:
    with Polling(eio) as client:
        for _ in range(3):
            for _ in range(15):
                client.send("4" + "x" * 999_000)
            assert [len(packet) for packet in client.poll()] == [999_001] * 15


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


def ask(client: SocketIo, question: str) -> str:
    """Have the server ask back; the number its question wants acknowledged."""
    client.emit("ask", question)
    packet = client.read_text()
    number = packet[2 : packet.index("[")]
    assert packet == f'42{number}["question","{question}"]'
    return number


def test_of_too_many_questions_of_the_server_the_oldest_is_given_up(limited_sio: Server) -> None:
    with SocketIo.joined(limited_sio) as client:
        first, second, third = (ask(client, question) for question in "abc")
        for number in (first, second, third):
            client.send_text(f"43{number}[{number}]")
        assert [client.event() for _ in range(2)] == [["answered", int(number)] for number in (second, third)]
        assert client.serves()
        limited_sio.program.wait_for_output("max_pending_acks passed by")


def test_a_question_that_is_never_answered_is_given_up(limited_sio: Server) -> None:
    with SocketIo.joined(limited_sio) as client, SocketIo.joined(limited_sio) as other:
        late, other_number = ask(client, "a"), ask(other, "b")
        other.send_text(f'43{other_number}["in time"]')
        assert other.event() == ["answered", "in time"]
        limited_sio.program.wait_for_output("ack_timeout passed by")
        client.send_text(f'43{late}["too late"]')
        assert client.serves()
        assert other.serves()
