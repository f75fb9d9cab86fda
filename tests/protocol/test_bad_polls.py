"""What a polling client should not send, and how its session ends of it."""

from __future__ import annotations

import pytest

from tests.protocol.peers import SEPARATOR, Polling, Server
from tests.support.wire import CHUNKED, HttpClient, Response, chunked, fetch, http_request

departure = pytest.mark.departure

# --- bad packets: the POST is answered, the session ends

BAD_PACKETS = [
    pytest.param("7", "parse error", id="type 7"),
    pytest.param("9abc", "parse error", id="type 9"),
    pytest.param("abc", "parse error", id="a letter"),
    pytest.param("-1", "parse error", id="a sign"),
    pytest.param(" 4hello", "parse error", id="a blank"),
    pytest.param("٤hello", "parse error", id="an arabic digit"),
    pytest.param("²", "parse error", id="a superscript digit"),
    pytest.param("\ufeff4hello", "parse error", id="a byte order mark"),
    pytest.param("", "parse error", id="nothing"),
    pytest.param("4hello" + SEPARATOR, "parse error", id="nothing after the separator"),
    pytest.param(SEPARATOR + "4hello", "parse error", id="nothing before the separator"),
    pytest.param("4a" + SEPARATOR * 2 + "4b", "parse error", id="nothing between separators"),
    pytest.param("2", "transport error", id="ping"),
    pytest.param("2probe", "transport error", id="probe"),
    pytest.param("0", None, marks=departure("Node ignores an open packet of a client"), id="open"),
    pytest.param(
        '0{"sid":"x"}', None, marks=departure("Node ignores an open packet of a client"), id="open with data"
    ),
    pytest.param("b!!!!", "parse error", marks=departure("Node skips what is not base64"), id="not base64"),
    pytest.param("bYQ", "parse error", marks=departure("Node needs no padding"), id="no padding"),
    pytest.param(
        "bY Q==", "parse error", marks=departure("Node skips what is not base64"), id="a blank in base64"
    ),
    pytest.param("bYQ==YQ==", "parse error", marks=departure("Node stops at the padding"), id="padding inside"),
    pytest.param("bY===", "parse error", marks=departure("Node drops odd characters"), id="too much padding"),
    pytest.param("b_-8=", "parse error", marks=departure("Node takes base64url, too"), id="base64url"),
    pytest.param("b4hello€", "parse error", marks=departure("Node skips what is not base64"), id="not ASCII"),
]


@pytest.mark.parametrize(("body", "reason"), BAD_PACKETS)
def test_a_bad_packet_ends_its_session_and_its_post_is_answered(
    eio: Server, body: str, reason: str | None
) -> None:
    with Polling(eio) as client:
        answer = client.post(body)
        assert (answer.status, answer.text) == (200, "ok")
        assert client.is_gone()
        if reason is not None:
            assert eio.closing_reason(client.sid) == reason


def test_a_parked_poll_of_a_session_that_ends_is_answered(eio: Server) -> None:
    with Polling(eio) as client:
        client.park()
        client.send("x")
        assert client.parked() == ["1"]


@pytest.mark.departure("Node puts replacement characters in")
@pytest.mark.parametrize("body", [b"4\xff\xfe", b"4\xc3", b"4\xed\xa0\x80", b"4\xc0\x80"])
def test_a_post_that_is_not_utf_8_ends_its_session(eio: Server, body: bytes) -> None:
    with Polling(eio) as client:
        answer = client.poster.request("POST", client.target, body=body)
        assert answer.status in {200, 400}
        assert client.is_gone()


def test_a_binary_content_type_is_refused_and_ends_the_session(eio: Server) -> None:
    with Polling(eio) as client:
        answer = fetch(eio.port, "POST", client.target, [("Content-Type", "application/octet-stream")], b"4hello")
        assert (answer.status, answer.body) == (400, b"")
        assert client.is_gone()
        assert eio.closing_reason(client.sid) == "transport error"


def test_a_sid_is_a_secret_and_not_logged(eio: Server) -> None:
    with Polling(eio) as client:
        client.send("4note:logged", "x")
        eio.program.wait_for_output("noted logged", 5)
        assert eio.closing_reason(client.sid) == "parse error"
        assert client.is_gone()
    own_words = ("opened ", "closed ")
    lines = [line for line in eio.program.output if not line.startswith(own_words)]
    assert not any(client.sid in line for line in lines)


# --- one request of a kind at a time


def test_a_second_poll_ends_the_session(eio: Server) -> None:
    with Polling(eio) as client:
        client.park()
        second = fetch(eio.port, "GET", client.target)
        assert (second.status, second.body) == (400, b"")
        assert client.parked() == ["1"]
        assert client.is_gone()
        assert eio.closing_reason(client.sid) == "transport error"


def test_a_second_post_ends_the_session(eio: Server) -> None:
    with Polling(eio) as client:
        client.poster.send(http_request("POST", client.target, [("Content-Length", "10")]) + b"4half")
        second = overlapping_post(client)
        assert (second.status, second.body) == (400, b"")
        assert client.is_gone()
        assert eio.closing_reason(client.sid) == "transport error"
        assert b"200 OK" not in client.poster.read_to_end()


def overlapping_post(client: Polling) -> Response:
    """The answer to a POST that surely arrives after the first half of another one."""
    answer = fetch(client.port, "GET", client.target.replace("polling", "abc"))
    assert answer.status == 400
    return fetch(client.port, "POST", client.target, body=b"4second")


def test_a_poll_and_a_post_may_overlap(eio: Server) -> None:
    with Polling(eio) as client:
        client.park()
        client.poster.send(http_request("POST", client.target, [("Content-Length", "6")]) + b"4he")
        assert client.getter.is_silent(0.05)
        client.poster.send(b"llo")
        assert client.poster.read_response().text == "ok"
        assert client.parked() == ["4hello"]


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_poll_that_is_given_up_ends_the_session(eio: Server, end: str) -> None:
    with Polling(eio) as client:
        client.park()
        getattr(client.getter, end)()
        assert eio.closing_reason(client.sid) == "transport error"
        assert client.is_gone()


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_post_that_breaks_off_ends_the_session(eio: Server, end: str) -> None:
    with Polling(eio) as client:
        client.poster.send(http_request("POST", client.target, [("Content-Length", "10")]) + b"4half")
        assert client.getter.is_silent(0.05)
        getattr(client.poster, end)()
        assert eio.closing_reason(client.sid) == "transport error"
        assert client.is_gone()


# --- size


def test_a_message_of_exactly_the_limit_passes(small: Server) -> None:
    with Polling(small) as client:
        assert client.echoes("x" * 1999)


@pytest.mark.parametrize("size", [2001, 150_000, 1_500_000])
def test_a_post_over_the_limit_is_too_large_and_the_session_lives(small: Server, size: int) -> None:
    with Polling(small) as client:
        assert status_of_large_post(client, (), b"4" * size) == 413
        assert client.is_gone() is False
        with Polling(small) as other:
            assert other.echoes()


def status_of_large_post(client: Polling, headers: tuple[tuple[str, str], ...], body: bytes) -> int:
    """The status, although the server may answer, and cut, before the body ends."""
    with HttpClient(client.port) as poster:
        poster.send_or_be_cut(http_request("POST", client.target, headers, body))
        return poster.read_head().status


def test_a_post_of_one_and_a_half_megabytes_is_too_large_and_the_session_lives(eio: Server) -> None:
    with Polling(eio) as client:
        assert status_of_large_post(client, (), b"4" + b"x" * 1_500_000) == 413
        assert client.echoes()


def test_the_limit_is_announced(small: Server) -> None:
    with Polling(small) as client:
        assert client.open["maxPayload"] == 2000


@pytest.mark.parametrize("size", [2001, 1_500_000])
def test_a_chunked_post_over_the_limit_is_too_large_and_the_session_lives(small: Server, size: int) -> None:
    with Polling(small) as client:
        assert status_of_large_post(client, CHUNKED, chunked(b"4" * size)) == 413
        assert client.echoes()


def test_a_chunked_post_that_never_ends_is_cut_at_the_limit(small: Server) -> None:
    with Polling(small) as client, HttpClient(small.port) as poster:
        poster.send(http_request("POST", client.target, CHUNKED))
        poster.send(b"7d0\r\n" + b"4" * 2000 + b"\r\n")
        assert poster.is_silent(0.05)
        poster.send(b"1\r\n4\r\n")
        assert poster.read_head().status == 413
        assert client.echoes()


def test_the_limit_counts_bytes_and_not_characters(small: Server) -> None:
    with Polling(small) as client:
        assert status_of_large_post(client, (), ("4" + "€" * 700).encode()) == 413
        assert client.echoes()


@pytest.mark.parametrize("packet", ["3", "6"], ids=["pongs", "noops"])
def test_half_a_million_tiny_packets_hold_nobody_up(eio: Server, packet: str) -> None:
    body = SEPARATOR.join([packet] * 499_999).encode()
    with Polling(eio) as client:
        assert fetch(eio.port, "POST", client.target, body=body).status in {200, 400, 413}
    with Polling(eio) as other:
        assert other.echoes()


def test_fifty_thousand_messages_in_one_post_hold_nobody_up(eio: Server) -> None:
    body = SEPARATOR.join(["4"] * 49_999).encode()
    with Polling(eio) as client, Polling(eio) as other:
        assert fetch(eio.port, "POST", client.target, body=body).status == 200
        assert other.echoes()
        assert client.poll() == ["4"] * 49_999
