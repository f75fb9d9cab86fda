"""Engine.IO sessions over long-polling: what goes through, what ends a session, what does not."""

from __future__ import annotations

import base64
import json
import os

import pytest

from tests.protocol.peers import SEPARATOR, EngineSocket, Polling, Server
from tests.support.wire import CHUNKED, HttpClient, Response, chunked, fetch, http_request

departure = pytest.mark.departure


# --- messages


@pytest.mark.parametrize(
    "packet",
    [
        "4hello",
        "4",
        "4€ \U0001f600 \x00 \x1f",
        "4" + "x" * 100_000,
        "4b",
        "42",
        "4\r\n\r\n",
        "bAQIDBA==",
        "b",
        "b/+8=",
    ],
    ids=[
        "text",
        "empty text",
        "unicode",
        "long text",
        "b",
        "digits",
        "lines",
        "binary",
        "empty binary",
        "binary 2",
    ],
)
def test_a_message_comes_back_as_it_was(eio: Server, packet: str) -> None:
    with Polling(eio) as client:
        client.send(packet)
        assert client.poll() == [packet]


def test_a_parked_poll_gets_the_message_at_once(eio: Server) -> None:
    with Polling(eio) as client:
        client.park()
        client.send("4hello")
        assert client.parked() == ["4hello"]


def test_a_parked_poll_gets_the_first_message_and_the_next_poll_the_rest(eio: Server) -> None:
    with Polling(eio) as client:
        client.park()
        client.send("4one", "4two", "4three")
        assert client.parked() + client.poll() == ["4one", "4two", "4three"]


def test_messages_are_kept_for_the_next_poll_in_order(eio: Server) -> None:
    with Polling(eio) as client:
        client.send("4one", "bAQID", "4two")
        client.send("4three")
        assert client.poll() == ["4one", "bAQID", "4two", "4three"]


def test_a_binary_message_is_base64_with_padding(eio: Server) -> None:
    data = os.urandom(1000)
    packet = "b" + base64.b64encode(data).decode()
    with Polling(eio) as client:
        client.send(packet)
        assert client.poll() == [packet]


def test_the_content_type_of_a_text_post_does_not_matter(eio: Server) -> None:
    with Polling(eio) as client:
        for kind in (
            "text/plain",
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
        ):
            assert fetch(eio.port, "POST", client.target, [("Content-Type", kind)], b"4a=b").text == "ok"
            assert client.poll() == ["4a=b"]


def test_a_chunked_post_is_a_post(eio: Server) -> None:
    with Polling(eio) as client:
        answer = fetch(eio.port, "POST", client.target, CHUNKED, chunked(b"4" + b"x" * 5000))
        assert (answer.status, answer.text) == (200, "ok")
        assert client.poll() == ["4" + "x" * 5000]


def test_a_post_may_come_in_small_pieces(eio: Server) -> None:
    with Polling(eio) as client:
        for byte in http_request("POST", client.target, body="4€uro".encode()):
            client.poster.send(bytes([byte]))
        assert client.poster.read_response().text == "ok"
        assert client.poll() == ["4€uro"]


def test_a_session_does_not_depend_on_one_connection(eio: Server) -> None:
    with Polling(eio) as client:
        client.close()
        assert fetch(eio.port, "POST", client.target, body=b"4hello").text == "ok"
        assert fetch(eio.port, "GET", client.target).text == "4hello"


def test_two_sessions_do_not_hear_each_other(eio: Server) -> None:
    with Polling(eio) as one, Polling(eio) as two:
        two.park()
        one.send("4to one")
        assert one.poll() == ["4to one"]
        two.send("4to two")
        assert two.parked() == ["4to two"]


def test_the_ignored_packets_are_ignored(eio: Server) -> None:
    with Polling(eio) as client:
        client.send("6")
        client.send("5")
        assert client.echoes()


def test_a_flood_of_pongs_is_ignored(eio: Server) -> None:
    with Polling(eio) as client:
        for _ in range(20):
            client.send(*["3"] * 500)
        assert client.echoes()


@pytest.mark.parametrize("at", [0, 1, 2])
def test_packets_before_a_bad_one_are_handled(eio: Server, at: int) -> None:
    good = [f"4note:{os.urandom(8).hex()}" for _ in range(at)]
    with Polling(eio) as client:
        client.send(*good, "x", "4note:never")
        for packet in good:
            eio.program.wait_for_output("noted " + packet[6:], 5)
        assert eio.closing_reason(client.sid) == "parse error"
    assert not any("noted never" in line for line in eio.program.output)


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


# --- closing


def test_a_client_that_says_goodbye_is_forgotten(eio: Server) -> None:
    with Polling(eio) as client:
        client.send("1")
        assert client.is_gone()
        assert eio.closing_reason(client.sid) == "transport close"


def test_a_parked_poll_gets_a_noop_when_the_client_says_goodbye(eio: Server) -> None:
    with Polling(eio) as client:
        client.park()
        client.send("1")
        assert client.parked() == ["6"]
        assert client.is_gone()


def test_packets_after_a_goodbye_are_not_handled(eio: Server) -> None:
    with Polling(eio) as client:
        client.send("4note:before-goodbye", "1", "4note:after-goodbye")
        eio.program.wait_for_output("noted before-goodbye", 5)
        assert client.is_gone()
    assert not any("after-goodbye" in line for line in eio.program.output)


def test_a_session_that_the_server_closes_tells_the_parked_poll(eio: Server) -> None:
    with Polling(eio) as client:
        client.park()
        client.send("4close")
        assert client.parked() == ["1"]
        assert client.is_gone()
        assert eio.closing_reason(client.sid) == "forced close"


def test_a_session_that_the_server_closes_tells_the_next_poll(eio: Server) -> None:
    with Polling(eio) as client:
        client.send("4close")
        assert packets_to_close(client) == ["1"]
        assert client.is_gone()
        assert eio.closing_reason(client.sid) == "forced close"


def test_what_was_sent_before_the_server_closes_arrives_first(eio: Server) -> None:
    with Polling(eio) as client:
        client.send("4count:2", "4close")
        assert packets_to_close(client) == ["4number 0", "4number 1", "1"]
        assert client.is_gone()


def packets_to_close(client: Polling) -> list[str]:
    """The packets up to the close, from as many polls as it takes; noops do not count."""
    packets: list[str] = []
    while "1" not in packets:
        packets += client.poll()
    return [packet for packet in packets if packet != "6"]


def test_the_engine_sid_works_from_any_connection_but_only_whole(eio: Server) -> None:
    with Polling(eio) as client:
        for wrong in (client.sid[:-1], client.sid + "x", client.sid.swapcase()):
            answer = fetch(eio.port, "GET", eio.target(sid=wrong))
            assert (answer.status, json.loads(answer.body)["code"]) == (400, 1)
        assert client.echoes()


def test_a_session_starts_by_websocket_or_polling_alike(eio: Server) -> None:
    with Polling(eio) as polling, EngineSocket.connect(eio) as websocket:
        assert polling.echoes()
        assert websocket.echoes()
