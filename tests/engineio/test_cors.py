"""Which pages may talk to the server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.cors import Cors, has_only_header_characters

SHOP, EVIL = "https://shop.example", "https://evil.example"
CREDENTIALS = ("Access-Control-Allow-Credentials", "true")


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "shop.example", True),
        ("https://shop.example", "shop.example", True),
        ("https://shop.example", "shop.example:443", True),
        ("https://SHOP.example", "shop.EXAMPLE", True),
        ("http://shop.example:8080", "shop.example:8080", True),
        ("http://[::1]:3000", "[::1]:3000", True),
        ("http://shop.example", "shop.example:443", False),
        ("http://shop.example:8080", "shop.example", False),
        ("https://evil.example", "shop.example", False),
        ("https://shop.example.evil.example", "shop.example", False),
        ("https://evil.example/shop.example", "shop.example", False),
        ("https://shop.example@evil.example", "shop.example", False),
        ("null", "shop.example", False),
        ("", "shop.example", False),
        ("", "", False),
        ("https://shop.example", None, False),
        ("https://shop.example:port", "shop.example:port", False),
        ("https://shop.example:99999", "shop.example:99999", False),
        ("https://[::1", "[::1", False),
    ],
)
def test_without_origins_only_the_server_s_own_pages(origin: str | None, host: str | None, allowed: bool) -> None:
    assert Cors(None).allows(origin, host) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        (SHOP, True),
        ("HTTPS://Shop.Example", True),
        (EVIL, False),
        ("http://shop.example", False),
        (f"\x1f{SHOP}", False),
        (f"{SHOP}\xa0", False),
        (f"{SHOP}\u2003", False),
        ("https://shop.example:444", False),
        ("https://shop.example.evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_with_a_list_exactly_these_origins(origin: str | None, allowed: bool) -> None:
    cors = Cors((SHOP + "/",))
    assert cors.allows(origin, "shop.example") is allowed
    assert cors.allows(origin, "evil.example") is allowed


@given(st.one_of(st.none(), st.text()), st.one_of(st.none(), st.text()))
def test_any_origin_and_host_get_an_answer(origin: str | None, host: str | None) -> None:
    assert isinstance(Cors(None).allows(origin, host), bool)
    assert Cors("*").allows(origin, host)
    assert Cors(("*",)).allows(origin, host)


@pytest.mark.parametrize(
    ("origins", "origin", "headers"),
    [
        (None, SHOP, []),
        ("*", EVIL, [("Access-Control-Allow-Origin", "*")]),
        ("*", None, [("Access-Control-Allow-Origin", "*")]),
        ((SHOP,), SHOP, [("Access-Control-Allow-Origin", SHOP), ("Vary", "Origin"), CREDENTIALS]),
        ((SHOP,), EVIL, [("Vary", "Origin")]),
        ((SHOP,), f"{SHOP}\x1f", [("Vary", "Origin")]),
        ((SHOP,), None, [("Vary", "Origin")]),
    ],
)
def test_only_an_allowed_origin_is_told_so(origins: object, origin: str, headers: list[tuple[str, str]]) -> None:
    assert Cors(origins).headers(origin) == headers  # type: ignore[arg-type]


def test_a_preflight_lists_methods_and_the_headers_asked_for() -> None:
    headers = dict(Cors("*").preflight_headers(SHOP, "x-token"))
    assert headers["Access-Control-Allow-Methods"] == "GET,POST"
    assert headers["Access-Control-Allow-Headers"] == "x-token"
    assert "Access-Control-Allow-Headers" not in dict(Cors("*").preflight_headers(SHOP, "x\r\ny"))
    assert Cors((SHOP,)).preflight_headers(EVIL, "x-token") == [("Vary", "Origin")]


@pytest.mark.parametrize(
    ("value", "clean"),
    [("https://a", True), ("a\tb", True), ("é", True), ("a\x01", False), ("a\n", False), ("\x7f", False)],
)
def test_control_characters_stand_in_no_header(value: str, clean: bool) -> None:
    assert has_only_header_characters(value) is clean
