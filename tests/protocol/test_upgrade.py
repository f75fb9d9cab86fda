"""From long-polling to WebSocket: the probe, the switch, and everything that must not disturb the session."""

from __future__ import annotations

import time

import pytest

from tests.protocol.peers import BAD_REQUEST, EngineSocket, Polling, Server, SocketIo, SocketIoPolling
from tests.support.wire import BINARY, CLOSE, NO_STATUS, TEXT, WebSocketClient, fetch, frame


def test_a_session_moves_to_websocket(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.upgrade(polling) as websocket:
        assert websocket.echoes("over there")


def test_the_probe_is_answered_on_the_websocket(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.connect(eio, sid=polling.sid) as websocket:
        websocket.send_text("2probe")
        assert websocket.read_text() == "3probe"


def test_no_second_open_packet_is_sent(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.connect(eio, sid=polling.sid) as websocket:
        assert websocket.is_silent(0.1)


def test_a_poll_that_waits_during_the_probe_gets_a_noop_within_a_fifth_of_a_second(eio: Server) -> None:
    with Polling(eio) as polling:
        polling.park()
        with EngineSocket.probe(polling):
            started = time.monotonic()
            assert polling.parked() == ["6"]
            assert time.monotonic() - started < 0.5
            polling.getter.send_request("GET", polling.target)
            assert polling.parked() == ["6"]


def test_polling_goes_on_during_the_probe(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.probe(polling):
        assert polling.echoes("still by polling")


def test_what_was_not_polled_is_sent_over_the_websocket(eio: Server) -> None:
    with Polling(eio) as polling:
        polling.send("4one", "bAQI=", "4two")
        with EngineSocket.upgrade(polling) as websocket:
            assert websocket.read_text() == "4one"
            assert websocket.read_binary() == b"\x01\x02"
            assert websocket.read_text() == "4two"


def test_messages_keep_their_order_over_the_switch(eio: Server) -> None:
    with Polling(eio) as polling:
        polling.send("4count:50")
        first = polling.poll()
        with EngineSocket.probe(polling) as websocket:
            polling.send("4a", "4b")
            websocket.send(frame(TEXT, b"5") + frame(TEXT, b"4c") + frame(TEXT, b"4d"))
            assert [websocket.read_text() for _ in range(4)] == ["4a", "4b", "4c", "4d"]
    assert first == [f"4number {n}" for n in range(50)]


def test_the_whole_upgrade_may_come_in_one_segment(eio: Server) -> None:
    early = frame(TEXT, b"2probe") + frame(TEXT, b"5") + frame(TEXT, b"4at once")
    with Polling(eio) as polling, EngineSocket.connect(eio, early=early, sid=polling.sid) as websocket:
        assert websocket.read_text() == "3probe"
        assert websocket.read_text() == "4at once"


def test_the_upgrade_packet_needs_no_probe_before(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.connect(eio, sid=polling.sid) as websocket:
        websocket.send_text("5")
        assert websocket.echoes()


@pytest.mark.departure("Node drops the poll's connection or leaves it waiting")
def test_a_poll_that_waits_when_the_upgrade_completes_gets_a_noop(eio: Server) -> None:
    with Polling(eio) as polling:
        polling.park()
        with EngineSocket.probe(polling) as websocket:
            assert polling.parked() == ["6"]
            polling.getter.send_request("GET", polling.target)
            assert polling.getter.is_silent(0.03)
            websocket.send_text("5")
            assert polling.parked() == ["6"]
            assert websocket.echoes()


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", b"4hello")])
def test_polling_is_over_after_the_upgrade(eio: Server, method: str, body: bytes | None) -> None:
    with Polling(eio) as polling, EngineSocket.upgrade(polling) as websocket:
        assert websocket.echoes()
        answer = fetch(eio.port, method, polling.target, body=body)
        assert (answer.status, answer.json()) == (400, BAD_REQUEST)
        assert websocket.echoes("and only once")


def test_a_binary_message_travels_raw_after_the_upgrade(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.upgrade(polling) as websocket:
        websocket.send(frame(BINARY, b"\x00\x01"))
        assert websocket.read_binary() == b"\x00\x01"


def test_the_end_of_the_websocket_is_the_end_of_an_upgraded_session(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.upgrade(polling) as websocket:
        assert websocket.echoes()
        websocket.send(frame(CLOSE))
        websocket.close_code()
        websocket.close()
        assert eio.closing_reason(polling.sid) == "transport close"
        assert polling.is_gone()


# --- what closes only the new WebSocket


@pytest.mark.parametrize(
    "packet",
    ["2", "2other", "2probe ", "3probe", "3", "4hello", "1", "6", "0", "x", ""],
)
def test_anything_but_a_probe_closes_only_the_websocket(eio: Server, packet: str) -> None:
    with Polling(eio) as polling, EngineSocket.connect(eio, sid=polling.sid) as websocket:
        websocket.send_text(packet)
        assert websocket.close_code() == NO_STATUS
        assert polling.echoes()


@pytest.mark.parametrize("packet", ["4hello", "1", "6", "x"])
def test_anything_but_the_upgrade_after_the_probe_closes_only_the_websocket(eio: Server, packet: str) -> None:
    with Polling(eio) as polling, EngineSocket.probe(polling) as websocket:
        websocket.send_text(packet)
        assert websocket.close_code() == NO_STATUS
        assert polling.echoes()


def test_a_binary_frame_instead_of_the_probe_closes_only_the_websocket(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.connect(eio, sid=polling.sid) as websocket:
        websocket.send(frame(BINARY, b"2probe"))
        assert websocket.close_code() == NO_STATUS
        assert polling.echoes()


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("probed", [False, True], ids=["before the probe", "after the probe"])
def test_a_websocket_that_breaks_off_leaves_the_session_polling(eio: Server, end: str, *, probed: bool) -> None:
    with Polling(eio) as polling:
        websocket = EngineSocket.probe(polling) if probed else EngineSocket.connect(eio, sid=polling.sid)
        getattr(websocket, end)()
        assert polling.echoes()
        with EngineSocket.connect(eio, sid=polling.sid) as second:
            wait_until_upgradable(polling, second)


def wait_until_upgradable(polling: Polling, websocket: EngineSocket) -> None:
    """Complete an upgrade; the end of an earlier attempt may still be on its way to the server."""
    for _ in range(50):
        websocket.send_text("2probe")
        received = websocket.read_frame()
        if received.opcode == TEXT:
            assert received.payload == b"3probe"
            websocket.send_text("5")
            assert websocket.echoes()
            return
        websocket.close()
        websocket.__dict__.update(EngineSocket.connect(polling.server, sid=polling.sid).__dict__)
    raise AssertionError("the session can no longer be upgraded")


def test_a_bad_frame_on_the_probe_leaves_the_session_polling(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.probe(polling) as websocket:
        websocket.send(frame(TEXT, b"5", rsv=4))
        assert websocket.close_code() == 1002
        assert polling.echoes()


def test_a_frame_over_the_limit_on_the_probe_leaves_the_session_polling(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.connect(eio, sid=polling.sid) as websocket:
        websocket.send(frame(TEXT, b"2probe", declared=1_000_001))
        assert websocket.close_code() == 1009
        assert polling.echoes()


def test_a_second_websocket_is_closed_while_one_is_probing(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.probe(polling) as first:
        with EngineSocket.connect(eio, sid=polling.sid) as second:
            assert second.close_code() == NO_STATUS
        first.send_text("5")
        assert first.echoes()


def test_a_second_websocket_is_closed_after_the_upgrade(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.upgrade(polling) as first:
        assert first.echoes()
        with EngineSocket.connect(eio, sid=polling.sid) as second:
            assert second.close_code() == NO_STATUS
        assert first.echoes()


@pytest.mark.departure("Node takes it for an upgrade of what needs none")
def test_a_websocket_session_cannot_be_upgraded(eio: Server) -> None:
    with EngineSocket.connect(eio) as first:
        with EngineSocket.connect(eio, sid=first.sid) as second:
            assert second.close_code() == NO_STATUS
        assert first.echoes()


@pytest.mark.departure("Node announces no upgrade but allows it")
def test_upgrades_that_are_switched_off_are_refused(small: Server) -> None:
    with Polling(small) as polling, WebSocketClient(small.port) as websocket:
        websocket.handshake(small.target(transport="websocket", sid=polling.sid))
        websocket.read_to_end()
        assert polling.echoes()


def test_a_probe_that_is_not_completed_is_dropped(quick_eio: Server) -> None:
    with Polling(quick_eio) as polling, EngineSocket.probe(polling) as websocket:
        frames, code = websocket.read_to_close()
        assert (frames, code) == ([], NO_STATUS)
        polling.send("3")
        assert not polling.is_gone()


def test_a_websocket_that_never_probes_is_dropped(quick_eio: Server) -> None:
    with Polling(quick_eio) as polling, EngineSocket.connect(quick_eio, sid=polling.sid) as websocket:
        assert websocket.close_code() == NO_STATUS
        assert not polling.is_gone()


def test_a_session_that_ends_takes_its_probe_along(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.probe(polling) as websocket:
        polling.send("1")
        assert websocket.close_code() == NO_STATUS
        assert polling.is_gone()


def test_a_bad_packet_by_polling_takes_the_probe_along(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.probe(polling) as websocket:
        polling.send("x")
        assert websocket.close_code() == NO_STATUS
        assert eio.closing_reason(polling.sid) == "parse error"


def test_a_session_that_the_server_closes_while_probing_ends_after_the_upgrade(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.probe(polling) as websocket:
        polling.send("4close")
        websocket.send_text("5")
        frames, code = websocket.read_to_close()
        assert (frames, code) == ([], NO_STATUS)
        websocket.close()
        assert eio.closing_reason(polling.sid) == "forced close"


def test_socket_io_goes_on_over_the_websocket(sio: Server) -> None:
    with SocketIoPolling(sio) as polling:
        polling.join()
        polling.send('42["message","sent before"]')
        with SocketIo.upgrade(polling) as websocket:
            assert isinstance(websocket, SocketIo)
            assert websocket.event() == ["message-back", "sent before"]
            assert websocket.serves()


def test_a_namespace_may_be_joined_before_and_used_after_the_upgrade(sio: Server) -> None:
    with SocketIoPolling(sio) as polling:
        polling.send("40")
        with SocketIo.upgrade(polling) as websocket:
            assert isinstance(websocket, SocketIo)
            assert websocket.read_text().startswith('40{"sid":"')
            assert websocket.event() == ["auth", {}]
            assert websocket.serves()
