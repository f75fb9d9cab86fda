"""Whatever is wrong with a request, the answer is JSON with the right status."""

from __future__ import annotations

import pytest

from tests.service.peers import fresh, token
from tests.service.servers import WITH_KEY, Service, json_body, refused
from tests.support.wire import CHUNKED, Headers, HttpClient, chunked

GOOD_HOSTS = ["localhost", "example.com:8009", "[::1]:8009"]
BAD_HOSTS = [
    "a..b",
    "x" * 300,
    "x" * 300 + ".example",
    "a\x01b",
    "ü.example",
    "\xff\xfe",
    "a b",
    ":",
    "",
    "%",
    "[::1",
]
ROUTES = ["/health", "/ready", "/connected-users", "/user-status/u1", "/events", "/emit"]
NO_ROUTES = [
    "/", "/nowhere", "/healthy", "/user-status", "/user-status/", "/health/x", "/events/1", "/socket.io",
    "/%00", "/health%00", "/..", "/../health", "/index.html", "/%F0%9F%98%80", "/a//b", "//", "//evil.example/",
    "http://evil.example/", "/health;x", "/Health",
]  # fmt: skip
TOO_MANY_SLASHES = ["/user-status//x", "/user-status///x", "/health//", "/connected-users//", "/ready//?x=1"]
NOT_UTF8 = ["/%FF", "/user-status/%ff", "/user-status/%ED%A0%80", "/health?x=%ff", "/%C3"]
NOT_JSON: dict[str, bytes] = {
    "nothing": b"",
    "blank": b"  ",
    "not UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a form": b"orderId=7",
    "cut": b'{"type": "order.shipped", "data": {',
    "a comma too many": b"[1,]",
    "single quotes": b"{'a': 1}",
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "NaN beside an escape": b'{"a": NaN, "b": "\\ud800"}',
    "two values": b"{} {}",
    "nested without end": b"[" * 10_000,
    "nested too deep": b'{"a":' * 65 + b"1" + b"}" * 65,
    "a byte order mark": b"\xef\xbb\xbf{}",
}


@pytest.mark.parametrize("path", NO_ROUTES)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_is_no_route_is_not_found(service: Service, method: str, path: str) -> None:
    response = service.request(method, path, [("Host", "evil.example")], b"" if method == "POST" else None)
    assert refused(response) == (404, "not_found", "there is no such route")
    assert response.header("Location") is None


@pytest.mark.parametrize("path", TOO_MANY_SLASHES)
@pytest.mark.parametrize(("method", "status"), [("GET", 404), ("POST", 405), ("DELETE", 405)])
def test_a_slash_too_many_is_no_redirect(service: Service, path: str, method: str, status: int) -> None:
    response = service.request(method, path)
    assert refused(response)[0] == status
    assert response.header("Location") is None


@pytest.mark.parametrize(
    ("path", "allowed"), [*((path, "GET") for path in ROUTES[:4]), ("/events", "POST"), ("/emit", "POST")]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_a_method_the_route_does_not_know(service: Service, path: str, allowed: str, method: str) -> None:
    if method == allowed:
        return
    response = service.request(method, path, WITH_KEY)
    assert refused(response) == (405, "method_not_allowed", f"use {allowed} for {path}, not {method}")
    assert allowed in (response.header("Allow") or "").split(", ")


@pytest.mark.parametrize("path", NOT_UTF8)
def test_a_path_that_is_not_utf8_is_a_bad_request(service: Service, path: str) -> None:
    assert refused(service.request("GET", path))[:2] == (400, "bad_request")


@pytest.mark.parametrize("host", GOOD_HOSTS + BAD_HOSTS)
@pytest.mark.parametrize("path", ["/health", "/health/", "/connected-users/", "/user-status/u1/"])
def test_no_host_header_breaks_or_redirects_an_answer(service: Service, path: str, host: str) -> None:
    response = service.request("GET", path, [*WITH_KEY, ("Host", host)])
    assert response.status == 200
    json_body(response)
    assert response.header("Location") is None


@pytest.mark.parametrize("header", ["Origin", "X-API-Key", "Authorization", "Accept", "Content-Type", "X-Y"])
@pytest.mark.parametrize("value", ["\xff", "\xc3\xbc", "a\x01b", "x" * 5000])
def test_no_header_breaks_an_answer(service: Service, header: str, value: str) -> None:
    for path in ("/health", "/connected-users"):
        headers = [(header, value)] if header == "X-API-Key" else [*WITH_KEY, (header, value)]
        response = service.request("GET", path, headers)
        assert response.status in (200, 401), response
        json_body(response)


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON.keys())
@pytest.mark.parametrize("path", ["/events", "/emit"])
def test_a_body_that_is_no_json_is_a_bad_request(service: Service, path: str, body: bytes) -> None:
    status, code, message = refused(service.request("POST", path, WITH_KEY, body))
    assert (status, code) == (400, "bad_request")
    assert message.startswith("the body is " if not body.strip() else "the body is not "), message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "the body is empty"),
        ("blank", "the body is empty"),
        ("a form", "the body is not JSON: invalid character (byte 0)"),
        ("a comma too many", "the body is not JSON: trailing comma in array (byte 3)"),
        ("single quotes", "the body is not JSON: object keys must be strings (byte 1)"),
        ("cut", "the body is not JSON: it ends too early"),
        ("two values", "the body is not JSON: trailing characters (byte 4)"),
        ("NaN beside an escape", "the body is not JSON: malformed JSON"),
        ("nested too deep", "the body is not JSON: JSON nested deeper than 64"),
    ],
)
def test_it_says_where_the_body_stops_being_json(service: Service, name: str, message: str) -> None:
    assert refused(service.request("POST", "/events", WITH_KEY, NOT_JSON[name]))[2] == message


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/emit", b'{"to": {"user": %s}, "event": "x"}'),
        ("/emit", b'{"to": {"user": "u1"}, "event": "x", "data": %s}'),
        ("/events", b'{"type": "order.shipped", "data": {"orderId": %s}}'),
        ("/events", b'{"type": "order.shipped", "data": {"orderId": "7", "amount": %s}}'),
    ],
)
def test_numbers_of_thousands_of_digits_are_no_failure_of_the_server(
    service: Service, path: str, body: bytes
) -> None:
    assert refused(service.request("POST", path, WITH_KEY, body % (b"1" * 5000)))[:2] == (400, "bad_request")


@pytest.mark.parametrize("path", ["/events", "/emit"])
def test_the_body_is_not_looked_at_before_the_sender_is_known(service: Service, path: str) -> None:
    assert refused(service.request("POST", path, [], b"not JSON"))[0] == 401


@pytest.mark.parametrize("path", ["/events", "/emit", "/health", "/nowhere"])
@pytest.mark.parametrize("way", ["announced", "chunked"])
@pytest.mark.parametrize("headers", [WITH_KEY, []])
def test_a_body_beyond_the_limit_is_too_large(service: Service, path: str, way: str, headers: Headers) -> None:
    body = b" " * 20_001
    with HttpClient(service.port) as client:
        if way == "chunked":
            client.send_request("POST", path, [*headers, *CHUNKED], None)
            client.send_or_be_cut(chunked(body))
        else:
            client.send_request("POST", path, headers, body)
        response = client.read_response()
    assert refused(response) == (413, "payload_too_large", "bodies are at most 20000 bytes")


def test_a_body_at_the_limit_is_taken(service: Service) -> None:
    body = b'{"to": {"user": "u1"}, "event": "x"}'
    assert service.request("POST", "/emit", WITH_KEY, body + b" " * (20_000 - len(body))).status == 200


def test_a_connection_serves_on_after_an_error(service: Service) -> None:
    requests: list[tuple[int, str, str, Headers, bytes | None]] = [
        (404, "GET", "/nowhere", [], None),
        (401, "GET", "/connected-users", [], None),
        (405, "DELETE", "/events", WITH_KEY, None),
        (400, "POST", "/events", WITH_KEY, b"not JSON"),
        (401, "POST", "/events", [], b"not read"),
        (400, "GET", "/%ff", [], None),
        (400, "POST", "/emit", WITH_KEY, b"[]"),
        (200, "GET", "/health", [], None),
    ]
    with HttpClient(service.port) as client:
        for status, method, path, headers, body in requests:
            assert client.request(method, path, headers, body).status == status, path


def test_absolute_targets_are_served(service: Service) -> None:
    assert service.request("GET", "http://x.example/health").json()["status"] == "OK"
    assert service.request("GET", "http://x.example/socket.io/?EIO=4&transport=polling").text.startswith("0{")
    assert refused(service.request("GET", "http://x.example/nowhere"))[0] == 404


@pytest.mark.parametrize("header", ["Origin", "Authorization"])
def test_a_large_body_with_a_header_that_is_no_text_is_too_large(service: Service, header: str) -> None:
    with HttpClient(service.port) as client:
        client.send_request("POST", "/emit", [(header, "\xff"), ("Content-Length", "20001")])
        assert refused(client.read_response())[0] == 413


def test_nobody_is_asked_for_a_body_that_is_refused(service: Service) -> None:
    with HttpClient(service.port) as client:
        client.send_request("POST", "/emit", [("Expect", "100-continue"), ("Content-Length", "20001")])
        answer = client.read_to_end()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


def test_a_length_of_thousands_of_digits_is_a_bad_request(service: Service) -> None:
    with HttpClient(service.port) as client:
        client.send_request("POST", "/emit", [("Content-Length", "9" * 5000)])
        assert client.read_head().status == 400


def test_pipelined_requests_are_answered_in_order(service: Service) -> None:
    with HttpClient(service.port) as client:
        for path in ("/nowhere", "/health", "/connected-users"):
            client.send_request("GET", path, WITH_KEY)
        assert [client.read_response().status for _ in range(3)] == [404, 200, 200]


@pytest.mark.parametrize("path", ROUTES[:4])
def test_head_is_answered_like_get_without_a_body(service: Service, path: str) -> None:
    with HttpClient(service.port) as client:
        client.send_request("HEAD", path, WITH_KEY)
        head = client.read_head()
        assert head.status == 200
        assert client.request("GET", path, WITH_KEY).status == 200


@pytest.mark.parametrize(
    ("kid", "status", "code", "message"),
    [
        ("broken", 500, "internal", "the server failed; its log says why"),
        ("away", 503, "unavailable", "tokens cannot be checked at the moment"),
    ],
)
def test_a_failure_of_the_server_says_nothing_of_its_inside(
    controlled: Service, kid: str, status: int, code: str, message: str
) -> None:
    headers = [("Authorization", f"Bearer {token('a1', role='super_admin', kid=kid)}")]
    assert refused(controlled.request("GET", "/connected-users", headers)) == (status, code, message)


def fail_visibly(controlled: Service) -> None:
    """Make the server log a failure of its own, and wait for it."""
    path = f"/user-status/{fresh('u')}"
    controlled.request("GET", path, [("Authorization", f"Bearer {token('a1', kid='broken')}")])
    controlled.program.wait_for_output(f"{path} failed")


def test_a_failure_of_the_server_is_in_its_log(controlled: Service) -> None:
    fail_visibly(controlled)
    controlled.program.wait_for_output("RuntimeError: a bug in the key source")


def test_a_client_that_leaves_before_its_answer_does_no_harm(controlled: Service) -> None:
    witness, path = controlled.join("w1"), f"/user-status/{fresh('u')}"
    headers = [("Authorization", f"Bearer {token('a1', role='super_admin', kid='late')}")]
    with HttpClient(controlled.port) as client:
        client.send_request("GET", path, headers)
        while witness.call("count waiting") == 0:
            pass
        client.reset()
    witness.call("release")
    fail_visibly(controlled)
    assert [line for line in controlled.program.output if f"{path} failed" in line] == []
