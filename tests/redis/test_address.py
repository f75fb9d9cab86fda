"""Where Redis is: every form of URL, and every mistake without its password."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.errors import ConfigError
from rtwist.redis.address import Login, RedisAddress, read_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", {}),
        ("redis://h", {"host": "h"}),
        (" REDIS://h:1/3 \n", {"host": "h", "port": 1, "database": 3}),
        ("redis://h/", {"host": "h"}),
        ("redis://:1", {"port": 1}),
        ("redis://:pw@h", {"host": "h", "login": Login(None, "pw")}),
        ("redis://u:@h", {"host": "h", "login": Login("u", "")}),
        ("redis://u:p%40%2F:%3f@c@h", {"host": "h", "login": Login("u", "p@/:?@c")}),
        ("redis://[::1]:5/0", {"host": "::1", "port": 5}),
        ("rediss://[fe80::1%25eth0]", {"secure": True, "host": "fe80::1%eth0"}),
        ("unix:///run/redis.sock", {"path": "/run/redis.sock"}),
        ("unix://u:pw@/run/a%20b?db=2", {"path": "/run/a b", "login": Login("u", "pw"), "database": 2}),
        ("redis+sentinel://a,b:1,[::1]/mine",
         {"sentinels": (("a", 26379), ("b", 1), ("::1", 26379)), "service": "mine"}),
        ("redis+sentinel://u:p@a/mine/4",
         {"sentinels": (("a", 26379),), "service": "mine", "login": Login("u", "p"), "database": 4}),
        ("rediss+sentinel://a/m?sentinel_password=x%26&sentinel_user=y",
         {"secure": True, "sentinels": (("a", 26379),), "service": "m", "sentinel_login": Login("y", "x&")}),
    ],
)  # fmt: skip
def test_urls(url: str, expected: dict[str, Any]) -> None:
    assert read_url(url) == RedisAddress(**expected)


SECRET = "Tr0ub4dor"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "is not a Redis URL"),
        ("http://u:Tr0ub4dor@h", "is not a Redis URL"),
        ("u:Tr0ub4dor@h:6379", "is not a Redis URL"),
        ("redis:/h", "is not a Redis URL"),
        ("redis://Tr0ub4dor@h", "no password"),
        ("redis://:@h", "is empty"),
        ("redis://u:Tr0ub4dor@h:0", "port"),
        ("redis://u:Tr0ub4dor@h:65536", "port"),
        ("redis://u:Tr0ub4dor@h:\uff11", "port"),
        ("redis://u:Tr0ub4dor/@h", "port|'@' behind"),
        ("redis://u:Tr0ub4dor?@h", "'@' behind"),
        ("redis://u:x?Tr0ub4dor=1", "port|not known"),
        ("redis://h?Tr0ub4dor=1", "none is known"),
        ("redis://u:Tr0ub4dor#@h", "'#'"),
        ("redis://u:Tr0ub4dor%@h", "'%'"),
        ("redis://u:Tr0ub4dor%ff@h", "not UTF-8"),
        ("redis://u:Tr0ub4dor%00@h", "NUL"),
        ("redis://u:Tr0ub4dor @h", "space"),
        ("redis://u:Tr0ub4dor\udcb4@h", "not UTF-8"),
        ("redis://u:Tr0ub4dor@[::1", "IPv6"),
        ("redis://u:Tr0ub4dor@h h", "not a name"),
        ("redis://u:Tr0ub4dor@h,h2", "not a name"),
        ("redis://u:Tr0ub4dor@h/x", "database"),
        ("redis://u:Tr0ub4dor@h/-1", "database"),
        ("redis://u:Tr0ub4dor@h/1/2", "database"),
        ("unix://u:Tr0ub4dor@run/x", "third"),
        ("unix://u:Tr0ub4dor@/", "is missing"),
        ("unix://u:Tr0ub4dor@/x?db=y", "database"),
        ("redis+sentinel://u:Tr0ub4dor@/m", "host is missing"),
        ("redis+sentinel://u:Tr0ub4dor@a,/m", "host is missing"),
        ("redis+sentinel://u:Tr0ub4dor@a", "service is missing"),
        ("redis+sentinel://a/m?sentinel_password=", "no value"),
        ("redis+sentinel://a/m?sentinel_user=u", "without a sentinel_password"),
        ("redis+sentinel://a/m?password=Tr0ub4dor", "known are"),
    ],
)
def test_what_is_no_url_is_an_error_that_names_the_option_and_not_the_password(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read_url(url)
    assert str(caught.value).startswith("REDIS_URL")
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__context__)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:Tr0ub4dor@[::1]/1", "redis://[::1]:6379"),
        ("rediss://:Tr0ub4dor@h", "rediss://h:6379"),
        ("unix://:Tr0ub4dor@/x", "unix:///x"),
        ("redis+sentinel://:Tr0ub4dor@a,b/m?sentinel_password=Tr0ub4dor", "redis+sentinel://a:26379,b:26379/m"),
    ],
)
def test_an_address_keeps_its_passwords_to_itself(url: str, shown: str) -> None:
    address = read_url(url)
    assert str(address) == shown
    assert SECRET not in repr(address)


@given(st.text())
def test_a_text_is_an_address_or_a_config_error(text: str) -> None:
    for url in (text, f"redis://{text}", f"redis+sentinel://u:{text}@h/{text}?{text}", f"unix://{text}?{text}"):
        try:
            assert isinstance(read_url(url), RedisAddress)
        except ConfigError:
            continue
