"""What the HTTP face of Engine.IO answers: statuses, headers and bodies, byte for byte."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from tests.protocol.peers import BAD_REQUEST, UNKNOWN_SESSION, EngineSocket, Polling, Server
from tests.support.wire import HttpClient, WebSocketClient, fetch

MESSAGES = {
    0: "Transport unknown",
    1: "Session ID unknown",
    2: "Bad handshake method",
    3: "Bad request",
    4: "Forbidden",
    5: "Unsupported protocol version",
}

departure = pytest.mark.departure

REFUSED_REQUESTS = [
    pytest.param("GET", "", 0, id="no query at all"),
    pytest.param("GET", "EIO=4", 0, id="no transport"),
    pytest.param("GET", "EIO=4&transport=", 0, id="empty transport"),
    pytest.param("GET", "EIO=4&transport=abc", 0, id="unknown transport"),
    pytest.param("GET", "EIO=4&transport=Polling", 0, id="transport in capitals"),
    pytest.param("GET", "EIO=4&transport=webtransport", 0, id="webtransport"),
    pytest.param("GET", "EIO=4&transport=__proto__", 0, id="transport __proto__"),
    pytest.param("GET", "EIO=4&transport=constructor", 0, id="transport constructor"),
    pytest.param("GET", "transport=polling", 5, id="no EIO"),
    pytest.param("GET", "EIO=3&transport=polling", 5, id="EIO 3"),
    pytest.param("GET", "EIO=abc&transport=polling", 5, id="EIO abc"),
    pytest.param("GET", "EIO=5&transport=polling", 5, id="EIO 5"),
    pytest.param("GET", "EIO=04&transport=polling", 5, id="EIO 04"),
    pytest.param("GET", "EIO=4&transport=websocket", 3, id="websocket without upgrade"),
    pytest.param("GET", "EIO=4&transport=polling&sid=abc", 1, id="unknown sid"),
    pytest.param("GET", "EIO=4&transport=polling&sid=__proto__", 1, id="sid __proto__"),
    pytest.param("GET", "EIO=4&transport=polling&sid=" + "x" * 4000, 1, id="long sid"),
    pytest.param("GET", "EIO=4&transport=polling&sid=%C3%A9%00", 1, id="strange sid"),
    pytest.param("POST", "EIO=4&transport=polling&sid=abc", 1, id="post to unknown sid"),
    pytest.param("POST", "EIO=4&transport=polling", 2, id="post as handshake"),
    pytest.param("PUT", "EIO=4&transport=polling", 2, id="put as handshake"),
    pytest.param("DELETE", "EIO=4&transport=polling", 2, id="delete as handshake"),
    pytest.param("POST", "EIO=4&transport=abc", 0, id="transport is checked before the method"),
    pytest.param("GET", "EIO=4&transport=abc&sid=abc", 0, id="transport is checked before the sid"),
    pytest.param("POST", "EIO=3&transport=polling", 2, id="method is checked before the version"),
    pytest.param("GET", "EIO=3&transport=polling&sid=abc", 1, id="sid is checked before the version"),
    pytest.param("GET", "EIO=3&transport=websocket", 3, id="upgrade is checked before the version"),
]


@pytest.mark.parametrize(("method", "query", "code"), REFUSED_REQUESTS)
def test_a_bad_request_is_refused_with_its_code(eio: Server, method: str, query: str, code: int) -> None:
    answer = fetch(eio.port, method, f"{eio.path}?{query}", body=b"" if method != "GET" else None)
    assert answer.status == 400
    assert answer.spelled("Content-Type") == "application/json"
    assert answer.text == json.dumps({"code": code, "message": MESSAGES[code]}, separators=(",", ":"))


REFUSED_UPGRADES = [
    pytest.param("EIO=4", 0, id="no transport"),
    pytest.param("EIO=4&transport=abc", 0, id="unknown transport"),
    pytest.param("EIO=4&transport=__proto__", 0, id="transport __proto__"),
    pytest.param("EIO=4&transport=constructor", 0, id="transport constructor"),
    pytest.param("EIO=4&transport=websocket&sid=abc", 1, id="unknown sid"),
    pytest.param("EIO=4&transport=websocket&sid=__proto__", 1, id="sid __proto__"),
    pytest.param("EIO=3&transport=websocket", 5, marks=departure("refused before the 101"), id="EIO 3"),
    pytest.param("transport=websocket", 5, marks=departure("refused before the 101"), id="no EIO"),
]


@pytest.mark.parametrize(("query", "code"), REFUSED_UPGRADES)
def test_a_bad_upgrade_is_refused_with_plain_text(eio: Server, query: str, code: int) -> None:
    assert_upgrade_refused(eio, query, MESSAGES[code])


def assert_upgrade_refused(server: Server, query: str, message: str, *headers: tuple[str, str]) -> None:
    """Node writes these bytes itself, without a Date; the rest must be the same."""
    with WebSocketClient(server.port) as client:
        client.send(client.handshake_bytes(f"{server.path}?{query}", headers))
        answer = client.read_response()
        assert (answer.status, answer.reason, answer.text) == (400, "Bad Request", message)
        assert {name.lower(): value for name, value in answer.headers if name != "Date"} == {
            "connection": "close",
            "content-type": "text/html",
            "content-length": str(len(message)),
        }
        assert client.read_to_end() == b""


@pytest.mark.parametrize("query", [{}, {"sid": "abc"}])
def test_head_opens_no_session(eio: Server, query: dict[str, str]) -> None:
    with HttpClient(eio.port) as client:
        client.send_request("HEAD", eio.target(**query), [("Connection", "close")])
        assert client.read_head().status == 400
        assert client.read_to_end() == b""


def test_any_path_below_the_prefix_is_served(eio: Server) -> None:
    answer = fetch(eio.port, "GET", f"{eio.path}deeper/still?EIO=4&transport=polling")
    assert answer.status == 200


@pytest.mark.parametrize("path", ["/", "/engine.io?x", "/other/", "/Engine.io/"])
def test_another_path_is_not_found(eio: Server, path: str) -> None:
    answer = fetch(eio.port, "GET", f"{path}?EIO=4&transport=polling")
    assert answer.status == 404


@pytest.mark.departure("Node takes the last of them")
@pytest.mark.parametrize("query", ["EIO=4&EIO=4&transport=polling", "EIO=4&transport=polling&transport=polling"])
def test_repeated_parameters_are_refused(eio: Server, query: str) -> None:
    assert fetch(eio.port, "GET", f"{eio.path}?{query}").status == 400


def test_parameters_are_percent_decoded(eio: Server) -> None:
    answer = fetch(eio.port, "GET", f"{eio.path}?EI%4F=%34&transport=poll%69ng")
    assert answer.status == 200


# --- the answers to a lawful client


def test_the_handshake_answer(eio: Server) -> None:
    answer = eio.fetch()
    assert (answer.status, answer.reason) == (200, "OK")
    assert answer.spelled("Content-Type") == "text/plain; charset=UTF-8"
    assert answer.header("Cache-Control") == "no-store"
    assert answer.spelled("Content-Length") == str(len(answer.body))
    assert answer.header("Set-Cookie") is None
    assert answer.header("Content-Encoding") is None


def test_the_open_packet(eio: Server) -> None:
    text = eio.fetch().text
    sid = json.loads(text[1:])["sid"]
    assert text == (
        f'0{{"sid":"{sid}","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}'
    )


def test_a_sid_is_at_least_twenty_characters_of_base64url_and_never_the_same(eio: Server) -> None:
    sids = set()
    for _ in range(20):
        with Polling(eio) as client:
            sids.add(client.sid)
    assert len(sids) == 20
    alphabet = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert all(len(sid) >= 20 and set(sid) <= alphabet for sid in sids)


def test_the_answer_to_a_poll(eio: Server) -> None:
    with Polling(eio) as client:
        client.send("4hello €")
        answer = client.get()
    assert (answer.status, answer.text) == (200, "4hello €")
    assert answer.spelled("Content-Type") == "text/plain; charset=UTF-8"
    assert answer.header("Cache-Control") == "no-store"
    assert answer.spelled("Content-Length") == "10"


def test_the_answer_to_a_post(eio: Server) -> None:
    with Polling(eio) as client:
        answer = client.post("4hello")
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.spelled("Content-Type") == "text/html"
    assert answer.spelled("Content-Length") == "2"
    assert answer.header("Cache-Control") == "no-store"


@pytest.mark.parametrize("agent", ["Mozilla/4.0 (compatible;MSIE 8.0)", "Mozilla/5.0 (Trident/7.0; rv:11.0)"])
def test_internet_explorer_is_told_not_to_filter(eio: Server, agent: str) -> None:
    answer = eio.fetch(headers=[("User-Agent", agent)])
    assert answer.spelled("X-XSS-Protection") == "0"


def test_nobody_else_is_told_about_filters(eio: Server) -> None:
    assert eio.fetch(headers=[("User-Agent", "Mozilla/5.0")]).header("X-XSS-Protection") is None


def test_one_connection_carries_many_requests(eio: Server) -> None:
    with HttpClient(eio.port) as client:
        sid = json.loads(client.request("GET", eio.target()).text[1:])["sid"]
        for text in ("one", "two"):
            assert client.request("POST", eio.target(sid=sid), body=b"4" + text.encode()).text == "ok"
            assert client.request("GET", eio.target(sid=sid)).text == "4" + text


def test_pipelined_requests_are_answered_in_order(eio: Server) -> None:
    with Polling(eio) as client:
        first = b"4first"
        client.poster.send_request("POST", client.target, body=first)
        client.poster.send_request("GET", client.target)
        client.poster.send_request("POST", client.target, body=b"4second")
        answers = [client.poster.read_response().text for _ in range(3)]
    assert answers == ["ok", "4first", "ok"]


def test_connection_close_is_honoured(eio: Server) -> None:
    with HttpClient(eio.port) as client:
        answer = client.request("GET", eio.target(), [("Connection", "close")])
        assert answer.status == 200
        assert (answer.header("Connection") or "").lower() == "close"
        assert client.read_to_end() == b""


# --- compression


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br", "gzip"),
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip;q=0, deflate", "deflate"),
        ("deflate;q=0.5, gzip;q=0.4", "deflate"),
        ("*", "gzip"),
    ],
)
def test_a_long_poll_answer_is_compressed_as_accepted(eio: Server, accepted: str, encoding: str) -> None:
    unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress}[encoding]
    with Polling(eio) as client:
        client.send("4" + "a" * 5000)
        answer = client.get([("Accept-Encoding", accepted)])
    assert answer.spelled("Content-Encoding") == encoding
    assert answer.header("Content-Type") == "text/plain; charset=UTF-8"
    assert unpack(answer.body) == b"4" + b"a" * 5000


@pytest.mark.parametrize("accepted", [None, "br", "identity", "gzip;q=0", ""])
def test_a_long_poll_answer_is_plain_for_who_accepts_nothing_better(eio: Server, accepted: str | None) -> None:
    headers = [] if accepted is None else [("Accept-Encoding", accepted)]
    with Polling(eio) as client:
        client.send("4" + "a" * 5000)
        answer = client.get(headers)
    assert answer.header("Content-Encoding") is None
    assert answer.text == "4" + "a" * 5000


@pytest.mark.parametrize(("size", "encoding"), [(1023, None), (1024, "gzip")])
def test_the_compression_threshold_is_a_count_of_bytes(eio: Server, size: int, encoding: str | None) -> None:
    with Polling(eio) as client:
        client.send("4" + "a" * (size - 1))
        assert client.get([("Accept-Encoding", "gzip")]).header("Content-Encoding") == encoding


def test_the_compression_threshold_can_be_set(small: Server) -> None:
    with Polling(small) as client:
        client.send("4" + "a" * 100)
        assert client.get([("Accept-Encoding", "gzip")]).header("Content-Encoding") == "gzip"


# --- options: cookie, allow_request, transports, upgrades


def test_the_cookie_is_set_by_the_handshake_only(guarded: Server) -> None:
    with Polling(guarded) as client:
        assert client.handshake.header("Set-Cookie") == f"io={client.sid}; Path=/; HttpOnly; SameSite=Lax"
        answer = client.post("4hello")
        assert answer.header("Set-Cookie") is None
        assert client.get().header("Set-Cookie") is None


def test_a_refused_handshake_is_forbidden_with_the_reason_given(guarded: Server) -> None:
    answer = guarded.fetch(headers=[("X-Refuse", "Come back later")])
    assert answer.status == 403
    assert answer.spelled("Content-Type") == "application/json"
    assert answer.text == '{"code":4,"message":"Come back later"}'


def test_a_refused_upgrade_is_told_the_reason_in_plain_text(guarded: Server) -> None:
    query = "EIO=4&transport=websocket"
    assert_upgrade_refused(guarded, query, "Come back later", ("X-Refuse", "Come back later"))


def test_only_the_handshake_can_be_refused(guarded: Server) -> None:
    refuse = [("X-Refuse", "no")]
    with Polling(guarded) as client:
        assert client.post("4hello", headers=refuse).text == "ok"
        assert client.get(refuse).text == "4hello"
        EngineSocket.connect(guarded, refuse, sid=client.sid).close()


def test_the_method_is_checked_before_permission(guarded: Server) -> None:
    answer = guarded.fetch("POST", [("X-Refuse", "no")], b"")
    assert (answer.status, answer.json()["code"]) == (400, 2)


def test_the_version_is_checked_after_permission(guarded: Server) -> None:
    assert guarded.fetch(headers=[("X-Refuse", "no")], EIO="3").status == 403


def test_upgrades_can_be_switched_off(small: Server) -> None:
    with Polling(small) as client:
        assert client.open["upgrades"] == []


def test_polling_only_knows_no_websocket(polling_only: Server) -> None:
    with Polling(polling_only) as client:
        assert client.open["upgrades"] == []
        assert client.echoes()
    refusal = polling_only.fetch(transport="websocket")
    assert (refusal.status, refusal.json()["code"]) == (400, 0)


def test_websocket_only_knows_no_polling(websocket_only: Server) -> None:
    refusal = websocket_only.fetch()
    assert (refusal.status, refusal.json()["code"]) == (400, 0)
    with EngineSocket.connect(websocket_only) as client:
        assert client.echoes()


# --- requests on a live session


def test_another_transport_needs_an_upgrade(eio: Server) -> None:
    with Polling(eio) as client:
        answer = fetch(eio.port, "GET", eio.target(transport="websocket", sid=client.sid))
        assert (answer.status, answer.json()) == (400, BAD_REQUEST)
        assert client.echoes()


@pytest.mark.parametrize("query", [{"transport": "abc"}, {"transport": "websocket"}, {"EIO": "3"}])
def test_a_refused_post_does_not_disturb_the_session_it_names(eio: Server, query: dict[str, str]) -> None:
    with Polling(eio) as client:
        assert eio.fetch("POST", body=b"4never", **{"sid": client.sid, **query}).status == 400
        assert client.echoes()


def test_a_poll_with_a_body_is_a_poll(eio: Server) -> None:
    with Polling(eio) as client:
        for text in ("one", "two"):
            client.send("4" + text)
            assert fetch(eio.port, "GET", client.target, body=b"4never").text == "4" + text


def test_polling_a_websocket_session_is_a_bad_request(eio: Server) -> None:
    with EngineSocket.connect(eio) as client:
        for method, body in (("GET", None), ("POST", b"4hello")):
            answer = eio.fetch(method, body=body, sid=client.sid)
            assert (answer.status, answer.json()) == (400, BAD_REQUEST)
        assert client.echoes()


def test_a_session_keeps_its_protocol_version(eio: Server) -> None:
    with Polling(eio) as client:
        answer = eio.fetch(sid=client.sid, EIO="3")
        assert (answer.status, answer.json()) == (400, BAD_REQUEST)
        assert client.echoes()


@pytest.mark.parametrize("body", [b"", b"4never"], ids=["empty", "with a body"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_another_method_on_a_session_is_a_server_error_and_harmless(
    eio: Server, method: str, body: bytes
) -> None:
    with Polling(eio) as client:
        answer = fetch(eio.port, method, client.target, body=body)
        assert (answer.status, answer.body) == (500, b"")
        assert client.echoes()


def test_sessions_do_not_outlive_their_close(eio: Server) -> None:
    with Polling(eio) as client:
        client.send("1")
        answer = client.get()
        assert (answer.status, answer.json()) == (400, UNKNOWN_SESSION)
