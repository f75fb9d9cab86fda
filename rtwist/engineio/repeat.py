"""Requests that repeat: what of one must come again byte by byte, and what may differ; pure.

A polling client sends the same request again and again. Only `t` of the query, which is there to defeat caches
and means nothing, and the body of a POST with its length differ. So whoever has read one of them has read them
all: no header needs to be parsed twice.
"""

from __future__ import annotations

import re
from typing import Final

MOST_REMEMBERED: Final = 4096
"""Bytes of a request without its body that are remembered, two for a session; browsers send about 700."""

_FIRST_LINE = re.compile(rb"(?:GET|POST) [!-~]+ HTTP/1\.1\r\n")
_SID = re.compile(rb"[?&]sid=([A-Za-z0-9_\-]+)")
_STAMP = re.compile(rb"[?&]t=")
_TOKEN = re.compile(rb"[A-Za-z0-9_.\-]{1,64}")
_SIZE = re.compile(rb"[1-9][0-9]{0,6}")
_LENGTH = re.compile(rb"\r\ncontent-length: ?(" + _SIZE.pattern + rb")\r\n(?![ \t])", re.IGNORECASE)
_KEEP_ALIVE = re.compile(rb"\r\nconnection: ?keep-alive\r\n(?![ \t])")
# With these there is more to do than to read the headers and so many bytes.
_NEVER = (b"transfer-encoding", b"expect")


class Pattern:
    """One request with gaps; without a `middle` there is no `t`, without a `rest` no body."""

    __slots__ = ("_head", "_middle", "_rest")

    def __init__(self, head: bytes, middle: bytes | None, rest: bytes | None) -> None:
        self._head = head
        self._middle = middle
        self._rest = rest

    def match(self, data: bytes) -> bytes | None:
        """The body when `data` is one whole request of this pattern and nothing else, b"" for a GET; or None."""
        if not data.startswith(self._head):
            return None
        at = len(self._head)
        middle, rest = self._middle, self._rest
        if middle is not None:
            found = _TOKEN.match(data, at)
            if found is None or not data.startswith(middle, found.end()):
                return None
            at = found.end() + len(middle)
        if rest is None:
            return b"" if at == len(data) else None
        found = _SIZE.match(data, at)
        if found is None or not data.startswith(rest, found.end()):
            return None
        at = found.end() + len(rest)
        return data[at:] if len(data) - at == int(found[0]) else None


def sid_of(data: bytes) -> str:
    """The session that a request may name, or ""; only its pattern tells whether it does."""
    found = _SID.search(data, 0, MOST_REMEMBERED)
    return "" if found is None else found[1].decode()


def learn(data: bytes) -> Pattern | None:
    """The pattern of `data`, when that is one whole GET without a body, or one POST with a length and a body."""
    line = _FIRST_LINE.match(data)
    end = data.find(b"\r\n\r\n", 0, MOST_REMEMBERED) + 4
    if line is None or end < line.end():
        return None
    fields = data[line.end() - 2 : end].lower()
    if any(name in fields for name in _NEVER):
        return None
    # What a connection is to become after the request is for its parser to know.
    if fields.count(b"\r\nconnection") != len(_KEEP_ALIVE.findall(fields)):
        return None
    lengths = fields.count(b"content-length")
    if data.startswith(b"GET"):
        return None if lengths or end != len(data) else _with_stamp(data[:end], line.end(), None)
    length = _LENGTH.search(data, line.end() - 2, end)
    if lengths != 1 or length is None or len(data) - end != int(length[1]):
        return None
    return _with_stamp(data[: length.start(1)], line.end(), data[length.end(1) : end])


def _with_stamp(fixed: bytes, line_end: int, rest: bytes | None) -> Pattern:
    stamp = _STAMP.search(fixed, 0, line_end)
    token = None if stamp is None else _TOKEN.match(fixed, stamp.end())
    if token is None or fixed[token.end() : token.end() + 1] not in (b"&", b" "):
        return Pattern(fixed, None, rest)
    return Pattern(fixed[: token.start()], fixed[token.end() :], rest)
