"""Engine.IO sessions over long-polling: messages, and the close."""

from __future__ import annotations

import base64
import json
import os

import pytest

from tests.protocol.peers import EngineSocket, Polling, Server
from tests.support.wire import CHUNKED, chunked, fetch, http_request

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
