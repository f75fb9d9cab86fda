"""What a WebSocket peer should not send: the connection fails with the code RFC 6455 has for it."""

from __future__ import annotations

import pytest

from tests.protocol.peers import EngineSocket, Server
from tests.support.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NO_CLOSE_FRAME,
    NO_STATUS,
    PING,
    TEXT,
    close_frame,
    fragmented,
    frame,
)

departure = pytest.mark.departure


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


@pytest.mark.parametrize("answer", [close_frame(1000, b"\xff"), close_frame(1005), frame(CLOSE, b"x")])
def test_a_bad_close_frame_in_answer_to_the_server_s_own_ends_the_connection(eio: Server, answer: bytes) -> None:
    with EngineSocket.connect(eio) as client:
        client.send(frame(TEXT) + answer)
        assert client.close_code() == NO_STATUS
        assert client.read_to_end() == b""
        assert eio.closing_reason(client.sid) == "parse error"


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
