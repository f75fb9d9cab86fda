"""Published weaknesses of servers of this kind, where no other file of this folder has the exact input."""

from __future__ import annotations

import json

import pytest

from tests.protocol.peers import BAD_REQUEST, EngineSocket, Polling, Server, SocketIo, SocketIoPolling
from tests.support.wire import NO_STATUS, TEXT, HttpClient, WebSocketClient, fetch, frame, http_request

departure = pytest.mark.departure
ATTACHED = '["message",{"_placeholder":true,"num":0}]'


# Attachments that never come, or too much of them (CVE-2026-33151)


def told_and_closed(client: SocketIo) -> list[str]:
    """What the client was told before the server closed its connection."""
    frames, code = client.read_to_close()
    assert code == NO_STATUS
    return [json.loads(frame.payload[2:])[1]["message"] for frame in frames]


@departure("Node waits without end")
def test_attachments_that_do_not_come_in_time_end_the_connection(cramped: Server) -> None:
    with SocketIo.joined(cramped, "owing") as client:
        client.send_text(f"451-{ATTACHED}")
        assert told_and_closed(client) == ["attachments that took more than 0.3 s"]
    assert cramped.leaving_reason("owing") == "forced close"


@departure("Node has no limit of all attachments together")
def test_attachments_that_are_too_much_together_end_the_connection(cramped: Server) -> None:
    with SocketIo.joined(cramped) as client:
        client.send_text(f"452-{ATTACHED}")
        client.send_binary(b"x" * 3000)
        client.send_binary(b"x" * 3000)
        assert told_and_closed(client) == ["a packet of more than 5000 bytes"]
    with SocketIo.joined(cramped) as client:
        client.send_text(f"451-{ATTACHED}")
        client.send_binary(b"x" * 3000)
        assert client.read_text().startswith('451-["message-back"')


@departure("Node waits without end")
def test_attachments_by_polling_are_waited_for_no_longer(cramped: Server) -> None:
    with SocketIoPolling(cramped) as client:
        client.join()
        client.send(f"452-{ATTACHED}", "bAAAA")
        assert client.poll()[0].startswith('42["error",')
        assert client.poll() == ["1"]
        assert client.is_gone()


# Requests to sessions that have not said CONNECT, or have moved (python-engineio 4.15.1)


@pytest.mark.parametrize(
    "packet",
    [
        '42["message","x"]',
        '420["message-with-ack","x"]',
        "41",
        pytest.param('451-["x"]', marks=departure("Node waits for the attachment first")),
        "44",
        "430[]",
    ],
)
def test_a_packet_by_polling_before_connect_ends_the_session(sio: Server, packet: str) -> None:
    with Polling(sio) as client:
        client.park()
        client.send(packet)
        assert client.parked() == ["1"]
        assert client.is_gone()


@departure("Node accepts a CONNECT a turn later, and closes")
def test_a_packet_in_the_post_of_the_connect_is_handled_after_it(sio: Server) -> None:
    with Polling(sio) as client:
        client.send("40", '42["message","x"]')
        packets = []
        while len(packets) < 3:
            packets += client.poll()
        assert packets[0].startswith('40{"sid":"')
        assert packets[2] == '42["message-back","x"]'


@departure("Node closes before it has answered the first")
@pytest.mark.parametrize("packets", [("40", "40"), ("40", '40{"token":"x"}'), ("40/custom,", "40/custom,")])
def test_a_second_connect_in_one_post_ends_the_session(sio: Server, packets: tuple[str, ...]) -> None:
    with Polling(sio) as client:
        client.send(*packets)
        heard = [packet for _ in range(2) for packet in client.poll()]
        assert [packet[0] for packet in heard if not packet.startswith("42")] == ["4", "1"]
        assert client.is_gone()


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", b"4again"), ("PUT", b"4again")])
def test_the_sid_of_a_session_that_moved_is_of_no_use_by_http(
    eio: Server, method: str, body: bytes | None
) -> None:
    with Polling(eio) as polling, EngineSocket.upgrade(polling) as client:
        assert client.echoes()
        answer = fetch(eio.port, method, polling.target, body=body)
        assert (answer.status, answer.json()) == (400, BAD_REQUEST)
        assert client.echoes("nothing was handled twice")


@departure("Node cuts it without a close frame")
def test_the_sid_of_a_websocket_session_opens_no_second_one(eio: Server) -> None:
    with EngineSocket.connect(eio) as client, WebSocketClient(eio.port) as thief:
        head = thief.handshake(eio.target(transport="websocket", sid=client.sid))
        assert head.status == 101
        thief.send_text("2probe")
        thief.send_text("5")
        assert thief.close_code() == NO_STATUS
        assert client.echoes()


# Recovery that skips authentication (socket.io, `skipMiddlewares`)


def test_no_session_is_recovered_by_its_ids(sio: Server) -> None:
    with SocketIo.joined(sio, "first") as first:
        sid = first.public_sid
        first.send_text("42" + json.dumps(["message", "x"]))
        assert first.event() == ["message-back", "x"]
    with SocketIo.connect(sio) as second:
        second.send_text("40" + json.dumps({"name": "second", "pid": sid, "offset": "0-0"}))
        answer = json.loads(second.read_text()[2:])
        assert set(answer) == {"sid"}
        assert answer["sid"] != sid


# Upgrades with bytes behind them (CVE-2022-21676), and resets while one is refused (CVE-2022-41940)


@pytest.mark.parametrize(
    "early", [b"test", b"\x00" * 100, b"\xf1\x80\x00\x00\x00\x00", b"\xc1\x84\x00\x00\x00\x00test"]
)
@pytest.mark.parametrize(
    "query", ["transport=websocket", "transport=websocket&sid=nobody", "transport=constructor"]
)
def test_bytes_behind_an_upgrade_end_that_connection_only(eio: Server, early: bytes, query: str) -> None:
    with WebSocketClient(eio.port) as client:
        client.send_or_be_cut(client.handshake_bytes(f"{eio.path}?EIO=4&{query}") + early)
        answer = client.read_to_silence(0.3)
        assert answer.startswith((b"HTTP/1.1 101 ", b"HTTP/1.1 400 "))
        assert answer.count(b"HTTP/1.1") == 1, "answered once"
    with Polling(eio) as other:
        assert other.echoes()


def test_a_request_behind_an_upgrade_is_no_request(eio: Server) -> None:
    with WebSocketClient(eio.port) as client:
        behind = http_request("GET", eio.target())
        client.send(client.handshake_bytes(eio.target(transport="websocket")) + behind)
        answer = client.read_to_silence(0.3)
        assert answer.count(b"HTTP/1.1 101 ") == 1
        assert b"HTTP/1.1 200" not in answer


# One answer for each header: nothing of a request is written into headers as it came


@departure("Node's own HTTP parser answers first")
@pytest.mark.parametrize("value", ["x\x0by", "x\x7fy", "\x00"])
def test_headers_that_are_asked_for_are_repeated_without_control_characters(eio: Server, value: str) -> None:
    headers = [("Origin", "https://a.example"), ("Access-Control-Request-Headers", value)]
    with HttpClient(eio.port) as client:
        client.send(http_request("OPTIONS", eio.target(), headers))
        answer = client.read_to_silence(0.2)
    assert answer.startswith((b"HTTP/1.1 204 ", b"HTTP/1.1 400 "))
    assert value.encode() not in answer


def test_a_masked_close_in_pieces_is_a_close(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        for octet in frame(TEXT, b"4x" * 50, fin=False) + frame(8, b"\x03\xe8"):
            client.send(bytes([octet]))
        assert client.close_code() == 1000
