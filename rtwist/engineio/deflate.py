"""Compression of WebSocket messages by permessage-deflate (RFC 7692): what is agreed on, and frames; pure.

Each message is compressed by itself, so that one compressed frame serves all receivers of a packet and no
compressor is kept for any of them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

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
