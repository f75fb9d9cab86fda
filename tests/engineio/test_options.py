"""Options of an Engine.IO server."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.options import Cookie, Options
from rtwist.errors import ConfigError

NUMBERS = [field.name for field in dataclasses.fields(Options) if field.type in ("int", "float")]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, -1, -0.5, math.nan])
def test_a_number_that_cannot_work_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        Options(**{name: value})


@pytest.mark.parametrize("transports", [(), ("tcp",), ("polling", "WebSocket")])
def test_unknown_transports_are_refused(transports: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="transports"):
        Options(transports=transports)


@pytest.mark.parametrize("origins", ["", "https://shop.example"])
def test_one_origin_must_be_given_as_a_tuple(origins: str) -> None:
    with pytest.raises(ConfigError, match="cors_origins"):
        Options(cors_origins=origins)


@given(st.text("/ab.", max_size=8))
def test_a_path_begins_and_ends_with_one_slash(path: str) -> None:
    made = Options(path=path).path
    assert made.startswith("/")
    assert made.endswith("/")
    assert made.strip("/") == path.strip("/")


@pytest.mark.parametrize(
    ("cookie", "header"),
    [
        (Cookie(), "io=SID; Path=/; HttpOnly; SameSite=Lax"),
        (
            Cookie(name="sid", path="/a", secure=True, same_site="none"),
            "sid=SID; Path=/a; HttpOnly; Secure; SameSite=None",
        ),
        (Cookie(http_only=False, same_site=None), "io=SID; Path=/"),
    ],
)
def test_the_cookie_s_header(cookie: Cookie, header: str) -> None:
    assert cookie.header("SID") == header


def test_the_defaults_are_those_of_the_node_server() -> None:
    expected: dict[str, Any] = {
        "ping_interval": 25.0, "ping_timeout": 20.0, "upgrade_timeout": 10.0, "max_payload": 1_000_000,
        "transports": ("polling", "websocket"), "allow_upgrades": True, "cors_origins": None, "cookie": None,
    }  # fmt: skip
    options = Options()
    assert {name: getattr(options, name) for name in expected} == expected
