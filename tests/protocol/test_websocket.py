"""Engine.IO sessions over WebSocket: messages, control frames, the close."""

from __future__ import annotations

import base64
import os
import struct

import pytest

from tests.protocol.peers import UNKNOWN_SESSION, EngineSocket, Polling, Server
from tests.support.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NO_STATUS,
    PING,
    PONG,
    TEXT,
    Ended,
    close_frame,
    fragmented,
    frame,
)

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
