"""What a request asks, and why it is refused."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.cors import Cors
from rtwist.engineio.options import Options
from rtwist.engineio.request import ErrorCode, Handshake, Refusal, parse_query, verify
from tests.engineio.fakes import handshake

UPGRADE = {"upgrade": "websocket", "connection": "Upgrade"}


class Known:
    def __init__(self, transport_name: str = "polling", **headers: str) -> None:
        self.handshake = handshake(headers=headers)
        self.transport_name = transport_name


SESSIONS = {"p": Known(), "w": Known("websocket"), "mine": Known(origin="https://a.example", authorization="me")}


def refused(request: Handshake, **options: Any) -> ErrorCode | None:
    chosen = Options(**{"cors_origins": "*", **options})
    refusal = verify(request, SESSIONS, chosen, Cors(chosen.cors_origins))
    return None if refusal is None else refusal.code


def asking(query: str, method: str = "GET", **headers: str) -> Handshake:
    return handshake(method=method, query=parse_query(query), headers=headers)


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ("EIO=4&transport=polling", {}, None),
        ("EIO=4&transport=websocket", UPGRADE, None),
        ("", {}, 0),
        ("EIO=4", {}, 0),
        ("EIO=4&transport=__proto__", {}, 0),
        ("EIO=4&transport=constructor", UPGRADE, 0),
        ("EIO=4&transport=polling&transport=polling", {}, 0),
        ("transport=polling", {}, 5),
        ("EIO=3&transport=polling", {}, 5),
        ("EIO=3&transport=websocket", UPGRADE, 5),
        ("EIO=4&EIO=4&transport=polling", {}, 5),
        ("EIO=4&transport=websocket", {}, 3),
        ("EIO=4&transport=polling", UPGRADE, 3),
        ("EIO=4&transport=polling", {"origin": "https://a\x01"}, 3),
        ("EIO=4&transport=polling&sid=unknown", {}, 1),
        ("EIO=4&transport=polling&sid=p", {}, None),
        ("EIO=4&transport=polling&sid=w", {}, 3),
        ("EIO=4&transport=websocket&sid=p", UPGRADE, None),
        ("EIO=4&transport=polling&sid=p", UPGRADE, 3),
        ("EIO=4&transport=websocket&sid=p", {}, 3),
        ("EIO=4&transport=websocket&sid=w", {}, 3),
        ("transport=polling&sid=p", {}, 3),
        ("EIO=4&transport=polling&sid=", {}, None),
    ],
)
def test_the_code_of_each_fault(query: str, headers: dict[str, str], code: int | None) -> None:
    assert refused(asking(query, **headers)) == code


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
def test_a_handshake_is_a_get(method: str) -> None:
    assert refused(asking("EIO=4&transport=polling", method)) is ErrorCode.BAD_HANDSHAKE_METHOD


def test_the_transport_is_looked_at_before_the_origin_and_the_sid() -> None:
    assert refused(asking("transport=x&sid=unknown", origin="\x01")) is ErrorCode.UNKNOWN_TRANSPORT
    assert refused(asking("transport=polling&sid=unknown", origin="\x01")) is ErrorCode.BAD_REQUEST
    assert refused(asking("transport=polling&sid=unknown", "POST")) is ErrorCode.UNKNOWN_SID


def test_transports_and_upgrades_that_are_switched_off() -> None:
    assert refused(asking("EIO=4&transport=polling"), transports=("websocket",)) is ErrorCode.UNKNOWN_TRANSPORT
    upgrade = asking("EIO=4&transport=websocket&sid=p", **UPGRADE)
    assert refused(upgrade, allow_upgrades=False) is ErrorCode.BAD_REQUEST


def test_foreign_pages_are_refused_on_every_kind_of_request() -> None:
    for query, headers in (
        ("EIO=4&transport=polling", {}),
        ("EIO=4&transport=polling&sid=p", {}),
        ("EIO=4&transport=websocket", UPGRADE),
        ("EIO=4&transport=websocket&sid=p", UPGRADE),
    ):
        request = asking(query, origin="https://evil.example", host="shop.example", **headers)
        assert refused(request, cors_origins=None) is ErrorCode.FORBIDDEN
        assert refused(request, cors_origins=("https://shop.example",)) is ErrorCode.FORBIDDEN


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"origin": "https://a.example", "authorization": "me"}, None),
        ({"origin": "https://a.example"}, None),
        ({}, None),
        ({"authorization": "somebody else"}, 3),
        ({"origin": "https://b.example", "authorization": "me"}, 3),
    ],
)
def test_a_sid_serves_only_who_opened_it(headers: dict[str, str], code: int | None) -> None:
    assert refused(asking("EIO=4&transport=polling&sid=mine", **headers)) == code


def test_allow_request_is_asked_about_handshakes_only_and_its_text_is_the_answer() -> None:
    asked: list[Handshake] = []

    def refuse(request: Handshake) -> str:
        asked.append(request)
        return "go away"

    options = Options(allow_request=refuse)
    refusal = verify(handshake(), SESSIONS, options, Cors(None))
    assert refusal is not None
    assert (refusal.code, refusal.message, refusal.status) == (ErrorCode.FORBIDDEN, "go away", 403)
    assert verify(asking("EIO=4&transport=polling&sid=p"), SESSIONS, options, Cors(None)) is None
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (0, "Transport unknown"),
        (1, "Session ID unknown"),
        (2, "Bad handshake method"),
        (3, "Bad request"),
        (4, "Forbidden"),
        (5, "Unsupported protocol version"),
    ],
)
def test_messages_and_statuses_are_those_of_the_protocol(code: int, message: str) -> None:
    refusal = Refusal(ErrorCode(code), "hint")
    assert (refusal.message, refusal.status) == (message, 403 if code == 4 else 400)


@given(
    st.dictionaries(st.text(), st.text()),
    st.text(),
    st.dictionaries(st.sampled_from(["origin", "host", "upgrade", "connection"]), st.text()),
)
def test_any_request_gets_an_answer(query: dict[str, str], method: str, headers: dict[str, str]) -> None:
    request = handshake(method=method, query={"transport": "polling", **query}, headers=headers)
    assert isinstance(refused(request, cors_origins=None), ErrorCode | None)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": "1,2"}),
        ("a", {"a": ""}),
        ("a=%C3%A9&b=1+2", {"a": "é", "b": "1 2"}),
        ("a=%ff", {"a": "\ufffd"}),
    ],
)
def test_query_strings(text: str, fields: dict[str, str]) -> None:
    assert parse_query(text) == fields


def test_more_than_a_hundred_fields_are_refused() -> None:
    assert len(parse_query("&".join(f"f{number}=1" for number in range(100)))) == 100
    with pytest.raises(ValueError, match="fields"):
        parse_query("a=1&" * 100 + "b=1")


@given(st.text(st.characters(max_codepoint=255)))
def test_any_query_gives_fields_or_a_value_error(text: str) -> None:
    try:
        fields = parse_query(text)
    except ValueError:
        return
    assert all(isinstance(name, str) for name in fields)


@pytest.mark.parametrize(
    ("headers", "asks"),
    [
        (UPGRADE, True),
        ({"upgrade": "websocket", "connection": "keep-alive, upgrade"}, True),
        ({"upgrade": "websocket"}, False),
        ({"connection": "Upgrade"}, False),
        ({}, False),
    ],
)
def test_who_asks_for_a_websocket(headers: dict[str, str], asks: bool) -> None:
    assert handshake(headers=headers).asks_websocket is asks


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.dictionaries(TEXTS, TEXTS), st.dictionaries(TEXTS, TEXTS))
def test_what_is_kept_of_a_request_says_the_same(headers: dict[str, str], query: dict[str, str]) -> None:
    request = handshake(headers=headers, query=query)
    kept = request.packed()
    assert (dict(kept.headers), dict(kept.query)) == (request.headers, request.query)
    assert kept.headers.keys() == request.headers.keys()
    assert kept.headers.get("no such") is None
    assert len(kept.query) == len(request.query)
    assert kept.same_client(request)
    assert request.same_client(kept)


def test_what_is_kept_takes_little_more_than_its_text() -> None:
    fields = {f"x{number}": "" for number in range(500)}
    tracemalloc.start()
    kept = handshake(headers=dict(fields), query={}).packed()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept.headers == fields
    assert size < 10_000


def test_what_is_kept_does_not_show_its_secrets() -> None:
    request = handshake(headers={"authorization": "Bearer secret"}, query={"sid": "secret"})
    assert "secret" not in repr(request.packed())
