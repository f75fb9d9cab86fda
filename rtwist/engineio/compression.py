"""Content codings of HTTP answers (RFC 9110, section 12.5.3); pure."""

from __future__ import annotations

import gzip
import zlib

_LEVEL = 6


def choose_encoding(accept: str) -> str | None:
    """`gzip` or `deflate`, whichever an Accept-Encoding header likes more, or None."""
    best: tuple[float, str] | None = None
    for name in ("gzip", "deflate"):
        quality = _quality(accept, name)
        if quality > 0 and (best is None or quality > best[0]):
            best = (quality, name)
    return best[1] if best else None


def compress(body: bytes, encoding: str) -> bytes:
    """`body` in the content coding `encoding`."""
    if encoding == "gzip":
        return gzip.compress(body, _LEVEL, mtime=0)
    return zlib.compress(body, _LEVEL)


def _quality(accept: str, name: str) -> float:
    wildcard = 0.0
    for item in accept.split(","):
        coding, _, parameters = item.strip().partition(";")
        coding = coding.strip().lower()
        if coding not in (name, "*"):
            continue
        value = _weight(parameters)
        if coding == name:
            return value
        wildcard = value
    return wildcard


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
