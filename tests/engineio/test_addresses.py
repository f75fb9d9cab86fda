"""Whose a connection is: what proxies say, and whom to believe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.addresses import Proxies, address_key
from rtwist.errors import ConfigError

PROXIES = Proxies(["10.0.0.0/8", "::1", "unix"])


@pytest.mark.parametrize(
    ("peer", "chain", "client"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.2.2.2, 10.3.3.3", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9:5555", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:5555", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "10.9.9.9, 10.8.8.8", "10.9.9.9"),
        ("10.0.0.1", "1.1.1.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, nonsense, 10.8.8.8", "10.8.8.8"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::1", "203.0.113.9", "203.0.113.9"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("", "203.0.113.9", "203.0.113.9"),
        ("203.0.113.1", "198.51.100.1", "203.0.113.1"),
    ],
)
def test_the_last_hop_that_is_no_proxy_is_the_client(peer: str, chain: str, client: str) -> None:
    assert PROXIES.client(peer, {"x-forwarded-for": chain}) == client


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=203.0.113.9", "203.0.113.9"),
        ('For="[2001:db8::1]:80";proto=https;by=10.0.0.1', "2001:db8::1"),
        ("for=1.1.1.1, proto=http;for=203.0.113.9", "203.0.113.9"),
        ("for=203.0.113.9, for=10.1.1.1", "203.0.113.9"),
        ("for=_hidden", "10.0.0.1"),
        ("proto=https", "10.0.0.1"),
    ],
)
def test_the_standard_header_counts_too(value: str, client: str) -> None:
    assert PROXIES.client("10.0.0.1", {"forwarded": value}) == client


def test_headers_that_do_not_agree_are_not_believed() -> None:
    both = {"x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9"}
    assert PROXIES.client("10.0.0.1", both) == "203.0.113.9"
    assert PROXIES.client("10.0.0.1", {**both, "forwarded": "for=1.1.1.1"}) == "10.0.0.1"


def test_without_proxies_nobody_is_believed() -> None:
    assert Proxies().client("127.0.0.1", {"x-forwarded-for": "1.1.1.1"}) == "127.0.0.1"
    assert Proxies().client("", {"x-forwarded-for": "1.1.1.1"}) == ""


@given(st.text(max_size=60), st.sampled_from(["x-forwarded-for", "forwarded"]))
def test_whatever_a_header_says_an_address_comes_out(value: str, name: str) -> None:
    assert address_key(PROXIES.client("10.0.0.1", {name: value}))


@pytest.mark.parametrize("wrong", ["10.0.0.0/33", "proxy.example", "", "*"])
def test_what_is_no_network_is_an_error_with_an_example(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"write for example 10\.0\.0\.0/8"):
        Proxies([wrong])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.9", "203.0.113.9", True),
        ("203.0.113.9", "203.0.113.8", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_a_network_of_64_bits_is_one_address(one: str, other: str, *, same: bool) -> None:
    assert (address_key(one) == address_key(other)) is same
