"""HTTP connections in memory: slow headers, answers left unread, requests of every form."""

from __future__ import annotations

import pytest
from twisted.web.resource import Resource
from twisted.web.server import Request

from rtwist.engineio.packet import message
from tests.engineio.conftest import Fronts
from tests.engineio.http_fakes import Front, Line, PollingClient
from tests.support.wire import CHUNKED, TEXT, chunked, http_request

# Headers that come slowly


def dribble(front: Front, line: Line, data: bytes, seconds: float = 1.0) -> int:
    """Send one byte after the other until the server cuts the connection; how many were sent."""
    for sent in range(len(data)):
        if line.pipe.ended:
            return sent
        line.send(data[sent : sent + 1])
        front.clock.advance(seconds)
    return len(data)


def test_headers_that_dribble_are_cut(front: Front) -> None:
    line = front.line()
    assert dribble(front, line, http_request("GET", front.target())) == 10
    assert line.read_response().status == 408
    assert front.server.admission.refused == {"header_timeout": 1}


def test_header_timeout_is_an_option(fronts: Fronts) -> None:
    front = fronts(header_timeout=3.0)
    line = front.line()
    assert dribble(front, line, b"x" * 100, 0.5) == 6


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_headers_of_a_later_request_that_dribble_are_cut(front: Front, method: str) -> None:
    client = front.open()
    line = client.poster
    for _ in range(3):
        line.request("POST", client.target, body=b"4hello")
        front.clock.advance(7)
    assert dribble(front, line, http_request(method, client.target, body=b"4late")) == 10
    assert line.read_response().status == 408


def test_headers_that_begin_behind_a_parked_poll_have_their_time_from_its_answer(front: Front) -> None:
    client = front.open()
    client.park()
    client.getter.send(b"GET /")
    front.clock.advance(24)
    client.ears.session.send([message("hello")])
    front.settle()
    assert client.getter.read_response().text == "4hello"
    assert dribble(front, client.getter, b"x" * 100) == 10


def test_headers_that_come_in_time_are_read(front: Front) -> None:
    line = front.line()
    data = http_request("GET", front.target())
    half = len(data) // 2
    line.send(data[:half])
    front.clock.advance(9.5)
    line.send(data[half:])
    front.clock.advance(9.5)
    assert line.read_response().status == 200


def test_a_connection_may_idle_between_requests(front: Front) -> None:
    client = front.open()
    for _ in range(3):
        assert client.post("4hello").text == "ok"
        front.clock.advance(14)
    assert not client.poster.pipe.ended


def test_a_connection_that_sends_nothing_is_cut(front: Front) -> None:
    line = front.line()
    front.clock.advance(9.9)
    assert not line.pipe.ended
    front.clock.advance(0.1)
    assert line.pipe.aborted


def test_a_connection_that_idles_after_a_request_is_cut_later(fronts: Fronts) -> None:
    front = fronts(idle_timeout=20.0)
    line = front.line()
    assert line.request("GET", "/nothing").status == 404
    front.clock.advance(19.9)
    assert not line.pipe.ended
    front.clock.advance(0.1)
    assert line.pipe.ended


def test_a_connection_serves_so_many_requests(fronts: Fronts) -> None:
    front = fronts(max_requests=3)
    line = front.line()
    answers = [line.request("GET", "/nothing") for _ in range(3)]
    assert [answer.header("Connection") for answer in answers] == [None, None, "close"]
    front.settle()
    assert line.pipe.ended


def test_a_parked_poll_and_a_websocket_are_not_cut(front: Front) -> None:
    client, line = front.open(), front.line()
    assert line.handshake(front.target(transport="websocket")).status == 101
    assert line.read_text().startswith("0{")
    client.park()
    front.clock.advance(24)
    assert client.getter.silent
    assert line.silent
    front.clock.advance(1)
    assert client.getter.read_response().text == "2"
    assert line.read_text() == "2"
    line.send_text("3")
    front.clock.advance(25)
    assert line.read_text() == "2"


def test_a_slow_body_has_the_time_of_bodies(front: Front) -> None:
    client = front.open()
    data = http_request("POST", client.target, body=b"4" * 20)
    client.poster.send(data[:-20])
    assert dribble(front, client.poster, data[-20:]) == 20
    assert client.poster.read_response().text == "ok"


def test_a_client_that_leaves_in_the_middle_of_headers_leaves_no_timer(front: Front) -> None:
    line = front.line()
    line.send(b"GET / HTTP/1.1\r\nHost")
    assert front.clock.getDelayedCalls()
    line.leave()
    assert front.clock.getDelayedCalls() == []


# Answers left unread


def leave_unread(front: Front) -> PollingClient:
    """A client whose last answer lies in the server's buffer."""
    client = front.open()
    client.park()
    client.getter.stop_reading()
    client.ears.session.send([message("x" * 1000)])
    return client


def test_a_poll_before_the_last_answer_was_read_ends_the_session(front: Front) -> None:
    client = leave_unread(front)
    answer = front.line().request("GET", client.target)
    assert (answer.status, answer.body) == (400, b"")
    assert client.ears.ends == ["transport error"]
    assert dict(front.server.sessions) == {}


@pytest.mark.parametrize("how", ["read", "leave"])
def test_a_poll_after_the_last_answer_was_read_is_parked(front: Front, how: str) -> None:
    client = leave_unread(front)
    client.getter.read_all() if how == "read" else client.getter.leave()
    line = front.line()
    line.send_request("GET", client.target)
    client.ears.session.send([message("more")])
    assert line.read_response().text == "4more"
    assert client.ears.ends == []


def test_posts_do_not_wait_for_an_answer_to_be_read(front: Front) -> None:
    client = leave_unread(front)
    assert client.post("4hello").text == "ok"
    assert client.ears.messages == ["hello"]


class Path(Resource):
    """Tells the path it was asked for."""

    isLeaf = True
    asked = 0

    def render(self, request: Request) -> bytes:
        self.asked += 1
        return request.method + b" " + request.uri


def test_requests_wait_until_the_answers_before_them_are_read(fronts: Fronts) -> None:
    front = fronts(None, path := Path())
    line = front.line()
    line.stop_reading()
    line.send(http_request("GET", "/a") * 20)
    front.clock.advance(5)
    line.send(http_request("GET", "/b") * 20)
    front.clock.advance(5)
    assert path.asked == 1
    line.read_all()
    front.settle()
    assert path.asked == 40
    assert [line.read_response().text for _ in range(40)] == ["GET /a"] * 20 + ["GET /b"] * 20


@pytest.mark.parametrize("behind", [b"", http_request("GET", "/b")])
def test_who_does_not_read_an_answer_is_not_waited_for_without_end(fronts: Fronts, behind: bytes) -> None:
    front = fronts(None, path := Path())
    line = front.line()
    line.stop_reading()
    line.send(http_request("GET", "/a") + behind)
    front.clock.pump([1] * 80)
    assert line.pipe.ended
    assert path.asked == 1


def test_who_leaves_with_an_answer_unread_leaves_nothing(fronts: Fronts) -> None:
    front = fronts(None, Path())
    line = front.line()
    line.stop_reading()
    line.send(http_request("GET", "/a") * 3)
    line.leave()


# The form of requests


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://x/health", "/health"),
        ("HTTPS://x.example:8009/health?a=/b", "/health?a=/b"),
        ("http://x", "/"),
        ("/http://x/health", "/http://x/health"),
        ("*", "/"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_every_form_of_target_is_understood(fronts: Fronts, method: str, target: str, path: str) -> None:
    answer = fronts(None, Path()).line().request(method, target)
    assert (answer.status, answer.text) == (200, f"{method} {path}")
    assert answer.header("Server") is None


@pytest.mark.parametrize("headers", [(), CHUNKED])
def test_a_session_is_served_by_absolute_targets(front: Front, headers: tuple[tuple[str, str], ...]) -> None:
    front.open()
    assert front.line().request("GET", f"http://x{front.target()}").text.startswith("0{")
    client = front.open()
    body = chunked(b"4hello") if headers else b"4hello"
    assert client.poster.request("POST", f"http://x{client.target}", headers, body).text == "ok"
    assert client.ears.messages == ["hello"]


def test_posts_by_absolute_targets_may_not_overlap(front: Front) -> None:
    client = front.open()
    target = f"http://x{client.target}"
    client.poster.send(http_request("POST", target, [("Content-Length", "10")]) + b"4half")
    assert front.line().request("POST", target, body=b"4second").status == 400
    assert client.ears.ends == ["transport error"]


def test_nobody_is_asked_for_a_body_that_is_refused(front: Front) -> None:
    client = front.open()
    expecting = [("Expect", "100-continue")]
    client.poster.send(http_request("POST", client.target, [*expecting, ("Content-Length", "2000000")]))
    assert client.poster.read_head().status == 413
    assert client.poster.silent
    front.clock.advance(5)
    line = front.line()
    line.send(http_request("POST", client.target, [*expecting, ("Content-Length", "6")]))
    assert line.read_head().status == 100
    line.send(b"4hello")
    assert line.read_response().text == "ok"


def test_a_length_of_thousands_of_digits_is_a_bad_request(front: Front) -> None:
    client = front.open()
    client.poster.send(http_request("POST", client.target, [("Content-Length", "9" * 5000)]))
    assert client.poster.read_head().status == 400
    front.clock.advance(5)
    assert client.poster.pipe.ended
    assert client.ears.ends == []


def test_an_origin_that_is_no_text_does_not_break_the_answer_to_a_large_body(front: Front) -> None:
    line = front.line()
    line.send(http_request("POST", front.target(), [("Origin", "\xff"), ("Content-Length", "2000000")]))
    assert line.read_head().status == 413


# A request for a WebSocket by POST

UPGRADE = (("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("body", ["whole", "half"])
def test_a_post_that_asks_for_a_websocket_is_no_post_of_the_session(
    front: Front, transport: str, body: str
) -> None:
    client = front.open()
    target = front.target(sid=client.sid, transport=transport)
    line = front.line()
    line.send(
        http_request("POST", target, [*UPGRADE, ("Content-Length", "3")]) + b"4ab"[: 3 if body == "whole" else 1]
    )
    if body == "whole":
        assert line.read_head().status == 400
    for number in range(3):
        assert client.post(f"4{number}").text == "ok"
    assert (client.ears.messages, client.ears.ends) == (["0", "1", "2"], [])


def test_frames_go_on_after_the_upgrade(front: Front) -> None:
    line = front.line()
    assert line.handshake(front.target(transport="websocket")).status == 101
    assert line.read_text().startswith("0{")
    line.send_text("4hello")
    assert front.ears[0].messages == ["hello"]
    front.ears[0].session.send([message("back")])
    received = line.read_frame()
    assert (received.opcode, received.payload) == (TEXT, b"4back")
