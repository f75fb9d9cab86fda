"""WebSocket conformance, case by case: the numbers are those of the Autobahn test suite."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.protocol import websocket_cases as cases
from tests.protocol.peers import EngineSocket, Server
from tests.protocol.websocket_cases import Answer, Case
from tests.support.wire import CLOSE, CONTINUATION, PING, PONG, TEXT, close_frame, frame


def each(*sections: Sequence[Case]) -> pytest.MarkDecorator:
    chosen = [case for section in sections for case in section]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.number)


def answers_of(client: EngineSocket, count: int) -> list[Answer]:
    """The next frames; each must be whole and plain."""
    received = [client.read_frame() for _ in range(count)]
    assert all(one.fin and not one.rsv for one in received)
    return [(one.opcode, one.payload) for one in received]


def run(eio: Server, case: Case) -> None:
    with EngineSocket.connect(eio) as client:
        for piece in case.pieces():
            if not client.send_or_be_cut(piece):
                break
        assert answers_of(client, len(case.answers)) == list(case.answers)
        if case.code is None:
            assert client.echoes()
            client.send(close_frame(1000))
        closing = client.read_frame()
        assert (closing.opcode, closing.close_code) == (CLOSE, case.code or 1000)
        # The server closes first (RFC 6455, section 7.1.1), once a client that it failed has answered.
        client.send_or_be_cut(close_frame(1000))
        assert client.read_to_end() == b""


@each(
    list(cases.framing()),
    cases.pings_and_pongs(),
    cases.reserved_bits(),
    list(cases.opcodes()),
    list(cases.fragments()),
    list(cases.utf8()),
    list(cases.closing()),
)
def test_case(eio: Server, case: Case) -> None:
    run(eio, case)


@each(list(cases.large()))
def test_case_of_a_large_message(eio: Server, case: Case) -> None:
    run(eio, case)


@pytest.mark.parametrize(("number", "parts"), cases.LATE, ids=[number for number, _ in cases.LATE])
def test_text_that_is_not_utf8_fails_when_it_is_whole(eio: Server, number: str, parts: list[bytes]) -> None:
    first, second, last = parts
    with EngineSocket.connect(eio) as client:
        client.send(frame(TEXT, first, fin=False) + frame(CONTINUATION, second, fin=False) + frame(PING, b"?"))
        assert answers_of(client, 1) == [(PONG, b"?")]
        client.send(frame(CONTINUATION, last))
        assert client.close_code() == cases.INVALID_DATA


@pytest.mark.parametrize(
    ("number", "opcode", "size"), cases.ROUND_TRIPS, ids=[one[0] for one in cases.ROUND_TRIPS]
)
def test_a_thousand_messages_one_by_one(eio: Server, number: str, opcode: int, size: int) -> None:
    payload = (b"4" if opcode == TEXT else b"") + b"*" * size
    with EngineSocket.connect(eio) as client:
        for _ in range(1000):
            client.send(frame(opcode, payload))
            assert answers_of(client, 1) == [(opcode, payload)]
