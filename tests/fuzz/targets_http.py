"""What is fuzzed of HTTP: query strings, origins, handshakes, option readers, and a whole Engine.IO site."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from twisted.logger import LogEvent, LogLevel, globalLogPublisher

from rtwist import readers
from rtwist.engineio.compression import choose_encoding
from rtwist.engineio.cors import Cors, has_only_header_characters
from rtwist.engineio.options import Options
from rtwist.engineio.request import Handshake, parse_query, verify
from tests.engineio.http_fakes import Front

SAME_ORIGIN = Cors(None)
LISTED = Cors(("https://a.example", "http://b.example:8080"))
ANY = Cors("*")
OPTIONS = Options(cors_origins="*")
SID = b"SID"
"""Stands in a request for the id of a session that is open."""
NEXT_CONNECTION = b"\n----\n"


def origins(data: bytes) -> None:
    """An Origin header and, behind a line feed, a Host header."""
    origin, _, host = data.decode("latin-1").partition("\n")
    for cors in (SAME_ORIGIN, LISTED, ANY):
        allowed = cors.allows(origin, host)
        told = cors.headers(origin) + cors.preflight_headers(origin, host)
        if has_only_header_characters(origin):
            assert all(has_only_header_characters(value) for _, value in told)
        echoed = ("Access-Control-Allow-Origin", origin) in told
        assert allowed or not echoed
    if SAME_ORIGIN.allows(origin, host):
        assert urlsplit(origin).hostname
    if LISTED.allows(origin, host):
        assert origin.strip().rstrip("/").lower() in {"https://a.example", "http://b.example:8080"}


def handshake(data: bytes) -> None:
    """A query string, then in lines of their own the method and the headers."""
    first, *lines = data.decode("latin-1").split("\n")
    try:
        query = parse_query(first)
    except ValueError:
        assert first.count("&") >= 100
        return
    method = lines[0] if lines else "GET"
    pairs = (line.partition(":") for line in lines[1:])
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    request = Handshake(method, "/", query, headers, "127.0.0.1", False, 0.0)
    refusal = verify(request, {}, OPTIONS, ANY)
    if refusal is None:
        assert (query["EIO"], method) == ("4", "GET")
        assert (query["transport"] == "websocket") is request.asks_websocket
        assert not query.get("sid")
    else:
        assert refusal.status in {400, 403}
        assert refusal.message
        refusal.hint.encode("utf-8", "backslashreplace")
    assert choose_encoding(headers.get("accept-encoding", "")) in {None, "gzip", "deflate"}
    assert request.same_client(request)


READERS: list[Callable[[str], object]] = [
    readers.as_seconds, readers.as_leeway, readers.as_count, readers.as_yes_or_no, readers.as_port,
    readers.as_names, readers.as_origins, readers.as_path, readers.as_cookie_name,
]  # fmt: skip


def option_text(data: bytes) -> None:
    """What an operator may write behind an option, read by every reader: a value or a ValueError."""
    text = data.decode("utf-8", "surrogateescape")
    for read in READERS:
        try:
            read(text)
        except ValueError:
            continue


def http_site(data: bytes) -> None:
    """Connections to an Engine.IO site, one after the other, beside an open session: nothing is left behind."""
    complaints: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        if event.get("log_level") is LogLevel.critical or "log_failure" in event:
            complaints.append(event)

    globalLogPublisher.addObserver(observe)
    try:
        _visit(data)
    finally:
        globalLogPublisher.removeObserver(observe)
    assert complaints == []


def _visit(data: bytes) -> None:
    front = Front(max_payload=3000, max_fragments=8, cors_origins=("https://a.example",))
    step, connections = 1 + data[0] if data else 1, data[1:].split(NEXT_CONNECTION)
    sid = front.open().sid.encode()
    for connection in connections[:4]:
        line, stream = front.line(), connection.replace(SID, sid)
        for start in range(0, len(stream), step):
            line.send(stream[start : start + step])
            front.settle()
    front.end()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "origins": origins,
    "handshake": handshake,
    "option_text": option_text,
    "http_site": http_site,
}
