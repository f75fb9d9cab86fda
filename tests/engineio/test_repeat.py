"""Which requests repeat one before, byte by byte."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.repeat import MOST_REMEMBERED, learn, sid_of
from tests.support.wire import http_request

TARGET = "/socket.io/?EIO=4&transport=polling&t={t}&sid=abc"
STAMPS = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=64)
BROWSER = (("Accept", "*/*"), ("User-Agent", "Any/1.0"), ("Accept-Encoding", "gzip"), ("Cookie", "a=b"))


def get(stamp: str = "PxQ1", target: str = TARGET, headers: tuple[tuple[str, str], ...] = BROWSER) -> bytes:
    return http_request("GET", target.format(t=stamp), headers)


def post(body: bytes, stamp: str = "PxQ1", headers: tuple[tuple[str, str], ...] = BROWSER) -> bytes:
    return http_request("POST", TARGET.format(t=stamp), headers, body)


@given(STAMPS, STAMPS)
def test_a_get_repeats_with_any_stamp(first: str, second: str) -> None:
    pattern = learn(get(first))
    assert pattern is not None
    assert pattern.match(get(second)) == b""


@given(STAMPS, STAMPS, st.binary(min_size=1, max_size=2000), st.binary(min_size=1, max_size=2000))
def test_a_post_repeats_with_any_stamp_and_body(first: str, second: str, old: bytes, new: bytes) -> None:
    pattern = learn(post(old, first))
    assert pattern is not None
    assert pattern.match(post(new, second)) == new


def test_a_request_without_a_stamp_repeats_as_it_is() -> None:
    data = get(target="/socket.io/?EIO=4&transport=polling&sid=abc")
    pattern = learn(data)
    assert pattern is not None
    assert pattern.match(data) == b""
    assert pattern.match(get()) is None


@given(st.data())
def test_nothing_else_may_differ(data: st.DataObject) -> None:
    for request in (get(), post(b"4hello")):
        pattern = learn(request)
        assert pattern is not None
        at = data.draw(st.integers(0, len(request) - 1))
        changed = bytearray(request)
        changed[at] = data.draw(st.integers(0, 255).filter(lambda byte, old=request[at]: byte != old))
        body = pattern.match(bytes(changed))
        stamp = slice(request.index(b"&t=") + 3, request.index(b"&sid"))
        in_stamp = stamp.start <= at < stamp.stop and re.fullmatch(rb"[\w.\-]", bytes([changed[at]])) is not None
        in_body = at >= request.index(b"\r\n\r\n") + 4
        assert (body is not None) == (in_stamp or in_body)


@given(st.data())
def test_neither_less_nor_more_is_the_same(data: st.DataObject) -> None:
    for request in (get(), post(b"4hello")):
        pattern = learn(request)
        assert pattern is not None
        assert pattern.match(request[: data.draw(st.integers(0, len(request) - 1))]) is None
        assert pattern.match(request + data.draw(st.binary(min_size=1))) is None
        assert pattern.match(request + request) is None


@pytest.mark.parametrize("stamp", ["", "x" * 65, "a%20", "a&sid=other", "a b", "a\r\n", "a#"])
def test_a_stamp_is_a_short_word(stamp: str) -> None:
    pattern = learn(get())
    assert pattern is not None
    assert pattern.match(get().replace(b"&t=PxQ1", b"&t=" + stamp.encode())) is None


@pytest.mark.parametrize("length", ["06", "+6", "6 ", " 6", "6,6", "5", "7", "", "0x6", "12345678"])
def test_a_length_is_a_plain_number_that_is_true(length: str) -> None:
    pattern = learn(post(b"4hello"))
    assert pattern is not None
    data = post(b"4hello").replace(b"Content-Length: 6", b"Content-Length: " + length.encode())
    assert pattern.match(data) is None


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"\r\n" + get(),
        get()[:-1],
        get() + b"x",
        get() + get(),
        get().replace(b"HTTP/1.1", b"HTTP/1.0"),
        get().replace(b"HTTP/1.1", b"HTTP/1.1 "),
        get().replace(b"GET", b"HEAD"),
        get().replace(b"GET", b"get"),
        get().replace(b"\r\n", b"\n"),
        get(headers=(("Content-Length", "0"),)),
        get(headers=(("Content-Length", "3"),)) + b"abc",
        get(headers=(("Expect", "100-continue"),)),
        get(headers=(("Cookie", "x" * MOST_REMEMBERED),)),
        get(headers=(("Connection", "close"),)),
        get(headers=(("connection", "keep-alive, close"),)),
        get(headers=(("Connection", "keep-alive"), ("Connection", "close"))),
        get(headers=(("Connection", "keep-alive\r\n close"),)),
        get(headers=(("Connection", "Upgrade"),)),
        post(b"4hello")[:-1],
        post(b"4hello") + b"x",
        post(b""),
        post(b"4hello", headers=(("eXpect", "100-continue"),)),
        post(b"4hello").replace(b"Content-Length: 6", b"Content-Length: 06"),
        post(b"4hello").replace(b"Content-Length: 6", b"Content-Length: 6\r\n "),
        post(b"4hello").replace(b"Content-Length: 6", b"Content-Length: 6\r\nContent-Length: 6"),
        post(b"4hello").replace(b"Content-Length: 6", b"X: y\r\n Content-Length: 6"),
        post(b"4hello").replace(b"Content-Length: 6", b"Transfer-Encoding: chunked"),
        post(b"4hello").replace(b"Content-Length: 6", b"X-Content-Length: 6"),
    ],
)
def test_what_is_not_learned(request_: bytes) -> None:
    assert learn(request_) is None


@pytest.mark.parametrize("value", ["keep-alive", "Keep-Alive"])
def test_a_request_that_keeps_its_connection_is_learned(value: str) -> None:
    data = get(headers=(("Connection", value),))
    pattern = learn(data)
    assert pattern is not None
    assert pattern.match(data) == b""


@pytest.mark.parametrize(
    ("target", "sid"),
    [
        ("/socket.io/?EIO=4&transport=polling&sid=aZ09_-b", "aZ09_-b"),
        ("/socket.io/?sid=abc&t=1", "abc"),
        ("/socket.io/?EIO=4&transport=polling", ""),
        ("/socket.io/?sid=", ""),
        ("/socket.io/?notsid=abc", ""),
    ],
)
def test_the_sid_of_a_request(target: str, sid: str) -> None:
    assert sid_of(get(target=target)) == sid


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_taken(first: bytes, second: bytes) -> None:
    pattern = learn(b"GET / HTTP/1.1\r\n" + first + b"\r\n\r\n") or learn(get())
    assert pattern is not None
    pattern.match(second)
    sid_of(second)
