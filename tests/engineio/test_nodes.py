"""Addresses and marks of nodes, and the head of a request on its way to another."""

from __future__ import annotations

import contextlib
import string
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.web.http_headers import Headers

from rtwist.engineio.nodes import (
    HOP,
    MARK_CHARS,
    Address,
    forwarded_head,
    is_forwarded,
    is_mark,
    mark_in,
    new_mark,
    read_address,
)
from rtwist.engineio.repeat import sid_of
from rtwist.errors import ConfigError

NAMES = st.from_regex(r"\A[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?\Z").filter(lambda name: not _is_ip(name))
LITERALS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).filter(lambda ip: not ip.is_unspecified).map(str)
ADDRESSES = st.builds(Address, host=st.one_of(NAMES, LITERALS), port=st.integers(1, 65535), secure=st.booleans())
FIELD = st.tuples(
    st.sampled_from(
        [b"Host", b"Connection", b"connection", b"X-Forwarded-For", b"Forwarded", HOP, b"Keep-Alive", b"Cookie"]
    ),
    st.from_regex(rb"\A[!-~]{1,10}\Z"),
)


def _is_ip(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


class TestAddresses:
    @given(ADDRESSES)
    def test_what_is_written_is_read_again(self, address: Address) -> None:
        assert read_address(str(address)) == address

    @given(st.text(max_size=60))
    def test_any_text_is_an_address_or_refused(self, text: str) -> None:
        with contextlib.suppress(ConfigError):
            address = read_address(text)
            assert 1 <= address.port <= 65535
            assert set(address.host) <= set(string.ascii_letters + string.digits + ".-:")

    @pytest.mark.parametrize(
        "text",
        [
            "10.0.0.5:8009",
            "http://10.0.0.5",
            "http://10.0.0.5:8009/",
            "http://10.0.0.5:8009/path",
            "http://10.0.0.5:8009?query",
            "http://user@10.0.0.5:8009",
            "http://10.0.0.5:8009\n",
            "http://10.0.0.5:8009\r\nX: y",
            "http://10.0.0.5:80 09",
            "http://10.0.0.5:0",
            "http://10.0.0.5:65536",
            "http://10.0.0.5:٣",
            "http://0.0.0.0:8009",
            "http://[::]:8009",
            "http://[10.0.0.5]:8009",
            "http://::1:8009",
            "http://-x:8009",
            "http://x_y:8009",
            "HTTP://x:8009",
            "file:///etc/passwd",
            "ftp://x:21",
            "unix:/run/x:1",
            "http://" + "a" * 256 + ":1",
        ],
    )
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(ConfigError, match=r"http://10\.0\.0\.5:8009"):
            read_address(text)

    def test_which_need_no_look_up(self) -> None:
        assert read_address("http://10.0.0.5:1").is_literal
        assert read_address("http://[::1]:1").is_literal
        assert not read_address("http://host.internal:1").is_literal

    def test_an_ipv6_address_has_one_text(self) -> None:
        assert read_address("https://[2001:DB8:0:0::1]:1") == Address(str(IPv6Address("2001:db8::1")), 1, True)


class TestMarks:
    def test_they_differ_and_are_what_a_sid_may_begin_with(self) -> None:
        marks = {new_mark() for _ in range(1000)}
        assert len(marks) == 1000
        for mark in marks:
            assert is_mark(mark)
            sid = f"{mark}0{'A' * 24}"
            assert sid_of(f"/?sid={sid}".encode()) == sid
            assert mark_in(sid) == mark

    @pytest.mark.parametrize("text", ["", "short", "seven77", "with\n1", "wi.th1", "ümlaut"])
    def test_what_is_none(self, text: str) -> None:
        assert not is_mark(text)

    @given(st.text(string.ascii_letters, max_size=40))
    def test_a_sid_without_anything_behind_has_none(self, sid: str) -> None:
        assert mark_in(sid) == (sid[:MARK_CHARS] if len(sid) > MARK_CHARS else None)


class TestHeads:
    @given(st.lists(FIELD, max_size=12), st.booleans(), st.sampled_from(["", "192.0.2.1"]))
    def test_what_is_the_nodes_own_is_said_once_and_the_rest_as_it_came(
        self, fields: list[tuple[bytes, bytes]], upgrade: bool, client: str
    ) -> None:
        came = Headers()
        for name, value in fields:
            came.addRawHeader(name, value)
        head = forwarded_head(
            (b"GET", b"/x?sid=1", b"HTTP/1.1"),
            came.getAllRawHeaders(),
            client=client,
            mark="AAAAAA",
            upgrade=upgrade,
        )
        first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        assert first == b"GET /x?sid=1 HTTP/1.1"
        goes = Headers()
        for line in lines:
            name, _, value = line.partition(b":")
            goes.addRawHeader(name, value)
        assert goes.getRawHeaders(b"connection") == [b"Upgrade, close" if upgrade else b"close"]
        assert goes.getRawHeaders(HOP) == [b"AAAAAA"]
        assert goes.getRawHeaders(b"x-forwarded-for") == ([client.encode()] if client else None)
        assert not goes.hasHeader(b"forwarded")
        assert not goes.hasHeader(b"keep-alive")
        for name in (b"host", b"cookie"):
            assert goes.getRawHeaders(name) == came.getRawHeaders(name)
        assert is_forwarded(goes.getAllRawHeaders())
        assert is_forwarded(came.getAllRawHeaders()) == came.hasHeader(HOP)
