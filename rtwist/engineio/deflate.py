"""Compression of WebSocket messages by permessage-deflate (RFC 7692): what is agreed on, and frames; pure.

Each message is compressed by itself, so that one compressed frame serves all receivers of a packet and no
compressor is kept for any of them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

_NAME = "permessage-deflate"
_LEVEL = 6
_FULL_WINDOW = 15
_LEAST_WINDOW = 9  # zlib knows no smaller one
CLIENT_WINDOW = 12
"""Bits of the window that clients are asked to use: 4 kB in place of 32, kept while a message comes."""

_BITS = re.compile(r"[89]|1[0-5]", re.ASCII)
_TAIL = b"\x00\x00\xff\xff"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of an offer: the window of the server's messages, and of the client's (None: it cannot be asked for)."""

    server_window: int = _FULL_WINDOW
    client_window: int | None = None

    @property
    def request(self) -> str:
        """The header Sec-WebSocket-Extensions that asks Autobahn for it."""
        parts = [_NAME, "server_no_context_takeover"]
        if self.server_window != _FULL_WINDOW:
            parts.append(f"server_max_window_bits={self.server_window}")
        if self.client_window is not None:
            parts.append("client_max_window_bits")
        return "; ".join(parts)

    @property
    def sends_compressed(self) -> bool:
        """Whether the shared frames, which need the full window, can be sent; plain ones always can."""
        return self.server_window == _FULL_WINDOW


class Inflater:
    """Inflates the messages of one connection, each by itself; stands in for Autobahn's own.

    That of older versions has no bound and lets zlib's errors out. `too_large` is called when a message would be
    larger than `limit` bytes, `corrupt` when it cannot be inflated; the connection must fail then.
    """

    EXTENSION_NAME = _NAME
    __slots__ = ("_corrupt", "_left", "_limit", "_stream", "_too_large", "_window")

    def __init__(
        self, agreement: Agreement, limit: int, too_large: Callable[[], None], corrupt: Callable[[], None]
    ) -> None:
        self._window = agreement.client_window or _FULL_WINDOW
        self._limit = limit
        self._too_large = too_large
        self._corrupt = corrupt
        self._left = 0
        self._stream: Any = None

    def start_decompress_message(self) -> None:
        """A compressed message begins."""
        self._stream = zlib.decompressobj(-self._window)
        self._left = self._limit

    def decompress_message_data(self, data: bytes, max_output_len: int | None = None) -> bytes:
        """The next bytes of the message, b"" once it has failed; `max_output_len` is Autobahn's own bound."""
        # One byte more than is left tells a message that is too large, and 0 would be no limit to zlib.
        inflated = self._inflate(data, self._left + 1)
        self._left -= len(inflated)
        if self._left < 0:
            self._stream = None
            self._too_large()
            return b""
        return inflated

    def end_decompress_message(self) -> None:
        """The message is whole: nothing is kept for the next."""
        self._inflate(_TAIL, 1)
        self._stream = None

    def _inflate(self, data: bytes, most: int) -> bytes:
        if self._stream is None:
            return b""
        try:
            return bytes(self._stream.decompress(data, most))
        except zlib.error:
            self._stream = None
            self._corrupt()
            return b""


def agree(header: str) -> Agreement | None:
    """What to make of the header Sec-WebSocket-Extensions of a client: its first offer that can be met."""
    for offer in header.split(","):
        agreement = _agreement(offer)
        if agreement is not None:
            return agreement
    return None


def deflate(payload: bytes) -> bytes:
    """`payload` as the payload of a compressed message (RFC 7692, section 7.2.1)."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_FULL_WINDOW)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)


def _agreement(offer: str) -> Agreement | None:
    try:
        parameters = dict(_parameters(offer))
    except ValueError:
        return None
    if parameters.pop(_NAME, None) != "":
        return None
    server, client = _FULL_WINDOW, None
    for name, value in parameters.items():
        if name in ("server_no_context_takeover", "client_no_context_takeover") and not value:
            continue
        if name == "server_max_window_bits" and _BITS.fullmatch(value):
            server = int(value)
        elif name == "client_max_window_bits" and (not value or _BITS.fullmatch(value)):
            client = min(CLIENT_WINDOW, int(value or _FULL_WINDOW))
        else:
            return None
    if min(server, client or _FULL_WINDOW) < _LEAST_WINDOW:
        return None
    return Agreement(server, client)


def _parameters(offer: str) -> Iterator[tuple[str, str]]:
    seen = set()
    for part in offer.split(";"):
        name, _, value = part.partition("=")
        name, value = name.strip().lower(), value.strip()
        if name in seen:
            raise ValueError(name)
        seen.add(name)
        yield name, value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
