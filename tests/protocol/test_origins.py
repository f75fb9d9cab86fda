"""Who may come from another site."""

from __future__ import annotations

import pytest

from tests.protocol.peers import BAD_REQUEST, EngineSocket, Polling, Server
from tests.support.wire import HttpClient, Response, WebSocketClient, fetch, http_request

GOOD = "https://a.example"
EVIL = "https://evil.example"
FORBIDDEN = {"code": 4, "message": "Forbidden"}


def origin(value: str) -> list[tuple[str, str]]:
    return [("Origin", value)]


def vary(answer: Response) -> set[str]:
    return {name.strip().lower() for name in (answer.header("Vary") or "").split(",") if name}


def test_everybody_is_welcome_when_all_origins_are(eio: Server) -> None:
    answer = eio.fetch(headers=origin(EVIL))
    assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (200, "*")
    assert answer.header("Access-Control-Allow-Credentials") is None


def test_refusals_carry_the_cors_headers_too(eio: Server) -> None:
    answer = eio.fetch(headers=origin(EVIL), transport="abc")
    assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (400, "*")


@pytest.mark.parametrize("listed", [GOOD, "https://b.example"])
def test_a_listed_origin_is_named_in_every_answer(guarded: Server, listed: str) -> None:
    with Polling(guarded, origin(listed)) as client:
        answers = [
            client.handshake,
            client.post("4hello", headers=origin(listed)),
            client.get(origin(listed)),
        ]
    for answer in answers:
        assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (200, listed)
        assert "origin" in vary(answer)


def test_a_listed_origin_may_open_a_websocket(guarded: Server) -> None:
    with EngineSocket.connect(guarded, origin(GOOD)) as client:
        assert client.echoes()


def test_who_names_no_origin_is_served(guarded: Server) -> None:
    with Polling(guarded) as polling, EngineSocket.connect(guarded) as websocket:
        assert polling.echoes()
        assert websocket.echoes()


UNLISTED = [
    EVIL, "null", "https://a.example.evil.example", "http://a.example", "https://a.example:8443", "https://A.example/x",
]  # fmt: skip


@pytest.mark.parametrize("unlisted", UNLISTED)
def test_an_unlisted_origin_is_never_allowed_by_cors(guarded: Server, unlisted: str) -> None:
    answer = guarded.fetch(headers=origin(unlisted))
    assert answer.header("Access-Control-Allow-Origin") is None


@pytest.mark.departure("Node leaves refusal to the browser")
@pytest.mark.parametrize("unlisted", UNLISTED)
@pytest.mark.parametrize("which", ["guarded", "closed_origins"])
def test_an_unlisted_origin_gets_no_session(request: pytest.FixtureRequest, which: str, unlisted: str) -> None:
    answer = request.getfixturevalue(which).fetch(headers=origin(unlisted))
    assert (answer.status, answer.json()) == (403, FORBIDDEN)
    assert answer.header("Access-Control-Allow-Origin") is None


@pytest.mark.departure("Node leaves refusal to the browser")
@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", b"4stolen")])
def test_an_unlisted_origin_cannot_use_a_session(guarded: Server, method: str, body: bytes | None) -> None:
    with Polling(guarded) as client:
        answer = fetch(guarded.port, method, client.target, origin(EVIL), body)
        assert (answer.status, answer.json()) == (403, FORBIDDEN)
        assert client.echoes()


@pytest.mark.departure("Node leaves refusal to the browser")
@pytest.mark.parametrize("session", ["new", "existing"])
def test_an_unlisted_origin_gets_no_websocket(guarded: Server, session: str) -> None:
    with Polling(guarded) as client, WebSocketClient(guarded.port) as intruder:
        query = {"sid": client.sid} if session == "existing" else {}
        target = guarded.target(transport="websocket", **query)
        intruder.send(intruder.handshake_bytes(target, origin(EVIL)))
        answer = intruder.read_response()
        assert (answer.status, answer.text) == (400, "Forbidden")
        assert (answer.header("Connection"), answer.header("Content-Type")) == ("close", "text/html")
        assert intruder.read_to_end() == b""
        assert client.echoes()


# What a server of one page needs: its own origin, and nobody else's.
def test_the_own_origin_is_served_without_cors(closed_origins: Server) -> None:
    host = f"127.0.0.1:{closed_origins.port}"
    answer = closed_origins.fetch(headers=[("Host", host), *origin(f"http://{host}")])
    assert answer.status == 200


@pytest.mark.departure("Node leaves refusal to the browser")
def test_the_own_host_under_another_port_is_another_origin(closed_origins: Server) -> None:
    host = f"127.0.0.1:{closed_origins.port}"
    assert closed_origins.fetch(headers=[("Host", host), *origin("http://127.0.0.1:1")]).status == 403


# --- control characters in Origin

CONTROLS = [
    pytest.param("\x01https://a.example", id="first"),
    pytest.param("https://a.example\x01", id="last"),
    pytest.param("https://a\x0b.example", id="vertical tab"),
    pytest.param("https://a\x7f.example", id="delete"),
]


@pytest.mark.parametrize("value", CONTROLS)
def test_an_origin_with_control_characters_is_refused_and_not_repeated(eio: Server, value: str) -> None:
    answer = eio.fetch(headers=origin(value))
    assert answer.status == 400
    assert value.encode() not in answer.body
    assert all(value not in line for _, line in answer.headers)


@pytest.mark.parametrize("value", CONTROLS)
def test_a_websocket_origin_with_control_characters_is_refused(eio: Server, value: str) -> None:
    with WebSocketClient(eio.port) as client:
        client.send(client.handshake_bytes(eio.target(transport="websocket"), origin(value)))
        assert client.read_to_end().startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.departure("Node's own HTTP parser answers first")
@pytest.mark.parametrize("value", CONTROLS)
def test_a_bad_origin_is_a_bad_request(eio: Server, value: str) -> None:
    assert eio.fetch(headers=origin(value)).json() == BAD_REQUEST


@pytest.mark.departure("Node's own HTTP parser answers first")
@pytest.mark.parametrize(("query", "code"), [({"transport": "abc"}, 0), ({"sid": "abc"}, 3)])
def test_an_origin_is_read_after_the_transport_and_before_the_sid(
    eio: Server, query: dict[str, str], code: int
) -> None:
    assert eio.fetch(headers=origin("\x01"), **query).json()["code"] == code


# Trimmed or folded by the rules of Unicode, each of these would be a listed origin, and be repeated as it is.
NEARLY_LISTED = [
    pytest.param(f"\x1f{GOOD}", id="a control character before it"),
    pytest.param(f"{GOOD}\x1c", id="a control character behind it"),
    pytest.param(f"{GOOD}\x85", id="a line separator behind it"),
    pytest.param(f"{GOOD}\xa0", id="a blank that is none behind it"),
    pytest.param(f"{GOOD}/\x1d", id="a slash and a control character behind it"),
]
WAYS = {
    "a handshake": ("GET", {}, None),
    "a preflight": ("OPTIONS", {}, None),
    "a post": ("POST", {"sid": "abc"}, b"4x"),
    "a post that is too large": ("POST", {"sid": "abc"}, b"4" * 1_000_001),
    "a bad request": ("GET", {"transport": "abc"}, None),
}


@pytest.mark.departure("Node's own HTTP parser answers first, or it leaves refusal to the browser")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", NEARLY_LISTED)
def test_an_origin_that_is_nearly_listed_is_none_and_never_repeated(
    guarded: Server, value: str, way: str
) -> None:
    method, query, body = WAYS[way]
    with HttpClient(guarded.port) as client:
        client.send_or_be_cut(http_request(method, guarded.target(**query), origin(value), body))
        answer = client.read_head()
    assert answer.header("Access-Control-Allow-Origin") is None
    assert answer.status in ({204} if way == "a preflight" else {400, 403, 413})


@pytest.mark.departure("Node leaves refusal to the browser")
@pytest.mark.parametrize("value", NEARLY_LISTED)
def test_an_origin_that_is_nearly_listed_gets_no_websocket(guarded: Server, value: str) -> None:
    with WebSocketClient(guarded.port) as client:
        client.send(client.handshake_bytes(guarded.target(transport="websocket"), origin(value)))
        assert client.read_to_end().startswith(b"HTTP/1.1 400 Bad Request\r\n")


# --- preflight requests


def preflight(server: Server, value: str) -> Response:
    headers = [
        *origin(value),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "x-one, x-two"),
    ]
    return fetch(server.port, "OPTIONS", server.target(), headers)


def test_a_preflight_request_is_answered(eio: Server) -> None:
    answer = preflight(eio, EVIL)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.header("Access-Control-Allow-Origin") == "*"
    assert answer.header("Access-Control-Allow-Headers") == "x-one, x-two"
    methods = (answer.header("Access-Control-Allow-Methods") or "").split(",")
    assert {"GET", "POST"} <= {method.strip() for method in methods}


def test_a_preflight_request_of_a_listed_origin_is_answered(guarded: Server) -> None:
    answer = preflight(guarded, GOOD)
    assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (204, GOOD)


def test_a_preflight_request_of_an_unlisted_origin_allows_nothing(guarded: Server) -> None:
    assert preflight(guarded, EVIL).header("Access-Control-Allow-Origin") is None


def test_without_cors_options_is_not_understood(closed_origins: Server) -> None:
    host = f"127.0.0.1:{closed_origins.port}"
    answer = fetch(closed_origins.port, "OPTIONS", closed_origins.target(), [("Host", host)])
    assert (answer.status, answer.json()["code"]) == (400, 2)
