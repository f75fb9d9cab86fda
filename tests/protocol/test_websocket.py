"""Engine.IO sessions over WebSocket: handshake, frames, close codes, frames a peer should not send."""

from __future__ import annotations

import base64
import os
import struct
import time

import pytest

from tests.protocol.peers import UNKNOWN_SESSION, EngineSocket, Polling, Server
from tests.support.wire import (
    BINARY,
    CHUNKED,
    CLOSE,
    CONTINUATION,
    NO_CLOSE_FRAME,
    NO_STATUS,
    PING,
    PONG,
    TEXT,
    Ended,
    WebSocketClient,
    chunked,
    close_frame,
    fragmented,
    frame,
)

departure = pytest.mark.departure


# --- the handshake


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


# --- messages


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 65534, 65535, 65536, 999_998])
def test_a_text_message_of_any_size_comes_back(eio: Server, size: int) -> None:
    with EngineSocket.connect(eio) as client:
        assert client.echoes("x" * size)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1_000_000])
def test_a_binary_message_is_a_binary_frame_of_nothing_else(eio: Server, size: int) -> None:
    data = os.urandom(size)
    with EngineSocket.connect(eio) as client:
        client.send_binary(data)
        assert client.read_binary() == data


def test_text_may_be_anything_in_unicode(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        assert client.echoes("€ \U0001f600 \x00\x1e\x1f \ufeff \u2028")


def test_a_message_in_fragments_is_one_message(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(fragmented(TEXT, [b"4on", b"", b"e mess", b"age"]))
        assert client.read_text() == "4one message"
        client.send(fragmented(BINARY, [b"", b"\x01", b"\x02"]))
        assert client.read_binary() == b"\x01\x02"


def test_a_character_may_be_split_between_fragments(eio: Server) -> None:
    euro = "€".encode()
    with EngineSocket.connect(eio) as client:
        client.send(fragmented(TEXT, [b"4" + euro[:1], euro[1:2], euro[2:]]))
        assert client.read_text() == "4€"


def test_control_frames_may_come_between_fragments(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(frame(TEXT, b"4one", fin=False) + frame(PING, b"?") + frame(CONTINUATION, b" more"))
        pong = client.read_frame()
        assert (pong.opcode, pong.payload) == (PONG, b"?")
        assert client.read_text() == "4one more"


def test_many_frames_in_one_segment_are_answered_in_order(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(b"".join(frame(TEXT, b"4%d" % n) for n in range(500)))
        assert [client.read_text() for _ in range(500)] == [f"4{n}" for n in range(500)]


def test_a_frame_byte_by_byte_is_a_frame(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        for byte in frame(TEXT, b"4slowly"):
            client.send(bytes([byte]))
        assert client.read_text() == "4slowly"


@pytest.mark.parametrize("payload", [b"", b"hello", b"x" * 125])
def test_a_websocket_ping_is_answered(eio: Server, payload: bytes) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(frame(PING, payload))
        pong = client.read_frame()
        assert (pong.opcode, pong.payload) == (PONG, payload)
        assert client.echoes()


def test_a_websocket_pong_is_ignored(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(frame(PONG, b"unasked") * 100)
        assert client.echoes()


def test_a_flood_of_websocket_pings_holds_nobody_up(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(frame(PING, b"x") * 3000 + frame(TEXT, b"4after"))
        while client.read_frame().opcode == PONG:
            continue


@pytest.mark.parametrize("packet", ["1", "5", "6"])
def test_the_ignored_packets_are_ignored(eio: Server, packet: str) -> None:
    with EngineSocket.connect(eio) as client:
        client.send_text(packet)
        assert client.echoes()


def test_a_flood_of_pongs_is_ignored(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(frame(TEXT, b"3") * 5000)
        assert client.echoes()


def test_b_is_no_way_to_send_text(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send_text("b" + base64.b64encode(b"\x01\x02").decode())
        assert client.read_binary() == b"\x01\x02"


# --- bad packets

BAD_PACKETS = [
    pytest.param("7", "parse error", id="type 7"),
    pytest.param("abc", "parse error", id="a letter"),
    pytest.param("", "parse error", id="empty"),
    pytest.param(" 4a", "parse error", id="a blank"),
    pytest.param("٤hello", "parse error", id="an arabic digit"),
    pytest.param("²", "parse error", id="a superscript digit"),
    pytest.param("2", "transport error", id="ping"),
    pytest.param("2probe", "transport error", id="probe"),
    pytest.param("0", None, marks=departure("Node ignores an open packet of a client"), id="open"),
]


@pytest.mark.parametrize(("text", "reason"), BAD_PACKETS)
def test_a_bad_packet_closes_without_a_code(eio: Server, text: str, reason: str | None) -> None:
    with EngineSocket.connect(eio) as client:
        client.send_text(text)
        assert client.close_code() == NO_STATUS
        if reason is not None:
            assert eio.closing_reason(client.sid) == reason


# --- bad frames: the connection fails with the code RFC 6455 has for it

BAD_FRAMES = [
    pytest.param(frame(TEXT, b"4a", rsv=4), 1002, id="rsv1"),
    pytest.param(frame(TEXT, b"4a", rsv=2), 1002, id="rsv2"),
    pytest.param(frame(TEXT, b"4a", rsv=1), 1002, id="rsv3"),
    pytest.param(frame(PING, b"a", rsv=4), 1002, id="rsv1 on a ping"),
    pytest.param(frame(CONTINUATION, b"4a"), 1002, id="continuation of nothing"),
    pytest.param(frame(TEXT, b"4a", fin=False) + frame(TEXT, b"b"), 1002, id="text within a message"),
    pytest.param(frame(3, b"4a"), 1002, id="opcode 3"),
    pytest.param(frame(7, b"4a"), 1002, id="opcode 7"),
    pytest.param(frame(11, b"4a"), 1002, id="opcode 11"),
    pytest.param(frame(15, b"4a"), 1002, id="opcode 15"),
    pytest.param(frame(TEXT, b"4a", masked=False), 1002, id="not masked"),
    pytest.param(frame(PING, b"x" * 126), 1002, id="long ping"),
    pytest.param(frame(PING, b"x", fin=False), 1002, id="ping in fragments"),
    pytest.param(frame(CLOSE, b"x"), 1002, id="close of one byte"),
    pytest.param(close_frame(999), 1002, id="close code 999"),
    pytest.param(close_frame(1005), 1002, id="close code 1005"),
    pytest.param(close_frame(1006), 1002, id="close code 1006"),
    pytest.param(close_frame(5000), 1002, id="close code 5000"),
    pytest.param(close_frame(1000, b"\xff"), 1007, id="close reason not UTF-8"),
    pytest.param(frame(TEXT, b"4\xff"), 1007, id="text not UTF-8"),
    pytest.param(frame(TEXT, b"4\xed\xa0\x80"), 1007, id="a surrogate"),
    pytest.param(fragmented(TEXT, [b"4\xe2\x82", b"x"]), 1007, id="text not UTF-8 in fragments"),
    pytest.param(frame(TEXT, b"4", declared=1_000_001), 1009, id="frame too large"),
    pytest.param(frame(TEXT, b"4", declared=2**40), 1009, id="frame of a terabyte"),
    pytest.param(frame(TEXT, b"4", declared=2**63), (1002, 1009), id="frame with the top bit of the length"),
    pytest.param(fragmented(TEXT, [b"4" * 600_000, b"4" * 600_000]), 1009, id="message too large"),
    pytest.param(fragmented(BINARY, [b"4" * 600_000, b"4" * 600_000]), 1009, id="binary message too large"),
]


@pytest.mark.parametrize(("data", "codes"), BAD_FRAMES)
def test_a_bad_frame_fails_its_connection(eio: Server, data: bytes, codes: int | tuple[int, ...]) -> None:
    with EngineSocket.connect(eio) as client:
        client.send_or_be_cut(data)
        allowed = codes if isinstance(codes, tuple) else (codes,)
        assert client.close_code() in allowed
        assert eio.closing_reason(client.sid) == "transport error"


def test_messages_before_a_bad_frame_are_handled(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(frame(TEXT, b"4good") + frame(TEXT, b"4bad", rsv=4))
        assert client.read_text() == "4good"
        assert client.close_code() == 1002


def test_messages_after_a_bad_packet_are_not_handled(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(frame(TEXT, b"x") + frame(TEXT, b"4note:after-a-bad-packet"))
        assert client.close_code() == NO_STATUS
    assert not any("after-a-bad-packet" in line for line in eio.program.output)


@pytest.mark.departure("Node counts no fragments")
@pytest.mark.parametrize("part", [b"", b"x"], ids=["empty", "one byte"])
def test_fragments_without_end_are_cut(eio: Server, part: bytes) -> None:
    with EngineSocket.connect(eio) as client:
        client.send_or_be_cut(frame(TEXT, b"4", fin=False) + frame(CONTINUATION, part, fin=False) * 1100)
        assert client.read_to_close()[1] in {1002, 1008, 1009, NO_CLOSE_FRAME}


def test_a_thousand_fragments_are_still_one_message(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(fragmented(TEXT, [b"4", *[b"x"] * 999]))
        assert client.read_text() == "4" + "x" * 999


def test_an_unfinished_message_costs_only_its_connection(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(frame(TEXT, b"4" + b"x" * 500_000, fin=False))
        with EngineSocket.connect(eio) as other:
            assert other.echoes()


# --- closing


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(CLOSE), NO_STATUS),
        (close_frame(1000), 1000),
        (close_frame(1001, b"bye"), 1001),
        (close_frame(4321), 4321),
    ],
    ids=["no code", "1000", "1001 with reason", "4321"],
)
def test_a_close_frame_is_answered_in_kind(eio: Server, sent: bytes, code: int) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(sent)
        assert client.close_code() == code
        assert client.read_to_end() == b""
    assert eio.closing_reason(client.sid) == "transport close"


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_connection_that_breaks_off_ends_its_session(eio: Server, end: str) -> None:
    with EngineSocket.connect(eio) as client:
        getattr(client, end)()
        assert eio.closing_reason(client.sid) in {"transport close", "transport error"}


def test_a_connection_that_breaks_off_in_a_frame_ends_its_session(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(frame(TEXT, b"4hello", declared=1000))
        client.close()
        assert eio.closing_reason(client.sid) == "transport close"


def test_a_session_that_the_server_closes_has_no_close_code(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send_text("4close")
        assert client.close_code() == NO_STATUS
        client.send(frame(CLOSE))
        assert client.read_to_end() == b""
        assert eio.closing_reason(client.sid) == "forced close"


def test_what_was_sent_before_the_server_closes_arrives_first(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(frame(TEXT, b"4count:3") + frame(TEXT, b"4close"))
        frames, code = client.read_to_close()
    assert [received.payload for received in frames] == [b"4number 0", b"4number 1", b"4number 2"]
    assert code == NO_STATUS


def test_a_closed_websocket_session_is_unknown_to_polling(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(frame(CLOSE))
        client.close_code()
    assert eio.closing_reason(client.sid) == "transport close"
    answer = eio.fetch(sid=client.sid)
    assert (answer.status, answer.json()) == (400, UNKNOWN_SESSION)


def test_a_peer_that_never_reads_holds_nobody_up(eio: Server) -> None:
    with EngineSocket.connect(eio) as deaf, EngineSocket.connect(eio) as other:
        for _ in range(5):
            deaf.send(frame(TEXT, b"4" + b"x" * 900_000))
        assert other.echoes()


def test_sessions_are_counted_apart(eio: Server) -> None:
    clients = [EngineSocket.connect(eio) for _ in range(50)]
    for number, client in enumerate(clients):
        client.send_text(f"4{number}")
    assert [client.read_text() for client in clients] == [f"4{number}" for number in range(50)]
    for client in clients:
        client.reset()
    assert all(eio.closing_reason(client.sid).startswith("transport") for client in clients)


def test_polling_and_websocket_sessions_have_different_sids(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.connect(eio) as websocket:
        assert polling.sid != websocket.sid


def test_nothing_follows_the_end(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(struct.pack("!BB", 0x88, 0x80) + b"\0\0\0\0")
        assert client.close_code() == NO_STATUS
        with pytest.raises(Ended):
            client.read_frame()
