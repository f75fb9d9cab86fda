"""AMQP URLs, by the examples of RabbitMQ's specification of them and beyond."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.errors import ConfigError
from rtwist.intake.amqp import BrokerAddress, read_urls


def one(url: str) -> BrokerAddress:
    (address,) = read_urls(url)
    return address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("amqp://user:pass@host:10000/vhost",
         {"user": "user", "password": "pass", "host": "host", "port": 10000, "vhost": "vhost"}),
        ("amqp://user%61:%61pass@ho%61st:10000/v%2fhost",
         {"user": "usera", "password": "apass", "host": "hoast", "port": 10000, "vhost": "v/host"}),
        ("amqp://", {}),
        ("amqp://:@/", {"user": "", "password": "", "vhost": ""}),
        ("amqp://user@", {"user": "user"}),
        ("amqp://user:pass@", {"user": "user", "password": "pass"}),
        ("amqp://host", {"host": "host"}),
        ("amqp://:10000", {"port": 10000}),
        ("amqp:///vhost", {"vhost": "vhost"}),
        ("amqp://host/", {"host": "host", "vhost": ""}),
        ("amqp://host/%2f", {"host": "host", "vhost": "/"}),
        ("amqp://[::1]", {"host": "::1"}),
        ("amqp://u:p@[fe80::1%25eth0]:1/",
         {"user": "u", "password": "p", "host": "fe80::1%eth0", "port": 1, "vhost": ""}),
        ("amqps://host", {"secure": True, "host": "host", "port": 5671}),
        ("AMQPS://host:5672", {"secure": True, "host": "host", "port": 5672}),
        ("amqp://u:%40%3A%2F%3F%23%25%20é@h/%C3%A9",
         {"user": "u", "password": "@:/?#% é", "host": "h", "vhost": "é"}),
        ("amqp://u:a:b@c@h", {"user": "u", "password": "a:b@c", "host": "h"}),
        ("amqp://h?heartbeat=30&connection_timeout=2500&frame_max=8192",
         {"host": "h", "heartbeat": 30, "connection_timeout": 2.5, "frame_max": 8192}),
        ("amqp://h/v?heartbeat=0", {"host": "h", "vhost": "v", "heartbeat": 0}),
        ("  amqp://h/a:b@c,d \n", {"host": "h", "vhost": "a:b@c,d"}),
    ],
)  # fmt: skip
def test_urls(url: str, expected: dict[str, Any]) -> None:
    assert one(url) == BrokerAddress(**expected)


def test_several_urls_in_their_order() -> None:
    found = read_urls("amqp://u:a,b@h1:1/x, amqps://h2 ,amqp://h3")
    assert [(address.host, address.port, address.secure) for address in found] == [
        ("h1", 1, False), ("h2", 5671, True), ("h3", 5672, False),
    ]  # fmt: skip
    assert found[0].password == "a,b"


SECRET = "Tr0ub4dor"


@pytest.mark.parametrize(
    "url",
    [
        "", "http://u:Tr0ub4dor@h", "h:5672", "amqp:/h", "amqp://u:Tr0ub4dor@h:0", "amqp://u:Tr0ub4dor@h:65536",
        "amqp://u:Tr0ub4dor@h:port", "amqp://u:Tr0ub4dor/@h", "amqp://u:Tr0ub4dor?@h", "amqp://u:Tr0ub4dor#@h",
        "amqp://u:Tr0ub4dor%@h", "amqp://u:Tr0ub4dor%zz@h", "amqp://u:Tr0ub4dor%ff@h", "amqp://u:Tr0ub4dor%00@h",
        "amqp://u:Tr0ub4dor @h", "amqp://u:Tr0ub4dor@h/a/b", "amqp://u:Tr0ub4dor@[::1", "amqp://u:Tr0ub4dor@::1",
        "amqp://u:Tr0ub4dor@[x]", "amqp://u:Tr0ub4dor@h,", "amqp://u:Tr0ub4dor@h h", "amqp://h,h2/v",
        "amqp://u:Tr0ub4dor@h?ssl=1", "amqp://u:Tr0ub4dor@h?heartbeat=-1", "amqp://u:Tr0ub4dor@h?heartbeat=65536",
        "amqp://u:Tr0ub4dor@h?heartbeat", "amqp://u:Tr0ub4dor@h?connection_timeout=0",
        "amqp://u:Tr0ub4dor@h?frame_max=4095", "amqp://u:Tr0ub4dor@h?heartbeat=1.5", "amqp://" + "u" * 256 + "@h",
        "amqp://a\n@h", "amqp://u:x?Tr0ub4dor=1@h", "amqp://u:x@y?Tr0ub4dor@h", "amqp://u:x/Tr0ub4dor@h", "amqp://u:Tr0ub4dor@h:\uff11",
        "amqp://u:Tr0ub4dor\udcb4@h", "amqp://\udcb4@h", "amqp://\ud800Tr0ub4dor/",
    ],
)  # fmt: skip
def test_what_is_no_url_is_an_error_without_the_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_urls(url)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__context__)


def test_errors_say_which_url_and_what_is_known() -> None:
    with pytest.raises(ConfigError, match=r"AMQP URL 2.*'ssl'.*heartbeat, connection_timeout, frame_max"):
        read_urls("amqp://h,amqp://h?ssl=1")


def test_an_address_keeps_its_password_to_itself() -> None:
    address = one("amqps://u:Tr0ub4dor@[::1]/v")
    assert SECRET not in repr(address)
    assert str(address) == "amqps://[::1]:5671"


@given(st.text())
def test_a_text_is_addresses_or_a_config_error(text: str) -> None:
    for url in (text, f"amqp://{text}", f"amqp://u:{text}@h/{text}?{text}"):
        try:
            assert read_urls(url)
        except ConfigError:
            continue
