"""Clients that send too much, too large or too slowly: a word, the door and a count, and nobody else notices."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.service.peers import fresh, token
from tests.service.servers import ANYWHERE, WITH_KEY, Service, complaints, json_body, refused, twistd
from tests.support.wire import (
    BINARY,
    CHUNKED,
    CONTINUATION,
    HOST,
    NO_STATUS,
    TEXT,
    HttpClient,
    WebSocketClient,
    chunked,
    frame,
    http_request,
)

POLLING = "/socket.io/?EIO=4&transport=polling"
LIMITS = {
    "max-payload": 3000,
    "max-packet-bytes": 4000,
    "max-payload-packets": 10,
    "max-fragments": 10,
    "max-attachments": 2,
    "max-depth": 8,
    "max-rooms": 3,
    "max-room-name": 30,
    "max-queued-events": 3,
    "max-queued-bytes": 1000,
    "jwt-max-bytes": 600,
    "header-timeout": 2,
    "body-timeout": 2,
    "attachment-timeout": 1,
    "connect-timeout": 2,
    "refused-timeout": 1,
    "upgrade-timeout": 1,
    "close-timeout": 1,
    "poll-close-timeout": 1,
    "idle-timeout": 3,
    "max-requests": 5,
}


@pytest.fixture(scope="module")
def silent_port() -> Iterator[int]:
    """Where somebody listens and never answers: an authorization URL that keeps a client's handler busy."""
    with socket.create_server((HOST, 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture(scope="module")
def running(silent_port: int) -> Iterator[Service]:
    url = f"http://{HOST}:{silent_port}/"
    options = [f"--{name}={value}" for name, value in LIMITS.items()]
    with twistd("--listen", ANYWHERE, "--authorization-url", url, "--authorization-for", "order", *options) as it:
        yield Service(it)
    assert complaints(it.output) == []


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    """The service with somebody innocent beside each test."""
    innocent = running.join(fresh("innocent"))
    innocent.succeed("join_room", "quiet")
    yield running
    assert running.push({"room": "quiet"}, "psst", 1) == 1
    assert innocent.events() == [("psst", 1)]
    running.close_clients()


def passed(service: Service) -> Counter[str]:
    """How often each limit has been passed."""
    return Counter(json_body(service.request("GET", "/ready"))["clients"]["refused"])


def wait_for_count(service: Service, before: Counter[str], limit: str, count: int = 1) -> None:
    """Return once `limit` alone has been passed `count` times more."""
    deadline = time.monotonic() + 20
    while (more := passed(service) - before) != {limit: count}:
        assert not more - Counter({limit: count}), more
        assert time.monotonic() < deadline, more


# What is refused, and nothing more


def test_a_room_name_that_is_too_long_is_refused(service: Service) -> None:
    before, client = passed(service), service.join(fresh("u"))
    client.succeed("join_room", "x" * 30)
    told = ("bad_request", "the room must not be longer than 30 characters")
    assert client.refused("join_room", "x" * 31) == told
    assert client.refused("leave_room", "x" * 31) == told
    client.emit("join_room", "x" * 31)
    assert [event.data["message"] for event in client.events()] == [told[1]]
    wait_for_count(service, before, "max_room_name", 3)


def test_a_room_name_may_be_as_long_as_the_option_says_in_requests_to_emit_too(service: Service) -> None:
    push = {"to": {"room": "x" * 31}, "event": "e", "data": 1}
    assert refused(service.post("/emit", push))[:2] == (400, "bad_request")
    assert service.push({"room": "x" * 30}, "e") == 0


def test_one_room_too_many_is_refused(service: Service) -> None:
    before, client = passed(service), service.join(fresh("u"))
    for number in range(3):
        client.succeed("join_room", f"room {number}")
    told = "a socket can ask for at most 3 rooms"
    assert client.refused("join_room", "one more") == ("too_many", told)
    client.succeed("leave_room", "room 1")
    client.succeed("join_room", "one more")
    wait_for_count(service, before, "max_rooms")


def test_a_token_that_is_too_long_is_refused_wherever_it_comes(service: Service) -> None:
    before, client, long = passed(service), service.join("u1"), token("u1", padding="x" * 600)
    assert client.refused("refresh_token", long) == ("token_invalid", "Invalid or expired token")
    bearer = [("Authorization", f"Bearer {long}")]
    assert refused(service.request("GET", "/connected-users", bearer))[:2] == (401, "unauthorized")
    late = service.open()
    assert late.connect(long) == {"message": "Invalid or expired token", "data": {"code": "token_invalid"}}
    wait_for_count(service, before, "jwt_max_bytes", 3)
    assert late.connect(token("u1")) is None


def test_a_request_that_is_nested_too_deep_is_refused(service: Service) -> None:
    before = passed(service)
    for depth, status in ((6, 200), (7, 400)):
        data = json.loads("[" * depth + "]" * depth)
        answer = service.post("/emit", {"to": {"user": "nobody"}, "event": "e", "data": [data]})
        assert answer.status == status
    assert refused(answer)[2] == "the body is not JSON: JSON nested deeper than 8"
    wait_for_count(service, before, "max_depth")


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_body_that_is_too_large_is_refused_before_it_has_come(service: Service, announced: bool) -> None:
    before = passed(service)
    with HttpClient(service.port) as client:
        if announced:
            client.send(http_request("POST", "/emit", [*WITH_KEY, ("Content-Length", "3001")]))
        else:
            client.send(http_request("POST", "/emit", [*WITH_KEY, *CHUNKED]) + chunked(b"x" * 3001)[:-5])
        assert refused(client.read_response())[:2] == (413, "payload_too_large")
        client.finish_sending()
        assert client.read_to_end() == b""
    wait_for_count(service, before, "max_payload")


# Who must go hears why, and goes


def too_much(message: str) -> list[str]:
    """What a Socket.IO client hears before its connection ends."""
    error = {"event": None, "code": "too_many", "message": message}
    return ["42" + json.dumps(["error", error], separators=(",", ":"))]


def nested(depth: int) -> str:
    return '42["e",' + "[" * (depth - 1) + "]" * (depth - 1) + "]"


PLACES = ['{"_placeholder":true,"num":0}', '{"_placeholder":true,"num":1}', '{"_placeholder":true,"num":2}']
THREE, TWO = f'453-["e",{",".join(PLACES)}]', f'452-["e",{",".join(PLACES[:2])}]'
PACKETS: list[tuple[str, list[str | bytes], str]] = [
    ("max_depth", [nested(9)], "JSON nested deeper than 8"),
    ("max_attachments", [THREE], "more than 2 attachments"),
    ("max_packet_bytes", [TWO, b"x" * 2100, b"x" * 2100], "a packet of more than 4000 bytes"),
    ("attachment_timeout", [TWO, b"one of two"], "attachments that took more than 1 s"),
    ("max_queued_events", ['42["subscribe_order","7"]', *['42["e"]'] * 4], "more than 3 events wait"),
    (
        "max_queued_bytes",
        ['42["subscribe_order","7"]', f'42["e","{"x" * 600}"]', f'42["e","{"x" * 600}"]'],
        "events of more than 1000 bytes wait",
    ),
]


@pytest.mark.parametrize(("limit", "packets", "message"), PACKETS, ids=[row[0] for row in PACKETS])
def test_who_sends_such_a_packet_hears_why_and_is_disconnected(
    service: Service, limit: str, packets: list[str | bytes], message: str
) -> None:
    before, client = passed(service), service.join(fresh("u"))
    for packet in packets:
        client.wire.send(frame(TEXT if isinstance(packet, str) else BINARY, _octets(packet)))
    assert client.rest() == too_much(message)
    wait_for_count(service, before, limit)


def _octets(packet: str | bytes) -> bytes:
    return packet.encode() if isinstance(packet, str) else packet


def test_a_packet_at_the_limit_is_fine(service: Service) -> None:
    before, client = passed(service), service.join(fresh("u"))
    client.wire.send_text(nested(8))
    client.wire.send_text(TWO)
    client.wire.send_binary(b"x" * 1900)
    client.wire.send_binary(b"x" * 1900)
    assert client.events() == []
    assert passed(service) == before


FRAMES: dict[str, tuple[bytes, int]] = {
    "max_payload": (frame(TEXT, b"42" + b"x" * 2999), 1009),
    "max_fragments": (frame(TEXT, b"4", fin=False) + frame(CONTINUATION, b"", fin=False) * 10, 1009),
    "body_timeout": (frame(TEXT, b"42", fin=False), 1008),
}


@pytest.mark.parametrize("limit", FRAMES)
def test_who_sends_such_a_websocket_message_is_closed_with_a_code(service: Service, limit: str) -> None:
    octets, code = FRAMES[limit]
    before, client = passed(service), service.join(fresh("u"))
    client.wire.send(octets)
    assert client.close_code() == code
    wait_for_count(service, before, limit)


class Poller:
    """An Engine.IO session by polling that has joined nothing."""

    def __init__(self, service: Service) -> None:
        self.port = service.port
        self.http = HttpClient(service.port)
        self.target = f"{POLLING}&sid={json.loads(self.http.request('GET', POLLING).text[1:])['sid']}"

    def post(self, *packets: str) -> tuple[int, str]:
        answer = self.http.request("POST", self.target, body="\x1e".join(packets).encode())
        return answer.status, answer.text

    def close(self) -> None:
        """End the session, if it is still there."""
        self.http.close()
        with HttpClient(self.port) as client:
            client.request("POST", self.target, body=b"1")


@pytest.mark.parametrize(
    ("limit", "packets"), [("max_payload_packets", ["3"] * 11), ("max_payload", ["4" + "x" * 3000])]
)
def test_a_post_that_is_too_much_is_refused(service: Service, limit: str, packets: list[str]) -> None:
    before, poller = passed(service), Poller(service)
    assert poller.post(*packets)[0] == 413
    wait_for_count(service, before, limit)
    poller.close()


def test_a_post_at_the_limit_is_taken(service: Service) -> None:
    poller = Poller(service)
    assert poller.post(*["3"] * 10) == (200, "ok")
    poller.close()


# Who takes too long


SLOW_REQUESTS = {
    "header_timeout": b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    "body_timeout": http_request("POST", "/emit", [*WITH_KEY, ("Content-Length", "100")]) + b"{",
}


@pytest.mark.parametrize("limit", SLOW_REQUESTS)
def test_a_request_that_dribbles_is_answered_with_408_and_cut(service: Service, limit: str) -> None:
    before = passed(service)
    with HttpClient(service.port) as client:
        client.send(SLOW_REQUESTS[limit])
        while client.is_silent(0.05) and client.send_or_be_cut(b"x"):
            pass
        assert client.read_to_end().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    wait_for_count(service, before, limit)


def test_who_connects_ahead_of_need_is_cut_and_counted_without_a_warning() -> None:
    with twistd("--listen", ANYWHERE, "--header-timeout", "1") as program:
        service = Service(program)
        with HttpClient(service.port) as silent:
            assert silent.read_to_end() == b""
        wait_for_count(service, Counter(), "header_timeout")
        with HttpClient(service.port) as slow:
            slow.send(b"GET")
            assert slow.read_response().status == 408
        program.wait_for_output("header_timeout passed by 127.0.0.1; 2 times since the start")
        assert warnings(service, "header_timeout") == 1


def warnings(service: Service, limit: str) -> int:
    return sum(f"{limit} passed by" in line for line in service.program.output)


@pytest.mark.parametrize(("limit", "said"), [("connect_timeout", None), ("refused_timeout", "nonsense")])
def test_who_joins_nothing_is_disconnected(service: Service, limit: str, said: str | None) -> None:
    before, client = passed(service), service.open()
    if said is not None:
        refusal = client.connect(said)
        assert refusal is not None
    assert client.close_code() == NO_STATUS
    wait_for_count(service, before, limit)


def test_a_websocket_that_does_not_take_over_is_closed_and_polling_goes_on(service: Service) -> None:
    poller = Poller(service)
    poller.post("40" + json.dumps({"token": token("u1")}))
    before = passed(service)
    target = poller.target.replace("transport=polling", "transport=websocket")
    with WebSocketClient.open(service.port, target) as probe:
        probe.send_text("2probe")
        assert probe.read_text() == "3probe"
        assert probe.close_code() == NO_STATUS
    wait_for_count(service, before, "upgrade_timeout")
    with HttpClient(service.port) as getter:
        assert "connected" in getter.request("GET", poller.target).text
    poller.close()


def test_who_does_not_answer_a_close_is_cut(service: Service) -> None:
    user = fresh("u")
    before, client = passed(service), service.join(user)
    service.publish_kind("user.deactivated", userId=user)
    frames, code = client.wire.read_to_close()
    assert (frames[-1].payload, code) == (b"41", NO_STATUS)
    assert client.wire.read_to_end() == b""
    wait_for_count(service, before, "close_timeout")


def test_who_does_not_poll_to_hear_of_the_end_is_forgotten(service: Service) -> None:
    user = fresh("u")
    before, poller = passed(service), Poller(service)
    poller.post("40" + json.dumps({"token": token(user)}))
    service.publish_kind("user.deactivated", userId=user)
    wait_for_count(service, before, "poll_close_timeout")
    with HttpClient(service.port) as getter:
        assert getter.request("GET", poller.target).json() == {"code": 1, "message": "Session ID unknown"}
    poller.close()


# What ends by itself, and is no fault


def test_an_http_connection_ends_when_it_idles_and_after_so_many_requests(service: Service) -> None:
    before = passed(service)
    with HttpClient(service.port, seconds=20) as idle, HttpClient(service.port) as busy:
        assert idle.request("GET", "/health").status == 200
        answers = [busy.request("GET", "/health") for _ in range(5)]
        assert [answer.header("Connection") for answer in answers] == [None] * 4 + ["close"]
        assert busy.read_to_end() == b""
        assert idle.read_to_end() == b""
    assert passed(service) == before


# The log


def test_the_log_hears_of_each_limit_by_the_name_of_its_option_and_not_of_each_time(service: Service) -> None:
    started = time.monotonic()
    client = service.join(fresh("u"))
    heard = warnings(service, "max_room_name")
    for _ in range(200):
        client.refused("join_room", "x" * 31)
    service.program.wait_for_output("max_room_name passed by user u")
    most = 1 + (time.monotonic() - started) / 10
    assert warnings(service, "max_room_name") - heard <= most
