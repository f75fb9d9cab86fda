"""HTTP as attackers write it: the request is refused or cut, the server goes on, nobody else notices."""

from __future__ import annotations

import time

import pytest

from tests.protocol.peers import EngineSocket, Polling, Server
from tests.support.wire import CHUNKED, HttpClient, chunked, fetch, http_request

CLOSING = ("Connection", "close")


def answer_to(server: Server, data: bytes) -> bytes:
    """What the server says to `data`: until it ends the connection, or waits for more."""
    with HttpClient(server.port) as client:
        client.send_or_be_cut(data)
        return client.read_to_silence(0.2)


def post_with(server: Server, sid: str, *headers: tuple[str, str], body: bytes = b"4never") -> bytes:
    return http_request("POST", server.target(sid=sid), [CLOSING, *headers], body)


AMBIGUOUS_LENGTHS = [
    pytest.param([("Content-Length", "6"), ("Transfer-Encoding", "chunked")], id="length and chunked"),
    pytest.param([("Transfer-Encoding", "chunked"), ("Content-Length", "6")], id="chunked and length"),
    pytest.param([("Content-Length", "6"), ("Content-Length", "7")], id="two lengths"),
    pytest.param([("Content-Length", "+6")], id="length with a plus"),
    pytest.param([("Content-Length", "-6")], id="negative length"),
    pytest.param([("Content-Length", "6_0")], id="length with an underscore"),
    pytest.param([("Content-Length", "0x6")], id="hexadecimal length"),
    pytest.param([("Content-Length", "6, 6")], id="a list of lengths"),
    pytest.param([("Content-Length", "\xb2")], id="superscript length"),
    pytest.param([("Content-Length", "9" * 400)], id="length of 400 digits"),
    pytest.param([("Content-Length", "9" * 5000)], id="length of 5000 digits"),
    pytest.param([("Transfer-Encoding", "xchunked")], id="xchunked"),
    pytest.param([("Transfer-Encoding", "chunked, identity")], id="chunked, identity"),
    pytest.param([("Content-Length ", "6")], id="blank before the colon"),
    pytest.param([("X-Evil", "a\x00b"), ("Content-Length", "6")], id="NUL in a header"),
]


@pytest.mark.parametrize("headers", AMBIGUOUS_LENGTHS)
def test_a_body_of_doubtful_length_is_not_read(eio: Server, headers: list[tuple[str, str]]) -> None:
    with Polling(eio) as client:
        answer = answer_to(eio, post_with(eio, client.sid, *headers))
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413", b"HTTP/1.1 501")) or answer == b""
        assert b"200 OK" not in answer
        assert "4never" not in sent_meanwhile(client)


def sent_meanwhile(client: Polling) -> list[str]:
    """What waits for the client, if it still has a session."""
    if client.is_gone():
        return []
    client.send("4sentinel")
    return client.poll()


BAD_CHUNKS = [
    pytest.param(b"zz\r\n4never\r\n0\r\n\r\n", id="not hexadecimal"),
    pytest.param(b"-6\r\n4never\r\n0\r\n\r\n", id="negative"),
    pytest.param(b"+6\r\n4never\r\n0\r\n\r\n", id="plus"),
    pytest.param(b"0x6\r\n4never\r\n0\r\n\r\n", id="0x"),
    pytest.param(b"f" * 40 + b"\r\n4never", id="enormous"),
    pytest.param(b"6\r\n4neverXX0\r\n\r\n", id="no end of chunk"),
    pytest.param(b"6;" + b"x" * 100_000 + b"\r\n4never\r\n0\r\n\r\n", id="long extension"),
]


@pytest.mark.parametrize("body", BAD_CHUNKS)
def test_a_bad_chunk_is_not_read(eio: Server, body: bytes) -> None:
    with Polling(eio) as client:
        answer = answer_to(eio, post_with(eio, client.sid, *CHUNKED, body=body))
        assert b"200 OK" not in answer
        assert "4never" not in sent_meanwhile(client)


def test_bytes_after_a_body_are_the_next_request_and_not_the_body(eio: Server) -> None:
    with Polling(eio) as client, HttpClient(eio.port) as other:
        smuggled = http_request("GET", eio.target(transport="abc"))
        other.send(http_request("POST", client.target, CHUNKED, chunked(b"4one")) + smuggled)
        assert other.read_response().text == "ok"
        assert other.read_response().status == 400
        assert client.poll() == ["4one"]


BAD_REQUESTS = [
    pytest.param(b"\r\n\r\n\r\n\r\n", id="empty lines"),
    pytest.param(b"GET\r\n\r\n", id="a method alone"),
    pytest.param(b"GET /\r\n\r\n", id="no version"),
    pytest.param(b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", id="version 9.9"),
    pytest.param(b"G\x00T / HTTP/1.1\r\nHost: x\r\n\r\n", id="NUL in the method"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="a TLS hello"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="the HTTP/2 preface"),
    pytest.param(b"\x81\x85\x00\x00\x00\x00hello", id="a WebSocket frame"),
    pytest.param(b"4hello", id="an Engine.IO packet"),
    pytest.param(bytes(range(256)) * 10, id="all bytes"),
    pytest.param(b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost x\r\n\r\n", id="no colon"),
    pytest.param(b"GET /engine.io/?EIO=4&transport=polling HTTP/1.1\r\n : x\r\n\r\n", id="no header name"),
    pytest.param(
        b"GET /engine.io/?EIO=4&transport=polling\xff HTTP/1.1\r\nHost: x\r\n\r\n", id="target not ASCII"
    ),
    pytest.param(b"GET /engine.io/\x00?EIO=4 HTTP/1.1\r\nHost: x\r\n\r\n", id="NUL in the target"),
    pytest.param(b"GET http://[::bad/engine.io/?EIO=4 HTTP/1.1\r\nHost: x\r\n\r\n", id="bad absolute target"),
    pytest.param(b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", id="target of an asterisk"),
    pytest.param(b"CONNECT example:443 HTTP/1.1\r\nHost: x\r\n\r\n", id="CONNECT"),
    pytest.param(b"TRACE /engine.io/ HTTP/1.1\r\nHost: x\r\n\r\n", id="TRACE"),
    pytest.param(b"HEAD /engine.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n", id="HEAD"),
]


@pytest.mark.parametrize("data", BAD_REQUESTS)
def test_a_bad_request_opens_no_session(eio: Server, data: bytes) -> None:
    assert b'"sid"' not in answer_to(eio, data)
    with Polling(eio) as client:
        assert client.echoes()


BAD_TARGETS = [
    "EIO=4&transport=polling&sid=%",
    "EIO=4&transport=polling&sid=%zz",
    "EIO=4&transport=polling&sid=%ff%fe",
    "EIO=4&transport=polling&sid=a&sid=b",
    "EIO=4&transport=polling&sid=" + "%00" * 1000,
    "&".join(f"p{n}=1" for n in range(1500)) + "&EIO=4",
    "=&=&&&EIO=4",
    "EIO[]=4&transport[]=polling",
    "EIO=4;transport=polling",
]


@pytest.mark.parametrize("query", BAD_TARGETS, ids=range(len(BAD_TARGETS)))
def test_a_bad_query_is_a_bad_request(eio: Server, query: str) -> None:
    answer = fetch(eio.port, "GET", f"{eio.path}?{query}")
    assert answer.status == 400
    assert answer.json()["code"] in {0, 1, 3}


@pytest.mark.parametrize("host", ["a..b", "x" * 300, "\xff", "[::1", "evil.example", "", "a b", "xn--\xff"])
def test_a_strange_host_costs_no_traceback(eio: Server, host: str) -> None:
    answer = answer_to(eio, http_request("GET", eio.target(), [("Host", host), CLOSING]))
    assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 ", b"HTTP/1.1 403 "))


@pytest.mark.parametrize("size", [17_000, 300_000], ids=["17 kB", "300 kB"])
def test_an_enormous_header_opens_no_session(eio: Server, size: int) -> None:
    answer = answer_to(eio, http_request("GET", eio.target(), [("Cookie", "x" * size)]))
    assert b'"sid"' not in answer


def test_an_enormous_target_opens_no_session(eio: Server) -> None:
    answer = answer_to(eio, http_request("GET", eio.target(padding="x" * 300_000)))
    assert b'"sid"' not in answer


def test_thousands_of_headers_open_no_session(eio: Server) -> None:
    answer = answer_to(eio, http_request("GET", eio.target(), [(f"X-{n}", "y") for n in range(5000)]))
    assert b'"sid"' not in answer


@pytest.mark.parametrize("host", [b"", b"Host: x\r\n"])
def test_http_1_0_is_served(eio: Server, host: bytes) -> None:
    with HttpClient(eio.port) as client:
        client.send(f"GET {eio.target()} HTTP/1.0\r\n".encode() + host + b"\r\n")
        answer = client.read_to_end()
    assert answer.split(b"\r\n")[0].endswith(b" 200 OK")
    assert b'0{"sid":"' in answer


def test_connections_that_say_nothing_or_half_a_request_hold_nobody_up(eio: Server) -> None:
    waiting = [HttpClient(eio.port) for _ in range(60)]
    for number, client in enumerate(waiting):
        client.send(http_request("GET", eio.target())[: number - 1] if number else b"")
    with Polling(eio) as polling, EngineSocket.connect(eio) as websocket:
        assert polling.echoes()
        assert websocket.echoes()
    for client in waiting:
        client.reset()


def test_handshakes_that_are_given_up_hold_nobody_up(eio: Server) -> None:
    for _ in range(50):
        client = HttpClient(eio.port)
        client.send_request("GET", eio.target())
        client.reset()
    with Polling(eio) as polling:
        assert polling.echoes()


def test_a_promised_body_that_never_comes_holds_nobody_up(eio: Server) -> None:
    with Polling(eio) as client, Polling(eio) as other:
        client.poster.send(http_request("POST", client.target, [("Content-Length", "900000")]) + b"4")
        assert other.echoes()


def test_a_promised_body_over_the_limit_is_refused_without_reading_it(eio: Server) -> None:
    with Polling(eio) as client, HttpClient(eio.port) as poster:
        poster.send(http_request("POST", client.target, [("Content-Length", str(10**12))]))
        poster.send_or_be_cut(b"4" * 1_100_000)
        assert poster.read_head().status == 413
        assert client.echoes()


def test_a_body_that_expects_to_be_asked_for_is_asked_for(eio: Server) -> None:
    with Polling(eio) as client:
        request = http_request("POST", client.target, [("Content-Length", "6"), ("Expect", "100-continue")])
        client.poster.send(request)
        assert client.poster.read_head().status == 100
        client.poster.send(b"4hello")
        assert client.poster.read_response().text == "ok"
        assert client.poll() == ["4hello"]


@pytest.mark.departure("Node reads on")
def test_a_body_over_the_limit_is_not_asked_for(eio: Server) -> None:
    with Polling(eio) as client, HttpClient(eio.port) as poster:
        headers = [("Content-Length", "2000000"), ("Expect", "100-continue")]
        poster.send(http_request("POST", client.target, headers))
        answer = poster.read_to_end()
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"100 Continue" not in answer
        assert client.echoes()


def test_a_large_body_from_a_strange_origin_is_refused(eio: Server) -> None:
    headers = [("Origin", "\xff"), ("Content-Length", "2000000")]
    answer = answer_to(eio, http_request("POST", eio.target(sid="abc"), headers))
    assert answer.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))


@pytest.mark.departure("Node ends the connection")
def test_a_length_of_thousands_of_digits_is_a_bad_request(eio: Server) -> None:
    data = http_request("POST", eio.target(sid="abc"), [("Content-Length", "9" * 5000)])
    assert answer_to(eio, data).startswith(b"HTTP/1.1 400 ")


@pytest.mark.departure("Node knows no absolute targets")
def test_a_session_is_served_by_absolute_targets(eio: Server) -> None:
    assert fetch(eio.port, "GET", f"http://x{eio.target()}").text.startswith('0{"sid":"')
    with Polling(eio) as client:
        client.target = f"http://x{client.target}"
        assert client.echoes()


def test_a_body_without_session_is_not_kept(eio: Server) -> None:
    started = time.monotonic()
    answer = answer_to(eio, http_request("POST", eio.target(sid="abc"), [CLOSING], b"x" * 5_000_000))
    assert answer[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 413"}
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "path", ["/nothing", "/../../etc/passwd", "//evil.example/", "/%2e%2e/", "/?redirect=http://evil"]
)
def test_other_paths_give_nothing_away(eio: Server, path: str) -> None:
    answer = fetch(eio.port, "GET", path)
    assert answer.status == 404
    assert b"root:" not in answer.body
    assert answer.header("Location") is None


def test_no_answer_tells_a_version(eio: Server) -> None:
    answers = [eio.fetch(), eio.fetch(transport="abc"), fetch(eio.port, "GET", "/nothing")]
    for answer in (*answers, fetch(eio.port, "OPTIONS", "*"), fetch(eio.port, "GET", "*")):
        assert answer.header("Server") is None
        assert b"Twisted" not in answer.body
