"""The server pings; who does not answer in time is gone. Interval 0.3 s, timeout 0.2 s."""

from __future__ import annotations

import time

import pytest

from tests.protocol.peers import EngineSocket, Polling, Server
from tests.support.wire import NO_STATUS, TEXT, frame


def seconds_since(start: float) -> float:
    return time.monotonic() - start


def test_the_intervals_are_announced_in_milliseconds(quick_eio: Server) -> None:
    with Polling(quick_eio) as client:
        assert (client.open["pingInterval"], client.open["pingTimeout"]) == (300, 200)


def test_a_websocket_client_is_pinged_until_it_leaves(quick_eio: Server) -> None:
    with EngineSocket.connect(quick_eio) as client:
        started = time.monotonic()
        for _ in range(3):
            assert client.read_text() == "2"
            client.send_text("3")
        assert 0.8 < seconds_since(started) < 2
        assert client.echoes()


def test_a_polling_client_is_pinged_until_it_leaves(quick_eio: Server) -> None:
    with Polling(quick_eio) as client:
        started = time.monotonic()
        for _ in range(3):
            assert client.poll() == ["2"]
            client.send("3")
        assert 0.8 < seconds_since(started) < 2


def test_a_websocket_client_that_does_not_answer_is_gone(quick_eio: Server) -> None:
    with EngineSocket.connect(quick_eio) as client:
        started = time.monotonic()
        assert client.read_text() == "2"
        assert client.close_code() == NO_STATUS
        assert 0.4 < seconds_since(started) < 1.5
        assert quick_eio.closing_reason(client.sid) == "ping timeout"


def test_a_polling_client_that_does_not_answer_is_gone(quick_eio: Server) -> None:
    with Polling(quick_eio) as client:
        assert client.poll() == ["2"]
        assert client.poll() == ["1"]
        assert client.is_gone()
        assert quick_eio.closing_reason(client.sid) == "ping timeout"


def test_a_polling_client_that_never_polls_is_gone(quick_eio: Server) -> None:
    with Polling(quick_eio) as client:
        assert quick_eio.closing_reason(client.sid) == "ping timeout"
        assert client.is_gone()


def test_a_client_that_polls_but_never_answers_is_gone(quick_eio: Server) -> None:
    with Polling(quick_eio) as client:
        client.send("4hello")
        assert client.poll() == ["4hello"]
        assert client.poll() == ["2"]
        assert quick_eio.closing_reason(client.sid) == "ping timeout"


def test_pings_wait_for_the_answer(quick_eio: Server) -> None:
    with EngineSocket.connect(quick_eio) as client:
        assert client.read_text() == "2"
        assert client.is_silent(0.1)
        client.send_text("3")
        answered = time.monotonic()
        assert client.read_text() == "2"
        assert 0.25 < seconds_since(answered) < 0.9


@pytest.mark.departure("Node lets a stray pong put its next ping off")
def test_stray_pongs_change_nothing(quick_eio: Server) -> None:
    with EngineSocket.connect(quick_eio) as client:
        started = time.monotonic()
        while client.is_silent(0.02):
            client.send(frame(TEXT, b"3") * 3)
            assert seconds_since(started) < 1, "the pongs put the ping off"
        assert client.read_text() == "2"
        assert client.close_code() == NO_STATUS
        assert quick_eio.closing_reason(client.sid) == "ping timeout"


def test_repeated_pongs_do_not_multiply_pings(quick_eio: Server) -> None:
    with EngineSocket.connect(quick_eio) as client:
        started = time.monotonic()
        for _ in range(3):
            assert client.read_text() == "2"
            client.send(frame(TEXT, b"3") * 10)
        assert 0.8 < seconds_since(started) < 2


def test_other_packets_are_no_answer(quick_eio: Server) -> None:
    with EngineSocket.connect(quick_eio) as client:
        started = time.monotonic()
        code = None
        while code is None and seconds_since(started) < 3:
            client.send_or_be_cut(frame(TEXT, b"6"))
            code = closing(client)
        assert code == NO_STATUS
        assert quick_eio.closing_reason(client.sid) == "ping timeout"


def closing(client: EngineSocket) -> int | None:
    """The close code if the server closes within a moment."""
    if client.is_silent(0.05):
        return None
    received = client.read_frame()
    return None if received.opcode == TEXT else received.close_code


def test_the_heartbeat_goes_on_after_an_upgrade(quick_eio: Server) -> None:
    with Polling(quick_eio) as polling, EngineSocket.upgrade(polling) as client:
        for _ in range(2):
            assert client.read_text() == "2"
            client.send_text("3")
        assert client.read_text() == "2"
        assert client.close_code() == NO_STATUS
        assert quick_eio.closing_reason(polling.sid) == "ping timeout"


def test_a_ping_asked_by_polling_may_be_answered_by_websocket(quick_eio: Server) -> None:
    with Polling(quick_eio) as polling:
        assert polling.poll() == ["2"]
        with EngineSocket.upgrade(polling) as client:
            client.send_text("3")
            assert client.read_text() == "2"


def test_a_session_closed_by_its_client_is_not_pinged(quick_eio: Server) -> None:
    with Polling(quick_eio) as client:
        client.send("1")
        assert quick_eio.closing_reason(client.sid) == "transport close"
        assert client.is_gone()
