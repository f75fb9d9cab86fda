"""How a request becomes a WebSocket, and what is no request for one."""

from __future__ import annotations

import time

import pytest

from tests.protocol.peers import EngineSocket, Polling, Server
from tests.support.wire import (
    BINARY,
    CHUNKED,
    TEXT,
    WebSocketClient,
    chunked,
    frame,
)


def test_the_open_packet_of_a_websocket_offers_no_upgrade(eio: Server) -> None:
    with WebSocketClient.open(eio.port, eio.target(transport="websocket")) as client:
        text = client.read_text()
    sid = text.split('"')[3]
    assert (
        text == f'0{{"sid":"{sid}","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}'
    )


def test_the_answer_to_an_upgrade(eio: Server) -> None:
    with WebSocketClient(eio.port) as client:
        head = client.handshake(eio.target(transport="websocket"))
        assert (head.status, head.reason) == (101, "Switching Protocols")
        assert (head.header("Upgrade") or "").lower() == "websocket"
        assert head.header("Connection") == "Upgrade"
        assert head.header("Sec-WebSocket-Accept") == client.expected_accept()
        assert head.header("Sec-WebSocket-Extensions") is None
        assert head.header("Sec-WebSocket-Protocol") is None
        assert head.header("Server") is None


def test_compression_is_not_agreed_to(eio: Server) -> None:
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]
    with EngineSocket.connect(eio, offer) as client:
        assert client.echoes()


LAWFUL_HANDSHAKES = [
    pytest.param([("Connection", "keep-alive, Upgrade")], id="connection is a list"),
    pytest.param([("Connection", "keep-alive, upgrade")], id="upgrade in small letters"),
    pytest.param([("Upgrade", "WebSocket")], id="websocket in capitals"),
    pytest.param([("Cookie", "a=" + "b" * 3000)], id="a long cookie"),
    pytest.param([("User-Agent", "caf\xe9")], id="latin-1 in a header"),
    pytest.param([("Sec-WebSocket-Extensions", "x-webkit-deflate-frame")], id="an unknown extension"),
]


@pytest.mark.parametrize("headers", LAWFUL_HANDSHAKES)
def test_a_lawful_handshake_is_accepted(eio: Server, headers: list[tuple[str, str]]) -> None:
    with EngineSocket.connect(eio, headers) as client:
        assert client.echoes()


UNLAWFUL_HANDSHAKES = [
    pytest.param([("Sec-WebSocket-Key", "")], {400}, id="no key"),
    pytest.param([("Sec-WebSocket-Key", "abc")], {400}, id="short key"),
    pytest.param([("Sec-WebSocket-Key", "!" * 24)], {400}, id="key not base64"),
    pytest.param([("Sec-WebSocket-Version", "")], {400, 426}, id="no version"),
    pytest.param([("Sec-WebSocket-Version", "7")], {400, 426}, id="old version"),
    pytest.param([("Sec-WebSocket-Version", "abc")], {400, 426}, id="version abc"),
    pytest.param([("Sec-WebSocket-Version", "١٣")], {400, 426}, id="arabic version"),
    pytest.param([("Upgrade", "h2c")], {400}, id="another upgrade"),
    pytest.param([("Upgrade", "")], {400}, id="nothing to upgrade to"),
    pytest.param([("Connection", "keep-alive")], {400}, id="no connection upgrade"),
    pytest.param([("Sec-WebSocket-Protocol", "\xff")], {400, 101}, id="subprotocol not ASCII"),
]


@pytest.mark.parametrize(("headers", "statuses"), UNLAWFUL_HANDSHAKES)
def test_an_unlawful_handshake_is_refused(
    eio: Server, headers: list[tuple[str, str]], statuses: set[int]
) -> None:
    encoded = [(name, value.encode().decode("latin-1")) for name, value in headers]
    with WebSocketClient(eio.port) as client:
        head = client.handshake(eio.target(transport="websocket"), encoded)
        assert head.status in statuses
        assert head.header("Sec-WebSocket-Protocol") is None


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_upgrade_is_asked_for_by_get(eio: Server, method: str) -> None:
    with WebSocketClient(eio.port) as client:
        request = client.handshake_bytes(eio.target(transport="websocket"))
        client.send(request.replace(b"GET ", method.encode() + b" ", 1))
        assert client.read_to_end().startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 405 "))


def test_another_path_has_no_websocket(eio: Server) -> None:
    with WebSocketClient(eio.port) as client:
        client.send(client.handshake_bytes("/other/?EIO=4&transport=websocket"))
        assert b" 101 " not in client.read_to_silence(2)


def test_blanks_without_end_in_the_subprotocol_cost_nothing(eio: Server) -> None:
    started = time.monotonic()
    with WebSocketClient(eio.port) as client:
        client.handshake(
            eio.target(transport="websocket"), [("Sec-WebSocket-Protocol", "a" + " " * 12_000 + "b")]
        )
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("size", [20_000, 200_000], ids=["20 kB", "200 kB"])
def test_an_enormous_header_is_not_accepted(eio: Server, size: int) -> None:
    with WebSocketClient(eio.port) as client:
        client.send_or_be_cut(client.handshake_bytes(eio.target(transport="websocket"), [("X-Long", "x" * size)]))
        assert not client.read_to_end().startswith(b"HTTP/1.1 101 ")


def test_too_many_headers_are_survived(eio: Server) -> None:
    many = [(f"X-{n}", "x") for n in range(5000)]
    with WebSocketClient(eio.port) as client:
        client.send_or_be_cut(client.handshake_bytes(eio.target(transport="websocket"), many))
        assert not client.read_to_end().startswith(b"HTTP/1.1 101 ")


def test_frames_in_the_segment_of_the_handshake_are_heard(eio: Server) -> None:
    early = frame(TEXT, b"4early") + frame(BINARY, b"\x01\x02")
    with EngineSocket.connect(eio, early=early) as client:
        assert client.read_text() == "4early"
        assert client.read_binary() == b"\x01\x02"


def test_half_a_frame_in_the_segment_of_the_handshake_is_completed_later(eio: Server) -> None:
    whole = frame(TEXT, b"4in two halves")
    with EngineSocket.connect(eio, early=whole[:9]) as client:
        client.send(whole[9:])
        assert client.read_text() == "4in two halves"


def test_a_connection_that_served_requests_may_become_a_websocket(eio: Server) -> None:
    with Polling(eio) as client, WebSocketClient(eio.port) as websocket:
        assert websocket.request("POST", client.target, body=b"4hello").text == "ok"
        assert websocket.handshake(eio.target(transport="websocket", sid=client.sid)).status == 101
        websocket.send_text("2probe")
        assert websocket.read_text() == "3probe"
        websocket.send_text("5")
        assert websocket.read_text() == "4hello"


def test_a_handshake_byte_by_byte_is_a_handshake(eio: Server) -> None:
    with WebSocketClient(eio.port) as client:
        for byte in client.handshake_bytes(eio.target(transport="websocket")):
            client.send(bytes([byte]))
        assert client.read_head().status == 101


@pytest.mark.parametrize(
    "early",
    [b"test", b"\xf1" * 20, bytes(20), b"\x00", b"GET / HTTP/1.1\r\n\r\n"],
    ids=["test", "rsv bits", "zeros", "a zero", "a request"],
)
def test_rubbish_after_the_handshake_ends_that_connection_only(eio: Server, early: bytes) -> None:
    with WebSocketClient(eio.port) as client:
        head = client.handshake(eio.target(transport="websocket"), early=early)
        assert head.status in {101, 400}
        client.finish_sending()
        client.read_to_end()


@pytest.mark.parametrize("body", [[("Content-Length", "4")], [("Transfer-Encoding", "chunked")]])
def test_an_upgrade_request_with_a_body_does_no_harm(eio: Server, body: list[tuple[str, str]]) -> None:
    with WebSocketClient(eio.port) as client:
        client.send(client.handshake_bytes(eio.target(transport="websocket"), body) + b"test")
        client.finish_sending()
        client.read_to_end()


@pytest.mark.departure("Node takes the body for frames")
@pytest.mark.parametrize(("headers", "body"), [([("Content-Length", "4")], b"test"), (CHUNKED, chunked(b"test"))])
def test_an_upgrade_request_with_a_body_is_refused(
    eio: Server, headers: list[tuple[str, str]], body: bytes
) -> None:
    with WebSocketClient(eio.port) as client:
        assert client.handshake(eio.target(transport="websocket"), headers, early=body).status == 400


@pytest.mark.parametrize("query", ["transport=abc", "transport=websocket&sid=abc", "transport=websocket"])
def test_a_reset_after_an_upgrade_request_is_survived(eio: Server, query: str) -> None:
    for _ in range(10):
        client = WebSocketClient(eio.port)
        client.send(client.handshake_bytes(f"{eio.path}?EIO=4&{query}") + b"rubbish")
        client.reset()
