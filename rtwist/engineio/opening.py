"""The opening handshake of a WebSocket, as Autobahn is told of it once a request has been checked."""

from __future__ import annotations

from collections.abc import Sequence

from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept

from rtwist.engineio.deflate import Agreement


def accept(compression: Agreement, offers: Sequence[PerMessageDeflateOffer]) -> PerMessageDeflateOfferAccept:
    """What Autobahn is to answer to the client's offers, of which it sees one."""
    # The one offer is that of `Agreement.request`.
    return PerMessageDeflateOfferAccept(
        offers[0],
        request_no_context_takeover=True,
        request_max_window_bits=compression.client_window or 0,
        no_context_takeover=True,
    )


def handshake_bytes(key: str, compression: Agreement | None = None) -> bytes:
    """The opening handshake for Autobahn, made of what was checked and nothing else of the client's request."""
    lines = [
        "GET / HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *([] if compression is None else [f"Sec-WebSocket-Extensions: {compression.request}"]),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
